//! Names of stages and of their outputs: strings that are checked once, on input, and cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a stage, such as `train`: a lowercase letter, then lowercase letters, digits and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageName(Arc<str>);

/// The name of an output of a stage, such as `vocab` or `weights@100`: letters, digits, `_`, `.`, `-` and `@`, starting
/// with a letter, a digit or `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(Arc<str>);

/// The error for a text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid name for {what}: expected {rule}")]
pub struct NoName {
    text: String,
    what: &'static str,
    rule: &'static str,
}

impl StageName {
    const WHAT: &str = "a stage";
    const RULE: &str = "a lowercase letter, then lowercase letters, digits and _";

    fn is_one(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }
}

impl OutputName {
    const WHAT: &str = "an output";
    const RULE: &str = "letters, digits, _, ., - and @, starting with a letter, a digit or _";

    fn is_one(text: &str) -> bool {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.starts_with(part) && text.chars().all(|c| part(c) || matches!(c, '.' | '-' | '@'))
    }

    /// The name of a checkpoint's weights among the outputs of training: `weights@100`.
    pub fn weights(step: u64) -> Self {
        Self(format!("weights@{step}").into())
    }

    /// The name of the state that is needed to resume: `state@100`. It is not an output, but reports of damage and
    /// sizes use this name.
    pub fn state(step: u64) -> Self {
        Self(format!("state@{step}").into())
    }

    /// The checkpoint whose weights have this name; `None` for any other output.
    pub fn weights_step(&self) -> Option<u64> {
        match self.at_step()? {
            ("weights", step) => Some(step),
            _ => None,
        }
    }

    /// The part before the `@` of a name such as `state@100`, and the checkpoint after it.
    pub fn at_step(&self) -> Option<(&str, u64)> {
        let (what, step) = self.0.split_once('@')?;
        Some((what, step.parse().ok()?))
    }
}

macro_rules! a_checked_text {
    ($($name:ident),*) => { $(
        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// If it is not a valid name.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NoName> {
                let text = text.into();
                match Self::is_one(&text) {
                    true => Ok(Self(text)),
                    false => Err(NoName { text: (*text).to_owned(), what: Self::WHAT, rule: Self::RULE }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Allows a map keyed by names to be searched by `&str`: both have the same hash and order.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl TryFrom<String> for $name {
            type Error = NoName;

            fn try_from(text: String) -> Result<Self, NoName> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = NoName;

            fn from_str(text: &str) -> Result<Self, NoName> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )* };
}

a_checked_text!(StageName, OutputName);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_stage_is_named_in_lowercase() {
        for name in ["train", "a", "step_2", "tokenize"] {
            assert_eq!(StageName::new(name).unwrap(), *name);
        }
        for text in ["", "Train", "2nd", "_a", "a-b", "a.b", "a b", "é", "a\n"] {
            assert!(StageName::new(text).is_err(), "{text}");
        }
        assert_eq!(
            StageName::new("My stage").unwrap_err().to_string(),
            "`My stage` is not a valid name for a stage: expected a lowercase letter, then lowercase letters, digits \
             and _"
        );
    }

    #[test]
    fn an_output_can_be_a_file_name_or_a_checkpoint() {
        for name in ["vocab", "model.pt", "weights@100", "run-2.JSON", "_x", "7"] {
            assert_eq!(OutputName::new(name).unwrap(), *name);
        }
        for text in ["", ".hidden", "-x", "@1", "a/b", "..", "a b", "a\0"] {
            assert!(OutputName::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn weights_are_named_by_their_step() {
        let step = |text: &str| OutputName::new(text).unwrap().weights_step();
        assert_eq!(OutputName::weights(100), "weights@100");
        assert_eq!(OutputName::weights(0).weights_step(), Some(0));
        for other in ["weights", "weights@", "weights@-1", "weights@a", "weights@1@2", "state@100", "vocab"] {
            assert_eq!(step(other), None, "{other}");
        }
        assert_eq!(OutputName::state(100).at_step(), Some(("state", 100)));
        assert_eq!(OutputName::new("vocab").unwrap().at_step(), None);
    }

    #[test]
    fn names_are_plain_strings_in_json() {
        let json = serde_json::to_string(&StageName::new("train").unwrap()).unwrap();
        assert_eq!(json, "\"train\"");
        assert_eq!(serde_json::from_str::<StageName>(&json).unwrap(), "train");
        assert!(serde_json::from_str::<StageName>("\"Train\"").is_err());
        let map = BTreeMap::from([(OutputName::weights(3), 1)]);
        assert_eq!(serde_json::to_string(&map).unwrap(), "{\"weights@3\":1}");
        assert_eq!(map.get("weights@3"), Some(&1));
        assert_eq!(format!("{:>6}|", "vocab".parse::<StageName>().unwrap()), " vocab|");
    }
}
