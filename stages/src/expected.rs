//! What an order fixes of the numbers that answer it, before anything is computed: the epoch, tokens and learning rate of
//! each step, and how many tokens of a split are scored.

use std::path::Path;

use crate::StageError;
use crate::files::{Ids, f64s_of};
use crate::params::{Schedule, Train, read};
use crate::plan::BatchPlan;
use crate::protocol::Order;
use crate::schedule::{Plateau, rate};
use identity::observations::{Evaluation, Looks, Measured, Step};

/// What is known of the answers to an order.
#[derive(Debug, Default)]
pub struct Expected {
    course: Option<ExpectedSteps>,
    /// Targets of the split that is scored.
    scored: Option<u64>,
}

/// The steps of a training.
#[derive(Debug)]
struct ExpectedSteps {
    train: Train,
    plan: BatchPlan,
    /// Steps in all.
    length: u64,
    /// As it stands at the step to come.
    plateau: Plateau,
    looks: Looks,
}

impl Expected {
    /// What an order fixes; nothing for a stage that this crate does not know.
    ///
    /// # Errors
    /// When an input that says so can't be read.
    pub fn of(order: &Order) -> Result<Self, StageError> {
        let input = |name: &str| {
            let path = order.inputs.get(name).map(std::path::PathBuf::as_path);
            path.ok_or_else(|| StageError::Bug(format!("an order for {} without the input {name}", order.stage)))
        };
        // The first token is not predicted.
        let scored = |path: &Path| Ok::<_, StageError>(Some(Ids::open(path)?.len().saturating_sub(1)));
        match (order.stage.as_str(), &order.segment) {
            ("train", Some(segment)) => {
                let train: Train = read("train", &order.params)?;
                let plan = BatchPlan::load(input("plan")?)?;
                let scored = if train.reads_valid() { scored(input("valid")?)? } else { None };
                let plateau = match &segment.state {
                    Some(state) if train.schedule_reads_valid() => plateau_of(state)?,
                    _ => Plateau::START,
                };
                let looks = segment.looks.iter().map(|(step, loss)| (*step, loss.0)).collect();
                Ok(Self { course: Some(ExpectedSteps { train, plan, length: segment.length, plateau, looks }), scored })
            }
            ("evaluate", None) => Ok(Self { course: None, scored: scored(input("ids")?)? }),
            _ => Ok(Self::default()),
        }
    }

    /// Checks a step, which comes after those before it.
    ///
    /// # Errors
    /// In words, the number that is impossible, or other than the order fixes.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        let n = step.step;
        let wrong = |words: String| format!("step {n} {words}");
        let measured = [
            ("loss", Some(step.loss)),
            ("gradient norm", Some(step.grad_norm)),
            ("update ratio", step.update_ratio),
            ("largest logit", step.logit_max),
        ];
        for (name, value) in measured {
            not_negative(name, value).map_err(wrong)?;
        }
        lasted(step.seconds).map_err(wrong)?;
        let Some(course) = &mut self.course else { return some(step.tokens).map_err(wrong) };
        let (epoch, tokens, rate) = course.at(n).map_err(wrong)?;
        if step.epoch != epoch {
            return Err(wrong(format!("says epoch {}, and its plan has {epoch}", step.epoch)));
        }
        if step.tokens != tokens {
            return Err(wrong(format!("says {} tokens, and its plan has {tokens}", step.tokens)));
        }
        if !same_rate(step.learning_rate, rate) {
            let told = step.learning_rate;
            return Err(wrong(format!("says the learning rate {told:?}, and its schedule has {rate:?}")));
        }
        Ok(())
    }

    /// Checks a score.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn evaluation(&mut self, score: &Evaluation) -> Result<(), String> {
        let wrong = |words: String| format!("the score {words}");
        if self.course.is_some() && score.split != "valid" {
            return Err("it scored another split than valid in the middle of a training".to_owned());
        }
        not_negative("loss", Some(score.loss)).map_err(wrong)?;
        lasted(score.seconds).map_err(wrong)?;
        match self.scored {
            Some(tokens) if tokens != score.tokens => {
                return Err(wrong(format!("says {} tokens, and the split has {tokens} targets", score.tokens)));
            }
            Some(_) => {}
            None => some(score.tokens).map_err(wrong)?,
        }
        if let (Some(course), Some(step)) = (&mut self.course, score.step) {
            course.looks.insert(step, score.loss.0);
        }
        Ok(())
    }
}

impl ExpectedSteps {
    /// Epoch, tokens and learning rate of the step to come, `n`.
    fn at(&mut self, n: u64) -> Result<(u64, u64, f64), String> {
        let Train { accumulate, schedule, .. } = self.train;
        let epoch = self.plan.epoch(n.saturating_mul(accumulate));
        if let Schedule::Plateau { rate, every, patience } = schedule
            && n > 0
            && n.is_multiple_of(every)
        {
            let loss = self.looks.get(&n).ok_or("came without the look at the valid loss that its schedule wants")?;
            self.plateau.look(*loss, rate, patience);
        }
        let tokens = self.plan.tokens_per_step().saturating_mul(accumulate);
        Ok((epoch, tokens, rate(&self.train, n, epoch, self.length, &self.plateau)))
    }
}

/// What a plateau schedule remembers in a checkpoint.
fn plateau_of(state: &Path) -> Result<Plateau, StageError> {
    match f64s_of(state, "plateau")?[..] {
        [factor, best, looks] => Ok(Plateau { factor, best, looks: looks as u64 }),
        _ => Err(StageError::format(state, "its tensor plateau is not of three numbers")),
    }
}

/// NaN and infinity are measured; below 0 none of these can be.
fn not_negative(name: &str, value: Option<Measured>) -> Result<(), String> {
    match value {
        Some(Measured(x)) if x < 0.0 => Err(format!("says the {name} {x:?}, and none can be below 0")),
        _ => Ok(()),
    }
}

fn lasted(seconds: f64) -> Result<(), String> {
    let possible = seconds.is_finite() && seconds >= 0.0;
    if possible { Ok(()) } else { Err(format!("says that it took {seconds:?} s")) }
}

/// Where the count is not known.
fn some(tokens: u64) -> Result<(), String> {
    let possible = (1..=1 << 48).contains(&tokens);
    if possible { Ok(()) } else { Err(format!("says {tokens} tokens")) }
}

/// Both are computed by one function. The worker's floats below the least normal number are 0.
fn same_rate(told: f64, rate: f64) -> bool {
    (told - rate).abs() <= 1e-12 * rate.abs() + 1e-300
}

#[cfg(test)]
mod tests;
