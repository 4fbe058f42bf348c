 ;; -- c
 /* d */ SELECT 1