//! Selects runs by `run42`, `42`, `latest` or `study:lr_study`.

use std::str::FromStr;

use crate::failure::Failure;
use experiment::nearest;
use identity::{NoRun, RunId};
use record::Record;
use record::read::Study;

/// A selector of runs: an argument such as `run42` or `study:lr_study`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A run by its number.
    Run(RunId),
    /// The run with the highest number.
    Latest,
    /// The runs of the newest study of this name, or of the study with this number, in grid order.
    Study(String, Option<i64>),
}

impl FromStr for Selector {
    type Err = Failure;

    fn from_str(word: &str) -> Result<Self, Failure> {
        if word == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(name) = word.strip_prefix("study:") {
            let (name, number) = match name.split_once('@') {
                Some((name, number)) => (name, Some(number)),
                None => (name, None),
            };
            if name.is_empty() {
                let message = format!("`{word}` is not a study; allowed: study:NAME or study:NAME@NUMBER");
                return Err(Failure::input(message, "to list the runs of all studies: pipeline runs"));
            }
            return match number.map(digits) {
                None => Ok(Self::Study(name.to_owned(), None)),
                Some(Some(number)) => Ok(Self::Study(name.to_owned(), Some(number))),
                Some(None) => {
                    let message = format!("`{word}` is not a study; allowed: study:{name} or study:{name}@NUMBER");
                    Err(Failure::input(message, format!("to list its runs: pipeline runs study:{name}")))
                }
            };
        }
        word.parse().map(Self::Run).map_err(|_: NoRun| {
            Failure::input(format!("`{word}` is not a run; allowed: run42, 42, latest, study:NAME"), meant(word))
        })
    }
}

/// A number written in digits alone.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The hint for a word that is not a selector.
fn meant(word: &str) -> String {
    let lower = word.trim().to_lowercase();
    let known = |word: &str| word.parse::<Selector>().is_ok();
    let several: Vec<&str> = word.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    if several.len() > 1 && several.iter().all(|part| known(part)) {
        return format!("separate runs by spaces: {}", several.join(" "));
    }
    let shorter = lower.trim_end_matches(['-', ':', ',', '.']);
    if shorter != word && known(shorter) {
        return format!("did you mean {shorter}?");
    }
    let stripped = word.trim_start_matches(['r', '#', '-']);
    if stripped != word && digits(stripped).is_some_and(|_| !stripped.is_empty()) {
        return format!("did you mean run{stripped}?");
    }
    "to list all runs: pipeline runs".to_owned()
}

/// Runs that were selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The runs in the order of the selectors, each once.
    pub runs: Vec<RunId>,
    /// Notes on what else the selectors could have meant.
    pub notes: Vec<String>,
}

/// The runs that the selectors `words` select.
pub fn resolve(record: &mut Record, words: &[String]) -> Result<Named, Failure> {
    let Named { mut runs, mut notes } = Named::default();
    for word in words {
        let named = match word.parse() {
            Ok(selector) => runs_of(record, &selector, &mut notes)?,
            Err(failure) => return Err(perhaps_a_study(record, word, failure)?),
        };
        for run in named {
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
    }
    Ok(Named { runs, notes })
}

/// The single run that the selector `word` selects.
pub fn one(record: &mut Record, word: &str) -> Result<RunId, Failure> {
    match resolve(record, &[word.to_owned()])?.runs[..] {
        [run] => Ok(run),
        ref runs => {
            let names: Vec<String> = runs.iter().take(8).map(|run| run.to_string()).collect();
            let more = if runs.len() > 8 { ", …" } else { "" };
            Err(Failure::input(
                format!("{word} matches {} runs ({}{more}); this command takes only one", runs.len(), names.join(", ")),
                format!("to compare them: pipeline compare {word}"),
            ))
        }
    }
}

fn runs_of(record: &mut Record, selector: &Selector, notes: &mut Vec<String>) -> Result<Vec<RunId>, Failure> {
    match selector {
        Selector::Latest => {
            let latest = record.run_numbers()?.pop();
            latest.map(|run| vec![run]).ok_or_else(none)
        }
        Selector::Run(run) => {
            let numbers = record.run_numbers()?;
            if numbers.contains(run) {
                return Ok(vec![*run]);
            }
            let what = match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) if first == last => format!("the only run is {first}"),
                (Some(first), Some(last)) => format!("there are {} runs, {first} to {last}", numbers.len()),
                _ => return Err(none()),
            };
            Err(Failure::input(format!("{run} does not exist; {what}"), "to list all runs: pipeline runs"))
        }
        Selector::Study(name, number) => {
            let studies = record.studies()?;
            let named: Vec<&Study> = studies.iter().filter(|study| study.name == *name).collect();
            let numbers = || {
                let shown = named.iter().skip(usize::from(number.is_none())).take(5);
                shown
                    .map(|study| {
                        let plural = if study.runs == 1 { "" } else { "s" };
                        format!("study:{name}@{} ({} run{plural})", study.id, study.runs)
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            if let Some(number) = number
                && !named.is_empty()
                && named.iter().all(|study| study.id != *number)
            {
                let message = format!("study:{name}@{number} does not exist; allowed: {}", numbers());
                return Err(Failure::input(message, format!("to list the newest: pipeline runs study:{name}")));
            }
            if let Some(study) = named.iter().find(|study| number.is_none_or(|number| study.id == number)) {
                if number.is_none() && named.len() > 1 {
                    let n = named.len();
                    notes.push(format!(
                        "study:{name} is the newest of {n} studies with that name; earlier: {}",
                        numbers()
                    ));
                }
                let runs = record.study_runs(study.id)?;
                if runs.is_empty() {
                    return Err(Failure::input(format!("study {name} has no runs yet"), ""));
                }
                return Ok(runs);
            }
            let mut names: Vec<&str> = Vec::new();
            for study in &studies {
                if !names.contains(&study.name.as_str()) {
                    names.push(&study.name);
                }
            }
            if names.is_empty() {
                return Err(none());
            }
            let near = nearest(name, names.iter().copied());
            let hint =
                near.map_or("to list all runs: pipeline runs".to_owned(), |near| format!("did you mean study:{near}?"));
            let listed: Vec<&str> = names.iter().copied().take(8).collect();
            Err(Failure::input(format!("unknown study '{name}'; studies: {}", listed.join(", ")), hint))
        }
    }
}

/// Replaces the hint of `failure` if the word is close to the name of a study.
fn perhaps_a_study(record: &mut Record, word: &str, failure: Failure) -> Result<Failure, Failure> {
    let studies = record.studies()?;
    let near = nearest(word, studies.iter().map(|study| study.name.as_str()));
    Ok(match near {
        Some(name) => Failure { hint: format!("did you mean study:{name}?"), ..failure },
        None => failure,
    })
}

fn none() -> Failure {
    Failure::input("no runs yet", "to run an experiment: pipeline run experiments/lr_study.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixture::Fixture;

    #[test]
    fn selectors_select_runs_or_are_refused_with_a_hint() {
        let fixture = Fixture::new();
        let mut record = fixture.record();
        let mut named = |words: &[&str]| {
            resolve(&mut record, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
                .map(|named| named.runs)
                .map_err(|failure| format!("{} | {}", failure.message, failure.hint))
        };
        assert_eq!(named(&["run2", "2", "latest"]), Ok(vec![RunId(2), RunId(4)]));
        assert_eq!(named(&["study:lr_study", "run1"]), Ok(vec![RunId(1), RunId(2), RunId(3)]));
        let said = |words: &[&str], text: &str| assert_eq!(named(words), Err(text.to_owned()));
        let mut said = said;
        said(
            &["study:tiny@7"],
            "study:tiny@7 does not exist; allowed: study:tiny@2 (1 run) | to list the newest: pipeline runs study:tiny",
        );
        said(&["run99"], "run99 does not exist; there are 4 runs, run1 to run4 | to list all runs: pipeline runs");
        said(&["study:lr_stdy"], "unknown study 'lr_stdy'; studies: tiny, lr_study | did you mean study:lr_study?");
        said(
            &["lr_study"],
            "`lr_study` is not a run; allowed: run42, 42, latest, study:NAME | did you mean study:lr_study?",
        );
        let allowed = "is not a run; allowed: run42, 42, latest, study:NAME";
        for (word, hint) in [
            ("-3", "did you mean run3?"),
            ("run1-", "did you mean run1?"),
            ("1-", "did you mean 1?"),
            ("r3", "did you mean run3?"),
            ("#3", "did you mean run3?"),
            ("RUN3", "did you mean run3?"),
            (" run3", "did you mean run3?"),
            ("Latest", "did you mean latest?"),
            ("latest:", "did you mean latest?"),
            ("run1,run2", "separate runs by spaces: run1 run2"),
            ("run", "to list all runs: pipeline runs"),
            ("", "to list all runs: pipeline runs"),
            ("run99999999999999999999", "to list all runs: pipeline runs"),
        ] {
            said(&[word], &format!("`{word}` {allowed} | {hint}"));
        }
        for word in ["study:", "study:@", "study:@1"] {
            said(
                &[word],
                &format!(
                    "`{word}` is not a study; allowed: study:NAME or study:NAME@NUMBER | to list the runs of all \
                     studies: pipeline runs"
                ),
            );
        }
        said(
            &["study:tiny@-1"],
            "`study:tiny@-1` is not a study; allowed: study:tiny or study:tiny@NUMBER | to list its runs: pipeline \
             runs study:tiny",
        );
    }

    #[test]
    fn an_earlier_study_of_a_name_is_selected_by_its_number() {
        let fixture = Fixture::new();
        fixture.study(3, "lr_study", &[4]);
        let mut record = fixture.record();
        let named = |record: &mut Record, word: &str| resolve(record, &[word.to_owned()]).unwrap();
        let newest = named(&mut record, "study:lr_study");
        assert_eq!(newest.runs, [RunId(4)]);
        assert_eq!(
            newest.notes,
            ["study:lr_study is the newest of 2 studies with that name; earlier: study:lr_study@1 (3 runs)"]
        );
        assert_eq!(
            named(&mut record, "study:lr_study@1"),
            Named { runs: vec![RunId(1), RunId(2), RunId(3)], notes: vec![] }
        );
    }

    #[test]
    fn one_accepts_a_single_run_only() {
        let fixture = Fixture::new();
        let mut record = fixture.record();
        assert_eq!(one(&mut record, "latest").unwrap(), RunId(4));
        let failure = one(&mut record, "study:lr_study").unwrap_err();
        assert_eq!(failure.message, "study:lr_study matches 3 runs (run1, run2, run3); this command takes only one");
    }
}
