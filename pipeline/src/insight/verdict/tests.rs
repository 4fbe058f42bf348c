//! Verdicts of made-up runs.

use stages::params::Layout;

use super::*;

/// A run of `n` steps whose losses are a function of the step; sound in every other way.
pub fn run(n: usize, loss: impl Fn(usize) -> f64) -> Facts {
    let trace = |step: usize| {
        let loss = loss(step);
        TraceRow {
            step: step as i64,
            loss: loss.is_finite().then_some(loss),
            learning_rate: 1.0,
            grad_norm: Some(1.0),
            clipped: false,
        }
    };
    let probe = |step: usize| StepRow {
        step: step as i64,
        epoch: 0,
        loss: Some(5.0),
        loss_kind: "finite".to_owned(),
        learning_rate: 1.0,
        grad_norm: Some(1.0),
        clipped: false,
        update_ratio: Some(1e-3),
        overshoot: Some(0.5),
        logit_max: Some(8.0),
        entropy: Some(4.0),
        sharpness: Some(1.0),
        tokens: 100,
        seconds: 0.0,
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
    let plan = Plan { version: 1, layout: Layout::Streams, size: 10, unroll: 10, tokens: 100_000, seed: 0 };
    Facts {
        run: 7,
        status: "finished".to_owned(),
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

/// Something that goes up and down.
fn wobble(at: usize, size: f64) -> f64 {
    size * (at as f64 * 2.4).sin()
}

/// From an even guess down to 4.
fn falls(at: usize) -> f64 {
    4.0 + 3.0 * (-(at as f64) / 60.0).exp() + wobble(at, 0.1)
}

fn score(step: i64, loss: f64) -> Evaluation {
    Evaluation {
        step: Some(step),
        split: "valid".to_owned(),
        loss: loss.is_finite().then_some(loss),
        loss_kind: stages::protocol::kind_of(loss).to_owned(),
        perplexity: loss.is_finite().then(|| loss.exp()),
        tokens: 9,
        seconds: 0.0,
        source: "evaluate".to_owned(),
    }
}

/// Kind, cause and onset.
fn short(facts: &Facts) -> (Kind, Option<String>, Option<i64>) {
    let verdict = judge(facts);
    (verdict.verdict, verdict.cause, verdict.onset)
}

fn found(facts: &Facts) -> Vec<String> {
    judge(facts).findings.into_iter().map(|finding| finding.finding).collect()
}

#[test]
fn a_loss_that_falls_is_stable() {
    let verdict = judge(&run(300, falls));
    assert_eq!((verdict.verdict, verdict.cause, verdict.advice), (Kind::Stable, None, None));
    assert_eq!(verdict.findings, []);
    assert!(verdict.evidence.iter().all(|it| it.about == "stable" && it.bound.is_some()));
}

#[test]
fn a_loss_that_leaves_for_good_has_diverged_where_it_left() {
    let left = |at: usize| if at < 120 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    assert_eq!(short(&run(300, left)), (Kind::Diverged, Some("rate_too_high".to_owned()), Some(120)));
    let advice = judge(&run(300, left)).advice.unwrap();
    assert!(advice.contains("train.learning_rate=0.3"), "{advice}");
}

#[test]
fn what_is_not_finite_has_diverged_and_is_said_without_a_number() {
    let verdict = judge(&run(300, |at| if at < 80 { falls(at) } else { f64::NAN }));
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(80)));
    let it = verdict.evidence.iter().find(|it| it.signal == "above_frequencies").unwrap();
    assert_eq!((it.value, it.value_kind.as_str()), (None, "inf"));
    assert!(verdict.sentence.contains("not finite"), "{}", verdict.sentence);
    // One step that is not finite, and training goes on as if nothing had been: it rose, and recovered.
    let verdict = judge(&run(300, |at| if at == 80 { f64::INFINITY } else { falls(at) }));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(true)));
}

#[test]
fn a_rise_that_is_overcome_is_unstable() {
    let hill = |at: usize| falls(at) + if (150..170).contains(&at) { 3.0 } else { 0.0 };
    let verdict = judge(&run(300, hill));
    assert_eq!((verdict.verdict, verdict.onset, verdict.recovered), (Kind::Unstable, Some(150), Some(true)));
    // To be back at what it was is to have recovered, though that is no better than word frequencies.
    let poor = |at: usize| 5.15 + wobble(at, 0.05) + if (150..170).contains(&at) { 3.0 } else { 0.0 };
    assert_eq!(judge(&run(300, poor)).recovered, Some(true));
    let step = |at: usize| falls(at) + if at >= 150 { 0.8 } else { 0.0 };
    assert_eq!(judge(&run(300, step)).recovered, Some(false));
}

#[test]
fn what_leaves_at_the_very_end_has_left() {
    for (steps, of) in [(300, 9.0), (1000, 9.0), (300, f64::NAN), (1000, f64::NAN)] {
        for last in [5, 10, 20] {
            let at = steps - last;
            let mut facts = run(steps, |step| if step < at { falls(step) } else { of + wobble(step, 0.3) });
            // Without a score, with one from before, and with one from after.
            for scores in [vec![], vec![score(at as i64 - 10, 4.1)], vec![score(steps as i64, of.max(8.0))]] {
                facts.evaluations = scores;
                let verdict = judge(&facts);
                let began = verdict.onset.unwrap() as usize;
                assert_eq!(verdict.verdict, Kind::Diverged, "{steps} {last} {of}: {}", verdict.sentence);
                assert!((at - 1..=at + 1).contains(&began), "{steps} {last} {of}: {began}");
            }
        }
    }
    // What came back in time has not.
    let back = |at: usize| falls(at) + if (282..287).contains(&at) { 5.0 } else { 0.0 };
    assert_eq!(short(&run(300, back)), (Kind::Unstable, Some("rate_too_high".to_owned()), Some(282)));
}

#[test]
fn what_begins_as_no_number_is_told() {
    // It goes on, it ends so, and it is over at once.
    let verdict = judge(&run(300, |at| if at == 0 { f64::INFINITY } else { falls(at) }));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(true)));
    assert!(verdict.sentence.starts_with("1 training loss was not finite, from step 0 on; the loss came back"));
    assert_eq!(short(&run(4, |at| if at == 0 { 7.6 } else { f64::NAN })).2, Some(1));
    assert_eq!(short(&run(5, |at| if at == 2 { f64::NAN } else { 7.0 })).0, Kind::Inconclusive);
}

#[test]
fn to_have_learned_by_heart_and_risen_is_not_to_be_on_the_way_back() {
    let mut facts = run(300, |at| if at < 200 { 3.0 + 4.0 * (-(at as f64) / 30.0).exp() } else { 4.2 });
    facts.evaluations = vec![score(0, 7.0), score(100, 5.0), score(300, 6.3)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(false)));
    assert!(verdict.sentence.contains("has not come back"), "{}", verdict.sentence);
}

#[test]
fn what_steps_of_further_epochs_cost_is_known_where_they_come_again() {
    let mut batches = run(9, falls).batches.unwrap();
    batches.plan.tokens = 1011;
    batches.surprise = (0..10).map(f64::from).collect();
    assert_eq!(batches.plan.steps_per_epoch(), 10);
    assert_eq!(batches.costs(25).unwrap()[8..13], [8.0, 9.0, 0.0, 1.0, 2.0]);
    assert_eq!(batches.costs(25).unwrap().len(), 25);
    batches.plan.layout = Layout::Shuffled;
    assert_eq!(batches.costs(25).unwrap()[8..13], [8.0, 9.0, 4.5, 4.5, 4.5]);
    // Three windows a step come again in another grouping.
    (batches.plan.layout, batches.windows) = (Layout::Streams, 3);
    batches.surprise.truncate(4);
    assert_eq!(batches.costs(6).unwrap(), [0.0, 1.0, 2.0, 3.0, 1.5, 1.5]);
    batches.surprise.truncate(3);
    assert_eq!(batches.costs(6), None, "not all was looked at");
}

#[test]
fn what_a_fork_was_given_is_not_blamed_on_it() {
    let mut facts = run(300, |at| falls(at) + if (150..170).contains(&at) { 3.0 } else { 0.0 });
    facts.params.insert("train.fork.step".to_owned(), Cell::Integer(200));
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.onset, verdict.advice), (Kind::Unstable, Some(150), None));
    assert!(verdict.sentence.contains("before the fork at step 200"), "{}", verdict.sentence);
}

#[test]
fn what_has_risen_and_is_on_its_way_back_has_not_diverged() {
    // From 9 at step 100 down to 5.3, 0.3 above word frequencies, at one pace and at another.
    let back = |pace: f64| {
        move |at: usize| match at {
            0..100 => falls(at),
            _ => 5.3 + 3.7 * (-((at - 100) as f64) / pace).exp() + wobble(at, 0.1),
        }
    };
    let verdict = judge(&run(300, back(50.0)));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(false)));
    assert!(verdict.sentence.contains("on its way back"), "{}", verdict.sentence);
    assert_eq!(short(&run(300, back(20.0))).0, Kind::Diverged);
    // How fast it falls is told beside what its words cost: the text itself may grow easier or harder.
    let words = |facts: &mut Facts, cost: f64| {
        let surprise = &mut facts.batches.as_mut().unwrap().surprise;
        (180..300).for_each(|at| surprise[at] += cost * if at < 240 { 1.0 } else { -1.0 });
    };
    let mut easier = run(300, |at| back(20.0)(at) + if (180..240).contains(&at) { 0.1 } else { 0.0 });
    assert_eq!(short(&easier).0, Kind::Unstable);
    words(&mut easier, 0.05);
    assert_eq!(short(&easier).0, Kind::Diverged);
}

#[test]
fn a_rate_with_much_room_is_too_low_and_without_probes_nothing_is_said() {
    let mut facts = run(300, |at| 7.0 - at as f64 * 1e-3);
    facts.probes.iter_mut().for_each(|probe| probe.overshoot = Some(0.9999));
    assert_eq!(short(&facts), (Kind::TooLow, Some("rate_too_low".to_owned()), None));
    facts.probes.clear();
    let verdict = judge(&facts);
    assert_eq!(verdict.verdict, Kind::Inconclusive);
    assert_eq!(verdict.checks.iter().find(|check| check.name == "probes").map(|check| check.made), Some(false));
    // Plain gradient descent goes over a plateau as fast as its rate lets it.
    assert_eq!(short(&run(300, |at| 7.0 - at as f64 * 1e-3 + wobble(at, 0.1))).0, Kind::TooLow);
    // A rule that divides by the gradient's size does not: too few steps, or another rate; until the held-out loss rises.
    let mut facts = run(300, |at| 7.0 - at as f64 * 1e-3);
    let adam = |facts: &mut Facts| facts.params.insert("train.optimizer".to_owned(), Cell::Text("adam".to_owned()));
    adam(&mut facts);
    assert_eq!(short(&facts), (Kind::Inconclusive, None, None));
    facts.evaluations = vec![score(0, 7.0), score(100, 6.5), score(300, 6.7)];
    assert_eq!(short(&facts), (Kind::Diverged, Some("rate_too_high".to_owned()), None));
    // A short run that still falls is on its way.
    let mut facts = run(40, |at| 7.0 - at as f64 * 0.047);
    adam(&mut facts);
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn a_score_from_before_the_loss_left_is_not_where_it_is() {
    let left = |at: usize| if at < 200 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    let mut facts = run(300, left);
    facts.evaluations = vec![score(0, 7.0), score(150, 4.2)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(200)));
    assert!(verdict.evidence.iter().all(|it| it.signal != "above_frequencies" || it.value > it.bound));
}

#[test]
fn small_batches_rise_by_chance_and_that_is_no_instability() {
    // The same rise, among steps that are alike and among steps that are not.
    let hill = |at: usize| falls(at) + if (150..170).contains(&at) { 0.8 } else { 0.0 };
    assert_eq!(short(&run(300, hill)).0, Kind::Unstable);
    let mut facts = run(300, hill);
    facts.batches.as_mut().unwrap().surprise = (0..300).map(|at| 5.0 + wobble(at, 0.8)).collect();
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn to_learn_by_heart_is_no_divergence() {
    let mut facts = run(300, |at| 1.0 + 6.0 * (-(at as f64) / 60.0).exp());
    facts.evaluations = vec![score(0, 7.0), score(100, 4.3), score(200, 5.0), score(300, 6.3)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.cause), (Kind::Stable, None));
    assert!(verdict.findings.iter().any(|finding| finding.finding == "overfitting"), "{:?}", verdict.findings);
}

#[test]
fn without_the_store_a_window_that_slides_is_known_and_nothing_else_is_advised() {
    let left = |at: usize| if at < 120 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    let mut facts = run(300, left);
    facts.batches = Err("the object is gone from the store".to_owned());
    let verdict = judge(&facts);
    assert_eq!(verdict.verdict, Kind::Diverged);
    assert!(!verdict.advice.unwrap().contains("learning_rate"));
    facts.params.insert("batch.layout".to_owned(), Cell::Text("sliding".to_owned()));
    assert_eq!(short(&facts), (Kind::DataFault, Some("sliding_window".to_owned()), Some(0)));
}

#[test]
fn a_fault_of_the_data_outranks_all_and_forbids_advice_on_the_rate() {
    let mut facts = run(300, |at| if at < 80 { falls(at) } else { f64::NAN });
    facts.batches.as_mut().unwrap().plan.layout = Layout::Sliding;
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.cause.as_deref()), (Kind::DataFault, Some("sliding_window")));
    assert!(!verdict.advice.unwrap().contains("learning_rate"));
    assert_eq!(verdict.findings[0].finding, "course_diverged");
    assert_eq!(verdict.findings[0].step, Some(80));
}

#[test]
fn each_fault_of_the_data_is_named() {
    let cause = |spoil: &dyn Fn(&mut Facts)| {
        let mut facts = run(300, falls);
        spoil(&mut facts);
        let verdict = judge(&facts);
        assert_eq!(verdict.verdict, Kind::DataFault);
        (verdict.cause.unwrap(), verdict.onset)
    };
    let odd = |facts: &mut Facts| facts.batches.as_mut().unwrap().surprise[150..160].fill(7.5);
    assert_eq!(cause(&odd), ("corrupted_batches".to_owned(), Some(150)));
    assert_eq!(cause(&|facts| facts.ngrams[3].loss = 5.1), ("no_order".to_owned(), Some(0)));
    assert_eq!(cause(&|facts| facts.ngrams[2].loss = 6.5), ("splits_differ".to_owned(), Some(0)));
    let few = |facts: &mut Facts| {
        let batches = facts.batches.as_mut().unwrap();
        batches.plan.tokens = 2000;
        batches.surprise.truncate(19);
    };
    assert_eq!(cause(&few), ("too_little_text".to_owned(), Some(0)));
}

#[test]
fn text_that_has_parts_is_no_fault() {
    let mut facts = run(300, falls);
    facts.batches.as_mut().unwrap().surprise[100..200].fill(7.5);
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn what_can_not_be_checked_is_said_with_its_reason() {
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
fn weights_that_begin_far_off_are_the_cause_before_the_rate() {
    let verdict = judge(&run(300, |at| if at == 0 { 30.0 } else { 60.0 + wobble(at, 5.0) }));
    assert_eq!((verdict.verdict, verdict.cause.as_deref()), (Kind::Diverged, Some("initial_weights")));
    assert!(verdict.evidence.iter().any(|it| it.signal == "first_above_even"));
    // Said once: it is a finding where the verdict is another.
    assert!(verdict.findings.iter().all(|finding| finding.finding != "odd_start"));
    assert!(found(&run(300, |at| if at == 0 { 30.0 } else { falls(at) })).contains(&"odd_start".to_owned()));
}

#[test]
fn findings() {
    let mut facts = run(300, falls);
    facts.evaluations = vec![score(0, 7.0), score(100, 4.3), score(300, 4.6)];
    assert_eq!(found(&facts), ["overfitting"]);
    // Of a flat loss, and of a saturated softmax.
    let mut facts = run(300, |at| if at < 100 { falls(at) } else { falls(100 + at % 5) });
    facts.probes.iter_mut().for_each(|probe| probe.logit_max = Some(40.0));
    assert_eq!(found(&facts), ["plateau", "saturated_softmax"]);
    // A lone step far above.
    assert_eq!(found(&run(300, |at| falls(at) + if at == 200 { 2.0 } else { 0.0 })), ["spikes"]);
    let mut facts = run(300, falls);
    facts.trace.iter_mut().for_each(|row| row.clipped = true);
    assert_eq!(found(&facts), ["clipped_throughout"]);
}

#[test]
fn runs_that_have_hardly_begun_are_inconclusive() {
    for n in [0, 1, 2, 7, 19] {
        assert_eq!(short(&run(n, falls)), (Kind::Inconclusive, None, None), "{n} steps");
    }
    // Whatever else: a loss that is no number is no matter of how many steps there are.
    assert_eq!(short(&run(3, |at| if at == 0 { 7.0 } else { f64::NAN })).0, Kind::Diverged);
}

#[test]
fn a_range_test_is_to_break() {
    let mut test = run(200, |at| if at < 150 { falls(at) } else { 4.0 + at as f64 - 150.0 });
    assert_eq!(judge(&test).verdict, Kind::Diverged);
    test.params.insert("train.schedule.kind".to_owned(), Cell::Text("range".to_owned()));
    let verdict = judge(&test);
    assert_eq!((verdict.verdict, verdict.advice), (Kind::Inconclusive, None));
    assert!(verdict.checks.iter().any(|check| check.name == "course of the loss" && !check.made));
}
