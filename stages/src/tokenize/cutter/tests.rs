//! Tests of the cutter against its specification.

use super::*;
use crate::random::Stream;
use regex::Regex;

/// The specification on a whole text, which [`Cutter`] must match for any division into blocks.
fn naive(cut: &Cut, text: &str) -> Vec<String> {
    let lowered: String = text.chars().flat_map(char::to_lowercase).collect();
    let text = if cut.lowercase { lowered.as_str() } else { text };
    let word = Regex::new(r"\w+|[^\w\s]+").unwrap();
    let mut tokens = Vec::new();
    for line in text.split_inclusive('\n') {
        let (body, ended) = match (line.strip_suffix("\r\n"), line.strip_suffix('\n')) {
            (Some(body), _) | (None, Some(body)) => (body, true),
            (None, None) => (line, false),
        };
        match cut.unit {
            Unit::Whitespace => tokens.extend(body.split_whitespace().map(str::to_owned)),
            Unit::Word => tokens.extend(word.find_iter(body).map(|found| found.as_str().to_owned())),
            Unit::Char => tokens.extend(body.chars().map(String::from)),
        }
        if !cut.eos.is_empty() {
            tokens.push(cut.eos.clone());
        } else if cut.unit == Unit::Char && ended {
            tokens.push("\n".into());
        }
    }
    tokens
}

fn cut_in_blocks(cut: &Cut, text: &str, mut block: impl FnMut() -> usize) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut sink = |token: &[u8]| tokens.push(std::str::from_utf8(token).unwrap().to_owned());
    let mut cutter = Cutter::new(cut);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).take_while(|at| *at <= block().max(4));
        let (head, tail) = rest.split_at(end.last().unwrap());
        cutter.feed(head, &mut sink);
        rest = tail;
    }
    cutter.flush(&mut sink);
    if !text.is_empty() && !text.ends_with('\n') {
        cutter.end_open_line(&mut sink);
    }
    let lines = text.split_inclusive('\n').count() as u64;
    assert_eq!(cutter.lines(), lines);
    tokens
}

#[test]
fn blocks_of_any_size_match_the_whole_text() {
    let alphabet: Vec<char> =
        "aZ_9 \t\n\r\n\r.,'-—éÉßΣσςİ中文…\u{301}\u{200d}\u{a0}\u{3000}\u{85}😀𝒳\u{1d7d8}<unk>".chars().collect();
    let random = Stream::new(11, "cutter test");
    let mut counter = 0;
    let mut below = |n: usize| {
        counter += 1;
        random.below(counter, n as u64) as usize
    };
    for round in 0..300 {
        let text: String = (0..below(60)).map(|_| alphabet[below(alphabet.len())]).collect();
        for unit in [Unit::Whitespace, Unit::Word, Unit::Char] {
            for (lowercase, eos) in [(false, ""), (true, ""), (false, "<eos>"), (true, "<EOS>")] {
                let cut = Cut { unit, lowercase, eos: eos.into() };
                let size = 4 + below(5);
                assert_eq!(cut_in_blocks(&cut, &text, || size), naive(&cut, &text), "{round} {cut:?} {text:?}");
            }
        }
    }
}

#[test]
fn classes_match_the_regular_expression_for_every_character() {
    let (word, space) = (Regex::new(r"^\w$").unwrap(), Regex::new(r"^\s$").unwrap());
    let mut utf8 = [0; 4];
    for c in (0..=0x10ffff).filter_map(char::from_u32) {
        let text: &str = c.encode_utf8(&mut utf8);
        let expected = match c {
            '\n' => Class::Newline,
            _ if space.is_match(text) => Class::Space,
            _ if word.is_match(text) => Class::Word,
            _ => Class::Other,
        };
        assert_eq!(class_of(c, Unit::Word), expected, "{c:?}");
        assert_eq!(class_of(c, Unit::Whitespace) == Class::Word, !c.is_whitespace(), "{c:?}");
    }
}

#[test]
fn a_prompt_keeps_its_last_line_open() {
    let cut = Cut { unit: Unit::Word, lowercase: true, eos: "<eos>".into() };
    assert_eq!(cut_prompt(&cut, "Who's\r\nTHERE?"), ["who", "'", "s", "<eos>", "there", "?"]);
    assert!(cut_prompt(&cut, "").is_empty());
}
