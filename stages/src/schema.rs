//! A small language in which every key of an experiment is described once.
//!
//! The description checks what a user typed, fills in defaults, decides what a stage key covers, and is what
//! `docs/experiment.md` is compared with. The typed structs of [`crate::params`] are read from values that passed it.

use serde_json::Value;

/// One key of an experiment.
#[derive(Debug)]
pub struct Key {
    /// Its name inside its table.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when it is not written.
    pub default: Default,
    /// What part it plays in a stage's identity.
    pub role: Role,
    /// One line for people.
    pub doc: &'static str,
}

/// The values that a key may take.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in a closed range.
    Int(i64, i64),
    /// A finite number in a range.
    Float(Range),
    /// Any text.
    Text,
    /// A path, relative to the experiment's folder's root.
    Path,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of values of one kind.
    List(&'static Kind),
    /// A table of keys.
    Table(&'static [Key]),
    /// A table whose `kind` says which other keys it has.
    Tagged(&'static [(&'static str, &'static [Key])]),
    /// One of several kinds that differ in shape: a word, a number, a list, or tables told apart by their first key.
    Any(&'static [Kind]),
}

/// A range of finite floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least value.
    pub min: f64,
    /// Whether `min` itself is allowed.
    pub min_in: bool,
    /// The greatest value; infinite where there is none.
    pub max: f64,
    /// Whether `max` itself is allowed.
    pub max_in: bool,
}

impl Range {
    /// Every finite number above 0.
    pub const POSITIVE: Self = Self { min: 0.0, min_in: false, max: f64::INFINITY, max_in: false };
    /// 0 and every finite number above it.
    pub const NOT_NEGATIVE: Self = Self { min: 0.0, min_in: true, max: f64::INFINITY, max_in: false };
    /// From 0, to but not including 1.
    pub const BELOW_ONE: Self = Self { min: 0.0, min_in: true, max: 1.0, max_in: false };
    /// Above 0, up to and including 1.
    pub const SHARE: Self = Self { min: 0.0, min_in: false, max: 1.0, max_in: true };
    /// Every finite number.
    pub const FINITE: Self = Self { min: f64::NEG_INFINITY, min_in: false, max: f64::INFINITY, max_in: false };

    /// Whether `x` lies in the range; no NaN does.
    pub fn contains(&self, x: f64) -> bool {
        x.is_finite()
            && (x > self.min || (self.min_in && x == self.min))
            && (x < self.max || (self.max_in && x == self.max))
    }
}

/// What a key is when it is not written.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// A value, written as JSON in the key's own type.
    Is(&'static str),
    /// The experiment's `seed`.
    Seed,
    /// Nothing: the key is left out.
    Absent,
}

/// What part a parameter plays in a stage's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It changes the numbers: part of the stage key, and of a trajectory's identity.
    Numbers,
    /// It says how far to go: part of the stage key; of a trajectory's identity only where a schedule reads it.
    Length,
    /// It says what is written down on the way: part of the stage key, never of a trajectory's identity.
    Cadence,
    /// It says which executions there are (which checkpoints, which splits): part of no key.
    Selection,
}

impl Key {
    /// A key that changes the numbers, with a default.
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Is(default), role: Role::Numbers, doc }
    }

    /// The same key in another role.
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Absent, role: Role::Numbers, doc }
    }

    /// A seed, which defaults to the experiment's.
    pub const fn seed(doc: &'static str) -> Self {
        Self { name: "seed", kind: Kind::Int(0, i64::MAX), default: Default::Seed, role: Role::Numbers, doc }
    }

    /// The default as a value; `None` where there is none.
    ///
    /// # Panics
    /// Never for the tables of this crate: a test reads every default.
    pub fn default_value(&self, seed: i64) -> Option<Value> {
        match self.default {
            Default::Is(text) => Some(serde_json::from_str(text).expect("BUG: a default is JSON")),
            Default::Seed => Some(Value::from(seed)),
            Default::Absent => None,
        }
    }
}
