//! Plain tables for people and pipes: columns two spaces apart, no lines, a dim header.

use unicode_width::UnicodeWidthStr as _;

use super::look::{Ink, Look};

/// The title and layout of a column.
#[derive(Debug, Clone)]
pub struct Head {
    title: String,
    right: bool,
    /// The order in which columns are omitted on a narrow terminal, the highest first. A column with 0 always stays.
    spare: u8,
}

/// A table under construction.
#[derive(Debug, Default)]
pub struct Table {
    heads: Vec<Head>,
    rows: Vec<Vec<(String, Ink)>>,
}

/// The head of a column of text, which is aligned to the left.
pub fn left(title: &str) -> Head {
    Head { title: title.to_owned(), right: false, spare: 0 }
}

/// The head of a column of numbers, which are aligned to the right.
pub fn right(title: &str) -> Head {
    Head { title: title.to_owned(), right: true, spare: 0 }
}

impl Head {
    /// Lets a narrow terminal omit the column, before columns of a lower rank.
    pub fn spare(mut self, rank: u8) -> Self {
        self.spare = rank;
        self
    }
}

impl Table {
    /// A table with these columns.
    pub fn new(heads: Vec<Head>) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// Adds a row; it has one cell for each column.
    pub fn row(&mut self, cells: Vec<(String, Ink)>) {
        self.rows.push(cells);
    }

    /// Adds a row of plain text.
    pub fn plain(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| (cell, Ink::Plain)).collect());
    }

    /// The table as text, and the titles of the columns that were omitted.
    pub fn render(&self, look: Look) -> (String, Vec<String>) {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].0.width());
            cells.max().unwrap_or(0).max(self.heads[column].title.width())
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut shown: Vec<usize> = (0..self.heads.len()).collect();
        let mut left_out = Vec::new();
        if look.terminal {
            let needed = |shown: &[usize]| shown.iter().map(|&column| widths[column] + 2).sum::<usize>();
            while needed(&shown) > look.width + 2 {
                let spare = shown.iter().copied().filter(|&column| self.heads[column].spare > 0);
                let Some(column) = spare.max_by_key(|&column| self.heads[column].spare) else { break };
                shown.retain(|&other| other != column);
                left_out.push(self.heads[column].title.clone());
            }
        }
        let mut text = String::new();
        let titles: Vec<(String, Ink)> = self.heads.iter().map(|head| (head.title.clone(), Ink::Dim)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            for (place, &column) in shown.iter().enumerate() {
                let (cell, ink) = &row[column];
                let pad = " ".repeat(widths[column] - cell.width());
                let last = place + 1 == shown.len();
                let painted = look.paint(*ink, cell);
                match (self.heads[column].right, last) {
                    (true, _) => line.push_str(&format!("{pad}{painted}")),
                    (false, true) => line.push_str(&painted),
                    (false, false) => line.push_str(&format!("{painted}{pad}")),
                }
                if !last {
                    line.push_str("  ");
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        (text, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned_and_spare_columns_go_first() {
        let mut table = Table::new(vec![left("name"), right("n"), left("why").spare(1)]);
        table.plain(vec!["a".into(), "1,000".into(), "long reason".into()]);
        table.plain(vec!["né".into(), "7".into(), String::new()]);
        let (text, out) = table.render(Look::PLAIN);
        assert_eq!(text, "name      n  why\na     1,000  long reason\nné        7\n");
        assert!(out.is_empty());
        let (text, out) = table.render(Look { width: 12, ..Look::PLAIN });
        assert_eq!(text, "name      n\na     1,000\nné        7\n");
        assert_eq!(out, ["why"]);
        let piped = table.render(Look { width: 12, terminal: false, colour: false }).0;
        assert!(piped.contains("long reason"));
    }
}
