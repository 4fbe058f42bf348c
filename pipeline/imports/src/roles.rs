//! What each series of a log is: the training loss, the learning rate, a loss on held-out text, or a number of its own.
//!
//! Only names decide, never values: a rule that looked at values would be wrong in silence. A user who knows better says so
//! (`--series loss=train/ce`).

use crate::report::{Name, Names, Series};

/// What a series is to a training's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The training loss.
    Loss,
    /// The perplexity in training, of a log that has no training loss: its logarithm is the loss.
    Perplexity,
    /// The learning rate.
    LearningRate,
    /// The norm of the gradient.
    GradNorm,
    /// The epoch, in a series of its own.
    Epoch,
    /// The tokens of a step.
    Tokens,
    /// The seconds of a step.
    Seconds,
    /// A loss on a split other than the training text.
    Evaluation {
        /// `valid`, `test`, or the log's own name of another.
        split: String,
    },
    /// A perplexity on such a split, of a log that has no loss on it.
    EvaluationPerplexity {
        /// As of [`Self::Evaluation`].
        split: String,
    },
    /// A number of the log's own, kept under its name.
    Other,
}

impl Role {
    /// The word for it in `--series WORD=NAME`, and in what the record says of a source. `None` for numbers of the log's own.
    pub fn word(&self) -> Option<String> {
        Some(match self {
            Self::Loss => "loss".into(),
            Self::Perplexity => "perplexity".into(),
            Self::LearningRate => "learning_rate".into(),
            Self::GradNorm => "grad_norm".into(),
            Self::Epoch => "epoch".into(),
            Self::Tokens => "tokens".into(),
            Self::Seconds => "seconds".into(),
            Self::Evaluation { split } => format!("{split}_loss"),
            Self::EvaluationPerplexity { split } => format!("{split}_perplexity"),
            Self::Other => return None,
        })
    }

    /// The role of a word, as [`Self::word`] writes it.
    pub fn of_word(word: &str) -> Option<Self> {
        let split = |split: &str| (!split.is_empty()).then(|| split.to_owned());
        Some(match word {
            "loss" => Self::Loss,
            "perplexity" => Self::Perplexity,
            "learning_rate" => Self::LearningRate,
            "grad_norm" => Self::GradNorm,
            "epoch" => Self::Epoch,
            "tokens" => Self::Tokens,
            "seconds" => Self::Seconds,
            _ => match (word.strip_suffix("_loss"), word.strip_suffix("_perplexity")) {
                (Some(of), _) => Self::Evaluation { split: split(of)? },
                (_, Some(of)) => Self::EvaluationPerplexity { split: split(of)? },
                _ => return None,
            },
        })
    }
}

/// That a user names the series for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The role.
    pub role: Role,
    /// The log's name of the series.
    pub name: String,
}

/// The roles of all series of a log, by their index.
///
/// # Errors
/// With the entry of `named` whose series the log doesn't have.
pub fn assign<'n>(names: &Names, named: &'n [Named]) -> Result<Vec<Role>, &'n Named> {
    let all: Vec<(Series, &Name)> = names.all().collect();
    let mut roles: Vec<Role> = vec![Role::Other; all.len()];
    let mut taken: Vec<&Role> = Vec::new();
    for it in named {
        let found = all.iter().position(|(_, name)| name.name == it.name).ok_or(it)?;
        roles[found] = it.role.clone();
        taken.push(&it.role);
    }
    // For each role the series whose name says it most plainly; of equally plain ones, the one that the log had first.
    let mut candidates: Vec<(u32, usize, Role)> = Vec::new();
    for (place, (_, name)) in all.iter().enumerate().filter(|(place, _)| roles[*place] == Role::Other) {
        if let Some((role, plainness)) = guess(name) {
            candidates.push((plainness, place, role));
        }
    }
    candidates.sort_by_key(|(plainness, place, _)| (std::cmp::Reverse(*plainness), *place));
    let mut given: Vec<Role> = taken.into_iter().cloned().collect();
    for (_, place, role) in candidates {
        // A perplexity is needed only where there is no loss of the same text.
        let other = match &role {
            Role::Perplexity => Role::Loss,
            Role::EvaluationPerplexity { split } => Role::Evaluation { split: split.clone() },
            _ => role.clone(),
        };
        if !given.contains(&role) && !given.contains(&other) {
            given.push(role.clone());
            roles[place] = role;
        }
    }
    Ok(roles)
}

/// Words that make a loss the loss of something else, or another quantity altogether.
const NOT_THE_LOSS: &[&str] = &[
    "scale",
    "aux",
    "auxiliary",
    "z",
    "router",
    "kl",
    "reg",
    "regularization",
    "generator",
    "discriminator",
    "policy",
    "value",
    "vf",
    "pg",
    "best",
    "min",
    "minimum",
    "std",
    "var",
    "mse",
    "balance",
    "consistency",
    "rate",
    "spike",
    "target",
];

/// What a name says, and how plainly.
fn guess(name: &Name) -> Option<(Role, u32)> {
    let words = words(&name.name);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let whole = words.join(" ");
    let split = split(name, &words);
    // A mean over the epoch is the same loss said again, later.
    let plain = |base: u32| base - u32::from(has(&["epoch", "avg", "average", "mean", "running", "smoothed"])) * 10;
    match whole.as_str() {
        "lr" | "learning rate" | "l r" => return Some((Role::LearningRate, 100)),
        "grad norm" | "gradient norm" | "gnorm" | "norm" => return Some((Role::GradNorm, 100)),
        "epoch" | "epochs" => return Some((Role::Epoch, 100)),
        "tokens" | "num tokens" => return Some((Role::Tokens, 100)),
        _ => {}
    }
    if has(&["lr"]) || whole.contains("learning rate") {
        return Some((Role::LearningRate, 50));
    }
    if whole.contains("grad norm") || whole.contains("gradient norm") || has(&["gnorm"]) {
        return Some((Role::GradNorm, 50));
    }
    if has(&["ppl", "perplexity", "pplx"]) {
        return Some(match split {
            None => (Role::Perplexity, plain(50)),
            Some(split) => (Role::EvaluationPerplexity { split }, plain(50)),
        });
    }
    let base = match () {
        () if has(&["loss", "trl", "tel"]) => 60,
        () if has(&["nll", "xent", "ce", "crossentropy", "crossentropyloss"]) || whole.contains("cross entropy") => 55,
        () if has(&["cost"]) => 50,
        () => return None,
    };
    if has(NOT_THE_LOSS) {
        return None;
    }
    // `lm loss` of a log that has a `loss` too is one part of it; of a log that has none it is the loss.
    let parts = words.iter().filter(|word| !SAYS_LITTLE.contains(&word.as_str())).count() as u32;
    let plainness = plain(base + 20).saturating_sub(parts * 5);
    Some(match split {
        None => (Role::Loss, plainness),
        Some(split) => (Role::Evaluation { split }, plainness),
    })
}

/// Words beside the loss that don't make it the loss of something else.
const SAYS_LITTLE: &[&str] = &[
    "loss",
    "train",
    "training",
    "trn",
    "valid",
    "val",
    "validation",
    "dev",
    "eval",
    "evaluation",
    "test",
    "batch",
    "step",
    "iter",
    "epoch",
    "nll",
    "xent",
    "ce",
    "cross",
    "entropy",
    "cost",
    "trl",
    "tel",
];

/// The split that a name speaks of; `None` for the training text.
fn split(name: &Name, words: &[String]) -> Option<String> {
    let of = |word: &str| match word {
        "train" | "training" | "trn" | "trl" => Some(None),
        "valid" | "val" | "validation" | "dev" | "eval" | "evaluation" | "tel" | "cv" => Some(Some("valid")),
        "test" => Some(Some("test")),
        _ => None,
    };
    if let Some(split) = &name.split {
        let lower = split.to_lowercase();
        return match of(&lower) {
            Some(known) => known.map(str::to_owned),
            None => Some(lower),
        };
    }
    let known = words.iter().find_map(|word| of(word))?.map(str::to_owned)?;
    // One of several held-out sets: `eval_g0_loss`.
    let set: Vec<&str> = words.iter().map(String::as_str).filter(|word| !SAYS_LITTLE.contains(word)).collect();
    let set: Vec<&str> = set.into_iter().filter(|word| !["ppl", "perplexity", "pplx"].contains(word)).collect();
    Some(if set.is_empty() { known } else { format!("{known}_{}", set.join("_")) })
}

/// The words of a name, in lower case: `train/CrossEntropyLoss` is `train`, `cross`, `entropy`, `loss`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let boundary = !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if boundary && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Span;

    /// The roles of some names, as words; `-` for a number of the log's own.
    fn roles(names: &[&str]) -> Vec<String> {
        let mut all = Names::default();
        for name in names {
            let (split, name) = name.split_once('|').map_or((None, *name), |(split, name)| (Some(split), name));
            all.series(name, split, Span::Unknown);
        }
        assign(&all, &[]).unwrap().iter().map(|role| role.word().unwrap_or_else(|| "-".into())).collect()
    }

    #[test]
    fn names_of_known_programs_say_what_they_are() {
        for (names, expected) in [
            (
                &["loss", "grad_norm", "learning_rate", "epoch", "eval_loss", "eval_runtime"][..],
                &["loss", "grad_norm", "learning_rate", "epoch", "valid_loss", "-"][..],
            ),
            (&["trl", "lr", "norm", "tel", "eval"], &["loss", "learning_rate", "grad_norm", "valid_loss", "-"]),
            (&["lm loss", "loss scale", "grad norm", "learning rate"], &["loss", "-", "grad_norm", "learning_rate"]),
            (
                &["train_loss_epoch", "train_loss_step", "train_perplexity_step", "val_loss", "val_perplexity"],
                &["-", "loss", "-", "valid_loss", "-"],
            ),
            (&["train/loss", "eval/loss", "train/grad_norm"], &["loss", "valid_loss", "grad_norm"]),
            (&["train/CrossEntropyLoss"], &["loss"]),
            (&["Generator loss", "Discriminator loss"], &["-", "-"]),
            (&["train|loss", "validation|loss", "train|lr"], &["loss", "valid_loss", "learning_rate"]),
            (&["eval_g0_loss", "eval_g1_loss", "loss"], &["valid_g0_loss", "valid_g1_loss", "loss"]),
            (&["ppl", "lr", "valid ppl"], &["perplexity", "learning_rate", "valid_perplexity"]),
            (&["loss", "ppl", "valid loss", "valid ppl"], &["loss", "-", "valid_loss", "-"]),
            (&["Cost", "L.r."], &["loss", "learning_rate"]),
            (&["Batch Loss", "Lr"], &["loss", "learning_rate"]),
            (&["loss", "lm_loss", "mlm_loss"], &["loss", "-", "-"]),
            (&["xent", "acc", "ppl"], &["loss", "-", "-"]),
            (&["accuracy", "val_accuracy", "tok/sec"], &["-", "-", "-"]),
        ] {
            assert_eq!(roles(names), expected, "{names:?}");
        }
    }

    #[test]
    fn a_user_knows_better() {
        let mut names = Names::default();
        names.series("loss", None, Span::Step);
        names.series("train/ce", None, Span::Step);
        let named = |role: &str, name: &str| Named { role: Role::of_word(role).unwrap(), name: name.into() };
        let chosen = [named("loss", "train/ce")];
        assert_eq!(assign(&names, &chosen), Ok(vec![Role::Other, Role::Loss]));
        let absent = [named("valid_loss", "dev")];
        assert_eq!(assign(&names, &absent), Err(&absent[0]));
        assert_eq!(Role::of_word("nonsense"), None);
        for word in [
            "loss",
            "perplexity",
            "learning_rate",
            "grad_norm",
            "epoch",
            "tokens",
            "seconds",
            "dev_loss",
            "test_perplexity",
        ] {
            assert_eq!(Role::of_word(word).unwrap().word().unwrap(), word);
        }
    }

    #[test]
    fn names_are_split_where_their_words_are() {
        assert_eq!(words("train/CrossEntropyLoss"), ["train", "cross", "entropy", "loss"]);
        assert_eq!(words("TrainIterStats/loss"), ["train", "iter", "stats", "loss"]);
        assert_eq!(words("__"), [] as [&str; 0]);
    }
}
