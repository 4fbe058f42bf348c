//! Two at once.

use serde_json::json;

use crate::space::Space;

#[test]
fn two_programs_that_start_at_once_compute_each_stage_once() {
    for _ in 0..3 {
        let space = Space::new();
        let start = || space.command().args(["run", "x.toml", "--jobs", "2", "--threads", "1"]).spawn().unwrap();
        for child in [start(), start()] {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let doubled = space.one("SELECT count(*) - count(DISTINCT stage_key) FROM executions");
        assert_eq!(doubled, 0);
        let runs = space.sql("SELECT run, status FROM run_summary ORDER BY run");
        assert_eq!(runs, [json!({"run": 1, "status": "finished"}), json!({"run": 2, "status": "finished"})]);
    }
}
