//! Rules that look at the valid loss while a training goes on.

use tests::TestSpace;

const EARLY: &str = "name = \"early\"
seed = 2
[corpus]
text = \"data/sonnets.txt\"
split = { valid = 0.05, test = 0.05 }
[vocab]
size = 600
[batch]
size = 4
unroll = 8
[train]
embedding = 16
hidden = 16
dropout = 0.2
learning_rate = 0.2
steps = 600
early_stopping = { every = 20, patience = 2 }
checkpoints = { every = 20, keep = \"best\" }
[evaluate]
test = \"best\"
";

const LOOKS: &str = "SELECT step, loss FROM run_evaluations WHERE source = 'train' AND run = ";

#[test]
fn a_training_ends_early_and_its_best_weights_are_kept() {
    let space = TestSpace::new();
    space.write("experiments/early.toml", EARLY);
    space.run("early", &[]).ok();
    // By the same rules, told once more: three looks in a row without a new best.
    let end = space.number("SELECT steps FROM run_summary WHERE run = 1");
    assert!((60..600).contains(&end), "it ended after {end} steps");
    let best = space.number(&format!("SELECT step FROM ({LOOKS} 1) ORDER BY loss, step LIMIT 1"));
    assert_eq!(space.number(&format!("SELECT max(step) FROM ({LOOKS} 1)")), end);
    assert_eq!(space.number(&format!("SELECT count(*) FROM ({LOOKS} 1)")), end / 20 + 1);
    assert_eq!(end - best, 60);
    let kept = "SELECT o.name FROM run_stages s JOIN execution_outputs o USING (execution_id)
                WHERE s.run_id = 1 AND s.stage = 'train' ORDER BY length(o.name), o.name";
    assert_eq!(space.texts(kept), [format!("weights@{best}"), format!("weights@{end}")]);
    assert_eq!(space.number("SELECT step FROM run_evaluations WHERE run = 1 AND split = 'test'"), best);
    assert_eq!(space.number("SELECT step FROM run_events WHERE run = 1 AND kind = 'stopped_early'"), end - 1);
    // What training saw is what evaluate sees.
    let differ = format!(
        "SELECT count(*) FROM ({LOOKS} 1) t JOIN run_evaluations e USING (step)
         WHERE e.run = 1 AND e.source = 'evaluate' AND e.split = 'valid' AND e.loss <> t.loss"
    );
    assert_eq!(space.number(&differ), 0);
    assert_eq!(space.run("early", &[]).ok().executed(), 0);
    space.assert_objects_are_sound();
}

#[test]
fn a_training_that_goes_on_knows_what_it_has_seen() {
    let whole = TestSpace::new();
    whole.write("experiments/early.toml", EARLY);
    whole.run("early", &[]).ok();
    let parts = TestSpace::new();
    parts.write("experiments/early.toml", EARLY);
    for steps in ["train.steps=50", "train.steps=130", "train.steps=600"] {
        parts.run("early", &["--set", steps]).ok();
    }
    let steps = "SELECT step, loss, grad_norm FROM run_steps WHERE run = ";
    assert_eq!(parts.rows(&format!("{steps} 3")), whole.rows(&format!("{steps} 1")));
    let looked = format!("SELECT * FROM ({LOOKS} RUN) WHERE step % 20 = 0");
    let of = |space: &TestSpace, run: &str| space.rows(&looked.replace("RUN", run));
    assert_eq!(of(&parts, "3"), of(&whole, "1"));
    assert_eq!(parts.number("SELECT count(*) FROM run_events WHERE kind = 'differs'"), 0);
}

#[test]
fn rules_that_look_change_no_number_of_a_training() {
    let space = TestSpace::new();
    space.write("experiments/early.toml", EARLY);
    let plain = EARLY.replace("early_stopping = { every = 20, patience = 2 }\n", "").replace("\"best\"", "\"all\"");
    space.write("experiments/plain.toml", &plain);
    space.run("plain", &["--set", "train.steps=200"]).ok();
    let steps = "SELECT step, loss, grad_norm FROM run_steps WHERE run = ";
    // The same trajectory, looked at afterwards: it is gone through again, and no step differs or is there twice.
    space.run("early", &["--set", "train.steps=200"]).ok();
    assert_eq!(space.number("SELECT count(*) FROM trajectories"), 1);
    assert_eq!(space.number("SELECT count(*) FROM run_events WHERE kind = 'differs'"), 0);
    let end = space.number("SELECT steps FROM run_summary WHERE run = 2");
    let before = space.rows(&format!("{steps} 1 AND step < {end}"));
    assert_eq!(space.rows(&format!("{steps} 2")), before);
    // And at once.
    let afresh = TestSpace::new();
    afresh.write("experiments/early.toml", EARLY);
    afresh.run("early", &["--set", "train.steps=200"]).ok();
    assert_eq!(afresh.rows(&format!("{steps} 1")), before);
    assert_eq!(afresh.rows(&format!("{LOOKS} 1")), space.rows(&format!("{LOOKS} 2")));
}
