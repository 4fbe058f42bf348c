//! Two programs at once in one place.

use tests::TestSpace;

#[test]
fn two_runs_of_one_experiment_share_the_work() {
    let alone = TestSpace::new();
    alone.run("tiny", &[]).ok();
    for _ in 0..4 {
        let space = TestSpace::new();
        let (first, second) = (space.start_run("tiny", &[]), space.start_run("tiny", &[]));
        let (first, second) = (first.end().ok(), second.end().ok());
        let twice = "SELECT stage FROM executions WHERE status = 'finished' GROUP BY stage_key HAVING count(*) <> 1";
        assert_eq!(space.texts(twice), [""; 0], "{first}\n{second}");
        assert_eq!(space.number("SELECT count(*) FROM executions WHERE status <> 'finished'"), 0);
        assert_eq!(space.counts().0, 2, "they share the runs");
        assert_eq!(first.executed() + second.executed(), 16);
        space.assert_bits(&alone.bits(), "two at once");
        space.assert_nothing_runs();
        space.assert_objects_are_sound();
    }
}
