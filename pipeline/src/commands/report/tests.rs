use serde_json::json;

use super::*;
use fixture::{Fixture, SPIKE};
use identity::verdict::{
    About, Cause, Check, CheckName, Confirmation, Evidence, Finding, FindingKind, Kind, Signal, TrialOutcome,
};
use identity::{LossKind, RunId, Word};
use record::Record;

const HOSTILE: &str = "the crown </script><img src=x onerror=alert(1)> & \"it\"\u{2028}\u{202e}turned\u{0}";

fn reader(fixture: &Fixture) -> Reader {
    Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The report of the fixture's study, with made-up verdicts.
fn judged(fixture: &Fixture, study: &str) -> ReportView {
    let mut verdicts = session::judge::verdicts(&mut reader(fixture), &[RunId(1), RunId(2), RunId(3)]).unwrap();
    for (verdict, (kind, sentence)) in verdicts.iter_mut().zip([
        (Kind::Stable, "the training loss fell steadily from 2.48 to 2.17"),
        (
            Kind::DataFault,
            "98 % of each batch overlaps with the previous one: the model memorises a few sentences, not the text",
        ),
        (
            Kind::Diverged,
            "the loss diverged at step 320 and is now NaN. Consistent with a learning rate that is too high",
        ),
    ]) {
        (verdict.verdict, verdict.sentence) = (kind, sentence.to_owned());
    }
    let third = &mut verdicts[2];
    (third.cause, third.onset, third.recovered) = (Some(Cause::RateTooHigh.into()), Some(320), None);
    third.advice = Some("try a third of the rate: --set train.learning_rate=3.0".to_owned());
    third.findings =
        vec![Finding { finding: FindingKind::SaturatedSoftmax.into(), step: Some(400), sentence: HOSTILE.to_owned() }];
    let evidence = |signal: Word<Signal>, value: Option<f64>, bound: f64, step: i64, sentence: &str| Evidence {
        about: About::Verdict(Kind::Diverged).into(),
        signal,
        value,
        value_kind: if value.is_some() { LossKind::Finite } else { LossKind::Nan },
        bound: Some(bound),
        step: Some(step),
        sentence: sentence.to_owned(),
    };
    let lost = "the loss is now NaN, worse than the unigram baseline (2.30)";
    third.evidence = vec![
        evidence(Signal::Nonfinite.into(), Some(20.0), 0.0, 480, "20 losses are not finite, the first at step 480"),
        // A signal that only another version of the rules knows.
        evidence("last_loss".to_owned().into(), None, 2.4849, 499, lost),
    ];
    let check = |name: CheckName, made: bool, note: &str| Check { name: name.into(), made, note: note.to_owned() };
    third.checks = vec![
        check(CheckName::FiniteLosses, true, "20 of 500 losses are not finite, the first at step 480"),
        check(CheckName::Probes, false, "train.probes is 0; to measure overshoot and sharpness: --set train.probes=10"),
    ];
    let mut record = Record::create(&fixture.db).unwrap();
    record.conclude(&(1..).map(RunId).zip(verdicts).collect::<Vec<_>>()).unwrap();
    let found = Confirmation {
        trial: RunId(1),
        cause: Cause::RateTooHigh.into(),
        outcome: TrialOutcome::Confirmed,
        sentence: "with a third of the rate and all else equal the loss ends at 2.12 instead of NaN (stable)"
            .to_owned(),
    };
    record.confirm(RunId(3), &found).unwrap();
    read(fixture, &[study])
}

fn read(fixture: &Fixture, selectors: &[&str]) -> ReportView {
    let (mut reader, selectors) = (reader(fixture), words(selectors));
    let runs = reader.named(&selectors).unwrap();
    ReportView::read(&mut reader, runs, &selectors, "2026-03-01 10:00".to_owned(), "0.1.0").unwrap()
}

/// The text between the first `start` and the next `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn a_study_with_its_verdicts() {
    let report = judged(&Fixture::new(), "study:lr_study");
    let page = page(&report);
    let summary = between(&page, "<section id=\"summary\">", "</section>");
    // A data fault comes first, and its run can't be the best, although its loss is lower than the third run's.
    assert!(summary.find("Fix the data first").unwrap() < summary.find("has the lowest validation loss").unwrap());
    assert!(summary.contains("<strong>run1 learning_rate 0.1</strong> has the lowest validation loss"), "{summary}");
    for said in ["data fault", "diverged", "stable", "the loss diverged at step 320", "nan"] {
        assert!(summary.contains(said), "{said} is not in {summary}");
    }
    let verdicts = between(&page, "<section id=\"verdicts\">", "</section>");
    for said in [
        "rate too high",
        "step 320",
        "try a third of the rate",
        "saturated softmax",
        "worse than the unigram baseline",
        ">nan<",
        "2.4849",
        "Checks made",
        "20 of 500 losses are not finite, the first at step 480",
        "Checks not made, and why",
        "train.probes is 0",
        "confirmed",
        "with a third of the rate",
    ] {
        assert!(verdicts.contains(said), "{said} is not in {verdicts}");
    }
    let lineage = between(&page, "<section id=\"lineage\">", "</section>");
    assert!(lineage.contains("run1") && lineage.contains("run2, run3") && lineage.contains("baselines"), "{lineage}");
    let environment = between(&page, "<section id=\"environment\">", "</section>");
    for said in ["workbench", "2.11.0", "AVX512", "pipeline run experiments/lr_study.toml", "pipeline reproduce run3"] {
        assert!(environment.contains(said), "{said} is not in {environment}");
    }
    // Training loss, validation loss, norms and probes, each with a still picture; and the parameters.
    assert_eq!(report.charts.len(), 7);
    assert_eq!(page.matches("<svg").count(), 8);
    assert_eq!(page.matches("class=\"strand\"").count(), 3);
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let fixture = Fixture::new();
    fixture.change("UPDATE samples SET text = ?1, prompt = ?1", json!([HOSTILE]));
    fixture.change("UPDATE experiments SET name = ?1, path = ?1, toml = ?1", json!([HOSTILE]));
    fixture.change("UPDATE studies SET name = ?1 WHERE id = 1", json!([HOSTILE]));
    fixture.change("UPDATE params SET value = ?1 || run_id WHERE name = 'train.optimizer'", json!([HOSTILE]));
    fixture.change("UPDATE runs SET point = json_set(point, '$.\"train.optimizer\"', ?1 || id)", json!([HOSTILE]));
    fixture.change("UPDATE events SET message = ?1", json!([HOSTILE]));
    let page = page(&judged(&fixture, &format!("study:{HOSTILE}")));
    assert!(!page.contains("<img") && !page.contains('\u{202e}') && !page.contains('\u{0}'));
    assert!(page.matches("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;").count() > 10);
    assert_eq!(page.matches("</script").count(), 2);
    let data = between(&page, "id=\"data\">", "</script>");
    assert!(!data.contains(['<', '>', '&', '\u{2028}']));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["runs"][0]["label"].as_str().unwrap().contains("onerror"), "{}", data["runs"]);
}

#[test]
fn a_nonfinite_value_is_null_beside_its_kind() {
    let page = page(&judged(&Fixture::new(), "study:lr_study"));
    let data: serde_json::Value = serde_json::from_str(between(&page, "id=\"data\">", "</script>")).unwrap();
    let line = &data["charts"][0]["lines"][2];
    assert_eq!(line["mean"][480], serde_json::Value::Null);
    assert_eq!(line["holes"], json!([[480, 484, "inf"], [485, 499, "nan"]]));
    assert_eq!(line["onset"], 320);
    assert_eq!(data["charts"][1]["lines"][2]["holes"], json!([[500, 500, "nan"]]));
    // The still picture shows the same.
    assert!(page.contains("learning_rate 10.0: nan"));
    assert!(page.matches("class=\"hole s2\"").count() >= 2);
}

#[test]
fn a_million_steps_make_a_small_page_that_shows_the_spike() {
    let fixture = Fixture::new();
    [5, 6].into_iter().for_each(|run| fixture.long_run(run, 1_000_000));
    let page = page(&read(&fixture, &["5", "6"]));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    let data: serde_json::Value = serde_json::from_str(between(&page, "id=\"data\">", "</script>")).unwrap();
    let chart = &data["charts"][0];
    for line in chart["lines"].as_array().unwrap() {
        // Columns that all lines share are written once.
        let column = |name: &str| line.get(name).unwrap_or(&chart["shared"][name]);
        let highest = line["high"].as_array().unwrap().iter().position(|high| high.as_f64() == Some(60.0)).unwrap();
        let first = column("x")[highest].as_i64().unwrap();
        assert!((first..first + column("n")[highest].as_i64().unwrap()).contains(&SPIKE));
    }
}

#[test]
fn a_page_links_only_to_runs_that_it_shows_in_full() {
    let fixture = Fixture::new();
    let mut report = judged(&fixture, "study:lr_study");
    report.runs[1].whole = false;
    let page = page(&report);
    assert_eq!(page.matches("2 of 3 runs are shown here: the best, and some with each verdict.").count(), 2);
    assert!(page.contains("<a href=\"#verdict-3\">run3</a>") && page.contains("id=\"verdict-3\""));
    assert!(!page.contains("#verdict-2") && !page.contains("verdict-2"), "a link without a target");
    assert!(page.contains("98 % of each batch overlaps"), "the summary still lists the run");
}

#[test]
fn a_page_says_that_some_runs_are_not_plotted() {
    let fixture = Fixture::new();
    let mut report = judged(&fixture, "study:lr_study");
    report.charts.iter_mut().for_each(|chart| drop(chart.lines.remove(1)));
    let page = page(&report);
    assert!(page.contains("2 of 3 runs are plotted: those described below, and an even selection of the others."));
}
