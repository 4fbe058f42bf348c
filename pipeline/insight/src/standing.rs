//! Where a loss ranks among the n-gram baselines.

use schemars::JsonSchema;
use serde::Serialize;

use identity::NgramLoss;

/// Losses that differ by less than this, in nats, count as equally good. It is a difference of 1 % in perplexity.
const ALIKE: f64 = 0.01;

/// A loss and how it ranks among the baselines.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Standing {
    pub loss: f64,
    pub place: Place,
}

/// The neighbours of a loss among the baselines.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A baseline with practically the same loss.
    AsGoodAs(NgramLoss),
    /// Every baseline is better; this one is the nearest.
    WorseThan(NgramLoss),
    /// The nearest worse baseline, and the nearest better one.
    Between(NgramLoss, NgramLoss),
    /// Every baseline is worse; this one is the nearest.
    BetterThan(NgramLoss),
}

/// Where a loss on a split ranks among the baselines on that split; `None` if there are none.
pub fn standing(loss: f64, split: &str, models: &[NgramLoss]) -> Option<Standing> {
    let models: Vec<&NgramLoss> = models.iter().filter(|model| model.split == split).collect();
    let nearest = |fits: &dyn Fn(f64) -> bool| {
        let found = models.iter().filter(|model| fits(model.loss));
        found.min_by(|a, b| (a.loss - loss).abs().total_cmp(&(b.loss - loss).abs())).map(|model| (*model).clone())
    };
    let place = match (nearest(&|model| (model - loss).abs() < ALIKE), nearest(&|model| model > loss)) {
        (Some(same), _) => Place::AsGoodAs(same),
        (None, Some(worse)) => match nearest(&|model| model < loss) {
            Some(better) => Place::Between(worse, better),
            None => Place::BetterThan(worse),
        },
        (None, None) => Place::WorseThan(nearest(&|model| model < loss)?),
    };
    Some(Standing { loss, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Vec<NgramLoss> {
        let model = |split: &str, model: &str, n: i64, loss: f64| NgramLoss {
            split: split.to_owned(),
            model: model.to_owned(),
            n,
            loss,
            perplexity: loss.exp(),
            tokens: 9,
        };
        vec![
            model("train", "kn5", 5, 1.8),
            model("valid", "uniform", 0, 9.2),
            model("valid", "unigram", 1, 6.5),
            model("valid", "bigram", 2, 5.3),
            model("valid", "kn5", 5, 5.0),
        ]
    }

    #[test]
    fn neighbours_are_found_on_the_same_split() {
        let words = |loss: f64| match standing(loss, "valid", &models()).unwrap().place {
            Place::AsGoodAs(a) => format!("= {}", a.model),
            Place::WorseThan(a) => format!("> {}", a.model),
            Place::Between(a, b) => format!("{} > > {}", a.model, b.model),
            Place::BetterThan(a) => format!("< {}", a.model),
        };
        assert_eq!(words(9.3), "> uniform");
        assert_eq!(words(7.0), "uniform > > unigram");
        assert_eq!(words(6.0), "unigram > > bigram");
        assert_eq!(words(5.295), "= bigram");
        assert_eq!(words(4.0), "< kn5");
        assert_eq!(standing(4.0, "test", &models()), None);
    }
}
