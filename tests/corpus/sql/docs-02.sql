SELECT run, point, steps, nonfinite_steps, first_nonfinite_step
FROM run_summary WHERE nonfinite_steps > 0;
