//! Tests of the words that verdicts use in the record.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::Word;

/// Each word survives a round trip through text and JSON, and is unique.
fn come_back<T>(all: &[T]) -> Vec<String>
where
    T: Copy + Debug + Display + PartialEq + AsRef<str> + FromStr + Serialize + DeserializeOwned,
    T::Err: Debug,
{
    let words: Vec<String> = all.iter().map(T::to_string).collect();
    for (it, word) in all.iter().zip(&words) {
        assert_eq!(word.parse::<T>().unwrap(), *it);
        let json = serde_json::to_string(it).unwrap();
        assert_eq!(json, format!("\"{word}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *it);
    }
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!("Diverged".parse::<T>().is_err());
    words
}

#[test]
fn words_survive_a_round_trip() {
    assert_eq!(come_back(Kind::ALL), ["data_fault", "diverged", "unstable", "too_low", "stable", "inconclusive"]);
    assert_eq!(come_back(TrialOutcome::ALL), ["confirmed", "not_confirmed", "open"]);
    for words in [come_back(Cause::ALL), come_back(FindingKind::ALL), come_back(Signal::ALL)] {
        assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{words:?}");
    }
    come_back(CheckName::ALL);
    let of_verdicts = Kind::ALL.iter().map(|kind| About::from(*kind));
    let all: Vec<About> = of_verdicts.chain(FindingKind::ALL.iter().map(|it| About::from(*it))).collect();
    come_back(&all);
}

#[test]
fn each_course_is_named_after_its_verdict() {
    for kind in Kind::ALL {
        let named = FindingKind::course(*kind).map(FindingKind::as_str);
        assert_eq!(named.is_none(), *kind == Kind::DataFault);
        assert!(named.is_none_or(|named| named == format!("course_{kind}")));
    }
}

#[test]
fn a_word_of_another_version_is_kept_unchanged() {
    let of = |text: &str| Word::<Cause>::from(text.to_owned());
    assert_eq!(of("rate_too_high"), Cause::RateTooHigh);
    assert_eq!(of("rate_too_high").known(), Some(Cause::RateTooHigh));
    let other = of("moon_phase");
    assert_eq!((other.known(), other.as_str()), (None, "moon_phase"));
    assert!(Cause::ALL.iter().all(|cause| other != *cause));
    let json = serde_json::to_string(&[of("no_order"), other.clone()]).unwrap();
    assert_eq!(json, r#"["no_order","moon_phase"]"#);
    assert_eq!(serde_json::from_str::<Vec<Word<Cause>>>(&json).unwrap()[1], other);
    assert_eq!("moon".parse::<Cause>().unwrap_err().to_string(), "`moon` is not a cause");
}
