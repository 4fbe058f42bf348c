SELECT min(step) FROM steps
WHERE trajectory_id = ?1 AND step < ?3 AND step % ?2 = 0 AND entropy IS NULL
  AND coalesce(nonfinite, '') NOT LIKE '%entropy:%'
