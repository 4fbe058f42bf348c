//! The screens of a step, with and without the loss of each token.

use identity::RunId;
use identity::observations::Measured;
use stages::protocol::Predicted;

use super::*;
use crate::ui::watch::Terminal;
use fixture::Fixture;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use view::step::Predictions;

fn reader(fixture: &Fixture) -> Reader {
    Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap()
}

fn read(reader: &mut Reader, run: RunId, step: u64) -> Result<StepView, Failure> {
    StepView::read(reader, run, step)
}

#[test]
fn the_batch_of_a_step() {
    let fixture = Fixture::new();
    let batch = read(&mut reader(&fixture), RunId(1), 20).unwrap();
    let text = screen(&batch, None, Look::PLAIN);
    insta::assert_snapshot!(text, @"
    run1, step 20 (epoch 1)
      loss 2.4674 nats per token; learning rate 0.1; gradient norm 0.5119; update
      ratio 1.00e-4; overshoot ratio 0.9850; largest logit 3.0119; entropy 2.1000;
      sharpness 0.8119; 60 tokens in 10 ms
      10 rows of 6 tokens, layout streams. 0 % of positions overlap with the
      previous step. Steps 0 to 20 have read 1,140 of 1,200 tokens (95.0 %).

    row 0, corpus token 6
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 1, corpus token 126
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 2, corpus token 246
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 3, corpus token 366
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 4, corpus token 486
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 5, corpus token 606
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 6, corpus token 726
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    row 7, corpus token 846
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the

    … 2 more rows (--json shows all rows)
    ");
    assert_eq!(serde_json::to_value(&batch).unwrap()["rows"].as_array().unwrap().len(), 10);
}

/// Predictions for the fixture's batch of 10 rows by 6 tokens and 12 types. The target's probability falls from row to
/// row and from token to token.
fn found(batch: &StepView, parted: Option<u64>) -> Predictions {
    let types = batch.types.len() as u32;
    let predicted = |row: usize, t: usize| {
        let target = batch.types.iter().position(|it| *it == batch.rows[row].targets[t]).unwrap() as u32;
        let (rank, p) = ((row + t) as u64 % 7 + 1, 0.5 / (1.0 + (6 * row + t) as f64));
        let p = if rank == 1 {
            0.6
        } else if row == 9 {
            p / 1000.0
        } else {
            p
        };
        let others = (1..5u32).map(|i| ((target + i) % types, 0.4 / f64::from(i).exp2()));
        let target = std::iter::once((target, p));
        let likeliest = if rank == 1 { target.chain(others).collect() } else { others.collect() };
        Predicted { loss: Measured(-f64::ln(p)), rank: Some(rank), likeliest }
    };
    let rows: Vec<Vec<Predicted>> = (0..10).map(|row| (0..6).map(|t| predicted(row, t)).collect()).collect();
    let loss = rows.iter().flatten().map(|it| it.loss.0).sum::<f64>() / 60.0;
    let suspicion = parted.map(|_| "it was trained on AVX512, but this CPU is AVX2".to_owned());
    Predictions { from: 0, seconds: 0.42, loss, suspicion, parted, rows }
}

#[test]
fn predictions_are_shown_below_each_token() {
    let fixture = Fixture::new();
    let mut batch = read(&mut reader(&fixture), RunId(1), 20).unwrap();
    let found = found(&batch, None);
    let loss = found.loss;
    batch.add(Ok(found));
    insta::assert_snapshot!(screen(&batch, None, Look::PLAIN), @"
    run1, step 20 (epoch 1)
      loss 2.4674 nats per token; learning rate 0.1; gradient norm 0.5119; update
      ratio 1.00e-4; overshoot ratio 0.9850; largest logit 3.0119; entropy 2.1000;
      sharpness 0.8119; 60 tokens in 10 ms
      10 rows of 6 tokens, layout streams. 0 % of positions overlap with the
      previous step. Steps 0 to 20 have read 1,140 of 1,200 tokens (95.0 %).
      Replayed from the initial weights, 20 steps earlier, in 0.4 s: the loss
      matches the recorded loss bit for bit. Top-1 accuracy is 13.3 %, top-5
      accuracy 71.7 %; the target's median rank is 4 of 12.

    row 0, corpus token 6, loss 1.7593
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the
      guesses is    on    <unk> queen the   king
      nats    0.51  1.39  1.79  2.08  2.30  2.48

    row 1, corpus token 126, loss 2.9278
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the
      guesses heavy on    <unk> queen the   king
      nats    2.64  2.77  2.89  3.00  3.09  3.18

    row 2, corpus token 246, loss 2.9157
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the
      guesses heavy on    <unk> queen the   the
      nats    3.26  3.33  3.40  3.47  3.53  0.51

    row 3, corpus token 366, loss 3.2051
      inputs  crown is    heavy on    <unk> queen
      targets is    heavy on    <unk> queen the
      guesses heavy on    <unk> queen queen king
      nats    3.64  3.69  3.74  3.78  0.51  3.87

    … 6 more rows (--row N shows a row token by token, --json shows all rows)

    the 10 highest-loss tokens of 60 account for 34.1 % of the loss
          nats        p    rank  row  token, and the top predictions (%)
       11.6784     8e-6       7    9  crown is heavy on <unk> → queen
                the 20.0 · king 10.0 · <eos> 5.0 · and 2.5
       11.6613     9e-6       6    9  crown is heavy on → <unk>
                queen 20.0 · the 10.0 · king 5.0 · <eos> 2.5
       11.6440     9e-6       5    9  crown is heavy → on
                <unk> 20.0 · queen 10.0 · the 5.0 · king 2.5
       11.6263     9e-6       4    9  crown is → heavy
                on 20.0 · <unk> 10.0 · queen 5.0 · the 2.5
       11.6082     9e-6       3    9  crown → is
                heavy 20.0 · on 10.0 · <unk> 5.0 · queen 2.5
        4.6821    0.9 %       7    8  crown is heavy on <unk> queen → the
                king 20.0 · <eos> 10.0 · and 5.0 · of 2.5
        4.6634    0.9 %       6    8  crown is heavy on <unk> → queen
                the 20.0 · king 10.0 · <eos> 5.0 · and 2.5
        4.6444    1.0 %       5    8  crown is heavy on → <unk>
                queen 20.0 · the 10.0 · king 5.0 · <eos> 2.5
        4.6250    1.0 %       4    8  crown is heavy → on
                <unk> 20.0 · queen 10.0 · the 5.0 · king 2.5
        4.6052    1.0 %       3    8  crown is → heavy
                on 20.0 · <unk> 10.0 · queen 5.0 · the 2.5
    ");
    insta::assert_snapshot!(screen(&batch, Some(3), Look::PLAIN), @"
    run1, step 20 (epoch 1)
      loss 2.4674 nats per token; learning rate 0.1; gradient norm 0.5119; update
      ratio 1.00e-4; overshoot ratio 0.9850; largest logit 3.0119; entropy 2.1000;
      sharpness 0.8119; 60 tokens in 10 ms
      10 rows of 6 tokens, layout streams. 0 % of positions overlap with the
      previous step. Steps 0 to 20 have read 1,140 of 1,200 tokens (95.0 %).
      Replayed from the initial weights, 20 steps earlier, in 0.4 s: the loss
      matches the recorded loss bit for bit. Top-1 accuracy is 13.3 %, top-5
      accuracy 71.7 %; the target's median rank is 4 of 12.

    row 3, corpus token 366, loss 3.2051
      target    nats       p  rank  top predictions (%)
      is      3.6376   2.6 %     4  heavy 20.0 · on 10.0 · <unk> 5.0 · queen 2.5
      heavy   3.6889   2.5 %     5  on 20.0 · <unk> 10.0 · queen 5.0 · the 2.5
      on      3.7377   2.4 %     6  <unk> 20.0 · queen 10.0 · the 5.0 · king 2.5
      <unk>   3.7842   2.3 %     7  queen 20.0 · the 10.0 · king 5.0 · <eos> 2.5
      queen   0.5108  60.0 %     1  queen 60.0 · the 20.0 · king 10.0 · <eos> 5.0
                                    and 2.5
      the     3.8712   2.1 %     2  king 20.0 · <eos> 10.0 · and 5.0 · of 2.5
    ");
    let json = serde_json::to_value(&batch).unwrap();
    let tokens = json["tokens"].as_array().unwrap();
    assert_eq!((tokens.len(), &tokens[7]["row"], &tokens[7]["position"]), (60, &1.into(), &1.into()));
    assert_eq!((&tokens[7]["target"], &tokens[7]["loss_kind"]), (&"heavy".into(), &"finite".into()));
    assert_eq!((&json["replay"]["loss"], &json["replay"]["identical"]), (&loss.into(), &true.into()));
    assert_eq!(json["why_no_tokens"], serde_json::Value::Null);
    assert!(batch.check_row(Some(9)).is_ok());
    let failure = batch.check_row(Some(10)).unwrap_err();
    assert_eq!(failure.message, "--row 10 does not exist; step 20 has rows 0 to 9");
}

#[test]
fn a_replay_that_differs_says_so_and_a_missing_one_says_why() {
    let fixture = Fixture::new();
    let with = |found: &dyn Fn(&StepView) -> Result<Predictions, String>| {
        let mut batch = read(&mut reader(&fixture), RunId(1), 20).unwrap();
        let found = found(&batch);
        batch.add(found);
        (screen(&batch, None, Look { width: 200, ..Look::PLAIN }), serde_json::to_value(&batch).unwrap())
    };
    let (text, json) = with(&|batch| Ok(found(batch, Some(12))));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("The replayed loss is 3.") && words.contains(", but the recorded loss is "), "{text}");
    assert!(words.contains("; the losses first differ at step 12 (it was trained on AVX512, "), "{text}");
    assert!(words.contains("but this CPU is AVX2)."), "{text}");
    assert_eq!((&json["replay"]["identical"], &json["replay"]["parted"]), (&false.into(), &12.into()));

    let (text, json) = with(&|_| Err("--replay=never".to_owned()));
    assert!(text.contains("\n  Predictions not shown: --replay=never\n"), "{text}");
    assert_eq!((&json["tokens"], &json["why_no_tokens"]), (&().into(), &"--replay=never".into()));
    assert!(text.contains("row 7,") && !text.contains("guesses"), "{text}");

    // A worker whose predictions disagree with the loss that it reports.
    let (_, json) = with(&|batch| Ok(Predictions { loss: 1.0, ..found(batch, None) }));
    assert!(json["why_no_tokens"].as_str().unwrap().starts_with("BUG: the mean loss of the tokens is "), "{json}");
}

#[test]
fn a_nan_loss_is_shown_for_each_token() {
    let fixture = Fixture::new();
    let mut batch = read(&mut reader(&fixture), RunId(3), 490).unwrap();
    let lost = Predicted { loss: Measured(f64::NAN), rank: None, likeliest: Vec::new() };
    let rows = vec![vec![lost; 6]; 10];
    let found = Predictions { rows, loss: f64::NAN, ..found(&batch, None) };
    batch.add(Ok(found));
    let text = screen(&batch, None, Look { width: 120, ..Look::PLAIN });
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("No prediction for 60 of 60 tokens: a logit was NaN or Inf."), "{text}");
    assert!(text.contains("  nats    nan   nan ") && !text.contains("highest-loss"), "{text}");
    let text = screen(&batch, Some(0), Look::PLAIN);
    assert!(text.contains("  nan  –     –\n"), "{text}");
    assert_eq!(serde_json::to_value(&batch).unwrap()["tokens"][0]["loss"], serde_json::Value::Null);
}

#[test]
fn a_nan_loss_and_gradient_norm_are_shown() {
    let fixture = Fixture::new();
    let batch = read(&mut reader(&fixture), RunId(3), 490).unwrap();
    let text = screen(&batch, None, Look::PLAIN);
    assert!(text.contains("loss nan nats per token; learning rate 10.0; gradient norm nan;"), "{text}");
}

#[test]
fn a_step_beyond_the_end() {
    let fixture = Fixture::new();
    let failure = read(&mut reader(&fixture), RunId(3), 500).unwrap_err();
    assert_eq!(failure.message, "run3 has no step 500; allowed: 0 to 499");
}
