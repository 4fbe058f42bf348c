UPDATE steps
SET update_ratio = ?3, logit_max = ?4, entropy = ?5, nonfinite = ?6, overshoot = ?7, sharpness = ?8
WHERE trajectory_id = ?1 AND step = ?2
