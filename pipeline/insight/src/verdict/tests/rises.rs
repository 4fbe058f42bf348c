//! Losses that rise: those that diverge, those that recover, and those that only seem to rise.

use super::*;
use identity::verdict::Signal;

#[test]
fn a_loss_that_is_not_finite_has_diverged_and_its_figure_has_no_value() {
    let verdict = judge(&run(300, |at| if at < 80 { falls(at) } else { f64::NAN }));
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(80)));
    let it = verdict.evidence.iter().find(|it| it.signal == Signal::AboveFrequencies).unwrap();
    assert_eq!((it.value, it.value_kind.as_str()), (None, "inf"));
    assert!(verdict.sentence.contains("is now NaN or Inf"), "{}", verdict.sentence);
    // If one loss is not finite and training continues normally, the loss rose and recovered.
    let verdict = judge(&run(300, |at| if at == 80 { f64::INFINITY } else { falls(at) }));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(true)));
}

#[test]
fn a_rise_that_recovers_is_unstable() {
    let hill = |at: usize| falls(at) + if (150..170).contains(&at) { 3.0 } else { 0.0 };
    let verdict = judge(&run(300, hill));
    assert_eq!((verdict.verdict, verdict.onset, verdict.recovered), (Kind::Unstable, Some(150), Some(true)));
    // Returning to its earlier level is a recovery, even if that is no better than the unigram baseline.
    let poor = |at: usize| 5.15 + wobble(at, 0.05) + if (150..170).contains(&at) { 3.0 } else { 0.0 };
    assert_eq!(judge(&run(300, poor)).recovered, Some(true));
    let step = |at: usize| falls(at) + if at >= 150 { 0.8 } else { 0.0 };
    assert_eq!(judge(&run(300, step)).recovered, Some(false));
}

#[test]
fn a_rise_at_the_very_end_is_a_divergence() {
    for (steps, of) in [(300, 9.0), (1000, 9.0), (300, f64::NAN), (1000, f64::NAN)] {
        for last in [5, 10, 20] {
            let at = steps - last;
            let mut facts = run(steps, |step| if step < at { falls(step) } else { of + wobble(step, 0.3) });
            // There is no evaluation, one from before the rise, or one from after it.
            for scores in [vec![], vec![score(at as i64 - 10, 4.1)], vec![score(steps as i64, of.max(8.0))]] {
                facts.evaluations = scores;
                let verdict = judge(&facts);
                let began = verdict.onset.unwrap() as usize;
                assert_eq!(verdict.verdict, Kind::Diverged, "{steps} {last} {of}: {}", verdict.sentence);
                assert!((at - 1..=at + 1).contains(&began), "{steps} {last} {of}: {began}");
            }
        }
    }
    // A loss that recovered before the end has not diverged.
    let back = |at: usize| falls(at) + if (282..287).contains(&at) { 5.0 } else { 0.0 };
    assert_eq!(short(&run(300, back)), (Kind::Unstable, Some(Cause::RateTooHigh), Some(282)));
}

#[test]
fn a_start_that_is_not_finite_is_reported() {
    // Training continues normally, never recovers, or ends too soon to tell.
    let verdict = judge(&run(300, |at| if at == 0 { f64::INFINITY } else { falls(at) }));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(true)));
    assert!(verdict.sentence.starts_with("the training loss of step 0 was not finite; the loss has recovered"));
    assert_eq!(short(&run(4, |at| if at == 0 { 7.6 } else { f64::NAN })).2, Some(1));
    assert_eq!(short(&run(5, |at| if at == 2 { f64::NAN } else { 7.0 })).0, Kind::Inconclusive);
}

#[test]
fn a_run_that_memorised_and_rose_is_not_still_recovering() {
    let mut facts = run(300, |at| if at < 200 { 3.0 + 4.0 * (-(at as f64) / 30.0).exp() } else { 4.2 });
    facts.evaluations = vec![score(0, 7.0), score(100, 5.0), score(300, 6.3)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(false)));
    assert!(verdict.sentence.contains("has not recovered"), "{}", verdict.sentence);
}

#[test]
fn the_costs_of_further_epochs_are_known_where_steps_repeat() {
    let mut batches = run(9, falls).batches.unwrap();
    batches.plan.tokens = 1011;
    batches.surprise = (0..10).map(f64::from).collect();
    assert_eq!(batches.plan.steps_per_epoch(), 10);
    assert_eq!(batches.costs(25).unwrap()[8..13], [8.0, 9.0, 0.0, 1.0, 2.0]);
    assert_eq!(batches.costs(25).unwrap().len(), 25);
    batches.plan.layout = Layout::Shuffled;
    assert_eq!(batches.costs(25).unwrap()[8..13], [8.0, 9.0, 4.5, 4.5, 4.5]);
    // With three windows per step, the windows are grouped differently in the next epoch.
    (batches.plan.layout, batches.windows) = (Layout::Streams, 3);
    batches.surprise.truncate(4);
    assert_eq!(batches.costs(6).unwrap(), [0.0, 1.0, 2.0, 3.0, 1.5, 1.5]);
    batches.surprise.truncate(3);
    assert_eq!(batches.costs(6), None, "not the whole first epoch is known");
}

#[test]
fn a_fork_is_not_blamed_for_what_it_inherited() {
    let mut facts = run(300, |at| falls(at) + if (150..170).contains(&at) { 3.0 } else { 0.0 });
    facts.params.insert("train.fork.step".to_owned(), Cell::Integer(200));
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.onset, verdict.advice), (Kind::Unstable, Some(150), None));
    assert!(verdict.sentence.contains("before the fork at step 200"), "{}", verdict.sentence);
}

#[test]
fn a_loss_that_is_still_recovering_has_not_diverged() {
    // The loss falls from 9 at step 100 to 5.3, which is 0.3 above the unigram baseline, slowly or fast.
    let back = |pace: f64| {
        move |at: usize| match at {
            0..100 => falls(at),
            _ => 5.3 + 3.7 * (-((at - 100) as f64) / pace).exp() + wobble(at, 0.1),
        }
    };
    let verdict = judge(&run(300, back(50.0)));
    assert_eq!((verdict.verdict, verdict.recovered), (Kind::Unstable, Some(false)));
    assert!(verdict.sentence.contains("is still recovering"), "{}", verdict.sentence);
    assert_eq!(short(&run(300, back(20.0))).0, Kind::Diverged);
    // The fall is measured on the loss minus the unigram baseline, since the text may get easier or harder.
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
fn a_held_out_loss_from_before_the_rise_is_not_the_present_loss() {
    let left = |at: usize| if at < 200 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    let mut facts = run(300, left);
    facts.evaluations = vec![score(0, 7.0), score(150, 4.2)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(200)));
    assert!(verdict.evidence.iter().all(|it| it.signal != Signal::AboveFrequencies || it.value > it.bound));
}

#[test]
fn a_rise_by_chance_in_small_batches_is_not_an_instability() {
    // The same rise is tried with steps whose tokens are alike, and with steps whose tokens differ.
    let hill = |at: usize| falls(at) + if (150..170).contains(&at) { 0.8 } else { 0.0 };
    assert_eq!(short(&run(300, hill)).0, Kind::Unstable);
    let mut facts = run(300, hill);
    facts.batches.as_mut().unwrap().surprise = (0..300).map(|at| 5.0 + wobble(at, 0.8)).collect();
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn a_text_that_gets_harder_is_not_a_rise() {
    // The same rise is tried with tokens as likely as before, and with tokens less likely by the same amount.
    let hill = |at: usize| falls(at) + if (200..280).contains(&at) { 1.0 } else { 0.0 };
    let mut facts = run(300, hill);
    assert_eq!(short(&facts).0, Kind::Unstable);
    facts.batches.as_mut().unwrap().surprise[200..280].iter_mut().for_each(|cost| *cost += 1.0);
    assert_eq!(short(&facts).0, Kind::Stable);
}

#[test]
fn a_rise_is_relative_to_the_level_from_which_it_begins() {
    let high = |at: usize| 24.0 - at as f64 * 0.04 + if (200..230).contains(&at) { 1.0 } else { 0.0 };
    assert_eq!(short(&run(300, high)).2, None);
    let low = |at: usize| 6.0 - at as f64 * 0.006 + if (200..230).contains(&at) { 1.0 } else { 0.0 };
    assert_eq!(short(&run(300, low)).0, Kind::Unstable);
}

#[test]
fn a_thrashing_loss_does_not_hide_itself() {
    // With the batches, with a text whose later part is harder, and without the batches.
    let thrash = |at: usize| if at < 100 { falls(at) } else { 9.0 + 6.0 * (at as f64 * 2.4).sin() };
    let mut facts = run(400, thrash);
    assert_eq!(short(&facts).0, Kind::Diverged);
    let parts = |batches: &mut Batches| batches.surprise[200..].iter_mut().for_each(|cost| *cost += 3.0);
    parts(facts.batches.as_mut().unwrap());
    assert_eq!(short(&facts).0, Kind::Diverged);
    facts.batches = Err("the store is missing".to_owned());
    assert_eq!(short(&facts).0, Kind::Diverged);
}

#[test]
fn the_first_loss_of_a_fork_is_that_of_its_checkpoint() {
    let left = |at: usize| if at < 120 { falls(at) } else { 9.0 + wobble(at, 1.0) };
    let of = |fork: i64, first: f64| {
        let mut facts = run(300, |at| if at == 0 { first } else { left(at) });
        facts.params.insert("train.fork.step".to_owned(), Cell::Integer(fork));
        judge(&facts)
    };
    assert!(of(120, 7.0).advice.is_none() && of(120, 7.0).sentence.contains("before the fork at step 120"));
    assert!(of(119, 7.0).advice.is_some());
    // A fork does not start from initial weights, so they are not the cause.
    assert_eq!(of(119, 30.0).cause.as_ref().and_then(Word::known), Some(Cause::RateTooHigh));
}

#[test]
fn a_held_out_loss_that_is_not_finite_diverged_at_its_checkpoint() {
    let mut facts = run(300, falls);
    facts.evaluations = vec![score(0, 7.0), score(200, 4.3), score(300, f64::NAN)];
    let verdict = judge(&facts);
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(300)));
    assert!(verdict.sentence.starts_with("the held-out loss of checkpoint 300 is not finite"), "{}", verdict.sentence);
}

#[test]
fn a_loss_that_returns_to_where_it_began_has_moved() {
    let valley = |at: usize| 7.0 - 0.45 * (at as f64 / 299.0 * std::f64::consts::PI).sin();
    let mut facts = run(300, valley);
    facts.evaluations = vec![score(0, 7.0), score(150, 6.6), score(300, 7.0)];
    facts.params.insert("train.optimizer".to_owned(), Cell::Text("adam".to_owned()));
    assert_ne!(short(&facts).0, Kind::TooLow);
}

#[test]
fn a_held_out_loss_that_jumps_is_not_memorising() {
    let heart = |at: usize| 1.0 + 6.0 * (-(at as f64) / 60.0).exp();
    let of = |scores: [f64; 3]| {
        let mut facts = run(300, heart);
        facts.evaluations = vec![score(260, scores[0]), score(280, scores[1]), score(300, scores[2])];
        judge(&facts)
    };
    let verdict = of([6.0, 6.1, 20.9]);
    assert_eq!((verdict.verdict, verdict.onset), (Kind::Diverged, Some(300)), "{}", verdict.sentence);
    assert!(verdict.sentence.contains("jumped by 14.8 nats at checkpoint 300"), "{}", verdict.sentence);
    assert_eq!(of([6.0, 6.5, 7.0]).verdict, Kind::Stable);
}
