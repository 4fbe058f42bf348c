SELECT loss, loss_kind, grad_norm FROM steps WHERE trajectory_id = ?1 AND step = ?2
