//! More than two runs: the best of them, and the shapes of their curves.

use crate::ui::format;
use crate::ui::look::{Ink, Look};
use crate::ui::multiples::{self, Panel};
use crate::ui::verdict;
use identity::verdict::Kind;
use insight::comparison::Differing;
use insight::winner::{Group, Measure, Winner, is_seed};
use view::compare::CompareView;
use view::defaults::Defaults;

/// The maximum number of panels. If there are more groups, there is one panel per verdict.
const MOST_PANELS: usize = 12;

/// The most excluded groups that are named.
const MOST_OUT: usize = 3;

/// Names a group by the values that distinguish it: `learning_rate=0.1`.
fn point(all: &CompareView, group: &Group) -> String {
    let rows: Vec<&Differing> = all.parameters.iter().filter(|row| !is_seed(&row.name)).collect();
    let names = format::short_names(&rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>());
    let defaults = Defaults::of(0);
    let place = group.places[0];
    let said = rows.iter().zip(names).map(|(row, name)| match &row.values[place] {
        Some(cell) => format!("{name}={}", defaults.shown(&row.name, cell)),
        None => format!("no {name}"),
    });
    said.collect::<Vec<_>>().join(" ")
}

fn names(all: &CompareView, group: &Group) -> String {
    format::some(&group.places.iter().map(|place| all.runs[*place].name()).collect::<Vec<_>>())
}

fn called(all: &CompareView, group: &Group) -> String {
    match point(all, group) {
        point if point.is_empty() => names(all, group),
        point => format!("{point} ({})", names(all, group)),
    }
}

/// The best group, and how far ahead it is.
pub fn standing(all: &CompareView, look: Look) -> String {
    let said = match (&all.winner, all.groups.len()) {
        (_, ..2) => return String::new(),
        (None, _) if all.incomparable.is_some() => return String::new(),
        (None, _) => "no best run: with every setting, a run diverged, has a data fault or has no loss".to_owned(),
        (Some(winner), _) => winning(all, winner),
    };
    format::wrap(&said, look.width).iter().map(|line| format!("{}\n", look.paint(Ink::Bold, line))).collect()
}

fn winning(all: &CompareView, winner: &Winner) -> String {
    let group = &all.groups[winner.group];
    let (what, loss) = (
        match winner.by {
            Measure::Valid => "last validation loss",
            Measure::Tail => "mean loss over the last tenth of its steps",
        },
        format::float(group.loss.unwrap_or(f64::NAN)),
    );
    let over =
        if group.places.len() > 1 { format!(" averaged over {} seeds", group.places.len()) } else { String::new() };
    let mut said = format!("best: {}, {what} {loss}{over}", called(all, group));
    let out: Vec<String> = all.groups.iter().filter(|group| group.loss.is_none()).map(|it| called(all, it)).collect();
    let why = "because a run diverged, has a data fault or has no loss";
    let out = match out.len() {
        0 => String::new(),
        // A learning rate that fails with one seed in three does not win, however well the others did.
        1..=MOST_OUT => format!("; excluded {why}: {}", out.join(", ")),
        many => format!("; {many} others are excluded {why}"),
    };
    let (Some(next), Some(margin)) = (winner.next, winner.margin) else { return said + &out };
    said.push_str(&format!("; {} lower than {}", format::float(margin), called(all, &all.groups[next])));
    match winner.spread {
        None => said.push_str("; one seed each, so seed variance is unknown"),
        Some(spread) if spread > 0.0 => said.push_str(&format!(
            ", {:.1} times the standard deviation over seeds ({}){}",
            margin / spread,
            format::float(spread),
            if margin < spread { ", so there is no clear winner" } else { "" }
        )),
        Some(_) => said.push_str("; the seed makes no difference"),
    }
    said + &out
}

/// The curves, one panel per group, in the order of their shapes from a low to a high rate; and whether a loss is above
/// the axis.
pub fn curves(all: &CompareView, look: Look) -> (String, bool) {
    let steps = all.runs.iter().map(|run| run.steps).max().unwrap_or(0);
    let by_rate = all.parameters.iter().any(|row| row.name == "train.learning_rate");
    let mut groups: Vec<(Kind, Vec<usize>, String)> = Vec::new();
    for group in &all.groups {
        let kind = worst(all, &group.places);
        if all.groups.len() <= MOST_PANELS {
            groups.push((kind, group.places.clone(), point(all, group)));
        } else if let Some((_, places, _)) = groups.iter_mut().find(|(known, ..)| *known == kind) {
            places.extend(&group.places);
        } else {
            groups.push((kind, group.places.clone(), String::new()));
        }
    }
    groups.sort_by_key(|(kind, places, _)| (order(*kind), places[0]));
    let panel = |(kind, places, title): &(Kind, Vec<usize>, String)| {
        let names = match places.len() {
            ..4 => places.iter().map(|place| all.runs[*place].name()).collect::<Vec<_>>().join(", "),
            many => format!("{many} runs"),
        };
        let same = places.iter().filter(|place| all.verdicts[**place].verdict == *kind).count();
        let one = places.iter().find(|place| all.verdicts[**place].verdict == *kind).map(|place| &all.verdicts[*place]);
        let (mut word, ink) = one.map_or_else(Default::default, verdict::word);
        // The axis already shows onsets.
        word = word.split(" at ").next().unwrap_or("").to_owned();
        if same < places.len() {
            word = format!("{word} ({same} of {})", places.len());
        }
        let shape = shape(*kind).filter(|_| by_rate).map_or(String::new(), |shape| format!("{shape}: "));
        let lines = vec![(title.clone(), Ink::Bold), (names, Ink::Plain), (format!("{shape}{word}"), ink)];
        Panel {
            title: lines.into_iter().filter(|line| !line.0.is_empty()).collect(),
            ink: if ink == Ink::Dim { Ink::Plain } else { ink },
            runs: places.iter().map(|place| &all.curves[*place][..]).collect(),
            onsets: places.iter().filter_map(|place| all.verdicts[*place].began()).collect(),
        }
    };
    multiples::multiples(look, steps, &groups.iter().map(panel).collect::<Vec<_>>(), &all.baselines)
}

/// What a verdict says about the learning rate, if that is swept.
fn shape(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::TooLow => Some("low"),
        Kind::Stable => Some("good"),
        Kind::Unstable => Some("high"),
        Kind::Diverged => Some("very high"),
        Kind::DataFault | Kind::Inconclusive => None,
    }
}

fn order(kind: Kind) -> usize {
    let shapes = [Kind::TooLow, Kind::Stable, Kind::Unstable, Kind::Diverged, Kind::DataFault, Kind::Inconclusive];
    shapes.iter().position(|shape| *shape == kind).unwrap_or(shapes.len())
}

/// The most serious verdict of a group.
fn worst(all: &CompareView, places: &[usize]) -> Kind {
    let gravest = [Kind::DataFault, Kind::Diverged, Kind::Unstable, Kind::TooLow, Kind::Inconclusive, Kind::Stable];
    let has = |kind: &&Kind| places.iter().any(|place| all.verdicts[*place].verdict == **kind);
    gravest.iter().find(has).copied().unwrap_or(Kind::Inconclusive)
}
