//! The rows of a table of text, cell by cell, as RFC 4180 and those who never read it write them.
//!
//! Not the csv crate's reader: it can't say whether the last row was cut off; it counts lines otherwise than editors
//! where they end in `\r\n`; and a quote that nobody closes swallows the rest of the file. In a log such a quote costs
//! its own row alone.

use std::io::{self, BufRead, ErrorKind};

/// The most bytes of a line that are kept: no record is longer.
const LONGEST: usize = 64 << 20;

/// The most bytes of a row whose quoted cells have line breaks in them.
const LONGEST_QUOTED: usize = 64 * 1024;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a newline.
    Newline,
    /// With the input: someone may still be writing it.
    Input,
    /// It didn't, for 64 MiB: what follows up to its end is left out.
    TooLong,
}

/// Appends the next line to `line`, without what ends it.
///
/// # Errors
/// What the input refuses.
pub fn read_line<R: BufRead + ?Sized>(input: &mut R, line: &mut Vec<u8>) -> io::Result<Option<End>> {
    let begin = line.len();
    let mut any = false;
    let mut too_long = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(any.then_some(if too_long { End::TooLong } else { End::Input }));
        }
        any = true;
        let end = memchr::memchr(b'\n', available);
        let taken = &available[..end.unwrap_or(available.len())];
        let room = LONGEST.saturating_sub(line.len());
        too_long |= taken.len() > room;
        line.extend_from_slice(&taken[..taken.len().min(room)]);
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            if line.len() > begin && line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(if too_long { End::TooLong } else { End::Newline }));
        }
    }
}

/// Reads rows.
pub struct Rows<R> {
    input: R,
    /// What parts cells.
    pub delimiter: u8,
    /// From `begin` to `text_end` the row's text. Behind that lie lines that were read ahead for a quote that was
    /// never closed.
    text: Vec<u8>,
    begin: usize,
    text_end: usize,
    ahead_end: End,
    /// The row's cells, if it has quoted ones.
    unquoted: Vec<u8>,
    /// Begin and end of each cell, in `unquoted` or in `text`.
    cells: Vec<(usize, usize)>,
    quoted: bool,
    /// Whether the last cell stood in quotes that were closed.
    last_closed: bool,
    line: u64,
    lines: u64,
    end: End,
}

impl<R: BufRead> Rows<R> {
    /// Rows of an input that is at its beginning.
    pub fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            text: Vec::new(),
            begin: 0,
            text_end: 0,
            ahead_end: End::Newline,
            unquoted: Vec::new(),
            cells: Vec::new(),
            quoted: false,
            last_closed: false,
            line: 0,
            lines: 0,
            end: End::Newline,
        }
    }

    /// The line, from 1, in which the row read last begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the last cell may have been cut off: nothing stands behind it, not even a newline.
    pub fn unfinished(&self) -> bool {
        self.end == End::Input && !self.last_closed
    }

    /// Whether the row is longer than rows may be: its end is left out.
    pub fn too_long(&self) -> bool {
        self.end == End::TooLong
    }

    /// How many cells the row has.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether it has none, as an empty line.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// A cell; one that the row doesn't have is empty.
    pub fn cell(&self, index: usize) -> &[u8] {
        let text = if self.quoted { &self.unquoted } else { &self.text };
        self.cells.get(index).and_then(|&(begin, end)| text.get(begin..end)).unwrap_or_default()
    }

    /// The text of the row, with its quotes.
    pub fn text(&self) -> &[u8] {
        &self.text[self.begin..self.text_end]
    }

    /// Parts the row again, by another delimiter.
    pub fn part_by(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
        self.part();
    }

    /// The next row. False at the end.
    ///
    /// # Errors
    /// What the input refuses.
    pub fn read(&mut self) -> io::Result<bool> {
        if self.text.len() > self.text_end {
            // The next line is one that was read ahead, behind the newline that ended this one.
            self.begin = self.text_end + 1;
            let next = memchr::memchr(b'\n', &self.text[self.begin..]);
            self.text_end = next.map_or(self.text.len(), |next| self.begin + next);
            self.end = if next.is_some() { End::Newline } else { self.ahead_end };
        } else {
            self.text.clear();
            self.begin = 0;
            match read_line(&mut self.input, &mut self.text)? {
                None => return Ok(false),
                Some(end) => self.end = end,
            }
            self.text_end = self.text.len();
        }
        self.lines += 1;
        self.line = self.lines;
        if !self.part() && !self.look_ahead()? {
            self.part_unquoted();
        }
        Ok(true)
    }

    /// A quoted cell goes on in the next line, or nobody closed it. Then the lines are rows of their own.
    fn look_ahead(&mut self) -> io::Result<bool> {
        let (end, length) = (self.end, self.text.len());
        // Lines that were read ahead before are not joined.
        if self.text_end < length {
            return Ok(false);
        }
        let mut lines = 0;
        while self.end == End::Newline && self.text.len() - self.begin < LONGEST_QUOTED {
            let before = self.text.len();
            self.text.push(b'\n');
            let Some(end) = read_line(&mut self.input, &mut self.text)? else {
                self.text.truncate(before);
                break;
            };
            self.end = end;
            lines += 1;
            if memchr::memchr(b'"', &self.text[before..]).is_some() {
                self.text_end = self.text.len();
                if self.part() {
                    self.lines += lines;
                    return Ok(true);
                }
            }
        }
        (self.ahead_end, self.end, self.text_end) = (self.end, end, length);
        Ok(false)
    }

    /// Parts the row into cells. False if a quote isn't closed.
    fn part(&mut self) -> bool {
        if memchr::memchr(b'"', self.text()).is_none() {
            self.part_unquoted();
            return true;
        }
        self.quoted = true;
        self.last_closed = false;
        self.cells.clear();
        self.unquoted.clear();
        let text = &self.text[self.begin..self.text_end];
        let mut at = 0;
        loop {
            let begin = self.unquoted.len();
            let rest = &text[at..];
            let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
            self.last_closed = false;
            if rest.get(blanks) == Some(&b'"') {
                at += blanks + 1;
                loop {
                    let Some(quote) = memchr::memchr(b'"', &text[at..]) else { return false };
                    self.unquoted.extend_from_slice(&text[at..at + quote]);
                    at += quote + 1;
                    if text.get(at) != Some(&b'"') {
                        break;
                    }
                    self.unquoted.push(b'"');
                    at += 1;
                }
                self.last_closed = true;
            }
            let next = memchr::memchr(self.delimiter, &text[at..]);
            self.unquoted.extend_from_slice(&text[at..next.map_or(text.len(), |next| at + next)]);
            self.cells.push((begin, self.unquoted.len()));
            match next {
                Some(next) => at += next + 1,
                None => return true,
            }
        }
    }

    /// Parts the row as if quotes meant nothing.
    fn part_unquoted(&mut self) {
        self.quoted = false;
        self.last_closed = false;
        self.cells.clear();
        if self.begin == self.text_end {
            return;
        }
        let mut begin = self.begin;
        for end in memchr::memchr_iter(self.delimiter, &self.text[self.begin..self.text_end]) {
            let end = self.begin + end;
            self.cells.push((begin, end));
            begin = end + 1;
        }
        self.cells.push((begin, self.text_end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut rows = Rows::new(text, b',');
        let mut all = Vec::new();
        while rows.read().unwrap() {
            let cells = (0..rows.len()).map(|cell| String::from_utf8_lossy(rows.cell(cell)).into_owned());
            all.push((rows.line(), cells.collect()));
        }
        all
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        assert_eq!(rows(b"a,b\r\n\r\n1,2\r\n"), [row(1, &["a", "b"]), row(2, &[]), row(3, &["1", "2"])]);
        assert_eq!(rows(b"a,\n,\n1"), [row(1, &["a", ""]), row(2, &["", ""]), row(3, &["1"])]);
    }

    #[test]
    fn quotes_hold_delimiters_quotes_and_line_breaks() {
        assert_eq!(
            rows(b"\"a, \"\"b\"\"\", \"c\"d,e\"f\"\n\"x\r\ny\",1\nz,2\n"),
            [row(1, &["a, \"b\"", "cd", "e\"f\""]), row(2, &["x\ny", "1"]), row(4, &["z", "2"])]
        );
    }

    #[test]
    fn a_quote_that_nobody_closes_costs_its_own_row() {
        let lone = b"a,b\n\"x,1\ny,2\nz,3\n";
        assert_eq!(rows(lone), [row(1, &["a", "b"]), row(2, &["\"x", "1"]), row(3, &["y", "2"]), row(4, &["z", "3"])]);
        let long = format!("\"x,1\n{}", "y,2\n".repeat(LONGEST_QUOTED));
        let all = rows(long.as_bytes());
        assert_eq!(
            (all.len(), all.last().unwrap()),
            (LONGEST_QUOTED + 1, &row(LONGEST_QUOTED as u64 + 1, &["y", "2"]))
        );
        // One quote after another: each looks ahead for its end.
        assert_eq!(rows("\"x,1\n".repeat(3).as_bytes()).len(), 2);
    }

    #[test]
    fn the_last_cell_may_be_cut_off() {
        for (text, unfinished) in
            [("1,2", true), ("1,2\n", false), ("1,\"2\"", false), ("1,\"2", true), ("\"1\",2", true)]
        {
            let mut rows = Rows::new(text.as_bytes(), b',');
            assert!(rows.read().unwrap());
            assert_eq!(rows.unfinished(), unfinished, "{text}");
            assert!(!rows.read().unwrap());
        }
    }

    #[test]
    fn rows_are_those_of_the_csv_crate() {
        let pieces = ["1", "2.5", ",", ",", "\n", "\r\n", "\"a\"", "\"b,c\"", "\"d\"\"e\"", "\"f\ng\"", "nan"];
        let mut random: u64 = 1;
        for _ in 0..20_000 {
            let mut text = String::from("h,i\n");
            for _ in 0..12 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let piece = pieces[(random >> 33) as usize % pieces.len()];
                // Text right behind or before a quote is read differently by everyone.
                let quoted = piece.starts_with('"') && !text.ends_with([',', '\n']);
                let behind = text.ends_with('"') && !piece.starts_with([',', '\n', '\r']);
                text.push_str(if quoted || behind { "," } else { piece });
            }
            let mut theirs = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                theirs.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<Vec<String>> = rows(text.as_bytes()).into_iter().map(|row| row.1).collect();
            let ours: Vec<Vec<String>> = ours.into_iter().filter(|row| !row.is_empty()).collect();
            assert_eq!(ours, theirs, "{text:?}");
        }
    }
}
