//! Tests of the whole stage.

use super::*;
use crate::files::Cut;
use crate::params::{CheckpointSelection, Greedy, Unit};
use crate::testing::{Space, TestWeights};

fn space(unit: Unit, eos: &str, types: &[&str], weights: &TestWeights) -> Space {
    let space = Space::new();
    let cut = Cut { unit, lowercase: false, eos: eos.into() };
    let types = Types { cut, types: types.iter().copied().map(str::to_owned).collect(), counts: vec![1; types.len()] };
    let path = space.context.folder.join("vocab");
    types.save(&path).unwrap();
    Space::new().with("vocab", std::fs::read(&path).unwrap()).with("weights", weights.bytes())
}

fn params(length: u64, prompt: &str, decode: Vec<Decode>) -> Sample {
    Sample { at: CheckpointSelection::All, length, prompt: prompt.into(), decode, seed: 1 }
}

const GREEDY: Decode = Decode::Greedy(Greedy::Greedy);
const DRAW: Decode = Decode::Draw { temperature: 1.0, top_k: None, top_p: None };

/// A model of zero weights whose logits are its decoder's bias.
fn constant(bias: &[f32]) -> TestWeights {
    let mut weights = TestWeights::new(bias.len(), 2, 2, 1, false);
    for (_, values) in weights.tensors.values_mut() {
        values.fill(0.0);
    }
    weights.tensors.insert("decoder.bias".into(), (vec![bias.len()], bias.to_vec()));
    weights
}

#[test]
fn a_constant_model_loops() {
    let space = space(Unit::Whitespace, "<eos>", &["a", "<unk>", "<eos>"], &constant(&[2.0, 1.0, 0.0]));
    let outcome = run(&params(8, "", vec![GREEDY]), &space.context).unwrap();
    let sample = &outcome.samples[0];
    assert_eq!(sample.text, "a a a a a a a a");
    assert_eq!((sample.loop_period, sample.loop_onset), (Some(1), Some(0)));
    assert_eq!((sample.tokens, sample.distinct_1, sample.seq_rep_4), (8, Some(0.125), Some(0.8)));
    assert_eq!((sample.decode.clone(), sample.why_empty.clone()), (json!("greedy"), None));
    assert!(outcome.outputs.is_empty());
}

#[test]
fn each_entry_has_its_own_stream_and_a_longer_sample_starts_with_the_shorter() {
    let types: Vec<String> = (0..50).map(|i| format!("w{i}")).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let space = space(Unit::Whitespace, "w3", &types, &TestWeights::new(50, 8, 8, 2, false));
    let texts = |length, decode: &[Decode]| -> Vec<String> {
        let outcome = run(&params(length, "w1 w2", decode.to_vec()), &space.context).unwrap();
        outcome.samples.into_iter().map(|sample| sample.text).collect()
    };
    let long = texts(40, &[DRAW, DRAW, GREEDY]);
    assert_ne!(long[0], long[1]);
    let short = texts(10, &[DRAW]);
    assert!(long[0].starts_with(&short[0]));
}

#[test]
fn a_long_greedy_sample_starts_with_the_shorter() {
    let types: Vec<String> = (0..2000).map(|i| format!("w{i}")).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let mut weights = TestWeights::new(2000, 16, 24, 2, false);
    // With large weights the text does not repeat itself soon.
    weights.tensors.values_mut().for_each(|(_, values)| values.iter_mut().for_each(|x| *x *= 20.0));
    let mut space = space(Unit::Whitespace, "w3", &types, &weights);
    space.context.threads = 2;
    let text = |length| run(&params(length, "w1", vec![GREEDY]), &space.context).unwrap().samples.remove(0);
    // Only the long sample uses rounded weights.
    let (long, short) = (text(LONG + 1), text(LONG));
    assert!(long.text.starts_with(&short.text) && long.tokens == LONG + 1);
    assert!(short.distinct_1 > Some(0.05), "{:?}", short.distinct_1);
}

#[test]
fn the_prompt_is_cut_like_the_corpus() {
    let cut = |unit, eos: &str| Cut { unit, lowercase: true, eos: eos.into() };
    let first = |cut: Cut, types: &[&str], prompt: &str| {
        let types = types.iter().copied().map(str::to_owned).collect();
        first_tokens(&Types { cut, types, counts: Vec::new() }, prompt)
    };
    let types = ["the", "<unk>", "<eos>", ",", "\n"];
    assert_eq!(first(cut(Unit::Word, "<eos>"), &types, "THE,\nZoo"), [2, 0, 3, 2, 1]);
    assert_eq!(first(cut(Unit::Word, "<eos>"), &types, ""), [2]);
    assert_eq!(first(cut(Unit::Whitespace, ""), &types, " "), [0]);
    // With unit `char` and no `eos`, a sample starts after the newline token.
    assert_eq!(first(cut(Unit::Char, ""), &types, ",\nx"), [4, 3, 4, 1]);
    assert_eq!(first(cut(Unit::Char, ""), &types[..4], ""), [0]);
}

#[test]
fn a_nonfinite_logit_ends_the_sample_with_a_reason() {
    let types = ["a", "<unk>"];
    let decode = || vec![GREEDY, DRAW];
    let nan = space(Unit::Char, "", &types, &constant(&[f32::NAN, 0.0]));
    let outcome = run(&params(5, "", decode()), &nan.context).unwrap();
    for sample in &outcome.samples {
        assert_eq!((sample.text.as_str(), sample.tokens, sample.distinct_1), ("", 0, None));
        assert_eq!(sample.why_empty.as_deref(), Some("logits are NaN after 0 tokens"));
    }
    let infinite = space(Unit::Char, "", &types, &constant(&[f32::INFINITY, 0.0]));
    let outcome = run(&params(5, "", decode()), &infinite.context).unwrap();
    assert_eq!(outcome.samples[0].why_empty.as_deref(), Some("logits are infinite after 0 tokens"));

    // The embedding of "a" is NaN, so the sample ends after "a" is drawn.
    let mut weights = constant(&[1.0, 0.0]);
    weights.tensors.get_mut("encoder.weight").unwrap().1[0] = f32::NAN;
    let space = space(Unit::Char, "", &types, &weights);
    let outcome = run(&params(5, "b", vec![GREEDY]), &space.context).unwrap();
    assert_eq!((outcome.samples[0].text.as_str(), outcome.samples[0].tokens), ("a", 1));
    assert_eq!(outcome.samples[0].why_empty, None);
    assert_eq!(outcome.events[0].message, "sample 0: logits are NaN after 1 token; the sample ends there");
}

#[test]
fn a_request_to_stop_ends_the_stage() {
    let space = space(Unit::Char, "", &["a", "<unk>"], &constant(&[1.0, 0.0]));
    space.context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(run(&params(5, "", vec![GREEDY]), &space.context), Err(StageError::Cancelled(_))));
}
