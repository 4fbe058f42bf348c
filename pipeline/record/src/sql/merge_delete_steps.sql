DELETE FROM steps WHERE trajectory_id = ?3 AND NOT EXISTS (
    SELECT 1 FROM steps n WHERE n.trajectory_id = ?1 AND n.step = steps.step
     AND n.epoch IS steps.epoch AND n.loss IS steps.loss AND n.loss_kind IS steps.loss_kind AND n.learning_rate IS steps.learning_rate AND n.grad_norm IS steps.grad_norm
     AND n.tokens IS steps.tokens AND n.seconds IS steps.seconds AND n.nonfinite IS steps.nonfinite AND n.window IS steps.window AND n.source_id IS steps.source_id AND n.place IS steps.place)
