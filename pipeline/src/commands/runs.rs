//! `pipeline runs`.

use crate::args::RunsArgs;
use crate::ui::look::{Ink, Look, status_ink};
use crate::ui::table::{Table, left, right};
use crate::ui::watch::Terminal;
use crate::ui::{self, format};
use identity::LossKind;
use record::read::RunSummary;
use session::failure::Failure;
use session::places::Paths;
use session::{Chosen, Reader};
use view::document::View;
use view::runs::RunsView;
use view::verdict::spoken;

/// Lists runs.
pub fn runs(args: RunsArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths, Terminal)?;
    let view = select(&mut reader, &args)?;
    let summaries = &view.runs;
    if args.json {
        ui::data(&ui::document(View::Runs(&view)));
        return Ok(());
    }
    if summaries.is_empty() {
        let is_unfiltered = args.selectors.is_empty() && args.filter.is_empty();
        ui::talk(if is_unfiltered { "no runs yet" } else { "no runs match" });
        return Ok(());
    }
    let (text, left_out) = table(summaries, Look::stdout());
    ui::data(&text);
    if !left_out.is_empty() {
        ui::talk(&format!("columns not shown at this width: {}; --json shows all", left_out.join(", ")));
    }
    Ok(())
}

fn select(reader: &mut Reader, args: &RunsArgs) -> Result<RunsView, Failure> {
    reader.choose(&Chosen { selectors: &args.selectors, filters: &args.filter, sort: args.sort.as_deref() })
}

/// The table, and the columns that did not fit.
fn table(runs: &[RunSummary], look: Look) -> (String, Vec<String>) {
    let one_experiment = runs.windows(2).all(|pair| pair[0].origin() == pair[1].origin());
    let mut heads = vec![left("run"), left("experiment").spare(if one_experiment { 7 } else { 2 })];
    heads.extend([left("point"), left("status"), left("verdict"), right("steps").spare(4)]);
    heads.extend([right("loss"), right("best loss").spare(5), right("valid ppl"), right("test ppl").spare(6)]);
    heads.extend([right("nan/inf").spare(3), right("time").spare(8), left("started (UTC)").spare(9)]);
    // Columns without values are dropped first.
    let nothing = |cell: &str| matches!(cell, "" | "0" | format::NOTHING);
    let rows: Vec<Vec<(String, Ink)>> = runs.iter().map(cells).collect();
    for (column, head) in heads.iter_mut().enumerate().skip(2) {
        if rows.iter().all(|row| nothing(&row[column].0)) {
            *head = head.clone().spare(10);
        }
    }
    let mut table = Table::new(heads);
    rows.into_iter().for_each(|row| table.row(row));
    table.render(look)
}

fn cells(run: &RunSummary) -> Vec<(String, Ink)> {
    let plain = |text: String| (text, Ink::Plain);
    let odd = |is: bool| if is { Ink::Bad } else { Ink::Plain };
    let last_is_odd = run.last_loss_kind.is_some_and(|kind| kind != LossKind::Finite);
    vec![
        (run.name(), Ink::Bold),
        plain(run.origin().unwrap_or(format::NOTHING).to_owned()),
        plain(format::cut(&format::point(&run.swept()), 40)),
        (run.standing(), status_ink(run.status)),
        plain(run.verdict.as_ref().map_or(String::new(), |verdict| spoken(verdict.as_str()))),
        plain(format::count(run.steps)),
        (format::loss(run.last_loss, run.last_loss_kind), odd(last_is_odd)),
        plain(format::loss(run.best_loss, None)),
        plain(format::perplexity(run.valid_perplexity, run.valid_loss_kind)),
        plain(format::perplexity(run.test_perplexity, run.test_loss_kind)),
        (format::count(run.nonfinite_steps), odd(run.nonfinite_steps > 0)),
        plain(if run.seconds > 0.0 { format::seconds(run.seconds) } else { format::NOTHING.to_owned() }),
        (format::time(&run.created_at), Ink::Dim),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};
    use fixture::Fixture;

    fn asked(fixture: &Fixture, words: &[&str]) -> Result<Vec<RunSummary>, String> {
        let cli = Cli::parse_from(["pipeline", "runs"].iter().chain(words));
        let Command::Runs(args) = cli.command else { panic!("not runs") };
        let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap();
        select(&mut reader, &args)
            .map(|view| view.runs)
            .map_err(|failure| format!("{} | {}", failure.message, failure.hint))
    }

    fn numbers(fixture: &Fixture, words: &[&str]) -> Result<Vec<i64>, String> {
        Ok(asked(fixture, words)?.iter().map(|run| run.run.0).collect())
    }

    #[test]
    fn the_table() {
        let fixture = Fixture::new();
        let runs = asked(&fixture, &[]).unwrap();
        let (text, left_out) = table(&runs, Look { width: 140, ..Look::PLAIN });
        insta::assert_snapshot!(text, @"
        run   experiment  point               status       verdict   steps    loss  best loss  valid ppl  test ppl  nan/inf   time  started (UTC)
        run1  lr_study    learning_rate=0.1   finished     stable    1,000  2.1671     2.1631      8.347     8.347        0   12 s  2026-03-01 10:01
        run2  lr_study    learning_rate=1.0   finished     stable    1,000  2.0766     2.0246      9.133     9.133        0   12 s  2026-03-01 10:02
        run3  lr_study    learning_rate=10.0  finished     diverged    500     nan     2.4849        nan       nan       20  6.0 s  2026-03-01 10:03
        run4  tiny                            interrupted  stable      250  2.1968     2.1968          –         –        0  3.0 s  2026-03-01 10:04
        ");
        assert!(left_out.is_empty());
        let (text, left_out) = table(&runs, Look::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(left_out, ["started (UTC)", "time", "test ppl", "best loss", "steps", "nan/inf"]);
    }

    #[test]
    fn runs_are_filtered_and_sorted() {
        let fixture = Fixture::new();
        assert_eq!(numbers(&fixture, &["--where", "train.learning_rate>=1"]), Ok(vec![2, 3]));
        assert_eq!(numbers(&fixture, &["--where", "optimizer=sgd", "--where", "status!=finished"]), Ok(vec![4]));
        assert_eq!(numbers(&fixture, &["--where", "last_loss=nan"]), Ok(vec![3]));
        assert_eq!(numbers(&fixture, &["--where", "last_loss<100"]), Ok(vec![1, 2, 4]));
        assert_eq!(numbers(&fixture, &["--where", "tied=false", "--sort", "-run"]), Ok(vec![4, 3, 2, 1]));
        // Runs without a value come last in either order.
        assert_eq!(numbers(&fixture, &["--sort", "valid_perplexity"]).unwrap()[..2], [1, 2]);
        assert_eq!(numbers(&fixture, &["--sort", "-valid_perplexity"]).unwrap()[..2], [2, 1]);
        assert_eq!(numbers(&fixture, &["study:lr_study", "run1"]), Ok(vec![1, 2, 3]));
        assert_eq!(numbers(&fixture, &["--where", "created_at>2020"]), Ok(vec![1, 2, 3, 4]));
        assert_eq!(numbers(&fixture, &["--where", "created_at<2020"]), Ok(vec![]));
        assert_eq!(numbers(&fixture, &["--where", "verdict=data fault"]), Ok(vec![]));
        assert_eq!(numbers(&fixture, &["--where", "verdict=diverged"]), Ok(vec![3]));
        let said = |words: &[&str]| numbers(&fixture, words).unwrap_err();
        assert_eq!(
            said(&["--where", "verdict=stabel"]),
            "--where: 'stabel' is not a verdict; allowed: data_fault, diverged, unstable, too_low, stable, \
             inconclusive | for example: --where verdict=stable"
        );
        assert_eq!(
            said(&["--where", "run=abc"]),
            "--where: run is a number, but 'abc' is not | for example: --where 'run>=1'"
        );
        assert!(said(&["--where", "run=>1"]).starts_with("--where 'run=>1' is not a comparison"));
        assert!(said(&["--where", "run=>1"]).ends_with(" | did you mean --where 'run>=1'?"));
        assert_eq!(numbers(&fixture, &["--where", "last_loss=NaN"]), Ok(vec![3]));
        assert_eq!(numbers(&fixture, &["--where", "train.tied=False"]).unwrap().len(), 4);
        assert_eq!(numbers(&fixture, &["--where", "optimizer='sgd'", "--where", "status!=finished"]), Ok(vec![4]));
        assert_eq!(
            said(&["--where", "last_loss<0x10"]),
            "--where: last_loss is a number, but '0x10' is not | for example: --where 'last_loss>=1'"
        );
        assert_eq!(
            said(&["--where", "status=finishd"]),
            "--where: 'finishd' is not a status; allowed: running, interrupted, failed, finished | for example: --where status=finished"
        );
        assert_eq!(said(&["--sort", "-"]), "--sort '-' names no column | for example: --sort=-valid_perplexity");
        assert_eq!(
            said(&["--where", "learning_rte>1"]),
            "unknown column or parameter 'learning_rte' | did you mean learning_rate?"
        );
        assert_eq!(
            said(&["--sort", "beginning"]),
            "unknown column or parameter 'beginning' | to list columns: pipeline sql --schema; to list parameters: pipeline show latest"
        );
        assert_eq!(said(&["--where", "size=3"]), "size is ambiguous: batch.size or vocab.size | use the full name");
        assert_eq!(
            said(&["--where", "loss"]),
            "--where 'loss' is not a comparison; allowed: COLUMN=VALUE, with =, !=, <, <=, > or >= | for example: --where 'train.learning_rate>=0.1'"
        );
    }

    #[test]
    fn json_names_the_kind_of_a_nonfinite_loss() {
        let fixture = Fixture::new();
        let json = serde_json::to_value(asked(&fixture, &["run3"]).unwrap()).unwrap();
        assert_eq!(json[0]["run"], 3);
        assert_eq!(json[0]["point"]["train.learning_rate"], 10.0);
        assert_eq!((&json[0]["last_loss"], &json[0]["last_loss_kind"]), (&serde_json::Value::Null, &"nan".into()));
        assert_eq!((&json[0]["nonfinite_steps"], &json[0]["first_nonfinite_step"]), (&20.into(), &480.into()));
    }
}
