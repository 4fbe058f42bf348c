//! Differences between a recorded run and its recomputation.

use std::collections::BTreeMap;

use crate::ui::format::{self, count};
use engine::store::{Health, Store};
use identity::{ObjectId, OutputName, RunId};
use record::read::Numbers;
use session::Reader;
use session::failure::Failure;
use session::plan;
use view::Source as _;

/// The stage, the item and the name of an output.
type Name = (String, String, String);

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub struct Differences {
    compared: Vec<(i64, &'static str)>,
    /// One line per kind of difference.
    found: Vec<String>,
    /// Versions, threads and CPU capability that changed: the name, the recorded value, and the value now.
    circumstances: Vec<(&'static str, String, String)>,
}

impl Differences {
    /// Compares a recorded run with its recomputation.
    pub fn between(then: (&mut Reader, RunId), now: (&mut Reader, RunId)) -> Result<Self, Failure> {
        let mut this = Self::default();
        let ((then, run), (now, again)) = (then, now);
        this.numbers(&then.record.numbers(run)?, &now.record.numbers(again)?);
        let mut objects = (outputs(then, run)?, outputs(now, again)?);
        // A run recorded before a stage was added has no outputs of that stage.
        let stages = plan::built_in();
        let later = |stage: &str| stages.iter().any(|it| it.name == stage && it.later);
        let had = |stage: &str| objects.0.keys().any(|(of, ..)| of == stage);
        objects.1.retain(|(stage, ..), _| had(stage) || !later(stage));
        this.objects((then, &objects.0), (now, &objects.1));
        this.texts("score", &scores(then, run)?, &scores(now, again)?);
        this.texts("sample", &samples(then, run)?, &samples(now, again)?);
        let (before, after) = (circumstances(then, run)?, circumstances(now, again)?);
        let pairs = before.into_iter().zip(after);
        this.circumstances =
            pairs.filter(|(a, b)| a.1 != b.1).map(|((name, then), (_, now))| (name, then, now)).collect();
        Ok(this)
    }

    /// Whether the two are bit-identical.
    pub fn none(&self) -> bool {
        self.found.is_empty()
    }

    /// The report to print.
    pub fn words(&self) -> String {
        if self.none() {
            let counted: Vec<String> = self.compared.iter().map(|(n, what)| several(*n, what)).collect();
            return format!("identical: {}\n", counted.join(", "));
        }
        let mut text = String::from("not identical\n");
        self.found.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        if self.circumstances.is_empty() {
            text.push_str("  versions, threads and CPU capability are the same; the build may differ\n");
        }
        for (name, then, now) in &self.circumstances {
            text.push_str(&format!("  {name}: {then} in the record, {now} now\n"));
        }
        text
    }

    fn numbers(&mut self, then: &[Numbers], now: &[Numbers]) {
        self.compared.push((then.len() as i64, "loss"));
        if let Some((a, b)) = then.iter().zip(now).find(|(a, b)| a.bits() != b.bits()) {
            let step = count(a.step);
            self.found.push(format!("step {step} is the first that differs: {a} in the record; {b} now"));
        } else if then.len() != now.len() {
            let (then, now) = (count(then.len() as i64), count(now.len() as i64));
            self.found.push(format!("{then} steps in the record, {now} now"));
        }
    }

    fn objects(&mut self, then: (&Reader, &BTreeMap<Name, String>), now: (&Reader, &BTreeMap<Name, String>)) {
        self.compared.push((then.1.len() as i64, "object"));
        let names = then.1.keys().chain(now.1.keys().filter(|name| !then.1.contains_key(*name)));
        let mut differ: Vec<&Name> = names.filter(|name| then.1.get(*name) != now.1.get(*name)).collect();
        // Sorted in graph order, and weights in step order.
        let stages = plan::built_in();
        let place = |stage: &str| stages.iter().position(|it| it.name == stage);
        let step = |name: &str| OutputName::new(name).ok()?.at_step().map(|(_, step)| step);
        differ.sort_by_key(|(stage, item, name)| (place(stage), step(name), item, name));
        let Some(first) = differ.first() else { return };
        let (stage, item, name) = first;
        let called = [stage.as_str(), item, name].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let more = if differ.len() > 1 { format!(", the first of {}", differ.len()) } else { String::new() };
        let why = match (then.1.get(first), now.1.get(first)) {
            (Some(a), Some(b)) => tensor((then.0, a), (now.0, b)),
            (Some(_), None) => "; it is missing now".to_owned(),
            _ => "; it is not in the record".to_owned(),
        };
        self.found.push(format!("object {} differs{more}{why}", called.join(" ")));
    }

    fn texts(&mut self, what: &'static str, then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
        self.compared.push((then.len() as i64, what));
        let names = then.keys().chain(now.keys().filter(|name| !then.contains_key(*name)));
        let differ: Vec<&String> = names.filter(|name| then.get(*name) != now.get(*name)).collect();
        let Some(first) = differ.first() else { return };
        let shown =
            |text: Option<&String>| text.map_or("nothing".to_owned(), |text| format::cut(&format::line(text), 40));
        let more = if differ.len() > 1 { format!(", the first of {}", differ.len()) } else { String::new() };
        self.found.push(format!(
            "{what} {first} differs{more}: {} in the record, {} now",
            shown(then.get(*first)),
            shown(now.get(*first))
        ));
    }
}

/// A count with its noun in the singular or plural: `1 loss`, `1,000 losses`.
fn several(n: i64, what: &str) -> String {
    let plural = match (n, what) {
        (1, _) => "",
        (_, "loss") => "es",
        _ => "s",
    };
    format!("{} {what}{plural}", count(n))
}

/// A run's own outputs, without those of a parent that was recomputed for its fork.
fn outputs(reader: &mut Reader, run: RunId) -> Result<BTreeMap<Name, String>, Failure> {
    let rows = reader.record.outputs(run)?.into_iter();
    let own = rows.filter(|(_, item, ..)| !item.starts_with(plan::PARENT));
    Ok(own.map(|(stage, item, name, digest)| ((stage, item, name), digest)).collect())
}

/// Scores by checkpoint, split and scoring stage.
fn scores(reader: &mut Reader, run: RunId) -> Result<BTreeMap<String, String>, Failure> {
    let said = reader.record.evaluations(run)?.into_iter().map(|e| {
        let (step, loss) = (e.step.unwrap_or(0), e.loss.map_or(e.loss_kind.to_string(), |loss| format!("{loss:?}")));
        (format!("{} {}{}", count(step), e.split, if e.source == "train" { " during training" } else { "" }), loss)
    });
    Ok(said.collect())
}

/// Samples by checkpoint, position and decoding.
fn samples(reader: &mut Reader, run: RunId) -> Result<BTreeMap<String, String>, Failure> {
    let said = reader.record.samples(run)?.into_iter().map(|s| {
        let name = format!("{} {} {}", count(s.step.unwrap_or(0)), s.position, format::line(&s.decode));
        (name, format!("{:?}", [s.prompt, s.text]))
    });
    Ok(said.collect())
}

/// Versions, threads and CPU capability, which can change the bits of the results.
fn circumstances(reader: &mut Reader, run: RunId) -> Result<Vec<(&'static str, String)>, Failure> {
    let version = reader.record.detail(run)?.program_version;
    let stages = reader.stages(run)?;
    let train = stages.iter().find(|stage| stage.stage == "train");
    let scored = stages.iter().find(|stage| stage.stage == "evaluate");
    let trained = reader.record.trained(run)?;
    let none = || format::NOTHING.to_owned();
    let text = |text: Option<&String>| text.cloned().unwrap_or_else(none);
    Ok(vec![
        ("pipeline", version),
        ("libtorch", text(train.and_then(|train| train.libtorch.as_ref()))),
        ("threads", trained.as_ref().map_or_else(none, |trained| trained.threads.to_string())),
        (
            "threads of the evaluate stage",
            scored.and_then(|it| it.threads).map_or_else(none, |threads| threads.to_string()),
        ),
        ("CPU capability", trained.map_or_else(none, |trained| trained.cpu_capability)),
    ])
}

/// Names the first tensor that differs between two weights files; empty for other files.
fn tensor(then: (&Reader, &str), now: (&Reader, &str)) -> String {
    let file = |(reader, digest): (&Reader, &str)| {
        let store = Store::over(&reader.store);
        let id: ObjectId = digest.parse().ok()?;
        matches!(store.check(id), Ok(Health::Sound)).then(|| store.path(id))
    };
    let Some(then) = file(then) else { return "; the recorded object is missing from the store".to_owned() };
    match file(now).map(|now| stages::files::first_tensor_that_differs(&then, &now)) {
        Some(Ok(Some(name))) => format!("; the first tensor that differs is {name}"),
        _ => String::new(),
    }
}
