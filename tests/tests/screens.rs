//! Whole screens of the whole program, as a reader sees them: what no assertion on a fragment notices (a column that moved, a
//! sentence that is said twice, a hint that went) shows here as a difference.
//!
//! Under `PIPELINE_REDACT=1` a screen has placeholders for times, sizes and digests. Every other number repeats to the bit
//! where the CPU has fused multiply-add; elsewhere it may be off by rounding.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::LazyLock;

use insta::internals::{SettingsBindDropGuard, SnapshotContents};
use insta::{Comparator, Settings, Snapshot, assert_snapshot};
use regex::Regex;

use tests::rounding::{exact, near};
use tests::{Started, TestSpace, programs};

/// Screens are equal, or where numbers can't be, near.
struct Screens;

impl Comparator for Screens {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        let (SnapshotContents::Text(wanted), SnapshotContents::Text(shown)) = (reference.contents(), test.contents())
        else {
            return false;
        };
        let (wanted, shown) = (wanted.to_string(), shown.to_string());
        let near = |(wanted, shown): (&str, &str)| near(&single_blanks(wanted), &single_blanks(shown));
        let alike = || wanted.lines().count() == shown.lines().count() && wanted.lines().zip(shown.lines()).all(near);
        wanted == shown || !exact() && alike()
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(Self)
    }
}

/// A line with single blanks: a column is as wide as its widest number.
fn single_blanks(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A space whose screens are compared with the snapshots that follow.
fn space() -> (TestSpace, SettingsBindDropGuard) {
    let mut settings = Settings::clone_current();
    settings.set_comparator(Box::new(Screens));
    (TestSpace::new(), settings.bind_to_scope())
}

/// What some words come to: the exit code where it is not 0, what is printed, and what is said.
fn screen(space: &TestSpace, words: &str) -> String {
    screen_of(space, &mut space.command(&words.split(' ').collect::<Vec<_>>()))
}

fn screen_of(space: &TestSpace, command: &mut Command) -> String {
    let ended = Started::new(command.env("PIPELINE_REDACT", "1")).end();
    let code = ended.code.filter(|code| *code != 0).map_or(String::new(), |code| format!("exit code {code}\n"));
    let said = if ended.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", ended.stderr) };
    masked(space, &format!("{code}{}{said}", ended.stdout))
}

/// A screen without what the program can't redact: where the space is, and a time that is recorded in a sentence.
fn masked(space: &TestSpace, text: &str) -> String {
    static CORPUS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(corpus\.text +)\S+").unwrap());
    static PROBES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"they took [^;]*% of the time").unwrap());
    // A long path is cut.
    let text = CORPUS.replace_all(text, "${1}SPACE/data/sonnets.txt");
    let text = PROBES.replace_all(&text, "they took [share] of the time");
    text.replace(&space.path(".").canonicalize().unwrap().display().to_string(), "SPACE")
}

/// The tiny experiment, one job after the other.
const RUN: &str = "run experiments/tiny.toml --jobs 1 --threads 1";

#[test]
fn an_experiment_from_its_first_run_to_its_verdicts() {
    let (space, _bound) = space();
    let show = |words: &str| screen(&space, words);
    assert_snapshot!(show(RUN), @"
    run1  learning_rate=0.01  finished  stable
    run2  learning_rate=1e38  finished  diverged at step 1
    --- stderr
      tokenize (for 2 points) done in [duration]
      vocab (for 2 points) done in [duration]
      batch (for 2 points) done in [duration]
      baselines (for 2 points) done in [duration]
      train learning_rate=0.01 done in [duration]
      evaluate 0 valid learning_rate=0.01 done in [duration]
      evaluate 100 valid learning_rate=0.01 done in [duration]
      evaluate 200 valid learning_rate=0.01 done in [duration]
      evaluate 200 test learning_rate=0.01 done in [duration]
      sample 0 learning_rate=0.01 done in [duration]
      sample 100 learning_rate=0.01 done in [duration]
      sample 200 learning_rate=0.01 done in [duration]
      learning_rate=1e38: the loss is nan for the first time
      learning_rate=1e38: the loss was not finite for 20 steps in a row: training ends
      train learning_rate=1e38 done in [duration]
      evaluate 21 valid learning_rate=1e38 done in [duration]
      evaluate 21 test learning_rate=1e38 done in [duration]
      sample 21 learning_rate=1e38 done in [duration]
    tiny: 16 executed, 0 cached
    ");
    assert_snapshot!(show(RUN), @"
    run1  learning_rate=0.01  finished  stable
    run2  learning_rate=1e38  finished  diverged at step 1
    --- stderr
    nothing to do: tiny answered already (0 executed, 16 cached)
    ");
    let longer = "--set train.learning_rate=0.001 --set train.steps=300 --explain";
    assert_snapshot!(show(&format!("{RUN} {longer}")), @"
    run3  finished  too low
    --- stderr
    train: learning_rate: 1e+38 -> 0.001
        steps: 200 -> 300
      train done in [duration]
    evaluate 100 valid: input.weights: [digest] -> [digest]
    evaluate 200 valid: input.weights: [digest] -> [digest]
    evaluate 300 valid: input.weights: [digest] -> [digest]
    evaluate 300 test: input.weights: [digest] -> [digest]
    sample 100: input.weights: [digest] -> [digest]
    sample 200: input.weights: [digest] -> [digest]
    sample 300: input.weights: [digest] -> [digest]
      evaluate 100 valid done in [duration]
      evaluate 200 valid done in [duration]
      evaluate 300 valid done in [duration]
      evaluate 300 test done in [duration]
      sample 100 done in [duration]
      sample 200 done in [duration]
      sample 300 done in [duration]
    tiny: 8 executed, 6 cached
    ");
    assert_snapshot!(show("runs"), @"
    run   experiment  point               status    verdict   steps    loss  best loss  valid ppl  test ppl  nan/inf        time  started (UTC)
    run1  tiny        learning_rate=0.01  finished  stable      200  4.7355     4.1982       73.3      70.0        0  [duration]  [time]
    run2  tiny        learning_rate=1e38  finished  diverged     21     nan     6.9082        nan       nan       20  [duration]  [time]
    run3  tiny                            finished  too low     300  4.6810     4.6285      104.1     101.2        0  [duration]  [time]
    ");
    assert_snapshot!(show("show run1"), @r#"
    run1  tiny  learning_rate=0.01  finished
      200 steps in [duration], seed 1
      started [time] UTC on [host], finished [time] UTC
      pipeline [version], [commit], uid [uid]
      pipeline run experiments/tiny.toml

    verdict
      stable
        the training loss went from 6.91 to 4.52 without leaving its way
      pipeline diagnose run1 has the evidence

    parameters
      batch.size           16                train.embedding      32
      batch.unroll         10                train.hidden         32
      corpus.split.test    0.1               train.learning_rate  0.01
      corpus.split.valid   0.1               train.steps          200
      sample.length        30                vocab.size           1000
      tokenize.lowercase   true
      corpus.text          SPACE/data/sonnets.txt
      by default: baselines.order=5 baselines.tokens=50000000 batch.layout=streams
      batch.seed=1 evaluate.test=last evaluate.valid=all sample.at=all
      sample.decode=greedy, temperature=1.0 sample.prompt="" sample.seed=1 seed=1
      tokenize.eos=<eos> tokenize.unit=word train.accumulate=1 train.alpha=0.99
      train.beta1=0.9 train.beta2=0.999 train.checkpoints.every=100
      train.checkpoints.keep=all train.clip_norm=0.0 train.device=cpu
      train.dropout=0.0 train.epsilon=1e-8 train.forget_bias=0.0
      train.init.uniform=0.1 train.layers=1 train.loss_scale=mean train.momentum=0.9
      train.on_nonfinite.stop_after=20 train.optimizer=adam train.precision=f32
      train.probes=10 train.schedule.kind=constant train.seed=1 train.tied=false
      train.warmup=0 train.weight_decay=0.0 vocab.min_count=1

    stages
      stage      item   how               time  key       facts
      tokenize          executed    [duration]  [digest]  19,499 tokens, 2,832 types
      vocab             executed    [duration]  [digest]  1,000 types, coverage 89.8 %
      batch             executed    [duration]  [digest]  epoch 121 steps, overlap 0 %
      baselines         executed    [duration]  [digest]  19,499 tokens counted
      train             executed    [duration]  [digest]  200 steps, 1 thread, cpu
      evaluate   0–200  4 executed  [duration]
      sample     0–200  3 executed  [duration]

    loss in nats, by step
          7 ┤⢤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 6.91
            │⠈⡇
            │ ⢹
            │ ⢸⡀
          6 ┤  ⡇
            │  ⡇
            │  ⡇     ⡄⢰
            │  ⢹⣠⣆ ⣧⣸⣷⢸     ⡀⢠⡄
            │   ⡇⠸⠟⣿⣿⢹⡼⡿⣄⣿ ⣤⣷⢻⡇   ⢠⣤⡀ ⣿    ⢠⡄            ⢠
          5 ┤   ⠃  ⠿⠈  ⠃⢹⢹⣀⣿⡟⢸⣧⣰⢿⣦⣸⠉⡷⣆⡿⣴⢦⣤⣾⣿⣇⡆⢀⡀⣤  ⢀⡄ ⡀⢠⢄⢸  ⢀  ⡀⣠⡄
            │┄┄┄┄┄┄┄┄┄┄┄⠈⠸⠇┄┄⠸⠸⠇┄⠸⠇┄⡇⢹⠃⡏⢸⢻⡏⠿⣿⢳⣿⣷⡿⣿⣰⢸⡇┄⣧⣼⢸⣾⣴⣀⢸┄⣤⣿⣿⡇⢀⣠┄⢰⣧ unigram 4.66
            │                          ⠃⠈ ⠃ ⠉⠈⠉⠛ ⠛⠉⣿⠹⠷⣿⢻⠈⠟⠛⠹⢻⢠⢿⡿⢿⣷⡾⣿⢶⣾  bigram 4.19
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄⠉┄┄┄┄┄⠘⠿⠈⠁⢸⠿⠇┄⠸⠇┄ KN5 4.14
          4 ┤
            └┬─────────────┬──────────────┬─────────────┬──────────────┬
             0            50             100           150            200
    ┄ n-gram models on valid: ln V 6.91, unigram 4.66, bigram 4.19, KN5 4.14
    last 4.7355, best 4.1982

    evaluations
      step  split    loss  perplexity  tokens
         0  valid  6.9059       998.1   2,507
       100  valid  4.5417        93.8   2,507
       200  valid  4.2939        73.3   2,507  best
       200  test   4.2484        70.0   2,490

    baselines
      model     valid  perplexity    test  perplexity
      ln V     6.9078      1000.0  6.9078      1000.0
      unigram  4.6631       106.0  4.6358       103.1
      bigram   4.1870        65.8  4.0903        59.8
      KN5      4.1352        62.5  4.0440        57.1
    the last valid loss, 4.2939, is between word frequencies (unigram 4.66) and a
    bigram model (4.19)

    samples of checkpoint 200
      greedy
        distinct-1 0.03, distinct-2 0.03, seq-rep-4 0.96, loops over one token from
        token 0 on
        (30 empty lines)
      temperature=1.0
        distinct-1 0.83, distinct-2 1.00, seq-rep-4 0.00
        ten esteem will'd why <unk> of bear. what dark whom false it.
        the <unk>, mine bud!
        held nature whom, to better
    "#);
    assert_snapshot!(show("compare run1 run2"), @"
    run1 and run2 differ in train.learning_rate (0.01, 1e38) alone; their losses
    part at step 1, at once by more than steps differ from their neighbours.
    run1 is stable: the training loss went from 6.91 to 4.52 without leaving its
    way.
    run2 diverged: the loss left for good at step 1: it is not finite now.
    Consistent with a learning rate that is too high.

    the runs differ in train.learning_rate
                           run1  run2  of the parting
      train.learning_rate  0.01  1e38  can explain it

       run   verdict        status    steps  last loss    best  valid ppl  test ppl  non-finite  first at
    ●  run1  stable         finished    200     4.7355  4.1982       73.3      70.0           0
    ○  run2  diverged at 1  finished     21        nan  6.9082        nan       nan          20         1

    loss in nats, by step
          7 ┤○┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 6.91
            │●
            │ ●
            │
            │  │
          6 ┤  │
            │  │
            │  ●
            │        ●
            │   ●●●●● ●●     ●     ●
          5 ┤           ●● ●●│● ●   ● ●    ●
            │             ●  │ ● ●●  ● ●●●● ●●●●●●  ●   ●●            ●
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄●●┄●●●┄┄●●●┄●●●●●●┄●┄ unigram 4.66
            │                                                ●      ●   bigram 4.19
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ KN5 4.14
          4 ┤
            └○✗✗✗✗✗✗───────┬──────────────┬─────────────┬──────────────┬
             0            50             100           150            200
    a mark is the mean of its steps, │ reaches to a lone high or low; ┄ n-gram
    models on valid: ln V 6.91, unigram 4.66, bigram 4.19, KN5 4.14; on the axis a
    mark is that run's onset; ✗ a loss is not finite

    the losses are identical to the bit up to step 0; at step 1 one is 6.8830
    (run1), the other nan (run2)

    around step 1, the onset of run2
      step  run1 loss   norm      ρ  logit  run2 loss   norm    ρ  logit
         0     6.9082  0.215   1.01  0.143     6.9082  0.215  nan  0.143
         1     6.8830  0.179      –      –        nan    nan    –      –  ←
         2     6.8480  0.218      –      –        nan    nan    –      –
        10     5.2826  0.674  0.885   3.57        nan    nan  nan    nan
        20     5.2026  0.603  0.935   5.89        nan    nan  nan    nan
        30     5.4098  0.380  0.946   5.46          –      –    –      –
      norm: the gradient's, before clipping; ρ: what a step gained, over what its
      gradient promised; logit: the largest

    evaluations
      step  split  run1 loss  run2 loss  run1 ppl  run2 ppl
         0  valid     6.9059     6.9059     998.1     998.1
        21  valid          –        nan         –       nan
        21  test           –        nan         –       nan
       200  valid     4.2939          –      73.3         –
       200  test      4.2484          –      70.0         –

    the last valid loss of run1, 4.2939, is between word frequencies (unigram 4.66)
    and a bigram model (4.19)
    the last valid loss of run2, nan, is no number, and so worse than every model
    that counts

    samples of the last checkpoint of each run
      greedy
        run1 at 200                          │ run2 at 21
        distinct-1 0.03, distinct-2 0.03,    │
        seq-rep-4 0.96, loops over one token │
        from token 0 on                      │
        (30 empty lines)                     │ (no text: logits are NaN after 0
                                             │ tokens)
      temperature=1.0
        run1 at 200                          │ run2 at 21
        distinct-1 0.83, distinct-2 1.00,    │
        seq-rep-4 0.00                       │
        ten esteem will'd why <unk> of bear. │ (no text: logits are NaN after 0
        what dark whom false it.             │ tokens)
        the <unk>, mine bud!                 │
        held nature whom, to better          │
    ");
    assert_snapshot!(show("compare run1 run2 run3"), @"
    run1 is stable: the training loss went from 6.91 to 4.52 without leaving its
    way.
    run2 diverged: the loss left for good at step 1: it is not finite now.
    Consistent with a learning rate that is too high.
    run3 learns too slowly: the training loss went from 6.91 to 4.94, never left its
    way, and the model has learned little beyond word frequencies. Consistent with a
    rate that is too low.

    the runs differ in train.learning_rate, train.steps

    run   learning_rate  steps  verdict        status    steps  last loss    best  valid ppl  test ppl  non-finite  first at
    run1           0.01    200  stable         finished    200     4.7355  4.1982       73.3      70.0           0
    run2           1e38    200  diverged at 1  finished     21        nan  6.9082        nan       nan          20         1
    run3          0.001    300  too low        finished    300     4.6810  4.6285      104.1     101.2           0

    best: learning_rate=0.01 steps=200 (run1), last valid loss 4.2939; 0.3516 lower
    than learning_rate=0.001 steps=300 (run3); each has one seed, so how far seeds
    spread is not known; left out, for a run that diverged, has a data fault or no
    loss: learning_rate=1e38 steps=200 (run2)

    loss in nats, by step
             learning_rate=0.001 steps=300       learning_rate=0.01 steps=200
             run3                                run1
             low: too low                        good: stable
          7 ┤⠒⠒⠦⣤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  ⣆┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
            │   ⠘⡆                               ⢸
          6 ┤    ⢹⡀                              ⢸
            │     ⠙⣿⡀⢀⢠  ⡀⢀   ⣤  ⡀  ⢀       ⡄    ⠸⣤⣄⣾⡀⢀⣀
          5 ┤      ⠈⠛⠎⣿⣿⣾⣿⣾⣧⣷⣾⣿⣼⣾⣧⣤⣿⣾⣶⣾⣷⣿⣶⣷⣾⣧⣶⣷   ⠟⣿⠿⢿⣸⣿⣤⡰⣾⣤⣤⣦⣀ ⡀⣀⣶⢀⢀⡀
            │┄┄┄┄┄┄┄┄┄┄⠉⠁⠁┄┄┄⠋┄⠙⠉⠛⠈⠈⠙⠋⠋⠉⠁┄⠘⠃⠈⠛⠙  ┄┄┄┄⠘⠃⠛⠃⠁⠛⠿⠏⠿⠟⢿⣷⣿⡿⣾⣾⣧⣦⡟┄┄┄┄┄┄┄┄┄┄┄
          4 ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄⠁┄⠘⠋⠛⠈┄┄┄┄┄┄┄┄┄┄┄┄
            └┬─────────────────────────────────┬ ┬─────────────────────────────────┬
             0                              300  0                              300

             learning_rate=1e38 steps=200
             run2
             very high: diverged
          7 ┤⠂┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
            │
          6 ┤
            │
          5 ┤
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
          4 ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
            └▲✗✗───────────────────────────────┬
             0                              300
    ┄ n-gram models on valid: ln V 6.91, unigram 4.66, bigram 4.19, KN5 4.14; ▲ an
    onset; ✗ a loss is not finite

    evaluations
      step  split  run1 ppl  run2 ppl  run3 ppl
         0  valid     998.1     998.1     998.1
        21  valid         –       nan         –
        21  test          –       nan         –
       100  valid      93.8         –     109.4
       200  valid      73.3         –     105.7
       200  test       70.0         –         –
       300  valid         –         –     104.1
       300  test          –         –     101.2

    the last valid loss of run1, 4.2939, is between word frequencies (unigram 4.66)
    and a bigram model (4.19)
    the last valid loss of run2, nan, is no number, and so worse than every model
    that counts
    the last valid loss of run3, 4.6456, is between word frequencies (unigram 4.66)
    and a bigram model (4.19)

    samples of checkpoint 200
      greedy
        run1 distinct-1 0.03, distinct-2 0.03, seq-rep-4 0.96, loops over one
          token from token 0 on
          (30 empty lines)
        run3 distinct-1 0.10, distinct-2 0.10, seq-rep-4 0.89, loops over one
          token from token 2 on
          , <unk>
          (27 empty lines)
      temperature=1.0
        run1 distinct-1 0.83, distinct-2 1.00, seq-rep-4 0.00
          ten esteem will'd why <unk> of bear. what dark whom false it.
          the <unk>, mine bud!
          held nature whom, to better
        run3 distinct-1 0.90, distinct-2 1.00, seq-rep-4 0.00
          built clearer bending you to morrow
          i st. anew wouldst well look when'poor my
          <unk> ere jewel can my majesty grief stain <unk> by this

    samples of the last checkpoint of run2 and run3
      greedy
        run2 at 21
          (no text: logits are NaN after 0 tokens)
        run3 at 300 distinct-1 0.07, distinct-2 0.07, seq-rep-4 0.93, loops over
          one token from token 1 on
          <unk>
          (28 empty lines)
      temperature=1.0
        run2 at 21
          (no text: logits are NaN after 0 tokens)
        run3 at 300 distinct-1 0.90, distinct-2 1.00, seq-rep-4 0.00
          borne bow vulgar that'need
          my might in bounty anew alone did which and through that
          <unk> lose jewel eyes my mightst speak stain, as-
    ");
    assert_snapshot!(show("diagnose run2"), @"
    run2  tiny  learning_rate=1e38  finished, 21 steps
      diverged at step 1 (rate too high)
        the loss left for good at step 1: it is not finite now. Consistent with a
        learning rate that is too high
        try a third of the rate: --set train.learning_rate=3e37
        pipeline confirm run2 tries whether that is the cause

    evidence
      nonfinite 20.0000 (bound 0) at step 1: 20 losses are not finite, from step 1
        on
      above_frequencies inf (bound 0.0200): the loss is not finite now, worse than
        word frequencies alone (4.66)

    loss in nats, by step
          7 ┤⠤⠤⠤┄┊┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 6.91
            │    ┊
            │    ┊
            │    ┊
          6 ┤    ┊
            │    ┊
            │    ┊
            │    ┊
            │    ┊
          5 ┤    ┊
            │┄┄┄┄┊┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ unigram 4.66
            │    ┊                                                      bigram 4.19
            │┄┄┄┄┊┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ KN5 4.14
          4 ┤    ┊
            └┬─✗✗▲✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗─
             0            5            10            15            20
    ▲ the onset, step 1

    around step 1
      step    loss  grad norm  clipped  overshoot   logit  entropy
         0  6.9082     0.2145                 nan  0.1430   6.9060
         1     nan        nan
         2     nan        nan
         3     nan        nan
         4     nan        nan
         5     nan        nan
         6     nan        nan

    checks
      coverage: 0 % of the positions of a step were in the step before; 100 % of
        what could have been read for the first time was
      odd batches: of 21 steps none hold words of unlike frequencies (at most
        0.250 nats off)
      amount of text: 19,499 tokens, 19.5 for each type of the vocabulary, gone
        through 0.172 times
      order of words: what comes before takes 0.528 nats off the frequencies' loss
        on held-out text
      splits alike: frequencies of train cost 4.96 nats on train and 4.66 on valid
      finite losses: 20 of 21 are not, the first at step 1
      loss against the baselines: the last held-out loss is not finite, beside
        word frequencies alone (4.66)
      course of the loss: from 6.91 to what is not finite, the lowest mean of ten
        steps 6.91 at step 0; the most it rose is what is not finite; 0 lone spikes
      gradient norm: 0 % of steps were clipped
      probes: 3 steps: none was a number; they took [share] of the time

    not checked
      samples: none of the last checkpoint was drawn at random
    by version 10 of the rules
    ");
    assert_snapshot!(show("objects size"), @"
    stage          objects   bytes
    baselines            1  [size]
    batch                1  [size]
    tokenize             4  [size]
    train state          7  [size]
    train weights        7  [size]
    vocab                5  [size]
    all                 25  [size]

    run       objects   bytes  shared  shared bytes
    run1            4  [size]      13        [size]
    run2            2  [size]      13        [size]
    run3            6  [size]      12        [size]
    (shared)        0  [size]      13        [size]

    folder                 entries   bytes
    logs (workers' words)        2  [size]
    ");
    assert_snapshot!(show("verify"), @"
    SPACE/experiments.db: 3 runs, 521 steps, all sound
    25 objects, [size], all sound
    ");
}

#[test]
fn a_run_that_fails() {
    let (space, _bound) = space();
    let script =
        "#!/bin/sh\nif [ \"$1\" = describe ]; then exec \"$REAL\" describe; fi\necho 'out of luck' >&2; exit 3\n";
    space.write("worker", script);
    std::fs::set_permissions(space.path("worker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = space.command(&RUN.split(' ').collect::<Vec<_>>());
    command.env("PIPELINE_NEURAL", space.path("worker")).env("REAL", programs().join("pipeline-neural"));
    assert_snapshot!(screen_of(&space, &mut command), @"
    exit code 1
    run1  learning_rate=0.01  failed
    run2  learning_rate=1e38  interrupted
    --- stderr
      tokenize (for 2 points) done in [duration]
      vocab (for 2 points) done in [duration]
      batch (for 2 points) done in [duration]
      baselines (for 2 points) done in [duration]
      train learning_rate=0.01 failed after [duration]
    tiny: 4 executed, 0 cached
    error: run1: the worker ended with exit code 3; its last words: out of luck
    hint: pipeline show run1 --log
    ");
    assert_snapshot!(screen(&space, "runs"), @"
    run   experiment  point               status                verdict       steps  loss  best loss  valid ppl  test ppl  nan/inf        time  started (UTC)
    run1  tiny        learning_rate=0.01  failed                inconclusive      0     –          –          –         –        0  [duration]  [time]
    run2  tiny        learning_rate=1e38  stopped at baselines  inconclusive      0     –          –          –         –        0  [duration]  [time]
    ");
}

#[test]
fn a_graph() {
    let (space, _bound) = space();
    assert_snapshot!(screen(&space, "dag experiments/tiny.toml"), @"
    tiny: 2 points
    stage      needs         for                             keys                      swept
    tokenize   corpus        once                            shared by all 2 points
    vocab      tokenize      once                            shared by all 2 points
    batch      vocab         once                            shared by all 2 points
    baselines  vocab         once                            shared by all 2 points
    train      vocab, batch  once                            one for each of 2 points  train.learning_rate
    evaluate   vocab, train  each kept checkpoint and split  one for each of 2 points
    sample     vocab, train  each kept checkpoint            one for each of 2 points
    ");
}

#[test]
fn a_range_test() {
    let (space, _bound) = space();
    let shown = screen(&space, "lr-range experiments/tiny.toml --threads 1");
    // Where a loss breaks away rounding decides at which step it does.
    if !exact() {
        return;
    }
    assert_snapshot!(shown, @"
    run1  adam, 200 steps from 1e-5 to 10

    loss in nats, by learning rate
         10 ┤                                 ┊       ┊     ┊
            │                                 ┊       ┊     ┊
            │                                 ┊       ┊     ┊ ⡖⠒⠒⠒⠒⠒⠒⠒⠒
            │                                 ┊       ┊     ┊ ⡇
          8 ┤                                 ┊       ┊     ┊⡴⠃
            │                                 ┊       ┊     ⢸⡇
            │                                 ┊       ┊     ⢸⡇
            │⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠛⠋⠙⠛⠛⠒⠒⠲⢤⡀┄┄┄┄┄┄┄┄┄┄┊┄┄┄┄┄┄┄┊┄┄┄┄┄⡼⠁┄┄┄┄┄┄┄┄┄ ln V 6.91
            │                      ⢳          ┊       ┊    ⣶⠇
          6 ┤                      ⠈⣇⡀     ⢠⣄⡀┊ ⣤⡀    ┊  ⣰⣦⠟┊
            │                        ⣇⣶⢀⣀⣀⡾⠿⣿⡇⣾⣧⡟⢻⡶⣶⣄ ⡄⢀⣷⡇  ┊
            │                        ⠘⠋⡿⠘⠘⠇ ⠉⠉⠁    ⠉⠘⠶⣿⠿⠈⠁  ┊
            │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┊┄┄┄┄┄┄┄┊┄┄┄┄┄┊┄┄┄┄┄┄┄┄┄┄ unigram 4.66
          4 ┤                                 ┊       ┊     ┊
            └┬────────┬─────────┬─────────┬───▲────┬──◆─────✗┬────────┬─
           1e-5     1e-4      0.001     0.01      0.1        1       10
    ▲ try 0.03   ◆ lowest, 5.04   ✗ breaks at 0.766   (cut off at 9.1)

    The loss fell from 6.91 to 5.04 at 0.178 (step 141), the fastest around 0.00277

    breaks at 0.766 (step 162), in a longer training from about 0.192 on; try 0.03:
      pipeline run experiments/tiny.toml --set train.learning_rate=0.03
    --- stderr
      tokenize done in [duration]
      vocab done in [duration]
      batch done in [duration]
      baselines done in [duration]
      train done in [duration]
    tiny_lr_range: 5 executed, 0 cached
    ");
}

#[test]
fn complaints_and_their_hints() {
    let (space, _bound) = space();
    let show = |words: &str| screen(&space, words);
    assert_snapshot!(show("run experiments/tiny.toml --set train.optimizer=adem"), @r#"
    exit code 2
    --- stderr
    error: --set 'train.optimizer=adem': train.optimizer is "adem"; allowed: "sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"
    hint: did you mean adam?
    "#);
    assert_snapshot!(show("run experiments/tiny.toml --set train.learning_rte=1"), @"
    exit code 2
    --- stderr
    error: --set 'train.learning_rte=1': unknown key train.learning_rte
    hint: did you mean train.learning_rate?
    ");
    assert_snapshot!(show("run experiments/tinny.toml"), @"
    exit code 2
    --- stderr
    error: experiments/tinny.toml: no such experiment
    hint: did you mean tiny.toml?
    ");
    assert_snapshot!(show("rnu experiments/tiny.toml"), @"
    exit code 2
    --- stderr
    error: unrecognized subcommand 'rnu'

      tip: a similar subcommand exists: 'runs'

    Usage: pipeline [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    screen(&space, &format!("{RUN} --until vocab"));
    assert_snapshot!(show("show run9"), @"
    exit code 2
    --- stderr
    error: there is no run9; there are 2 from run1 to run2
    hint: pipeline runs lists them
    ");
    assert_snapshot!(show("runs --where train.learning_rte>1"), @"
    exit code 2
    --- stderr
    error: there is no column or parameter train.learning_rte
    hint: did you mean train.learning_rate?
    ");
}
