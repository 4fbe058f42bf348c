//! Numbers in a line of text, and the names before them.
//!
//! Programs print pairs in many ways: `loss: 2.5`, `loss=2.5`, `loss 2.5`, `'loss': 2.5`, `| lm loss: 2.5E+00 |`,
//! `Epoch [3/10]`. All of them have the name before the number, and something other than a word between one pair and
//! the next. Which pairs are reports is not known here.

/// A number as programs print it, with separated thousands, as a regular expression. The `nan` of `nanms` is none, and
/// the full stop behind `2.5.` is no part of it.
pub(crate) const NUMBER: &str = concat!(
    r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?",
    r"|\.[0-9]+(?:[eE][-+]?[0-9]+)?|(?i:nan|inf(?:inity)?)(?-u:\b))"
);

/// A number that counts something.
pub(crate) const COUNT: &str = r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?";

/// The value of a number's text: also of one with separated thousands, or with a sentence's full stop or comma behind
/// it.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim_end_matches(['.', ',', ';', ':']).trim();
    // Far more digits than these tell apart no two numbers.
    let mut digits = [0; 64];
    let mut length = 0;
    for byte in text.bytes().filter(|byte| *byte != b',') {
        *digits.get_mut(length)? = byte;
        length += 1;
    }
    std::str::from_utf8(digits.get(..length)?).ok()?.parse().ok()
}

/// The value of a count's text. `None` for fractions, and beyond what 64 bits hold.
pub(crate) fn whole(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    // `1,000`, `1e3` and `1000.0` are whole, too. Every whole number below 2^53 is itself.
    let value = number(text)?;
    (value.fract() == 0.0 && value.abs() < 9.007_199_254_740_992e15).then_some(value as i64)
}

/// Where the number that begins at a byte ends.
fn number_at(bytes: &[u8], start: usize) -> Option<usize> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let digits_from = |mut at: usize| {
        while byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    };
    let first = start + usize::from(matches!(byte(start), b'-' | b'+'));
    if matches!(byte(first), b'n' | b'N' | b'i' | b'I') {
        let is = |word: &&[u8]| bytes.get(first..first + word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word));
        let word = [&b"nan"[..], b"infinity", b"inf"].into_iter().find(is)?;
        let end = first + word.len();
        return (!is_word(byte(end))).then_some(end);
    }
    let mut end = digits_from(first);
    if end > first {
        while (end - first <= 3 || byte(end - 4) == b',') && byte(end) == b',' && digits_from(end + 1) == end + 4 {
            end += 4;
        }
    } else if !(byte(end) == b'.' && byte(end + 1).is_ascii_digit()) {
        return None;
    }
    if byte(end) == b'.' && byte(end + 1).is_ascii_digit() {
        end = digits_from(end + 1);
    }
    if matches!(byte(end), b'e' | b'E') {
        let exponent = end + 1 + usize::from(matches!(byte(end + 1), b'-' | b'+'));
        if byte(exponent).is_ascii_digit() {
            end = digits_from(exponent);
        }
    }
    Some(end)
}

/// Whether a byte is part of a word. Those of letters beyond ASCII are.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// What may stand behind a number without a space, without changing what it is.
const UNITS: &[&str] = &[
    "s", "ms", "us", "ns", "µs", "μs", "sec", "secs", "min", "mins", "m", "h", "hr", "x", "it/s", "s/it", "ms/step",
    "s/step", "us/step", "ms/it", "dB",
];

/// A number with the name before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair<'a> {
    /// Empty for the `[20/500]` behind `Epoch: [3]`.
    pub(crate) name: &'a str,
    /// Where the name begins.
    pub(crate) at: usize,
    /// The number's text, which [`number`] reads.
    pub(crate) text: &'a str,
    /// Where everything that belongs to the number ends.
    pub(crate) end: usize,
    /// The `500` of `20/500`.
    pub(crate) total: Option<&'a str>,
    /// The running mean of `2.5 (2.7)`.
    pub(crate) mean: Option<f64>,
    /// The `300` of `loss 300: 2.5`.
    pub(crate) index: Option<&'a str>,
}

/// The pairs of a line, from left to right.
pub(crate) struct Pairs<'a> {
    line: &'a str,
    at: usize,
    /// Where the name of the next number can begin at the earliest.
    from: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs behind a byte of a line.
    pub(crate) fn of(line: &'a str, at: usize) -> Self {
        Self { line, at, from: at }
    }

    fn byte(&self, at: usize) -> u8 {
        self.line.as_bytes().get(at).copied().unwrap_or(b' ')
    }

    fn text(&self, range: std::ops::Range<usize>) -> &'a str {
        self.line.get(range).unwrap_or("")
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while at < self.line.len() && self.byte(at) == b' ' {
            at += 1;
        }
        at
    }

    /// The next number that stands by itself, and no part of a word, a date or a time.
    fn next_number(&mut self) -> Option<std::ops::Range<usize>> {
        let bytes = self.line.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            let number = matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'n' | b'N' | b'i' | b'I');
            if let Some(end) = number.then(|| number_at(bytes, start)).flatten() {
                let unit = self.unit(end);
                if let Some(unit) = unit {
                    self.at = unit;
                    return Some(start..end);
                }
                // `3x3`, `7.34K`, `2nd`: a word, and no part of the next name.
                self.at = self.word(end);
                self.from = self.at;
                continue;
            }
            match byte {
                b',' | b';' | b'|' | b'\t' | b'{' | b'}' | b']' => {
                    self.at += 1;
                    self.from = self.at;
                }
                b'-' if self.byte(start + 1) == b' ' && (start == 0 || self.byte(start - 1) == b' ') => {
                    self.at += 1;
                    self.from = self.at;
                }
                _ if is_word(byte) => self.at = self.word(start),
                _ => self.at += 1,
            }
        }
        None
    }

    /// Where a word ends: `step-time`, `ms/batch` and `acc@5` are each one.
    fn word(&self, mut at: usize) -> usize {
        loop {
            if is_word(self.byte(at))
                || (matches!(self.byte(at), b'/' | b'@' | b'-' | b'.') && is_word(self.byte(at + 1)))
            {
                at += 1;
            } else {
                return at;
            }
        }
    }

    /// Where the unit behind a number ends; `None` where the number is part of a word.
    fn unit(&self, end: usize) -> Option<usize> {
        if self.byte(end) == b'%' {
            return Some(end + 1);
        }
        if !is_word(self.byte(end)) {
            return Some(end);
        }
        let word = self.word(end);
        UNITS.contains(&self.text(end..word)).then_some(word)
    }

    /// The number at a byte, behind spaces, and where it ends.
    fn number_behind(&self, at: usize) -> Option<(&'a str, usize)> {
        let start = self.skip_spaces(at);
        let end = number_at(self.line.as_bytes(), start)?;
        Some((self.text(start..end), end))
    }

    /// What stands in brackets behind a number: its running mean, or a share in per cent, which is none.
    fn bracket(&self, at: usize) -> Option<(Option<f64>, usize)> {
        let open = self.skip_spaces(at);
        if self.byte(open) != b'(' {
            return None;
        }
        let (text, end) = self.number_behind(open + 1)?;
        let percent = self.byte(end) == b'%';
        let close = self.skip_spaces(end + usize::from(percent));
        (self.byte(close) == b')').then(|| (number(text).filter(|_| !percent), close + 1))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        loop {
            let range = self.next_number()?;
            // `10:51:07`, `2024-05-01`.
            if matches!(self.byte(range.end), b':' | b'-') && self.byte(range.end + 1).is_ascii_digit() {
                while matches!(self.byte(self.at), b'0'..=b'9' | b':' | b'-' | b'.') {
                    self.at += 1;
                }
                self.from = self.at;
                continue;
            }
            let before = self.text(self.from..range.start);
            let bare = before.ends_with(' ') && before.trim_end().ends_with(char::is_alphanumeric);
            // The `nan` of `number of nan iterations: 0` is a word, that of `loss nan` is none.
            if bare && !self.text(range.clone()).contains(|c: char| c.is_ascii_digit()) {
                let word = self.skip_spaces(range.end);
                let end = self.word(word);
                if end > word && matches!(self.byte(end), b':' | b'=') {
                    continue;
                }
            }
            let (name, at) = name(before, self.from);
            let mut pair =
                Pair { name, at, text: self.text(range.clone()), end: self.at, total: None, mean: None, index: None };
            let slash = self.skip_spaces(range.end);
            if self.byte(slash) == b'/'
                && let Some((total, end)) = self.number_behind(slash + 1)
            {
                (pair.total, pair.end) = (Some(total), end);
            }
            if let Some((mean, end)) = self.bracket(pair.end) {
                (pair.mean, pair.end) = (mean, end);
            }
            if !name.is_empty()
                && pair.total.is_none()
                && pair.end == range.end
                && self.byte(range.end) == b':'
                && let Some((value, end)) = self.number_behind(range.end + 1)
                && let Some(unit) = self.unit(end)
            {
                (pair.index, pair.text, pair.end) = (Some(pair.text), value, unit);
            }
            self.at = pair.end;
            self.from = pair.end;
            if !name.is_empty() || pair.total.is_some() {
                return Some(pair);
            }
        }
    }
}

/// Names are short; what is longer is a sentence with a number in it.
const LONGEST_NAME: usize = 48;

/// What Python puts around numbers that are no plain ones.
const WRAPPERS: &[&str] = &["tensor(", "array(", "np.float64(", "np.float32(", "np.float16("];

/// The name in what stands before a number, and where it begins; empty if there is none.
fn name(text: &str, offset: usize) -> (&str, usize) {
    let none = ("", offset);
    let mut name = WRAPPERS
        .iter()
        .find_map(|wrapper| text.strip_suffix(wrapper))
        .unwrap_or(text)
        .trim_end_matches([' ', ':', '=', '[', '(', '\'', '"', '~', '>', '\u{a0}']);
    // `(Training) ppl`, `Test set: loss`, `INFO:tensorflow:loss`: what comes before the name is none of it.
    if let Some((_, rest)) = name.rsplit_once(':') {
        name = rest;
    }
    // `mode=cosine loss`, `step_avg:nanms loss`: values that are words.
    if let Some((_, rest)) = name.rsplit_once('=') {
        name = if rest.starts_with(' ') { rest } else { rest.split_once(' ').map_or("", |(_, rest)| rest) };
    } else if let Some((_, rest)) = name.split_once(' ').filter(|_| name.starts_with("nan") || name.starts_with("inf"))
    {
        name = rest;
    }
    name = name.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '(' && c != '_');
    if let Some(rest) = name.strip_prefix('(') {
        name = rest.split_once(')').map_or("", |(_, rest)| rest).trim_start();
    }
    let balanced = name.matches('(').count() == name.matches(')').count();
    let plain = |c: char| c.is_alphanumeric() || " _-/.@%()^#*".contains(c);
    if name.len() > LONGEST_NAME
        || !balanced
        || !name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        || !name.chars().all(plain)
        || name.split(' ').filter(|word| !word.is_empty()).count() > 5
    {
        return none;
    }
    // Both are slices of one line.
    let at = name.as_ptr() as usize - text.as_ptr() as usize;
    (name, offset + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pairs as text, with what belongs to a number behind it.
    fn pairs(line: &str) -> Vec<String> {
        Pairs::of(line, 0)
            .map(|pair| {
                let mut text = format!("{}={}", pair.name, number(pair.text).unwrap());
                text += &pair.total.map(|total| format!(" of {total}")).unwrap_or_default();
                text += &pair.mean.map(|mean| format!(" mean {mean}")).unwrap_or_default();
                text += &pair.index.map(|index| format!(" at {index}")).unwrap_or_default();
                assert!(line.get(pair.at..).is_some_and(|rest| rest.starts_with(pair.name)), "{line}");
                text
            })
            .collect()
    }

    #[test]
    fn a_name_stands_before_its_number() {
        for (line, expected) in [
            ("epoch 3 loss 2.5", &["epoch=3", "loss=2.5"][..]),
            ("epoch: 3, duration: 165s, loss: 2.20328.", &["epoch=3", "duration=165", "loss=2.20328"]),
            ("step=1,200 loss=2.5 (2.75), wps=1234567", &["step=1200", "loss=2.5 mean 2.75", "wps=1234567"]),
            ("| lm loss: 2.5E+00 | time per step (ms): 12.5 |", &["lm loss=2.5", "time per step (ms)=12.5"]),
            ("{'loss': 2.5, \"grad_norm\": '7', 'a/b': nan}", &["loss=2.5", "grad_norm=7", "a/b=NaN"]),
            ("Epoch [2/10], Step [100/600], Loss: 0.5", &["Epoch=2 of 10", "Step=100 of 600", "Loss=0.5"]),
            (
                "Epoch: [0][10/5005]\tTime 0.5 (0.6)\tAcc@1 3 (1%)",
                &["Epoch=0", "=10 of 5005", "Time=0.5 mean 0.6", "Acc@1=3"],
            ),
            ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.3", &["Train Epoch=1", "=640 of 60000", "Loss=2.3"]),
            ("2024-05-01 10:51:07,123 - x - INFO - epoch 3 - loss -0.5", &["epoch=3", "loss=-0.5"]),
            ("  - (Training)   ppl:  69.5, accuracy: 48.25 %", &["ppl=69.5", "accuracy=48.25"]),
            ("Test set: Average loss: 0.5, INFO:tensorflow:loss = 2", &["Average loss=0.5", "loss=2"]),
            ("Validation loss 6312:  0.25", &["Validation loss=0.25 at 6312"]),
            ("step-time 0.5s wps 7.34K ppl 20", &["step-time=0.5", "ppl=20"]),
            ("9s 12ms/step - loss: .5 - acc: 1e-3", &["loss=0.5", "acc=0.001"]),
            (
                "epoch 3, loss: tensor(2.5, device='cuda:0'), 'acc': np.float64(nan)",
                &["epoch=3", "loss=2.5", "acc=NaN"],
            ),
            ("mode=cosine loss 2 lr=1e-4", &["loss=2", "lr=0.0001"]),
            ("loss inf norm +Inf x -Infinity", &["loss=inf", "norm=inf", "x=-inf"]),
        ] {
            assert_eq!(pairs(line), expected, "{line}");
        }
    }

    #[test]
    fn not_every_digit_is_a_number_of_a_pair() {
        for (line, expected) in [
            ("step_avg:nanms loss 2 (+nanz)| nanosecond infant", &["loss=2"][..]),
            ("gpt2 runs 3x3 at 10:51 of 2024-05-01", &[]),
            ("number of nan iterations: 3 | loss: nan |", &["number of nan iterations=3", "loss=NaN"]),
            ("step: 3 loss nan acc 1", &["step=3", "loss=NaN", "acc=1"]),
            ("stalled 2 times (last best: 3)", &["stalled=2"]),
            ("1 2 3", &[]),
            ("", &[]),
        ] {
            assert_eq!(pairs(line), expected, "{line}");
        }
    }

    #[test]
    fn counts_are_whole() {
        for (text, expected) in [
            ("12", Some(12)),
            ("-3", Some(-3)),
            ("1,000", Some(1000)),
            ("1e3", Some(1000)),
            ("7.0", Some(7)),
            ("7.5", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
        assert_eq!(number(&"1".repeat(65)), None);
        assert_eq!(number("3.32422."), Some(3.32422));
    }

    #[test]
    fn no_line_is_too_odd() {
        for line in
            ["µ1µ", "é: 1é 2", "((((1", "1/", "1/ (", "loss (", "-", "+", ".", "e5", "loss 1 (2", "loss 1: é", "1,,,2"]
        {
            for end in (0..=line.len()).filter(|end| line.is_char_boundary(*end)) {
                let _ = Pairs::of(&line[..end], 0).count();
                let _ = Pairs::of(line, end).count();
            }
        }
    }
}
