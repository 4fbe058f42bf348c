//! Tests with workers that keep to the protocol, and with workers that break it.

use identity::observations::{Evaluation, Measured};
use serde_json::json;

use super::*;

fn order(folder: &Path, segment: Option<Segment>) -> Order {
    let params = json!({ "split": "valid" });
    Order { id: 1, stage: "x".into(), params, inputs: [].into(), folder: folder.to_owned(), threads: 1, segment }
}

fn segment(from: u64, to: u64, checkpoints: &[u64]) -> Option<Segment> {
    let checkpoints = checkpoints.to_vec();
    Some(Segment {
        from,
        to,
        length: to,
        weights: None,
        state: None,
        checkpoints,
        looks: Vec::new(),
        checkpoint_seconds: 30,
        inspect: None,
    })
}

fn begin(order: &Order, may_give_up: bool, may_stop_early: bool) -> Conduct {
    Conduct::new(order, may_give_up, may_stop_early).unwrap()
}

fn step(step: u64, loss: f64) -> Reply {
    Reply::Step(Step {
        step,
        epoch: 0,
        loss: Measured(loss),
        learning_rate: 1.0,
        grad_norm: Measured(1.0),
        clipped: false,
        update_ratio: None,
        overshoot: None,
        logit_max: None,
        entropy: None,
        sharpness: None,
        tokens: 1,
        seconds: 0.0,
    })
}

fn done(reached: Option<u64>, stopped: bool) -> Done {
    Done { order: 1, reached, stopped, peak_memory: 0, report: json!({}) }
}

/// A file of one tensor, truncated to `bytes`.
fn file(folder: &Path, name: &str, bytes: usize) -> PathBuf {
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut text = (header.len() as u64).to_le_bytes().to_vec();
    text.extend(header);
    text.extend([0; 8]);
    text.truncate(bytes);
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn checkpoint(folder: &Path, step: u64) -> Reply {
    let whole = file(folder, &format!("{step}"), usize::MAX);
    Reply::Checkpoint(Checkpoint { step, weights: whole.clone(), state: whole })
}

#[test]
fn steps_are_in_order_and_end_with_their_checkpoints() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let folder = folder.path();
    let begun = || begin(&order(folder, segment(3, 5, &[3, 5])), false, false);
    let mut good = begun();
    for reply in [checkpoint(folder, 3), step(3, 1.0), step(4, 1.0), checkpoint(folder, 5)] {
        good.hear(&mut reply.clone()).unwrap();
    }
    good.end(&done(Some(5), false), &stop).unwrap();
    assert!(good.hear(&mut step(5, 1.0)).unwrap_err().contains("step 5 of 3..5"));
    assert!(good.end(&done(Some(4), false), &stop).is_err());
    assert!(good.end(&done(None, false), &stop).is_err());

    for wrong in [step(0, 1.0), step(4, 1.0), step(u64::MAX, 1.0), checkpoint(folder, 5)] {
        assert!(begun().hear(&mut wrong.clone()).is_err(), "{wrong:?}");
    }
    let mut early = begun();
    early.hear(&mut checkpoint(folder, 3)).unwrap();
    assert!(early.end(&done(Some(3), false), &stop).unwrap_err().contains("ended at step 3"));
    assert!(early.end(&done(Some(3), true), &stop).unwrap_err().contains("without being asked"));
    stop.store(true, Ordering::Relaxed);
    early.end(&done(Some(3), true), &stop).unwrap();
    let mut bare = begun();
    bare.hear(&mut step(3, 1.0)).unwrap();
    bare.hear(&mut step(4, 1.0)).unwrap();
    assert!(bare.end(&done(Some(5), false), &stop).unwrap_err().contains("without checkpoint 3"));
}

#[test]
fn only_a_nonfinite_loss_lets_training_give_up() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let folder = folder.path();
    for (loss, may, ends) in [(f64::NAN, true, true), (f64::NAN, false, false), (1.0, true, false)] {
        let mut conduct = begin(&order(folder, segment(0, 9, &[])), may, false);
        conduct.hear(&mut step(0, loss)).unwrap();
        conduct.hear(&mut checkpoint(folder, 1)).unwrap();
        assert_eq!(conduct.end(&done(Some(1), false), &stop).is_ok(), ends, "{loss} {may}");
    }
}

#[test]
fn training_stops_early_only_at_an_evaluation() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let look = |step: Option<u64>| {
        Reply::Evaluation(Evaluation { split: "valid".into(), step, loss: Measured(1.0), tokens: 1, seconds: 0.0 })
    };
    let begun = |may: bool| {
        let mut conduct = begin(&order(folder.path(), segment(0, 9, &[])), false, may);
        conduct.hear(&mut step(0, 1.0)).unwrap();
        conduct.hear(&mut checkpoint(folder.path(), 1)).unwrap();
        conduct
    };
    for (may, looks, ends) in [(true, true, true), (true, false, false), (false, true, false)] {
        let mut conduct = begun(may);
        if looks {
            conduct.hear(&mut look(Some(1))).unwrap();
        }
        assert_eq!(conduct.end(&done(Some(1), false), &stop).is_ok(), ends, "{may} {looks}");
    }
    for wrong in [None, Some(0), Some(2)] {
        assert!(begun(true).hear(&mut look(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn files_must_be_complete_and_in_the_orders_folder() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sound = file(folder.path(), "sound", usize::MAX);
    std::os::unix::fs::symlink(&sound, folder.path().join("link")).unwrap();
    let bad = [
        file(other.path(), "elsewhere", usize::MAX),
        file(folder.path(), "short", 65),
        file(folder.path(), "shorter", 20),
        file(folder.path(), "empty", 0),
        folder.path().join("none"),
        folder.path().join("link"),
        folder.path().join("x/../sound"),
    ];
    for bad in bad {
        let mut conduct = begin(&order(folder.path(), segment(0, 1, &[])), false, false);
        let reply = |weights: &Path, state: &Path| {
            Reply::Checkpoint(Checkpoint { step: 0, weights: weights.to_owned(), state: state.to_owned() })
        };
        conduct.hear(&mut reply(&sound, &sound)).unwrap();
        assert!(conduct.hear(&mut reply(&sound, &bad)).is_err(), "{}", bad.display());
        assert!(conduct.hear(&mut reply(&bad, &sound)).is_err(), "{}", bad.display());
    }
}

#[test]
fn an_order_without_steps_needs_one_evaluation_of_its_split() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let begun = || begin(&order(folder.path(), None), false, false);
    let score = |split: &str| {
        let split = split.to_owned();
        Reply::Evaluation(Evaluation { split, step: None, loss: Measured(1.0), tokens: 1, seconds: 0.0 })
    };
    let mut good = begun();
    good.hear(&mut score("valid")).unwrap();
    good.end(&done(None, false), &stop).unwrap();
    assert!(begun().end(&done(None, false), &stop).is_err());
    assert!(begun().hear(&mut score("test")).is_err());
    assert!(begun().hear(&mut step(0, 1.0)).is_err());
    assert!(begun().hear(&mut checkpoint(folder.path(), 0)).is_err());
}

#[test]
fn predictions_come_before_their_step_without_a_checkpoint() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let folder = folder.path();
    let path = file(folder, "predictions", usize::MAX);
    let told = |step: u64, file: &Path| Reply::Predictions(PredictionsFile { step, file: file.to_owned() });
    let begun = |inspect: Option<u64>| {
        let segment = segment(3, 5, &[]).map(|segment| Segment { inspect, ..segment });
        begin(&order(folder, segment), false, false)
    };
    let mut good = begun(Some(4));
    for reply in [step(3, 1.0), told(4, &path), step(4, 1.0)] {
        good.hear(&mut reply.clone()).unwrap();
    }
    good.end(&done(Some(5), false), &stop).unwrap();
    let mut bare = begun(Some(4));
    bare.hear(&mut step(3, 1.0)).unwrap();
    assert!(bare.hear(&mut told(4, &folder.join("none"))).is_err());
    bare.hear(&mut step(4, 1.0)).unwrap();
    assert!(bare.hear(&mut told(4, &path)).is_err(), "too late");
    assert!(bare.end(&done(Some(5), false), &stop).unwrap_err().contains("without the requested predictions"));
    assert!(begun(None).hear(&mut told(3, &path)).is_err(), "not requested");
}

#[test]
fn nothing_takes_longer_than_the_age_of_its_order() {
    let folder = tempfile::tempdir().unwrap();
    for (seconds, possible) in [(0.9, true), (60.0, false), (1e300, false)] {
        let mut conduct = begin(&order(folder.path(), segment(3, 5, &[5])), false, false);
        let mut reply = step(3, 1.0);
        if let Reply::Step(step) = &mut reply {
            step.seconds = seconds;
        }
        assert_eq!(conduct.hear(&mut reply).is_ok(), possible, "{seconds}");
    }
    let words = {
        let mut conduct = begin(&order(folder.path(), segment(3, 5, &[5])), false, false);
        let mut score = Reply::Evaluation(Evaluation {
            split: "valid".into(),
            step: Some(3),
            loss: Measured(1.0),
            tokens: 1,
            seconds: 9e9,
        });
        conduct.hear(&mut score).unwrap_err()
    };
    assert!(words.starts_with("reported 9000000000.0 s of work"), "{words}");
}
