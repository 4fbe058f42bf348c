//! `pipeline show`.

mod log;
pub mod outcomes;
pub mod parts;
mod replay;
mod step;
mod tokens;

use crate::args::ShowArgs;
use crate::ui;
use crate::ui::curve::curve;
use crate::ui::look::{Ink, Look};
use crate::ui::verdict;
use crate::ui::watch::Terminal;
use identity::RunId;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use session::selector;
use view::document::View;
use view::run::RunView;
use view::standing;
use view::step::StepView;

/// Shows one run.
pub fn show(args: ShowArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths, Terminal)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let look = Look::stdout();
    if args.log {
        return log::log(&mut reader, run);
    }
    if let Some(step) = args.step {
        let mut view = StepView::read(&mut reader, run, step)?;
        view.check_row(args.row)?;
        view.add(replay::found(&mut reader, run, step, args.replay)?);
        ui::data(&if args.json { ui::document(View::Step(&view)) } else { step::screen(&view, args.row, look) });
        return Ok(());
    }
    let view = read(&mut reader, run, look)?;
    ui::data(&if args.json { ui::document(View::Run(&view)) } else { screen(&view, look) });
    Ok(())
}

fn read(reader: &mut Reader, run: RunId, look: Look) -> Result<RunView, Failure> {
    // Several rows per column of dots, because rows and columns don't end at the same steps.
    let view = RunView::read(reader, run, look.width as i64 * 8)?;
    view.ok_or_else(|| Failure::failed("BUG: the run is missing from the record", ""))
}

/// The whole screen.
fn screen(whole: &RunView, look: Look) -> String {
    let parts = [
        parts::header(&whole.summary, &whole.detail, &whole.forks, look),
        judged(whole, look),
        parts::params(&whole.listed, &whole.summary, look),
        parts::stages(&whole.stages, whole.summary.run, look),
        loss(whole, look),
        outcomes::evaluations(&whole.evaluations, look),
        outcomes::baselines(
            &whole.ngrams,
            whole.standing.as_ref(),
            standing::unit(&whole.listed, whole.summary.run),
            look,
        ),
        outcomes::samples(&whole.samples, look),
        outcomes::events(&whole.events, look),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The verdict, and the command that shows its evidence.
fn judged(whole: &RunView, look: Look) -> String {
    let more = format!("  to see the evidence: pipeline diagnose {}", whole.summary.name());
    let said = verdict::words(whole.summary.run, &whole.judged, &whole.confirmations, look);
    format!("{}\n{said}{}\n", look.heading("verdict"), look.paint(Ink::Dim, &more))
}

fn loss(whole: &RunView, look: Look) -> String {
    let plot = curve(look, whole.summary.steps, &whole.curve, &whole.baselines);
    let lines = if plot.is_empty() { String::new() } else { parts::baselines(&whole.baselines, &whole.ngrams, look) };
    format!("{plot}{lines}{}", parts::losses(&whole.summary, look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixture::{Fixture, SPIKE};
    use identity::Bucket;
    use serde_json::Value;

    fn whole(fixture: &Fixture, run: RunId) -> RunView {
        let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap();
        read(&mut reader, run, Look::PLAIN).unwrap()
    }

    #[test]
    fn a_stable_run() {
        let text = screen(&whole(&Fixture::new(), RunId(1)), Look::PLAIN);
        insta::assert_snapshot!(text, @r#"
        run1  lr_study  learning_rate=0.1  finished
          1,000 steps in 12 s, seed 1
          started 2026-03-01 10:01 UTC on workbench, finished 2026-03-01 10:01 UTC
          pipeline 0.1.0, git 0123456789ab, with uncommitted changes, uid 019ca8d7-2d01-7000-8000-000000000000
          pipeline run experiments/lr_study.toml

        verdict
          stable
            the training loss fell steadily from 2.48 to 2.17
          to see the evidence: pipeline diagnose run1

        parameters
          batch.size               10            train.learning_rate      0.1
          batch.unroll             6             train.optimizer          sgd
          train.checkpoints.every  500           train.steps              1000
          train.clip_norm          1.25
          corpus.text              data/kings.txt
          equivalent settings for a mean loss: learning_rate 0.1, clip_norm 1.25; for a
          loss summed over 6 steps: learning_rate 0.016667, clip_norm 7.5
          defaults: baselines.order=5 baselines.tokens=50000000 batch.layout=streams
          batch.seed=1 evaluate.test=last evaluate.valid=all sample.at=all
          sample.decode=greedy, temperature=1.0 sample.length=100 sample.prompt=""
          sample.seed=1 seed=1 tokenize.eos=<eos> tokenize.lowercase=false
          tokenize.unit=word train.accumulate=1 train.alpha=0.99 train.beta1=0.9
          train.beta2=0.999 train.checkpoints.keep=all train.device=cpu
          train.dropout=0.0 train.embedding=128 train.epsilon=1e-8 train.forget_bias=0.0
          train.hidden=128 train.init.uniform=0.1 train.layers=1 train.loss_scale=mean
          train.momentum=0.9 train.on_nonfinite.stop_after=20 train.precision=f32
          train.probes=10 train.schedule.kind=constant train.seed=1 train.tied=false
          train.warmup=0 train.weight_decay=0.0 vocab.min_count=1 vocab.size=10000

        stages
          stage      item     how          time  facts
          tokenize            executed    31 ms  1,200 tokens, 12 types
          vocab               executed    12 ms  12 types, coverage 98.0 %
          batch               executed     1 ms  19 steps per epoch, overlap 0 %
          baselines           executed     2 ms  1,200 tokens counted
          train               executed     10 s  1,000 steps, 1 thread, cpu
          evaluate   0–1,000  4 executed  0.8 s
          sample     0–1,000  3 executed  0.2 s

        loss in nats, by step
            2.6 ┤
                │⡀
                │⠙⠳⢦⣀⡀┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 2.48
            2.4 ┤   ⠈⠙⠳⠶⣤⣀⡀
                │        ⠈⠉⠛⠲⠶⢤⣤⣀⣀
                │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄⠈⠉⠙⠛⠒⠶⠦⠤⣤⣄⣀⣀⡀┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ unigram 2.30
            2.2 ┤                         ⠈⠉⠉⠉⠛⠛⠓⠲⠶⠶⠤⠤⣤⣤⣄⣀⣀⣀⣀⣀
                │                                         ⠈⠉⠉⠉⠉⠙⠛⠛⠛⠛⠒⠒⠲⠶⠶⠶⠶
                │
                │
              2 ┤                                                           bigram 1.95
                │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ KN5 1.90
                │
            1.8 ┤
                └┬──────────┬───────────┬──────────┬───────────┬───────────┬
                 0         200         400        600         800        1,000
        ┄ n-gram models on valid: ln V 2.48, unigram 2.30, bigram 1.95, KN5 1.90
        last loss 2.1671, best loss 2.1631

        evaluations
           step  split    loss  perplexity  tokens
              0  valid  2.4949        12.1      59
            500  valid  2.1918       8.952      59
          1,000  valid  2.1219       8.347      59  best
          1,000  test   2.1219       8.347      59

        baselines
          model     valid  perplexity    test  perplexity
          ln V     2.4849        12.0  2.4849        12.0
          unigram  2.3000       9.974  2.3100        10.1
          bigram   1.9500       7.029  1.9600       7.099
          KN5      1.9000       6.686  1.9100       6.753
        the last validation loss, 2.1219, is between the unigram baseline (2.30) and the
        bigram baseline (1.95)

        samples from checkpoint 1,000
          greedy
            distinct-1 0.20, distinct-2 0.21, seq-rep-4 0.71, loops over 2 tokens from
            token 2 on
            the crown is heavy is heavy is heavy is heavy is heavy is heavy is heavy is
            heavy is heavy
          temperature=1.0
            distinct-1 0.60, distinct-2 0.93, seq-rep-4 0.00
            a queen and the king of a heavy crown
            the crown is on the queen
        "#);
    }

    #[test]
    fn a_diverged_run() {
        let fixture = Fixture::new();
        let run = whole(&fixture, RunId(3));
        let text = screen(&run, Look::PLAIN);
        insta::assert_snapshot!(text, @r#"
        run3  lr_study  learning_rate=10.0  finished
          500 of 1,000 steps in 6.0 s, seed 1
          started 2026-03-01 10:03 UTC on workbench, finished 2026-03-01 10:03 UTC
          pipeline 0.1.0, git 0123456789ab, with uncommitted changes, uid 019ca8d7-2d03-7000-8000-000000000000
          pipeline run experiments/lr_study.toml

        verdict
          diverged at step 1 (rate too high)
            the loss diverged at step 1 and is now NaN or Inf. Consistent with a
            learning rate that is too high
            try a third of the rate: --set train.learning_rate=3.0
            to test whether that is the cause: pipeline confirm run3
          to see the evidence: pipeline diagnose run3

        parameters
          batch.size               10            train.learning_rate      10.0
          batch.unroll             6             train.optimizer          sgd
          train.checkpoints.every  500           train.steps              1000
          train.clip_norm          1.25
          corpus.text              data/kings.txt
          equivalent settings for a mean loss: learning_rate 10.0, clip_norm 1.25; for a
          loss summed over 6 steps: learning_rate 1.6667, clip_norm 7.5
          defaults: baselines.order=5 baselines.tokens=50000000 batch.layout=streams
          batch.seed=1 evaluate.test=last evaluate.valid=all sample.at=all
          sample.decode=greedy, temperature=1.0 sample.length=100 sample.prompt=""
          sample.seed=1 seed=1 tokenize.eos=<eos> tokenize.lowercase=false
          tokenize.unit=word train.accumulate=1 train.alpha=0.99 train.beta1=0.9
          train.beta2=0.999 train.checkpoints.keep=all train.device=cpu
          train.dropout=0.0 train.embedding=128 train.epsilon=1e-8 train.forget_bias=0.0
          train.hidden=128 train.init.uniform=0.1 train.layers=1 train.loss_scale=mean
          train.momentum=0.9 train.on_nonfinite.stop_after=20 train.precision=f32
          train.probes=10 train.schedule.kind=constant train.seed=1 train.tied=false
          train.warmup=0 train.weight_decay=0.0 vocab.min_count=1 vocab.size=10000

        stages
          stage      item   how            time  facts
          tokenize          cached, run1  31 ms  1,200 tokens, 12 types
          vocab             cached, run1  12 ms  12 types, coverage 98.0 %
          batch             cached, run1   1 ms  19 steps per epoch, overlap 0 %
          baselines         cached, run1   2 ms  1,200 tokens counted
          train             executed      5.0 s  500 steps, 1 thread, cpu
          evaluate   0–500  3 executed    0.6 s
          sample     0–500  2 executed    0.1 s

        loss in nats (logarithmic), by step
                │                                                    ⣀⡤⠖⠋
                │                                                ⢀⣠⠖⠋⠁
           1000 ┤                                            ⢀⣠⠴⠚⠉
                │                                         ⣀⡤⠞⠉
                │                                     ⣀⡤⠖⠋⠁
                │                                 ⢀⣠⠖⠚⠁
            100 ┤                             ⢀⣠⠴⠚⠉
                │                         ⢀⣠⠴⠚⠉
                │                     ⢀⣠⠤⠞⠉
                │                 ⢀⣠⠴⠚⠉
             10 ┤            ⢀⣀⡤⠖⠚⠉
                │       ⣀⣠⠤⠖⠚⠉
                │⡤⠤⠤⠖⠒⠋⠉⠁                                                   bigram 1.95
                │⠃┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ KN5 1.90
                └┬──────────┬───────────┬──────────┬───────────┬────────✗✗✗┬
                 0         100         200        300         400         500
        ┄ n-gram models on valid: ln V 2.48, unigram 2.30, bigram 1.95, KN5 1.90
        last loss nan, best loss 2.4849
        ✗ 20 steps with a non-finite loss, the first at 480

        evaluations
          step  split    loss  perplexity  tokens
             0  valid  3.4849        32.6      59  best
           500  valid     nan         nan      59
           500  test      nan         nan      59

        baselines
          model     valid  perplexity    test  perplexity
          ln V     2.4849        12.0  2.4849        12.0
          unigram  2.3000       9.974  2.3100        10.1
          bigram   1.9500       7.029  1.9600       7.099
          KN5      1.9000       6.686  1.9100       6.753

        samples from checkpoint 500
          greedy
            (no text: logits are NaN after 0 tokens)
          temperature=1.0
            (no text: logits are NaN after 0 tokens)

        events
          step  event
           480  nonfinite          the loss first became inf
           499  stopped_nonfinite  the loss was NaN or Inf for 20 consecutive steps; training stopped
        "#);
        let json = serde_json::to_value(&run).unwrap();
        assert_eq!(json["last_loss_kind"], "nan");
        assert_eq!(json["params"]["train.optimizer"], "sgd");
        assert_eq!(json["evaluations"][1]["loss"], Value::Null);
        assert_eq!(json["evaluations"][1]["loss_kind"], "nan");
    }

    #[test]
    fn a_run_whose_process_died_is_interrupted() {
        let fixture = Fixture::new();
        let text = screen(&whole(&fixture, RunId(4)), Look::PLAIN);
        assert!(text.starts_with("run4  tiny  interrupted"), "{text}");
    }

    #[test]
    fn a_single_spike_in_a_million_steps_is_seen() {
        let fixture = Fixture::new();
        fixture.long_run(5, 1_000_000);
        let run = whole(&fixture, RunId(5));
        let highest = |bucket: &&Bucket| bucket.maximum == Some(60.0);
        let spike: Vec<&Bucket> = run.curve.iter().filter(highest).collect();
        assert_eq!(spike.len(), 1);
        assert!((spike[0].first..spike[0].first + spike[0].steps).contains(&SPIKE));
        let text = curve(Look::PLAIN, run.summary.steps, &run.curve, &[]);
        let top = text.lines().find(|line| line.contains("50 ┤") || line.contains("60 ┤")).unwrap();
        assert!(top.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{text}");
    }
}
