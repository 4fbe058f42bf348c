//! What a model predicted at one step, token by token, as a person reads it.

use unicode_width::UnicodeWidthStr as _;

use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use identity::{LossKind, StepRow};
use view::step::{BatchRow, Replay, Token};

/// Tokens that stand in the list of the costliest.
const COSTLIEST: usize = 10;

/// A token in the words of a table.
trait Words {
    fn nats(&self) -> String;
    fn cost(&self) -> f64;
    fn chance(&self) -> String;
    fn place(&self) -> String;
    /// The likeliest with their probabilities in per cent, in lines of a width.
    fn guesses(&self, width: usize) -> Vec<String>;
}

impl Words for Token {
    fn nats(&self) -> String {
        format::loss(self.loss, Some(self.loss_kind))
    }

    fn cost(&self) -> f64 {
        self.loss.unwrap_or(f64::INFINITY)
    }

    fn chance(&self) -> String {
        self.loss.map_or(format::NOTHING.to_owned(), |loss| chance((-loss).exp()))
    }

    fn place(&self) -> String {
        self.rank.map_or(format::NOTHING.to_owned(), |rank| count(i64::try_from(rank).unwrap_or(i64::MAX)))
    }

    fn guesses(&self, width: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for it in &self.likeliest {
            let said = format!("{} {}", visible(&it.word), percent(it.p));
            match lines.last_mut().filter(|line| line.width() + said.width() + 3 <= width) {
                Some(line) => line.push_str(&format!(" · {said}")),
                None => lines.push(said),
            }
        }
        lines
    }
}

/// A probability in per cent, without the sign.
fn percent(p: f64) -> String {
    match 100.0 * p {
        100.0 => "100".to_owned(),
        x if x >= 0.1 => format!("{x:.1}"),
        x if x >= 0.01 => format!("{x:.2}"),
        x => format!("{x:.0e}"),
    }
}

/// A probability: a share, while it is more than nothing.
fn chance(p: f64) -> String {
    if p >= 1e-4 { format::share(p) } else { format!("{p:.0e}") }
}

/// What came of a replay of `step`, in a few sentences, beside what was `measured` when it was recorded. `types` says how
/// many there are.
pub fn summary(replay: &Replay, tokens: &[Token], step: u64, measured: &StepRow, types: usize) -> String {
    let whole = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    let before = |steps: u64| format!("{} {} before", whole(steps), if steps == 1 { "step" } else { "steps" });
    let way = match (step - replay.from, replay.from) {
        (0, 0) => "from the initial weights".to_owned(),
        (0, _) => "from the state that is kept there".to_owned(),
        (steps, 0) => format!("from the initial weights, {}", before(steps)),
        (steps, from) => format!("from the state at step {}, {}", whole(from), before(steps)),
    };
    let mut said = vec![format!(
        "Replayed {way}, in {}{}",
        format::seconds(replay.seconds),
        match replay.parted {
            None => ": the loss is the recorded one to the bit.",
            Some(_) => ".",
        }
    )];
    if let Some(parted) = replay.parted {
        let exact = |loss: Option<f64>, kind: &str| loss.map_or(kind.to_owned(), |loss| format!("{loss:?}"));
        let now = exact(replay.loss, replay.loss_kind.as_str());
        let before = exact(measured.loss, measured.loss_kind.map_or(format::NOTHING, LossKind::as_str));
        let first = match parted < step {
            true => format!("; step {} is the first that differs", whole(parted)),
            false => String::new(),
        };
        let why = replay.suspicion.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        said.push(format!("The replayed loss differs from the recorded: {now} now, {before} then{first}{why}."));
        said.push("What follows is of the replay.".to_owned());
    }
    let mut ranks: Vec<u64> = tokens.iter().filter_map(|token| token.rank).collect();
    ranks.sort_unstable();
    if ranks.len() < tokens.len() {
        let (lost, all) = ((tokens.len() - ranks.len()) as u64, tokens.len() as u64);
        let (lost, all) = (whole(lost), whole(all));
        said.push(format!("For {lost} of {all} tokens nothing was predicted: a logit was no number."));
    }
    if let Some(middle) = ranks.get(ranks.len() / 2) {
        let within = |most: u64| format::share(ranks.partition_point(|rank| *rank <= most) as f64 / ranks.len() as f64);
        said.push(format!(
            "The target was the likeliest type for {} of the tokens, among the five likeliest for {}; its median rank is \
             {} of {}.",
            within(1),
            within(5),
            whole(*middle),
            whole(types as u64)
        ));
    }
    said.join(" ")
}

/// The tokens that cost the most, each with the words before it and what was likeliest in its place.
pub fn costliest(tokens: &[Token], rows: &[BatchRow], look: Look) -> String {
    if tokens.iter().all(|token| token.rank.is_none()) {
        return String::new();
    }
    let sorted = sorted(tokens);
    let (sum, whole) = (sorted.iter().map(|it| it.cost()).sum::<f64>(), tokens.iter().map(Token::cost).sum::<f64>());
    let share = if whole.is_finite() { format!(": {} of the loss", format::share(sum / whole)) } else { String::new() };
    let title = format!("the {} costliest of {} tokens{share}", sorted.len(), count(tokens.len() as i64));
    let mut text = format!("{}\n", look.heading(&title));
    let head =
        format!("  {:>8}  {:>7}  {:>6}  {:>3}  token, and the likeliest in its place (%)", "nats", "p", "rank", "row");
    text.push_str(&format!("{}\n", look.paint(Ink::Dim, &head)));
    for token in sorted {
        let lead = format!("  {:>8}  {:>7}  {:>6}  {:>3}  ", token.nats(), token.chance(), token.place(), token.row);
        let target = visible(&token.target);
        let room = look.width.saturating_sub(lead.width() + target.width() + 3);
        let context = context(&rows[token.row], token.position, room);
        text.push_str(&format!("{lead}{context} → {}\n", look.paint(Ink::Bold, &target)));
        for line in token.guesses(look.width.saturating_sub(GUESSES)) {
            text.push_str(&format!("{}{}\n", " ".repeat(GUESSES), look.paint(Ink::Dim, &line)));
        }
    }
    text
}

/// The costliest tokens, the costliest first.
fn sorted(tokens: &[Token]) -> Vec<&Token> {
    let mut sorted: Vec<&Token> = tokens.iter().collect();
    // Equal ones stay in their order.
    sorted.sort_by(|a, b| b.cost().total_cmp(&a.cost()));
    sorted.truncate(COSTLIEST);
    sorted
}

/// What the least of the costliest tokens cost.
pub fn threshold(tokens: &[Token]) -> f64 {
    sorted(tokens).last().map_or(f64::INFINITY, |token| token.cost())
}

/// Where guesses begin below a token.
const GUESSES: usize = 12;

/// The inputs up to a position, as many of the last as there is room for.
fn context(row: &BatchRow, position: usize, room: usize) -> String {
    let mut text = String::new();
    for input in row.inputs[..=position].iter().rev() {
        let word = visible(input);
        if !text.is_empty() && text.width() + word.width() + 3 > room {
            return format!("… {text}");
        }
        text = if text.is_empty() { word } else { format!("{word} {text}") };
    }
    text
}

/// What stands in a column of a table.
type TokenCell = fn(&Token) -> String;

/// Every token of a row.
pub fn row(number: usize, tokens: &[Token], look: Look) -> String {
    let of_row: Vec<&Token> = tokens.iter().filter(|token| token.row == number).collect();
    let width = |name: &str, cell: &dyn Fn(&Token) -> String| {
        of_row.iter().map(|token| cell(token).width()).max().unwrap_or(0).max(name.width())
    };
    let target = |token: &Token| format::cut(&visible(&token.target), 16);
    let columns: [(&str, TokenCell); 3] = [("nats", Token::nats), ("p", Token::chance), ("rank", Token::place)];
    let first = width("target", &target);
    let widths = columns.map(|(name, cell)| width(name, &cell));
    let numbers = |cells: [String; 3]| {
        let cells =
            cells.iter().zip(widths).map(|(cell, width)| format!("  {}{cell}", " ".repeat(width - cell.width())));
        cells.collect::<String>()
    };
    let indent = 2 + first + widths.iter().map(|width| width + 2).sum::<usize>() + 2;
    let head =
        format!("  {}{}  likeliest (%)", format::pad("target", first), numbers(columns.map(|it| it.0.to_owned())));
    let mut text = format!("{}\n", look.paint(Ink::Dim, &head));
    for token in of_row {
        let cells = numbers(columns.map(|(_, cell)| cell(token)));
        let mut lead = format!("  {}{cells}  ", format::pad(&target(token), first));
        let guesses = token.guesses(look.width.saturating_sub(indent));
        for line in if guesses.is_empty() { vec![String::new()] } else { guesses } {
            text.push_str(&format!("{}\n", format!("{lead}{line}").trim_end()));
            lead = " ".repeat(indent);
        }
    }
    text
}

/// A line below a row's inputs and targets.
pub struct TokenLine {
    pub name: &'static str,
    pub cells: Vec<(String, Ink)>,
}

/// Two lines below a row's inputs and targets: what was likeliest in each place, and what the target cost. What came true
/// stands out, and so do the costliest.
pub fn below(number: usize, tokens: &[Token], costliest: f64) -> Vec<TokenLine> {
    let of_row = || tokens.iter().filter(|token| token.row == number);
    let first = |token: &Token| {
        let ink = if token.rank == Some(1) { Ink::Good } else { Ink::Plain };
        (token.likeliest.first().map_or(format::NOTHING.to_owned(), |it| visible(&it.word)), ink)
    };
    let nats = |token: &Token| {
        let ink = if token.cost() >= costliest { Ink::Bad } else { Ink::Plain };
        (token.loss.map_or(token.loss_kind.to_string(), |loss| format!("{loss:.2}")), ink)
    };
    let line = |name, cells| TokenLine { name, cells };
    vec![line("guesses", of_row().map(first).collect()), line("nats", of_row().map(nats).collect())]
}

/// The mean loss of a row, in words.
pub fn row_loss(number: usize, tokens: &[Token]) -> String {
    let of_row = || tokens.iter().filter(|token| token.row == number);
    match of_row().find(|token| token.loss.is_none()) {
        Some(token) => token.loss_kind.to_string(),
        None => format::float(of_row().map(Token::cost).sum::<f64>() / of_row().count() as f64),
    }
}

/// A token that can be seen: a space or a line's end is a token of its own where characters are.
pub fn visible(token: &str) -> String {
    if token.chars().all(|c| c == ' ') { "␠".repeat(token.len()) } else { format::line(token) }
}
