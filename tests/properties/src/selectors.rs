//! Words that name runs.

use crate::text;
use session::selector::Selector;

/// A word names runs, and then so does the plainest way to write the same; or it is refused, with a hint that does.
pub fn selector(bytes: &[u8]) {
    let Some(word) = text(bytes) else { return };
    match word.parse::<Selector>() {
        Ok(selector) => {
            let plain = match &selector {
                Selector::Run(run) => {
                    assert!(run.0 >= 0, "{word:?} is {run}");
                    run.to_string()
                }
                Selector::Latest => "latest".to_owned(),
                Selector::Study(name, None) => format!("study:{name}"),
                Selector::Study(name, Some(number)) => format!("study:{name}@{number}"),
            };
            assert_eq!(plain.parse::<Selector>().unwrap(), selector, "{word:?}, {plain:?}");
        }
        Err(failure) => {
            assert!(!failure.message.is_empty() && !failure.hint.is_empty(), "{word:?}");
            let hint = failure.hint.strip_prefix("did you mean ").and_then(|rest| rest.strip_suffix('?'));
            if let Some(other) = hint {
                assert!(other.parse::<Selector>().is_ok(), "{word:?}: is told to try {other:?}");
            }
            if let Some(several) = failure.hint.strip_prefix("separate runs by spaces: ") {
                let words: Vec<&str> = several.split(' ').collect();
                assert!(words.iter().all(|word| word.parse::<Selector>().is_ok()), "{word:?}: {several:?}");
            }
        }
    }
}
