//! Training that resumes from a checkpoint computes the same bits as uninterrupted training.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use identity::observations::Step;
use serde_json::{Value, json};
use stages::files::Ids;
use stages::protocol::Reply;

use super::{TinyCorpus, Transcript, params, train};
use crate::cpu;
use crate::evaluate::score_in_chunks;
use crate::model::{Model, Shape};
use crate::train::{Trainer, TrainingEnd};

fn assert_resumes(changes: Value) {
    let space = TinyCorpus::new();
    let whole = space.train("whole", changes.clone(), 0, 24, None);
    let rest = space.train("rest", changes.clone(), 7, 24, Some(&whole.folder));
    assert_eq!(whole.bits()[7..], rest.bits()[..], "{changes}");
    for n in [7, 24] {
        assert_eq!(whole.file("weights", n), rest.file("weights", n), "weights {n}: {changes}");
        assert_eq!(whole.file("state", n), rest.file("state", n), "state {n}: {changes}");
    }
}

#[test]
fn every_optimizer_resumes_to_the_bit() {
    for optimizer in ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] {
        assert_resumes(json!({
            "optimizer": optimizer, "dropout": 0.3, "layers": 2, "weight_decay": 0.01, "clip_norm": 0.2,
        }));
    }
}

#[test]
fn double_precision_resumes_to_the_bit() {
    assert_resumes(json!({"precision": "f64", "optimizer": "adam", "dropout": 0.3, "layers": 2}));
}

#[test]
fn every_schedule_resumes_to_the_bit() {
    for schedule in [
        json!({"kind": "exponential", "rate": 0.5, "every": 5, "staircase": false}),
        json!({"kind": "epoch", "rate": 0.5, "after": 1}),
        json!({"kind": "cosine", "floor": 0.001}),
        json!({"kind": "plateau", "rate": 0.5, "every": 3, "patience": 1}),
    ] {
        assert_resumes(json!({"schedule": schedule, "warmup": 4, "learning_rate": 0.5, "tied": true, "embedding": 8}));
    }
}

#[test]
fn training_has_the_same_bits_with_probes_and_without() {
    let space = TinyCorpus::new();
    let changes = |probes: u64| json!({"dropout": 0.2, "clip_norm": 0.5, "probes": probes});
    let [often, never] = [space.train("often", changes(1), 0, 24, None), space.train("never", changes(0), 0, 24, None)];
    assert_eq!(often.bits(), never.bits());
    assert_eq!(often.file("weights", 24), never.file("weights", 24));
    assert_eq!(often.file("state", 24), never.file("state", 24));
    assert!(never.steps().iter().all(|step| step.entropy.is_none()));
    for step in often.steps() {
        let (ratio, entropy) = (step.update_ratio.unwrap().0, step.entropy.unwrap().0);
        assert!(ratio > 0.0 && ratio < 1.0 && entropy > 0.0 && entropy <= f64::from(super::VOCAB).ln() + 1e-6);
        assert!(step.logit_max.unwrap().0 > 0.0);
    }
}

#[test]
fn a_number_of_threads_that_changes_between_steps_changes_no_bit() {
    let space = TinyCorpus::new();
    // Several blocks of types, the last one partial.
    space.vocabulary(1000);
    let turn = Cell::new(0);
    let changing = || [1, 3, 2, 16, 4][turn.replace(turn.get() + 1) % 5];
    let numbers = |told: &Transcript| -> Vec<Step> {
        told.steps().into_iter().map(|step| Step { seconds: 0.0, ..step.clone() }).collect()
    };
    for precision in ["f32", "f64", "bf16"].into_iter().filter(|it| *it != "bf16" || cpu::has_bf16()) {
        let changes = params(json!({
            "precision": precision, "embedding": 70, "hidden": 130, "layers": 2, "dropout": 0.2, "clip_norm": 0.1,
            "accumulate": 2, "probes": 2, "schedule": {"kind": "plateau", "rate": 0.5, "every": 3, "patience": 0},
        }));
        let alone = train(space.order(&format!("alone {precision}"), changes.clone(), 0, 17, None), &|| 1);
        let helped = train(space.order(&format!("helped {precision}"), changes, 0, 17, None), &changing);
        assert_eq!(numbers(&alone), numbers(&helped), "{precision}");
        for n in [7, 17] {
            assert_eq!(alone.file("weights", n), helped.file("weights", n), "weights {n}, {precision}");
            assert_eq!(alone.file("state", n), helped.file("state", n), "state {n}, {precision}");
        }
        let model = Model::load(&alone.folder.join("weights-17.safetensors")).unwrap();
        let (valid, go_on) = (Ids::open(&space.path("valid")).unwrap(), AtomicBool::new(false));
        let score = |threads: &mut dyn FnMut() -> usize| {
            score_in_chunks(&model, &valid, 20, threads, &go_on, |_, _| Ok(())).unwrap().unwrap()
        };
        assert_eq!(score(&mut || 1), score(&mut || changing()), "{precision}");
    }
    assert!(turn.get() > 20, "threads changed {} times", turn.get());
}

#[test]
fn checkpoint_0_is_the_untrained_model() {
    let space = TinyCorpus::new();
    let told = space.train("only", json!({}), 0, 0, None);
    assert_eq!(told.end, TrainingEnd { reached: 0, stopped: false });
    assert!(matches!(told.replies[..], [Reply::Checkpoint(ref checkpoint)] if checkpoint.step == 0));
    let train = super::train_defaults();
    let shape = Shape::new(&train, super::VOCAB).unwrap();
    let untouched = Model::new::<f32>(shape, train.init, train.forget_bias, train.seed).unwrap();
    untouched.save(&space.path("untouched")).unwrap();
    assert_eq!(told.file("weights", 0), std::fs::read(space.path("untouched")).unwrap());
    // A longer run has the same checkpoint 0.
    assert_eq!(told.file("weights", 0), space.train("more", json!({}), 0, 3, None).file("weights", 0));
}

#[test]
fn a_stop_ends_training_after_the_current_step_and_training_can_resume() {
    let space = TinyCorpus::new();
    let whole = space.train("whole", json!({"dropout": 0.1}), 0, 24, None);
    let order = space.order("stopped", params(json!({"dropout": 0.1})), 0, 24, None);
    let stop = AtomicBool::new(false);
    let mut steps = 0;
    let mut observe = |reply: Reply| {
        steps += u64::from(matches!(reply, Reply::Step(_)));
        stop.store(steps == 11, Ordering::Relaxed);
        Ok(())
    };
    let end = Trainer::<f32>::open(&order).unwrap().run(&mut observe, &stop, &|| 1).unwrap();
    assert_eq!(end, TrainingEnd { reached: 11, stopped: true });
    let rest = space.train("rest", json!({"dropout": 0.1}), 11, 24, Some(&order.folder));
    assert_eq!(whole.bits()[11..], rest.bits()[..]);
    assert_eq!(whole.file("weights", 24), rest.file("weights", 24));
}

#[test]
fn a_stop_does_not_wait_for_a_step_of_a_million_windows() {
    let space = TinyCorpus::new();
    let fresh = space.train("fresh", json!({}), 0, 0, None);
    let order = space.order("stopped", params(json!({"accumulate": 1_000_000})), 0, 1, None);
    let (stop, mut training) = (AtomicBool::new(false), Trainer::<f32>::open(&order).unwrap());
    let end = std::thread::scope(|scope| {
        let training = scope.spawn(|| training.run(&mut |_| Ok(()), &stop, &|| 1).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        training.join().unwrap()
    });
    assert_eq!(end, TrainingEnd { reached: 0, stopped: true });
    assert_eq!(std::fs::read(order.folder.join("weights-0.safetensors")).unwrap(), fresh.file("weights", 0));
}

#[test]
fn a_stop_in_the_middle_of_a_look_reports_its_checkpoint_once() {
    let space = TinyCorpus::new();
    let plateau = json!({"schedule": {"kind": "plateau", "rate": 0.5, "every": 3, "patience": 1}});
    let mut order = space.order("stopped", params(plateau), 0, 24, None);
    order.segment.as_mut().unwrap().checkpoints = vec![6];
    let stop = AtomicBool::new(false);
    let mut told = Vec::new();
    let mut observe = |reply: Reply| {
        if let Reply::Checkpoint(checkpoint) = reply {
            // The stop comes before the look at 6, which belongs to the step after it.
            stop.store(checkpoint.step == 6, Ordering::Relaxed);
            told.push(checkpoint.step);
        }
        Ok(())
    };
    let end = Trainer::<f32>::open(&order).unwrap().run(&mut observe, &stop, &|| 1).unwrap();
    assert_eq!(end, TrainingEnd { reached: 6, stopped: true });
    assert_eq!(told, [6], "the receiver has already taken the files of the first report");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let space = TinyCorpus::new();
    let told = space.train("told", json!({}), 0, 9, None);
    let refused = |changes: Value, from: u64| {
        let order = space.order("refused", params(changes), from, 30, Some(&told.folder));
        format!("{:#}", Trainer::<f32>::open(&order).unwrap_err())
    };
    assert!(refused(json!({"optimizer": "momentum"}), 9).contains("momentum_buffer.encoder.weight is missing"));
    assert!(refused(json!({"optimizer": "sgd"}), 9).contains("unexpected tensor"));
    assert!(refused(json!({"hidden": 9}), 9).contains("a different shape"));
    assert!(refused(json!({"tied": true}), 9).contains("train.embedding = train.hidden"));
    assert!(refused(json!({}), 8).contains("weights-8.safetensors"));
    std::fs::copy(told.folder.join("weights-9.safetensors"), told.folder.join("weights-8.safetensors")).unwrap();
    std::fs::copy(told.folder.join("state-9.safetensors"), told.folder.join("state-8.safetensors")).unwrap();
    assert!(refused(json!({}), 8).contains("the state at step 9, not at step 8"));
    std::fs::write(told.folder.join("state-9.safetensors"), b"nonsense").unwrap();
    assert!(refused(json!({}), 9).contains("state-9.safetensors"));
    std::fs::write(space.path("train"), [99, 0, 0, 0].repeat(400)).unwrap();
    let order = space.order("strange", params(json!({})), 0, 3, None);
    let ran = Trainer::<f32>::open(&order).unwrap().run(&mut |_| Ok(()), &AtomicBool::new(false), &|| 1);
    assert!(ran.unwrap_err().to_string().contains("token 99, but the vocabulary has 23 types"));
}
