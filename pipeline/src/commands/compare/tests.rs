use super::*;
use crate::ui::screen_is;
use insight::explanation::Explains;
use insight::verdict::RULES;
use record::Record;
use record::fixture::{Fixture, PARTING, long_run};
use record::verdicts::{Kind, Verdict};

fn compared(fixture: &Fixture, runs: &[i64]) -> CompareView {
    let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap();
    CompareView::read(&mut reader, runs, Look::PLAIN.width as i64 * 8).unwrap()
}

/// Writes down verdicts as if the rules had given them.
fn given(fixture: &Fixture, verdicts: &[(i64, Kind, Option<i64>, &str)]) {
    let mut record = Record::create(&fixture.db).unwrap();
    let states = record.verdict_states(None).unwrap();
    let made: Vec<(i64, Verdict)> = verdicts
        .iter()
        .map(|(run, kind, onset, sentence)| {
            let verdict = Verdict {
                verdict: *kind,
                cause: None,
                onset: *onset,
                recovered: None,
                sentence: (*sentence).to_owned(),
                advice: None,
                rules: RULES,
                seen: states.iter().find(|state| state.run == *run).unwrap().now.clone(),
                findings: Vec::new(),
                evidence: Vec::new(),
                checks: Vec::new(),
            };
            (*run, verdict)
        })
        .collect();
    record.conclude(&made).unwrap();
}

const LOW: (i64, Kind, Option<i64>, &str) = (1, Kind::TooLow, None, "the loss still falls, and by little");
const GOOD: (i64, Kind, Option<i64>, &str) = (2, Kind::Stable, None, "the loss fell to 2.08 and stayed there");
const GONE: (i64, Kind, Option<i64>, &str) =
    (3, Kind::Diverged, Some(61), "the loss rose above word frequencies and never came back");

#[test]
fn two_runs() {
    let fixture = Fixture::new();
    given(&fixture, &[LOW, GOOD]);
    let comparison = compared(&fixture, &[1, 2]);
    screen_is("compare_two", &parts::screen(&comparison, Look::PLAIN));
    assert_eq!(comparison.parameters[0].explains, Some(Explains::Can));
    assert_eq!(comparison.parting.unwrap().first.unwrap().step, 1);
}

#[test]
fn a_diverged_run_beside_a_stable_one() {
    let fixture = Fixture::new();
    given(&fixture, &[GOOD, GONE]);
    let comparison = compared(&fixture, &[2, 3]);
    screen_is("compare_diverged", &parts::screen(&comparison, Look::PLAIN));
    let around = comparison.around.unwrap();
    assert_eq!(around.steps.iter().map(|near| near.step).collect::<Vec<_>>(), [40, 50, 60, 61, 62, 70, 80, 90]);
}

#[test]
fn a_data_fault_is_told_before_any_rate() {
    let fixture = Fixture::new();
    given(&fixture, &[(1, Kind::DataFault, None, "its batches move one token a step"), GONE]);
    let said = compared(&fixture, &[3, 1]).account;
    assert_eq!(said[0], "run1 has a data fault: its batches move one token a step.");
    assert!(said[2].starts_with("run3 diverged from step 61 on: "), "{said:?}");
    assert!(said[3].contains("can't tell whether the rate is right"), "{said:?}");
}

#[test]
fn what_only_faulty_runs_have_is_named() {
    let fixture = Fixture::new();
    given(&fixture, &[(1, Kind::DataFault, Some(0), "its batches move one token a step"), GOOD, GONE]);
    let said = compared(&fixture, &[1, 2, 3]).account;
    assert_eq!(said[0], "run1 has a data fault: its batches move one token a step.");
    assert_eq!(said[1], "It alone has train.learning_rate = 0.1.");
    assert!(
        said.last()
            .unwrap()
            .ends_with("while what run1 reads is wrong, its loss can't tell whether the rate is right.")
    );
}

#[test]
fn a_study() {
    let fixture = Fixture::new();
    given(&fixture, &[LOW, GOOD, GONE]);
    let comparison = compared(&fixture, &[1, 2, 3]);
    screen_is("compare_study", &parts::screen(&comparison, Look::PLAIN));
    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["parameters"][0]["values"], serde_json::json!([0.1, 1.0, 10.0]));
    assert_eq!(json["runs"][2]["last_loss_kind"], "nan");
    assert_eq!(json["verdicts"][2]["onset"], 61);
}

#[test]
fn one_bit_in_many_steps_is_found() {
    let fixture = Fixture::new();
    let mut record = Record::create(&fixture.db).unwrap();
    [5, 6].into_iter().for_each(|run| long_run(&mut record, run, 200_000));
    let comparison = compared(&fixture, &[5, 6]);
    let text = parts::screen(&comparison, Look::PLAIN);
    let parting = comparison.parting.unwrap();
    assert_eq!((parting.common_steps, parting.first.unwrap().step, parting.beyond_noise), (200_000, PARTING, None));
    assert!(text.contains("identical to the bit up to step 150,000;"), "{text}");
    assert!(text.contains("never by more than steps"), "{text}");
    assert!(record.first_difference(5, 6, PARTING).unwrap().is_none());
}

#[test]
fn lines_of_one_run_alone_carry_its_name() {
    let fixture = Fixture::new();
    let mut record = Record::create(&fixture.db).unwrap();
    long_run(&mut record, 5, 2000);
    let labels: Vec<String> = compared(&fixture, &[1, 5]).baselines.into_iter().map(|line| line.label).collect();
    assert!(!labels.is_empty() && labels.iter().all(|label| label.ends_with(" run1")), "{labels:?}");
}
