//! Formats samples.

use crate::format;
use identity::SampleRow;

/// A sample's prompt and text, wrapped, or why there is no text.
pub fn written(sample: &SampleRow, width: usize) -> Vec<String> {
    let lines = match &sample.why_empty {
        Some(why) if sample.text.is_empty() => format::wrap(&format!("(no text: {why})"), width),
        _ if sample.prompt.is_empty() => format::wrap(&sample.text, width),
        _ => format::wrap(&format!("[{}] {}", sample.prompt, sample.text), width),
    };
    // A sample that consists of repeated line ends would fill the screen.
    let mut shown = Vec::new();
    for same in lines.chunk_by(|a, b| a.trim() == b.trim()) {
        match same {
            [line, _, _, ..] if line.trim().is_empty() => shown.push(format!("({} empty lines)", same.len())),
            [line, _, _, ..] => shown.extend([line.clone(), format!("(the same line {} more times)", same.len() - 1)]),
            few => shown.extend(few.iter().cloned()),
        }
    }
    shown
}

/// How a sample was drawn: `greedy`, `temperature=1.0`.
pub fn decode(json: &str) -> String {
    serde_json::from_str(json).map_or_else(|_| format::line(json), |value| format::value(&value))
}

/// Figures that show how much a sample repeats itself.
pub fn figures(sample: &SampleRow) -> String {
    let figure = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.2}"));
    let looped = sample.loop_period.zip(sample.loop_onset).map(|(period, onset)| {
        let what = if period == 1 { "one token".to_owned() } else { format!("{period} tokens") };
        format!("loops over {what} from token {onset} on")
    });
    let said = [
        figure("distinct-1", sample.distinct_1),
        figure("distinct-2", sample.distinct_2),
        figure("seq-rep-4", sample.seq_rep_4),
        looped,
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
