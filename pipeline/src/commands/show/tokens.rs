//! A model's predictions at one step, token by token, as text.

use unicode_width::UnicodeWidthStr as _;

use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use identity::{LossKind, StepRow};
use view::step::{BatchRow, Replay, Token};

/// Tokens in the list of those with the highest loss.
const COSTLIEST: usize = 10;

/// How the figures of a token are written in the cells of a table.
trait Words {
    fn nats(&self) -> String;
    fn cost(&self) -> f64;
    fn chance(&self) -> String;
    fn place(&self) -> String;
    /// The top predictions with their probabilities in per cent, wrapped to `width`.
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

/// A probability in per cent, without the % sign.
fn percent(p: f64) -> String {
    match 100.0 * p {
        100.0 => "100".to_owned(),
        x if x >= 0.1 => format!("{x:.1}"),
        x if x >= 0.01 => format!("{x:.2}"),
        x => format!("{x:.0e}"),
    }
}

/// A probability as a percentage, or in scientific notation where that would round to zero.
fn chance(p: f64) -> String {
    if p >= 1e-4 { format::share(p) } else { format!("{p:.0e}") }
}

/// The result of a replay of `step` in a few sentences, compared with the recorded step, `measured`. `types` is the
/// vocabulary size.
pub fn summary(replay: &Replay, tokens: &[Token], step: u64, measured: &StepRow, types: usize) -> String {
    let whole = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    let before = |steps: u64| format!("{} {} earlier", whole(steps), if steps == 1 { "step" } else { "steps" });
    let way = match (step - replay.from, replay.from) {
        (0, 0) => "from the initial weights".to_owned(),
        (0, _) => "from the checkpoint at this step".to_owned(),
        (steps, 0) => format!("from the initial weights, {}", before(steps)),
        (steps, from) => format!("from the checkpoint at step {}, {}", whole(from), before(steps)),
    };
    let mut said = vec![format!(
        "Replayed {way}, in {}{}",
        format::seconds(replay.seconds),
        match replay.parted {
            None => ": the loss matches the recorded loss bit for bit.",
            Some(_) => ".",
        }
    )];
    if let Some(parted) = replay.parted {
        let exact = |loss: Option<f64>, kind: &str| loss.map_or(kind.to_owned(), |loss| format!("{loss:?}"));
        let now = exact(replay.loss, replay.loss_kind.as_str());
        let before = exact(measured.loss, measured.loss_kind.map_or(format::NOTHING, LossKind::as_str));
        let first = match parted < step {
            true => format!("; the losses first differ at step {}", whole(parted)),
            false => String::new(),
        };
        let why = replay.suspicion.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        said.push(format!("The replayed loss is {now}, but the recorded loss is {before}{first}{why}."));
        said.push("The figures below are from the replay.".to_owned());
    }
    let mut ranks: Vec<u64> = tokens.iter().filter_map(|token| token.rank).collect();
    ranks.sort_unstable();
    if ranks.len() < tokens.len() {
        let (lost, all) = ((tokens.len() - ranks.len()) as u64, tokens.len() as u64);
        let (lost, all) = (whole(lost), whole(all));
        said.push(format!("No prediction for {lost} of {all} tokens: a logit was NaN or Inf."));
    }
    if let Some(middle) = ranks.get(ranks.len() / 2) {
        let within = |most: u64| format::share(ranks.partition_point(|rank| *rank <= most) as f64 / ranks.len() as f64);
        said.push(format!(
            "Top-1 accuracy is {}, top-5 accuracy {}; the target's median rank is {} of {}.",
            within(1),
            within(5),
            whole(*middle),
            whole(types as u64)
        ));
    }
    said.join(" ")
}

/// The tokens with the highest loss, each with its context and the top predictions in its place.
pub fn costliest(tokens: &[Token], rows: &[BatchRow], look: Look) -> String {
    if tokens.iter().all(|token| token.rank.is_none()) {
        return String::new();
    }
    let sorted = sorted(tokens);
    let (sum, whole) = (sorted.iter().map(|it| it.cost()).sum::<f64>(), tokens.iter().map(Token::cost).sum::<f64>());
    let share = match whole.is_finite() {
        true => format!(" account for {} of the loss", format::share(sum / whole)),
        false => String::new(),
    };
    let title = format!("the {} highest-loss tokens of {}{share}", sorted.len(), count(tokens.len() as i64));
    let mut text = format!("{}\n", look.heading(&title));
    let head = format!("  {:>8}  {:>7}  {:>6}  {:>3}  token, and the top predictions (%)", "nats", "p", "rank", "row");
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

/// The tokens with the highest loss, the highest first.
fn sorted(tokens: &[Token]) -> Vec<&Token> {
    let mut sorted: Vec<&Token> = tokens.iter().collect();
    // A stable sort: tokens of equal loss keep their order.
    sorted.sort_by(|a, b| b.cost().total_cmp(&a.cost()));
    sorted.truncate(COSTLIEST);
    sorted
}

/// The lowest loss in the list of the tokens with the highest loss.
pub fn threshold(tokens: &[Token]) -> f64 {
    sorted(tokens).last().map_or(f64::INFINITY, |token| token.cost())
}

/// The indent of the predictions below a token.
const GUESSES: usize = 12;

/// The last inputs up to `position` that fit in `room` columns.
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

/// Formats the cell of a column for a token.
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
    let heads = numbers(columns.map(|it| it.0.to_owned()));
    let head = format!("  {}{heads}  top predictions (%)", format::pad("target", first));
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

/// Two lines below a row's inputs and targets: the top prediction for each target, and the target's loss. Correct
/// predictions and the highest losses are highlighted.
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

/// The mean loss of a row, or its kind where a loss is not finite.
pub fn row_loss(number: usize, tokens: &[Token]) -> String {
    let of_row = || tokens.iter().filter(|token| token.row == number);
    match of_row().find(|token| token.loss.is_none()) {
        Some(token) => token.loss_kind.to_string(),
        None => format::float(of_row().map(Token::cost).sum::<f64>() / of_row().count() as f64),
    }
}

/// A token made visible: in a character model, a space or a line end is a token.
pub fn visible(token: &str) -> String {
    if token.chars().all(|c| c == ' ') { "␠".repeat(token.len()) } else { format::line(token) }
}
