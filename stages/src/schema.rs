//! A small language that describes every key of an experiment once.
//!
//! The description checks the user's values, fills in defaults, decides what a stage key covers, and generates the
//! tables of `docs/experiment.md`. The typed structs of [`crate::params`] are read from values that passed its checks.

use serde_json::Value;

/// One key of an experiment.
#[derive(Debug)]
pub struct Key {
    /// Its name inside its table.
    pub name: &'static str,
    /// The values it accepts.
    pub kind: KeyKind,
    /// Its value if it is not written.
    pub default: Default,
    /// Its role in a stage's identity.
    pub role: Role,
    /// Whether the key was added after results without it existed. Its default then stands for the old behaviour and is
    /// left out of stage keys, so that those results stay valid.
    pub later: bool,
    /// One line of help.
    pub doc: &'static str,
}

/// The values that a key accepts.
#[derive(Debug)]
pub enum KeyKind {
    /// `true` or `false`.
    Bool,
    /// A whole number in a closed range.
    Int(i64, i64),
    /// A finite number in an interval.
    Float(Interval),
    /// Any text.
    Text,
    /// A path.
    Path,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of values of one kind.
    List(&'static KeyKind),
    /// A table of keys.
    Table(&'static [Key]),
    /// A table whose `kind` determines its other keys.
    Tagged(&'static [(&'static str, &'static [Key])]),
    /// One of several kinds that differ in shape: a word, a number, a list, or tables told apart by their first key.
    Any(&'static [KeyKind]),
}

/// An interval of finite floats, with open or closed ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The least value.
    pub min: f64,
    /// Whether `min` itself is allowed.
    pub min_in: bool,
    /// The greatest value; infinite for no limit.
    pub max: f64,
    /// Whether `max` itself is allowed.
    pub max_in: bool,
}

impl Interval {
    /// Finite numbers above 0.
    pub const POSITIVE: Self = Self { min: 0.0, min_in: false, max: f64::INFINITY, max_in: false };
    /// Numbers above 0 that single precision can hold.
    pub const POSITIVE_SINGLE: Self = Self { min: 0.0, min_in: false, max: 3.4e38, max_in: true };
    /// Finite numbers from 0 on.
    pub const NOT_NEGATIVE: Self = Self { min: 0.0, min_in: true, max: f64::INFINITY, max_in: false };
    /// From 0, below 1.
    pub const BELOW_ONE: Self = Self { min: 0.0, min_in: true, max: 1.0, max_in: false };
    /// Above 0, up to and including 1.
    pub const SHARE: Self = Self { min: 0.0, min_in: false, max: 1.0, max_in: true };
    /// All finite numbers.
    pub const FINITE: Self = Self { min: f64::NEG_INFINITY, min_in: false, max: f64::INFINITY, max_in: false };

    /// Whether `x` lies in the interval; false for NaN.
    pub fn contains(&self, x: f64) -> bool {
        x.is_finite()
            && (x > self.min || (self.min_in && x == self.min))
            && (x < self.max || (self.max_in && x == self.max))
    }
}

/// The value of a key that is not written.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// A value, written as JSON in the key's own type.
    Is(&'static str),
    /// The experiment's `seed`.
    Seed,
    /// Nothing: the key is left out.
    Absent,
}

/// The role of a parameter in a stage's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Changes the numbers: part of the stage key and of the trajectory's identity.
    Numbers,
    /// Changes how far to train: part of the stage key, but of the trajectory's identity only if a schedule reads it.
    Length,
    /// Changes what is saved during training: part of the stage key, never of the trajectory's identity.
    Cadence,
    /// Selects executions (which checkpoints, which splits): part of no key.
    Selection,
    /// Says where the worker computes: part of both, but under a field name of its own.
    Place,
}

impl Key {
    /// A key that changes the numbers, with a default.
    pub const fn new(name: &'static str, kind: KeyKind, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Is(default), role: Role::Numbers, later: false, doc }
    }

    /// Sets the role.
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Marks the key as added after results without it existed.
    pub const fn later(mut self) -> Self {
        self.later = true;
        self
    }

    /// A key that can be left out.
    pub const fn optional(name: &'static str, kind: KeyKind, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Absent, role: Role::Numbers, later: false, doc }
    }

    /// A seed, which defaults to the experiment's.
    pub const fn seed(doc: &'static str) -> Self {
        let kind = KeyKind::Int(0, i64::MAX);
        Self { name: "seed", kind, default: Default::Seed, role: Role::Numbers, later: false, doc }
    }

    /// The default as a value; `None` if there is none. A test parses every default of this crate's tables.
    pub fn default_value(&self, seed: i64) -> Option<Value> {
        match self.default {
            Default::Is(text) => Some(serde_json::from_str(text).expect("BUG: a default is valid JSON")),
            Default::Seed => Some(Value::from(seed)),
            Default::Absent => None,
        }
    }
}

/// The part of a checked and completed table that a stage key covers. The entries that `left_out` selects are left out,
/// and so are later keys at their default, here and in nested tables.
pub fn covered(keys: &[Key], table: &Value, left_out: &dyn Fn(&Key) -> bool) -> Value {
    let Value::Object(entries) = table else { return table.clone() };
    let part = |(name, value): (&String, &Value)| {
        let Some(key) = keys.iter().find(|key| key.name == name) else { return Some((name.clone(), value.clone())) };
        let unchanged =
            key.later && matches!(key.default, Default::Is(_)) && key.default_value(0).as_ref() == Some(value);
        (!unchanged && !left_out(key)).then(|| (name.clone(), covered_inside(&key.kind, value)))
    };
    entries.iter().filter_map(part).collect()
}

fn covered_inside(kind: &KeyKind, value: &Value) -> Value {
    let keys = match kind {
        KeyKind::Table(keys) => *keys,
        KeyKind::Tagged(tags) => tags.iter().find(|(tag, _)| value["kind"] == *tag).map_or(&[][..], |(_, keys)| keys),
        // The tables of one choice have no keys in common.
        KeyKind::Any(kinds) => {
            let fits = |kind: &&KeyKind| match kind {
                KeyKind::Table(keys) => keys.iter().any(|key| value.get(key.name).is_some()),
                kind => matches!(kind, KeyKind::Tagged(_)) && value.get("kind").is_some(),
            };
            return kinds.iter().find(fits).map_or_else(|| value.clone(), |kind| covered_inside(kind, value));
        }
        _ => return value.clone(),
    };
    covered(keys, value, &|_| false)
}

/// Flattens tables to dotted names.
pub fn flatten(name: &str, value: &Value, all: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                flatten(&format!("{name}.{key}"), value, all);
            }
        }
        value => all.push((name.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_later_key_counts_only_if_it_differs_from_its_default() {
        const INNER: &[Key] =
            &[Key::new("every", KeyKind::Int(0, 9), "1", ""), Key::new("at", KeyKind::Int(0, 9), "3", "").later()];
        const KEYS: &[Key] = &[
            Key::new("rate", KeyKind::Float(Interval::POSITIVE), "1.0", ""),
            Key::new("scale", KeyKind::Choice(&["mean", "sum"]), "\"mean\"", "").later(),
            Key::new("steps", KeyKind::Int(0, 9), "1", "").role(Role::Length),
            Key::new("table", KeyKind::Table(INNER), "{}", ""),
            Key::new("tagged", KeyKind::Tagged(&[("a", &[]), ("b", INNER)]), "{\"kind\": \"a\"}", ""),
            Key::new("any", KeyKind::Any(&[KeyKind::Choice(&["x"]), KeyKind::Table(INNER)]), "\"x\"", ""),
        ];
        let read = |table: Value| covered(KEYS, &table, &|key| key.role == Role::Length);
        let old = json!({"rate": 1.0, "steps": 3, "table": {"every": 1}, "tagged": {"kind": "a"}, "any": "x"});
        let mut new = old.clone();
        new["scale"] = json!("mean");
        new["table"]["at"] = json!(3);
        assert_eq!(read(new.clone()), read(old));
        assert!(read(new.clone()).get("steps").is_none());
        for (pointer, value) in [
            ("/scale", json!("sum")),
            ("/table", json!({"every": 1, "at": 4})),
            ("/tagged", json!({"kind": "b", "every": 1, "at": 3})),
            ("/any", json!({"every": 1, "at": 4})),
        ] {
            let mut other = new.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_ne!(read(other), read(new.clone()), "{pointer}");
        }
        let inside =
            |at: u64| read(json!({"tagged": {"kind": "b", "every": 1, "at": at}, "any": {"every": 2, "at": at}}));
        assert_eq!(inside(3), json!({"tagged": {"kind": "b", "every": 1}, "any": {"every": 2}}));
        assert_eq!(inside(4)["any"], json!({"every": 2, "at": 4}));
    }
}
