//! Which program wrote a log, from its lines.
//!
//! The log is read once. Lines that may be reports wait, a bounded number of them, until enough are of one program, or
//! have the same names again and again; then they are read, and whatever comes behind as it comes.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder, RegexSet};

use super::dialects::DIALECTS;
use super::pairs::{self, Look, Reports, Shapes};
use super::pattern::{self, Pattern};
use super::tell::{Kind, Printed, Teller};
use super::{Asked, PAIRS, Source, by};
use crate::report::ReadError;

/// The lines of all known programs.
struct Known {
    set: RegexSet,
    /// Of each pattern of the set: its dialect, and whether it decides anything.
    of: Vec<(usize, bool)>,
    /// The patterns of each dialect, once they are needed.
    dialects: Vec<OnceLock<Result<Made, regex::Error>>>,
}

/// The patterns of one dialect, and whether any of them may match.
type Made = (Vec<Pattern>, RegexSet);

impl Known {
    /// The patterns of a dialect.
    fn dialect(&self, place: usize) -> Result<Asked<'_>, ReadError> {
        let (Some(made), Some(dialect)) = (self.dialects.get(place), DIALECTS.get(place)) else {
            return Err(ReadError::Format("no such program".into()));
        };
        let make = || {
            let patterns = dialect.lines.iter().map(|line| Pattern::of_line(*line)).collect::<Result<Vec<_>, _>>()?;
            Ok((patterns, pattern::set(dialect.lines)?))
        };
        let (patterns, set) = made.get_or_init(make).as_ref().map_err(refused)?;
        Ok(Asked::new(patterns, Some(set)))
    }
}

fn refused(error: &regex::Error) -> ReadError {
    ReadError::Format(error.to_string())
}

static KNOWN: LazyLock<Result<Known, regex::Error>> = LazyLock::new(|| {
    let all = || DIALECTS.iter().enumerate().flat_map(|(place, it)| it.lines.iter().map(move |line| (place, line)));
    let of = all().map(|(dialect, line)| (dialect, !line.weak && !line.skipped)).collect();
    let dialects = DIALECTS.iter().map(|_| OnceLock::new()).collect();
    Ok(Known { set: pattern::set(all().map(|(_, line)| line))?, of, dialects })
});

/// What tells lines that are no reports, before they are looked at more closely.
struct Words {
    /// Words of which each report has one.
    any: Regex,
    nan: Regex,
}

static WORDS: LazyLock<Result<Words, regex::Error>> = LazyLock::new(|| {
    let any =
        "loss|epoch|step|iter|batch|update|ppl|perpl|nll|xent|cost|entropy|bp[bcd]|err|acc|mse|mae|reward|bleu|score";
    let make = |words: &str| RegexBuilder::new(words).case_insensitive(true).unicode(false).build();
    Ok(Words { any: make(any)?, nan: make("nan|inf")? })
});

impl Words {
    /// Whether a line can be a report: most of a text has no digits, and a report without has a NaN.
    fn may_have_number(&self, line: &str) -> bool {
        // Without an early exit it goes through many bytes at once.
        let digit = line.bytes().fold(false, |any, byte| any | byte.is_ascii_digit());
        digit || self.nan.is_match(line.as_bytes())
    }

    /// Whether a line has a word of those of which each report has one.
    fn has_one(&self, line: &str) -> bool {
        self.any.is_match(line.as_bytes())
    }
}

/// As many lines that may be reports wait at most for the decision which program's they are, and so many bytes.
const MOST_WAITING: usize = 4096;
const MOST_BYTES: usize = 1 << 20;

/// As many lines of one program decide at once.
const ENOUGH: usize = 64;

/// A line that may be a report.
struct Waiting {
    text: String,
    number: u64,
    unfinished: bool,
}

impl Waiting {
    fn line(&self) -> Printed<'_> {
        Printed { text: &self.text, number: self.number, unfinished: self.unfinished }
    }
}

/// Reads all lines as those of the program that they tell of.
pub(super) fn by_content(source: &mut Source<'_>, teller: &mut Teller<'_>) -> Result<&'static str, ReadError> {
    let (known, words) = (KNOWN.as_ref().map_err(refused)?, WORDS.as_ref().map_err(refused)?);
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut votes = [0_usize; 64];
    let mut shapes = Shapes::default();
    let mut bytes = 0;
    loop {
        let line = source.next()?;
        let ended = line.is_none();
        if let Some(line) = line.filter(|line| words.may_have_number(line.text)) {
            let known = vote(known, line.text, &mut votes);
            let look = words.has_one(line.text).then(|| pairs::read(line.text, None, &mut teller.said)).flatten();
            let look = look.filter(|look| look.counts || look.scores);
            if let Some(look) = look {
                let at = teller.place();
                shapes.see(&look, &at, teller.said.steps.is_some());
                teller.pass(look.heading, at);
            }
            if known || look.is_some() {
                bytes += line.text.len();
                waiting.push(Waiting { text: line.text.to_owned(), number: line.number, unfinished: line.unfinished });
            }
        }
        if !(ended || waiting.len() >= MOST_WAITING || bytes >= MOST_BYTES || votes.contains(&ENOUGH)) {
            continue;
        }
        let reports = shapes.reports();
        // Of two with as many votes, the one named first. A line of a known program among many that look like
        // another's, such as a dict at the end, tells nothing.
        let best = DIALECTS.iter().zip(votes).enumerate().rev().max_by_key(|(_, (_, votes))| *votes);
        let best = best.filter(|(_, (_, votes))| *votes > 0 && *votes >= shapes.lines(&reports) / 8);
        if let Some((place, (dialect, _))) = best {
            teller.begin(false);
            return by_dialect(source, known.dialect(place)?, waiting, words, teller).map(|()| dialect.name);
        }
        if !reports.shapes.is_empty() {
            teller.begin(reports.anew);
            return by_pairs(source, waiting, &reports, words, teller).map(|()| PAIRS);
        }
        if ended {
            return Ok(PAIRS);
        }
        // Whatever waited is no report.
        waiting.clear();
        bytes = 0;
    }
}

/// Counts a line for the programs that print such lines. `false` if there are none.
fn vote(known: &Known, line: &str, votes: &mut [usize; 64]) -> bool {
    if !known.set.is_match(line.as_bytes()) {
        return false;
    }
    let matches = known.set.matches(line.as_bytes());
    let mut of: Vec<usize> =
        matches.iter().filter_map(|it| known.of.get(it)).filter(|it| it.1).map(|it| it.0).collect();
    of.dedup();
    for dialect in of {
        if let Some(votes) = votes.get_mut(dialect) {
            *votes += 1;
        }
    }
    true
}

/// Reads what waits and all lines behind as those of a program.
fn by_dialect(
    source: &mut Source<'_>,
    mut asked: Asked<'_>,
    waiting: Vec<Waiting>,
    words: &Words,
    teller: &mut Teller<'_>,
) -> Result<(), ReadError> {
    let mut each = |line: Printed<'_>| {
        if !words.may_have_number(line.text) || by(&mut asked, teller, line) || !words.has_one(line.text) {
            return;
        }
        let look = pairs::read(line.text, None, &mut teller.said);
        if look.is_some_and(|look| look.counts && look.scores) {
            teller.unread(line);
        }
    };
    waiting.iter().for_each(|waiting| each(waiting.line()));
    drop(waiting);
    while let Some(line) = source.next()? {
        each(line);
    }
    Ok(())
}

/// Reads what waits and all lines behind as names and numbers.
fn by_pairs(
    source: &mut Source<'_>,
    waiting: Vec<Waiting>,
    reports: &Reports,
    words: &Words,
    teller: &mut Teller<'_>,
) -> Result<(), ReadError> {
    let mut each = |line: Printed<'_>| by_pair(line, reports, words, teller);
    waiting.iter().for_each(|waiting| each(waiting.line()));
    drop(waiting);
    while let Some(line) = source.next()? {
        each(line);
    }
    Ok(())
}

/// Hands on a line of a shape that reports have, or one that looks like a report and goes on from there.
fn by_pair(line: Printed<'_>, reports: &Reports, words: &Words, teller: &mut Teller<'_>) {
    if !words.may_have_number(line.text) || !words.has_one(line.text) {
        return;
    }
    let Some(look) = pairs::read(line.text, None, &mut teller.said) else { return };
    let Look { shape, heading, counts, scores } = look;
    if reports.shapes.contains(&shape) || heading || (counts && scores && teller.goes_on()) {
        pairs::read(line.text, Some(&mut teller.book), &mut teller.said);
        teller.tell(Kind { of: shape, heading, of_next: false }, line);
    } else if counts && scores {
        teller.unread(line);
    }
}
