//! Verdicts on synthetic runs.

use stages::params::Layout;
use stages::plan::BatchPlan;

use super::*;
use identity::verdict::{CheckName, Signal};
use identity::{Cell, EvaluationRow, NgramLoss, RunId, Status, StepRow, TraceRow};

mod lengths;
mod rises;

/// A run of `n` steps whose losses are a function of the step; sound in every other way.
pub fn run(n: usize, loss: impl Fn(usize) -> f64) -> Facts {
    let trace = |step: usize| {
        let loss = loss(step);
        TraceRow {
            step: step as i64,
            loss: loss.is_finite().then_some(loss),
            learning_rate: Some(1.0),
            grad_norm: Some(1.0),
            clipped: Some(false),
        }
    };
    let probe = |step: usize| StepRow {
        step: step as i64,
        epoch: Some(0),
        loss: Some(5.0),
        loss_kind: Some(identity::LossKind::Finite),
        learning_rate: Some(1.0),
        grad_norm: Some(1.0),
        clipped: Some(false),
        update_ratio: Some(1e-3),
        overshoot: Some(0.5),
        logit_max: Some(8.0),
        entropy: Some(4.0),
        sharpness: Some(1.0),
        tokens: Some(100),
        seconds: Some(0.0),
        nonfinite: None,
    };
    let model = |split: &str, model: &str, n: i64, loss: f64| NgramLoss {
        split: split.to_owned(),
        model: model.to_owned(),
        n,
        loss,
        perplexity: loss.exp(),
        tokens: 9,
    };
    let plan = BatchPlan { version: 1, layout: Layout::Streams, size: 10, unroll: 10, tokens: 100_000, seed: 0 };
    Facts {
        run: RunId(7),
        status: Status::Finished,
        even: Some(7.0),
        entropy: Some(5.0),
        params: [
            ("train.learning_rate", Cell::Real(1.0)),
            ("train.optimizer", Cell::Text("sgd".to_owned())),
            ("train.clip_norm", Cell::Real(0.0)),
            ("batch.unroll", Cell::Integer(10)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        trace: (0..n).map(trace).collect(),
        probes: (0..n).step_by(10).map(probe).collect(),
        probe_share: Some(0.04),
        evaluations: Vec::new(),
        ngrams: vec![
            model("train", "uniform", 0, 7.0),
            model("train", "unigram", 1, 5.0),
            model("valid", "unigram", 1, 5.1),
            model("valid", "bigram", 2, 4.2),
        ],
        samples: Vec::new(),
        batches: Ok(Batches {
            plan,
            windows: 1,
            types: 1000,
            surprise: (0..n).map(|at| 5.0 + wobble(at, 0.1)).collect(),
        }),
    }
}

/// An oscillation that stands for noise.
fn wobble(at: usize, size: f64) -> f64 {
    size * (at as f64 * 2.4).sin()
}

/// A loss that falls from that of a uniform guess to 4.
fn falls(at: usize) -> f64 {
    4.0 + 3.0 * (-(at as f64) / 60.0).exp() + wobble(at, 0.1)
}

fn score(step: i64, loss: f64) -> EvaluationRow {
    EvaluationRow {
        step: Some(step),
        split: "valid".to_owned(),
        loss: loss.is_finite().then_some(loss),
        loss_kind: identity::Loss(loss).kind(),
        perplexity: loss.is_finite().then(|| loss.exp()),
        tokens: Some(9),
        seconds: Some(0.0),
        source: "evaluate".to_owned(),
    }
}

/// Kind, cause and onset.
fn short(facts: &Facts) -> (Kind, Option<Cause>, Option<i64>) {
    let verdict = judge(facts);
    (verdict.verdict, verdict.cause.as_ref().and_then(Word::known), verdict.onset)
}

fn found(facts: &Facts) -> Vec<FindingKind> {
    judge(facts).findings.into_iter().filter_map(|finding| finding.finding.known()).collect()
}

#[test]
fn a_loss_that_falls_is_stable() {
    let verdict = judge(&run(300, falls));
    assert_eq!((verdict.verdict, verdict.cause, verdict.advice), (Kind::Stable, None, None));
    assert_eq!(verdict.findings, []);
    assert!(verdict.evidence.iter().all(|it| it.about == About::Verdict(Kind::Stable) && it.bound.is_some()));
}

#[test]
fn a_loss_that_rises_for_good_diverges_where_it_rose() {
    let left = |at: usize| if at < 120 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    assert_eq!(short(&run(300, left)), (Kind::Diverged, Some(Cause::RateTooHigh), Some(120)));
    let advice = judge(&run(300, left)).advice.unwrap();
    assert!(advice.contains("train.learning_rate=0.3"), "{advice}");
}

#[test]
fn a_rate_with_much_headroom_is_too_low_and_without_probes_the_run_is_inconclusive() {
    let mut facts = run(300, |at| 7.0 - at as f64 * 1e-3);
    facts.probes.iter_mut().for_each(|probe| probe.overshoot = Some(0.9999));
    assert_eq!(short(&facts), (Kind::TooLow, Some(Cause::RateTooLow), None));
    facts.probes.clear();
    let verdict = judge(&facts);
    assert_eq!(verdict.verdict, Kind::Inconclusive);
    assert_eq!(
        verdict.checks.iter().find(|check| check.name == CheckName::Probes).map(|check| check.made),
        Some(false)
    );
    // Plain gradient descent crosses a plateau only as fast as its rate allows.
    assert_eq!(short(&run(300, |at| 7.0 - at as f64 * 1e-3 + wobble(at, 0.1))).0, Kind::TooLow);
    // With an optimizer that divides by the size of the gradient, there may be too few steps or the rate may be wrong,
    // unless the held-out loss rises.
    let mut facts = run(300, |at| 7.0 - at as f64 * 1e-3);
    let adam = |facts: &mut Facts| facts.params.insert("train.optimizer".to_owned(), Cell::Text("adam".to_owned()));
    adam(&mut facts);
    assert_eq!(short(&facts), (Kind::Inconclusive, None, None));
    facts.evaluations = vec![score(0, 7.0), score(100, 6.5), score(300, 6.7)];
    assert_eq!(short(&facts), (Kind::Diverged, Some(Cause::RateTooHigh), None));
    // The loss of a short run that still falls steeply is heading below the baseline.
    let mut facts = run(40, |at| 7.0 - at as f64 * 0.047);
    adam(&mut facts);
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn a_loss_that_does_not_move_requires_a_higher_rate() {
    for rule in ["sgd", "adam"] {
        let mut facts = run(300, |at| 7.0 + wobble(at, 0.005));
        facts.params.insert("train.optimizer".to_owned(), Cell::Text(rule.to_owned()));
        facts.probes.iter_mut().for_each(|probe| (probe.overshoot, probe.update_ratio) = (None, Some(0.5)));
        assert_eq!(short(&facts).0, Kind::TooLow, "{rule}");
    }
}

#[test]
fn overfitting_is_found_while_the_training_loss_still_falls() {
    let mut facts = run(300, |at| 4.0 - at as f64 * 0.009 + wobble(at, 0.3));
    facts.evaluations = vec![score(0, 7.0), score(100, 3.0), score(300, 3.7)];
    assert!(!found(&facts).contains(&FindingKind::Overfitting), "in the first pass");
    facts.batches.as_mut().unwrap().plan.tokens = 20_000;
    assert!(found(&facts).contains(&FindingKind::Overfitting), "{:?}", found(&facts));
    // If the training loss rises too, it is not overfitting.
    let mut facts = run(300, |at| 3.0 + at as f64 * 0.003);
    facts.evaluations = vec![score(0, 7.0), score(100, 3.5), score(300, 5.0)];
    assert!(!found(&facts).contains(&FindingKind::Overfitting), "{:?}", found(&facts));
}

#[test]
fn one_odd_step_is_a_finding_and_not_a_fault() {
    let mut facts = run(300, falls);
    facts.batches.as_mut().unwrap().surprise[150..152].fill(7.5);
    assert_eq!(short(&facts).0, Kind::Stable);
    assert_eq!(found(&facts), [FindingKind::OddBatches]);
}

#[test]
fn memorising_is_not_a_divergence() {
    let mut facts = run(300, |at| 1.0 + 6.0 * (-(at as f64) / 60.0).exp());
    facts.batches.as_mut().unwrap().plan.tokens = 20_000;
    facts.evaluations = vec![score(0, 7.0), score(100, 4.3), score(200, 5.0), score(300, 6.3)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.cause), (Kind::Stable, None));
    assert!(
        verdict.findings.iter().any(|finding| finding.finding == FindingKind::Overfitting),
        "{:?}",
        verdict.findings
    );
}

#[test]
fn without_the_store_a_sliding_window_is_known_and_no_rate_is_advised() {
    let left = |at: usize| if at < 120 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    let mut facts = run(300, left);
    facts.batches = Err("the object is gone from the store".to_owned());
    let verdict = judge(&facts);
    assert_eq!(verdict.verdict, Kind::Diverged);
    assert!(!verdict.advice.unwrap().contains("learning_rate"));
    facts.params.insert("batch.layout".to_owned(), Cell::Text("sliding".to_owned()));
    assert_eq!(short(&facts), (Kind::DataFault, Some(Cause::SlidingWindow), Some(0)));
}

#[test]
fn a_data_fault_outranks_all_else_and_forbids_advice_on_the_rate() {
    let mut facts = run(300, |at| if at < 80 { falls(at) } else { f64::NAN });
    facts.batches.as_mut().unwrap().plan.layout = Layout::Sliding;
    let verdict = judge(&facts);
    assert_eq!(
        (verdict.verdict, verdict.cause.as_ref().and_then(Word::known)),
        (Kind::DataFault, Some(Cause::SlidingWindow))
    );
    assert!(!verdict.advice.unwrap().contains("learning_rate"));
    assert_eq!(verdict.findings[0].finding, FindingKind::CourseDiverged);
    assert_eq!(verdict.findings[0].step, Some(80));
}

#[test]
fn each_data_fault_is_named() {
    let cause = |spoil: &dyn Fn(&mut Facts)| {
        let mut facts = run(300, falls);
        spoil(&mut facts);
        let verdict = judge(&facts);
        assert_eq!(verdict.verdict, Kind::DataFault);
        (verdict.cause.unwrap().known().unwrap(), verdict.onset)
    };
    let odd = |facts: &mut Facts| facts.batches.as_mut().unwrap().surprise[150..160].fill(7.5);
    assert_eq!(cause(&odd), (Cause::CorruptedBatches, Some(150)));
    assert_eq!(cause(&|facts| facts.ngrams[3].loss = 5.1), (Cause::NoOrder, Some(0)));
    assert_eq!(cause(&|facts| facts.ngrams[2].loss = 6.5), (Cause::SplitsDiffer, Some(0)));
    let few = |facts: &mut Facts| {
        let batches = facts.batches.as_mut().unwrap();
        batches.plan.tokens = 2000;
        batches.surprise.truncate(19);
    };
    assert_eq!(cause(&few), (Cause::TooLittleText, Some(0)));
}

#[test]
fn a_text_with_parts_is_not_a_fault() {
    let mut facts = run(300, falls);
    facts.batches.as_mut().unwrap().surprise[100..200].fill(7.5);
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn checks_that_can_not_be_made_are_listed_with_their_reason() {
    let mut facts = run(300, falls);
    facts.batches = Err("the object is gone from the store".to_owned());
    facts.ngrams.clear();
    facts.entropy = None;
    let verdict = judge(&facts);
    let not: Vec<&str> = verdict.checks.iter().filter(|check| !check.made).map(|check| check.name.as_str()).collect();
    assert_eq!(
        not,
        [
            "coverage",
            "odd batches",
            "amount of text",
            "order of words",
            "splits alike",
            "loss against the baselines",
            "held-out loss",
            "samples"
        ]
    );
    assert!(verdict.checks.iter().all(|check| !check.note.is_empty()));
    assert_eq!(verdict.verdict, Kind::Stable);
}

#[test]
fn initial_weights_that_are_far_off_are_the_cause_before_the_rate() {
    let verdict = judge(&run(300, |at| if at == 0 { 30.0 } else { 60.0 + wobble(at, 5.0) }));
    assert_eq!(
        (verdict.verdict, verdict.cause.as_ref().and_then(Word::known)),
        (Kind::Diverged, Some(Cause::InitialWeights))
    );
    assert!(verdict.evidence.iter().any(|it| it.signal == Signal::FirstAboveEven));
    // The start is reported only once: it is a finding only if the verdict does not name it as the cause.
    assert!(verdict.findings.iter().all(|finding| finding.finding != FindingKind::OddStart));
    assert!(found(&run(300, |at| if at == 0 { 30.0 } else { falls(at) })).contains(&FindingKind::OddStart));
}

#[test]
fn each_finding_is_found() {
    let mut facts = run(300, falls);
    facts.batches.as_mut().unwrap().plan.tokens = 20_000;
    facts.evaluations = vec![score(0, 7.0), score(100, 4.3), score(300, 4.6)];
    assert_eq!(found(&facts), [FindingKind::Overfitting]);
    // A flat loss, and a saturated softmax.
    let mut facts = run(300, |at| if at < 100 { falls(at) } else { falls(100 + at % 5) });
    facts.probes.iter_mut().for_each(|probe| probe.logit_max = Some(40.0));
    assert_eq!(found(&facts), [FindingKind::Plateau, FindingKind::SaturatedSoftmax]);
    // The loss of a single step is far above the others.
    assert_eq!(found(&run(300, |at| falls(at) + if at == 200 { 2.0 } else { 0.0 })), [FindingKind::Spikes]);
    let mut facts = run(300, falls);
    facts.trace.iter_mut().for_each(|row| row.clipped = Some(true));
    assert_eq!(found(&facts), [FindingKind::ClippedThroughout]);
}

#[test]
fn runs_that_have_hardly_begun_are_inconclusive() {
    for n in [0, 1, 2, 7, 19] {
        assert_eq!(short(&run(n, falls)), (Kind::Inconclusive, None, None), "{n} steps");
    }
    // A loss that is not finite is judged however few steps there are.
    assert_eq!(short(&run(3, |at| if at == 0 { 7.0 } else { f64::NAN })).0, Kind::Diverged);
}

#[test]
fn a_range_test_is_expected_to_diverge() {
    let mut test = run(200, |at| if at < 150 { falls(at) } else { 4.0 + at as f64 - 150.0 });
    assert_eq!(judge(&test).verdict, Kind::Diverged);
    test.params.insert("train.schedule.kind".to_owned(), Cell::Text("range".to_owned()));
    let verdict = judge(&test);
    assert_eq!((verdict.verdict, verdict.advice), (Kind::Inconclusive, None));
    assert!(verdict.checks.iter().any(|check| check.name == CheckName::Course && !check.made));
}
