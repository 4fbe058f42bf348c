use super::*;
use fixture::{Fixture, PARTING};
use identity::RunId;
use identity::verdict::{Cause, Kind, Verdict};
use insight::explanation::Explains;
use insight::verdict::RULES;
use record::Record;

fn compared(fixture: &Fixture, runs: &[RunId]) -> CompareView {
    let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap();
    CompareView::read(&mut reader, runs, Look::PLAIN.width as i64 * 8).unwrap()
}

/// Records verdicts as if the rules had given them.
fn given(fixture: &Fixture, verdicts: &[(i64, Kind, Option<i64>, &str)]) {
    let mut record = Record::create(&fixture.db).unwrap();
    let states = record.verdict_states(None).unwrap();
    let made: Vec<(RunId, Verdict)> = verdicts
        .iter()
        .map(|(run, kind, onset, sentence)| {
            let verdict = Verdict {
                verdict: *kind,
                cause: match kind {
                    Kind::DataFault => Some(Cause::SlidingWindow.into()),
                    Kind::Diverged => Some(Cause::RateTooHigh.into()),
                    Kind::TooLow => Some(Cause::RateTooLow.into()),
                    _ => None,
                },
                onset: *onset,
                recovered: None,
                sentence: (*sentence).to_owned(),
                advice: None,
                rules: RULES,
                seen: states.iter().find(|state| state.run == RunId(*run)).unwrap().now.clone(),
                findings: Vec::new(),
                evidence: Vec::new(),
                checks: Vec::new(),
            };
            (RunId(*run), verdict)
        })
        .collect();
    record.conclude(&made).unwrap();
}

const SLIDES: (i64, Kind, Option<i64>, &str) = (
    1,
    Kind::DataFault,
    Some(0),
    "98 % of each batch overlaps with the previous one: the model memorises a few sentences, not the text",
);
const LOW: (i64, Kind, Option<i64>, &str) = (
    1,
    Kind::TooLow,
    None,
    "the training loss fell steadily from 2.48 to 2.17, and the model has learned little beyond the unigram baseline. \
     Consistent with a rate that is too low",
);
const GOOD: (i64, Kind, Option<i64>, &str) =
    (2, Kind::Stable, None, "the training loss fell steadily from 2.45 to 2.08");
const GONE: (i64, Kind, Option<i64>, &str) = (
    3,
    Kind::Diverged,
    Some(61),
    "the loss diverged at step 61 and is now NaN. Consistent with a learning rate that is too high",
);
/// The same run, judged by its evaluations.
const SCORED: (i64, Kind, Option<i64>, &str) = (
    3,
    Kind::Diverged,
    Some(500),
    "the held-out loss of checkpoint 500 is not finite. Consistent with a learning rate that is too high",
);

#[test]
fn two_runs() {
    let fixture = Fixture::new();
    given(&fixture, &[LOW, GOOD]);
    let comparison = compared(&fixture, &[RunId(1), RunId(2)]);
    insta::assert_snapshot!(parts::screen(&comparison, Look::PLAIN), @"
    run1 and run2 differ only in train.learning_rate (0.1, 1.0); losses first differ
    at step 1, by more than step-to-step noise.
    run1 learns too slowly: the training loss fell steadily from 2.48 to 2.17, and
    the model has learned little beyond the unigram baseline. Consistent with a rate
    that is too low.
    run2 is stable: the training loss fell steadily from 2.45 to 2.08.

    the runs differ in train.learning_rate
                           run1  run2  first difference
      train.learning_rate  0.1   1.0   can explain it
    differences other than parameters: git
           run1                     run2
      git  0123456789ab (modified)  0123456789ab

       run   verdict  status    steps  last loss    best  valid ppl  test ppl
    ●  run1  too low  finished  1,000     2.1671  2.1631      8.347     8.347
    ○  run2  stable   finished  1,000     2.0766  2.0246      9.133     9.133

    loss in nats, by step
        2.6 ┤
            │
            │●●┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 2.48
            │○ ●●●
        2.4 ┤ ○   ●●●●●●
            │  ○        ●●●●●●●
            │┄┄┄○┄┄┄┄┄┄┄┄┄┄┄┄┄┄●●●●●●●●●●┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ unigram 2.30
        2.2 ┤    ○○                      ●●●●●●●●●●●●●●●
            │      ○○○○○○                               ●●●●●●●●●●●●●●●
            │            ○○○○○○○○○○○○○○○○○ ○
            │                             ○ ○○○○○○○○○○○○○○○○○○○○○○○○○○○
          2 ┤
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ bigram 1.95
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ KN5 1.90
            │
        1.8 ┤
            └┬──────────┬───────────┬──────────┬───────────┬───────────┬
             0         200         400        600         800        1,000
    each mark is the mean of its steps, │ extends to an isolated high or low; ┄
    n-gram models on valid: ln V 2.48, unigram 2.30, bigram 1.95, KN5 1.90

    the losses are bitwise identical up to step 0; at step 1 they are 2.4880 (run1)
    and 2.5160 (run2), 0.0280 apart, more than 8 times the step-to-step change of
    the loss (0.0033, in the calmer run)

    around step 1, the first difference beyond noise
      step  run1 loss   norm      ρ  logit  run2 loss   norm      ρ  logit
         0     2.4849  0.500  0.985   3.00     2.4849  0.500  0.850   3.00
         1     2.4880  0.541      –      –     2.5160  0.906      –      –  ←
         2     2.4911  0.581      –      –     2.5474   1.31      –      –
        10     2.4760  0.506  0.985   3.01     2.4100  0.559  0.850   3.01
        20     2.4674  0.512  0.985   3.01     2.3582  0.619  0.850   3.01
        30     2.4592  0.518  0.985   3.02     2.3209  0.678  0.850   3.02
      norm: gradient norm before clipping; ρ: overshoot ratio, actual over predicted
      decrease of the loss; logit: largest logit

    evaluations
       step  split  run1 loss  run2 loss  run1 ppl  run2 ppl
          0  valid     2.4949     2.5849      12.1      13.3
        500  valid     2.1918     2.2818     8.952     9.795
      1,000  valid     2.1219     2.2119     8.347     9.133
      1,000  test      2.1219     2.2119     8.347     9.133

    the last validation loss of run1, 2.1219, is between the unigram baseline (2.30)
    and the bigram baseline (1.95)
    the last validation loss of run2, 2.2119, is between the unigram baseline (2.30)
    and the bigram baseline (1.95)

    samples from checkpoint 1,000
      greedy
        run1                                 │ run2
        distinct-1 0.20, distinct-2 0.21,    │ distinct-1 0.20, distinct-2 0.21,
        seq-rep-4 0.71, loops over 2 tokens  │ seq-rep-4 0.71, loops over 2 tokens
        from token 2 on                      │ from token 2 on
        the crown is heavy is heavy is heavy │ the crown is heavy is heavy is heavy
        is heavy is heavy is heavy is heavy  │ is heavy is heavy is heavy is heavy
        is heavy is heavy                    │ is heavy is heavy
      temperature=1.0
        run1                                 │ run2
        distinct-1 0.60, distinct-2 0.93,    │ distinct-1 0.60, distinct-2 0.93,
        seq-rep-4 0.00                       │ seq-rep-4 0.00
        a queen and the king of a heavy      │ a queen and the king of a heavy
        crown                                │ crown
        the crown is on the queen            │ the crown is on the queen
    ");
    assert_eq!(comparison.parameters[0].explains, Some(Explains::Can));
    assert_eq!(comparison.parting.unwrap().first.unwrap().step, 1);
}

#[test]
fn a_diverged_run_beside_a_stable_one() {
    let fixture = Fixture::new();
    given(&fixture, &[GOOD, GONE]);
    let comparison = compared(&fixture, &[RunId(2), RunId(3)]);
    insta::assert_snapshot!(parts::screen(&comparison, Look::PLAIN), @"
    run2 and run3 differ only in train.learning_rate (1.0, 10.0); losses first
    differ at step 1, by more than step-to-step noise.
    run2 is stable: the training loss fell steadily from 2.45 to 2.08.
    run3 diverged: the loss diverged at step 61 and is now NaN. Consistent with a
    learning rate that is too high.

    the runs differ in train.learning_rate
                           run2  run3  first difference
      train.learning_rate  1.0   10.0  can explain it
    differences other than parameters: git
           run2          run3
      git  0123456789ab  0123456789ab (modified)

       run   verdict         last loss    best  valid ppl  non-finite  first at
    ●  run2  stable             2.0766  2.0246      9.133           0
    ○  run3  diverged at 61        nan  2.4849        nan          20       480

    loss in nats (logarithmic), by step
            │                           ○
            │                         ○○
       1000 ┤                        ○
            │                      ○○
            │                    ○○
            │                  ○○
            │                 ○
        100 ┤               ○○
            │             ○○
            │           ○○
            │         ○○
            │       ○○
         10 ┤     ○○
            │  ○○○                                                      ln V 2.48
            │∗○┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ bigram 1.95
            │┄●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●● KN5 1.90
            └┬──○───────┬───────────┬───✗✗─────┬───────────┬───────────┬
             0         200         400        600         800        1,000
    each mark is the mean of its steps, │ extends to an isolated high or low; ∗
    several runs; ┄ n-gram models on valid: ln V 2.48, unigram 2.30, bigram 1.95,
    KN5 1.90; a run's mark on the axis is its onset; ✗ a non-finite loss

    the losses are bitwise identical up to step 0; at step 1 they are 2.5160 (run2)
    and 3.4168 (run3), 0.9008 apart, more than 8 times the step-to-step change of
    the loss (0.0286, in the calmer run)

    around step 61, the onset of run3
      step  run2 loss   norm      ρ  logit  run3 loss  norm       ρ  logit
        40     2.2932  0.738  0.850   3.02     4.3477  2.88  -0.500   3.02
        50     2.2722  0.797  0.850   3.03     4.7010  3.47  -0.500   3.03
        60     2.2561  0.856  0.850   3.04     5.1183  4.06  -0.500   3.04
        61     2.2947   1.26      –      –     5.1640  8.12       –      –  ←
        62     2.2333  0.668      –      –     5.2104  2.18       –      –
        70     2.2436  0.916  0.850   3.04     5.6113  4.66  -0.500   3.04
        80     2.2340  0.975  0.850   3.05     6.1937  5.25  -0.500   3.05
        90     2.2266   1.03  0.850   3.05     6.8817  5.85  -0.500   3.05
      norm: gradient norm before clipping; ρ: overshoot ratio, actual over predicted
      decrease of the loss; logit: largest logit

    evaluations
       step  split  run2 loss  run3 loss  run2 ppl  run3 ppl
          0  valid     2.5849     3.4849      13.3      32.6
        500  valid     2.2818        nan     9.795       nan
        500  test           –        nan         –       nan
      1,000  valid     2.2119          –     9.133         –
      1,000  test      2.2119          –     9.133         –

    the last validation loss of run2, 2.2119, is between the unigram baseline (2.30)
    and the bigram baseline (1.95)
    the last validation loss of run3, nan, is not finite and so worse than every
    n-gram model

    samples from checkpoint 500
      greedy
        run2                                 │ run3
        distinct-1 0.20, distinct-2 0.21,    │
        seq-rep-4 0.71, loops over 2 tokens  │
        from token 2 on                      │
        the crown is heavy is heavy is heavy │ (no text: logits are NaN after 0
        is heavy is heavy is heavy is heavy  │ tokens)
        is heavy is heavy                    │
      temperature=1.0
        run2                                 │ run3
        distinct-1 0.60, distinct-2 0.93,    │
        seq-rep-4 0.00                       │
        a queen and the king of a heavy      │ (no text: logits are NaN after 0
        crown                                │ tokens)
        the crown is on the queen            │

    samples from the last checkpoint of run2
      greedy
        run2 at 1,000 distinct-1 0.20, distinct-2 0.21, seq-rep-4 0.71, loops over
          2 tokens from token 2 on
          the crown is heavy is heavy is heavy is heavy is heavy is heavy is heavy
          is heavy is heavy
      temperature=1.0
        run2 at 1,000 distinct-1 0.60, distinct-2 0.93, seq-rep-4 0.00
          a queen and the king of a heavy crown
          the crown is on the queen
    ");
    let around = comparison.around.unwrap();
    assert_eq!(around.steps.iter().map(|near| near.step).collect::<Vec<_>>(), [40, 50, 60, 61, 62, 70, 80, 90]);
}

#[test]
fn a_data_fault_comes_before_any_rate() {
    let fixture = Fixture::new();
    given(&fixture, &[SLIDES, SCORED]);
    let said = compared(&fixture, &[RunId(3), RunId(1)]).account;
    assert!(said[0].starts_with("run1 has a data fault: 98 % of each batch "), "{said:?}");
    assert!(said[2].starts_with("run3 diverged at step 500: the held-out loss "), "{said:?}");
    assert!(said[3].contains("its loss says nothing about the learning rate"), "{said:?}");
}

#[test]
fn a_parameter_that_only_faulty_runs_have_is_named() {
    let fixture = Fixture::new();
    given(&fixture, &[SLIDES, GOOD, GONE]);
    let said = compared(&fixture, &[RunId(1), RunId(2), RunId(3)]).account;
    assert!(said[0].starts_with("run1 has a data fault: 98 % of each batch "), "{said:?}");
    assert_eq!(said[1], "No other run has train.learning_rate = 0.1.");
    assert!(
        said.last().unwrap().ends_with("while run1 reads faulty data, its loss says nothing about the learning rate.")
    );
}

#[test]
fn a_study() {
    let fixture = Fixture::new();
    given(&fixture, &[LOW, GOOD, GONE]);
    let comparison = compared(&fixture, &[RunId(1), RunId(2), RunId(3)]);
    insta::assert_snapshot!(parts::screen(&comparison, Look::PLAIN), @"
    run1 learns too slowly: the training loss fell steadily from 2.48 to 2.17, and
    the model has learned little beyond the unigram baseline. Consistent with a rate
    that is too low.
    run2 is stable: the training loss fell steadily from 2.45 to 2.08.
    run3 diverged: the loss diverged at step 61 and is now NaN. Consistent with a
    learning rate that is too high.

    the runs differ in train.learning_rate
    differences other than parameters: git
           run1                     run2          run3
      git  0123456789ab (modified)  0123456789ab  0123456789ab (modified)

    run   learning_rate  verdict         last loss    best  valid ppl  non-finite
    run1            0.1  too low            2.1671  2.1631      8.347           0
    run2            1.0  stable             2.0766  2.0246      9.133           0
    run3           10.0  diverged at 61        nan  2.4849        nan          20

    best: learning_rate=0.1 (run1), last validation loss 2.1219; 0.0900 lower than
    learning_rate=1.0 (run2); one seed each, so seed variance is unknown; excluded
    because a run diverged, has a data fault or has no loss: learning_rate=10.0
    (run3)

    loss in nats, by step
             learning_rate=0.1       learning_rate=1.0       learning_rate=10.0
             run1                    run2                    run3
             low: too low            good: stable            very high: diverged
        3.5 ┤                                                ↑↑↑↑↑↑↑↑↑↑↑
            │                                                ⡇
          3 ┤                                                ⡇
        2.5 ┤⠤⢤⣀⣀⣀┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  ⣦┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  ⠇┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
            │┄┄┄┄⠉⠉⠉⠉⠛⠒⠒⠒⠒⠒⠒⠶⠦⠤⠤⠤⠤⠤  ⠘⠻⠶⢶⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣀⣄⣀⣀⣀⣀⣀  ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
          2 ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  ┄┄┄┄┄┄┄┄⠈⠈⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉  ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
        1.5 ┤
            └┬─────────────────────┬ ┬─────────────────────┬ ┬▲────────✗───────────┬
             0                1,000  0                1,000  0                1,000
    ↑ a loss is above the axis; ┄ n-gram models on valid: ln V 2.48, unigram 2.30,
    bigram 1.95, KN5 1.90; ▲ an onset; ✗ a non-finite loss

    evaluations
       step  split  run1 ppl  run2 ppl  run3 ppl
          0  valid      12.1      13.3      32.6
        500  valid     8.952     9.795       nan
        500  test          –         –       nan
      1,000  valid     8.347     9.133         –
      1,000  test      8.347     9.133         –

    the last validation loss of run1, 2.1219, is between the unigram baseline (2.30)
    and the bigram baseline (1.95)
    the last validation loss of run2, 2.2119, is between the unigram baseline (2.30)
    and the bigram baseline (1.95)
    the last validation loss of run3, nan, is not finite and so worse than every
    n-gram model

    samples from checkpoint 1,000
      greedy
        run1 distinct-1 0.20, distinct-2 0.21, seq-rep-4 0.71, loops over 2 tokens
          from token 2 on
          the crown is heavy is heavy is heavy is heavy is heavy is heavy is heavy
          is heavy is heavy
        run2 distinct-1 0.20, distinct-2 0.21, seq-rep-4 0.71, loops over 2 tokens
          from token 2 on
          the crown is heavy is heavy is heavy is heavy is heavy is heavy is heavy
          is heavy is heavy
      temperature=1.0
        run1 distinct-1 0.60, distinct-2 0.93, seq-rep-4 0.00
          a queen and the king of a heavy crown
          the crown is on the queen
        run2 distinct-1 0.60, distinct-2 0.93, seq-rep-4 0.00
          a queen and the king of a heavy crown
          the crown is on the queen

    samples from the last checkpoint of run3
      greedy
        run3 at 500
          (no text: logits are NaN after 0 tokens)
      temperature=1.0
        run3 at 500
          (no text: logits are NaN after 0 tokens)
    ");
    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["parameters"][0]["values"], serde_json::json!([0.1, 1.0, 10.0]));
    assert_eq!(json["runs"][2]["last_loss_kind"], "nan");
    assert_eq!(json["verdicts"][2]["onset"], 61);
}

#[test]
fn a_difference_of_one_bit_in_many_steps_is_found() {
    let fixture = Fixture::new();
    let mut record = Record::create(&fixture.db).unwrap();
    [5, 6].into_iter().for_each(|run| fixture.long_run(run, 200_000));
    let comparison = compared(&fixture, &[RunId(5), RunId(6)]);
    let text = parts::screen(&comparison, Look::PLAIN);
    let parting = comparison.parting.unwrap();
    assert_eq!((parting.common_steps, parting.first.unwrap().step, parting.beyond_noise), (200_000, PARTING, None));
    assert!(text.contains("bitwise identical up to step 150,000;"), "{text}");
    assert!(text.contains("never by more than step-to-step noise"), "{text}");
    assert!(record.first_difference(5, 6, PARTING).unwrap().is_none());
}

#[test]
fn a_baseline_of_one_run_alone_carries_its_name() {
    let fixture = Fixture::new();
    fixture.long_run(5, 2000);
    let labels: Vec<String> =
        compared(&fixture, &[RunId(1), RunId(5)]).baselines.into_iter().map(|line| line.label).collect();
    assert!(!labels.is_empty() && labels.iter().all(|label| label.ends_with(" run1")), "{labels:?}");
}
