//! Numbers of rows in the record, each with its own type.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of a run: 42 for `run42`. In JSON it is a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

/// The error for a text that does not name a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run: expected a run such as run42 or 42")]
pub struct NoRun(String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run{}", self.0)
    }
}

impl FromStr for RunId {
    type Err = NoRun;

    /// Reads `run42` or `42`; only digits are accepted, so signs and blanks are refused.
    fn from_str(text: &str) -> Result<Self, NoRun> {
        let digits = text.strip_prefix("run").unwrap_or(text);
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        number.flatten().map(Self).ok_or_else(|| NoRun(text.to_owned()))
    }
}

impl From<i64> for RunId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// The number of an execution's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(pub i64);

/// The number of a trajectory's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrajectoryRow(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_number() {
        assert_eq!(RunId(42).to_string(), "run42");
        for text in ["run42", "42", "run042"] {
            assert_eq!(text.parse(), Ok(RunId(42)), "{text}");
        }
        for text in ["", "run", "run-1", "-1", "+1", "run 1", "Run1", "runrun1", "1.0", "99999999999999999999"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        let error = "run-1".parse::<RunId>().unwrap_err();
        assert_eq!(error.to_string(), "`run-1` is not a run: expected a run such as run42 or 42");
        assert_eq!(serde_json::to_string(&[RunId(1), RunId(42)]).unwrap(), "[1,42]");
        assert_eq!(serde_json::from_str::<RunId>("42").unwrap(), RunId(42));
    }
}
