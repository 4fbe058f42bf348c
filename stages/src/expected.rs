//! The numbers that an order determines before anything is computed: the epoch, tokens and learning rate of each step,
//! and how many tokens of a split are scored. A worker's replies are checked against them.

use std::path::Path;

use crate::StageError;
use crate::files::{Ids, f64s_of};
use crate::params::{Schedule, Train, read};
use crate::plan::BatchPlan;
use crate::protocol::Order;
use crate::schedule::{Plateau, rate};
use identity::observations::{Evaluation, Looks, Measured, Step};

/// What is known in advance of the replies to an order.
#[derive(Debug, Default)]
pub struct Expected {
    course: Option<ExpectedSteps>,
    /// Number of targets in the split to score.
    scored: Option<u64>,
}

/// The steps that an order for `train` determines.
#[derive(Debug)]
struct ExpectedSteps {
    train: Train,
    plan: BatchPlan,
    /// Total number of steps.
    length: u64,
    /// The plateau schedule's memory at the next step.
    plateau: Plateau,
    looks: Looks,
}

impl Expected {
    /// What to expect of the replies to an order: nothing for a stage other than `train` and `evaluate`.
    pub fn of(order: &Order) -> Result<Self, StageError> {
        let input = |name: &str| {
            let path = order.inputs.get(name).map(std::path::PathBuf::as_path);
            path.ok_or_else(|| StageError::Bug(format!("the job `{}` has no input `{name}`", order.stage)))
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

    /// Checks a step; steps must be passed in order. The error names the number that is impossible or unexpected.
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
        check_duration(step.seconds).map_err(wrong)?;
        let Some(course) = &mut self.course else { return check_tokens(step.tokens).map_err(wrong) };
        let (epoch, tokens, rate) = course.at(n).map_err(wrong)?;
        if step.epoch != epoch {
            return Err(wrong(format!("reports epoch {}, but the batch plan says {epoch}", step.epoch)));
        }
        if step.tokens != tokens {
            return Err(wrong(format!("reports {} tokens, but the batch plan says {tokens}", step.tokens)));
        }
        if !same_rate(step.learning_rate, rate) {
            let told = step.learning_rate;
            return Err(wrong(format!("reports learning rate {told:?}, but the schedule says {rate:?}")));
        }
        Ok(())
    }

    /// Checks a score, as [`Self::step`] does a step.
    pub fn evaluation(&mut self, score: &Evaluation) -> Result<(), String> {
        let wrong = |words: String| format!("the score {words}");
        if self.course.is_some() && score.split != "valid" {
            return Err(wrong("is not for valid, the only split that is scored during training".to_owned()));
        }
        not_negative("loss", Some(score.loss)).map_err(wrong)?;
        check_duration(score.seconds).map_err(wrong)?;
        match self.scored {
            Some(tokens) if tokens != score.tokens => {
                return Err(wrong(format!("reports {} tokens, but the split has {tokens} targets", score.tokens)));
            }
            Some(_) => {}
            None => check_tokens(score.tokens).map_err(wrong)?,
        }
        if let (Some(course), Some(step)) = (&mut self.course, score.step) {
            course.looks.insert(step, score.loss.0);
        }
        Ok(())
    }
}

impl ExpectedSteps {
    /// Epoch, tokens and learning rate of `n`, the next step.
    fn at(&mut self, n: u64) -> Result<(u64, u64, f64), String> {
        let Train { accumulate, schedule, .. } = self.train;
        let epoch = self.plan.epoch(n.saturating_mul(accumulate));
        if let Schedule::Plateau { rate, every, patience } = schedule
            && n > 0
            && n.is_multiple_of(every)
        {
            let loss = self.looks.get(&n).ok_or("came before the validation loss that its schedule requires")?;
            self.plateau.look(*loss, rate, patience);
        }
        let tokens = self.plan.tokens_per_step().saturating_mul(accumulate);
        Ok((epoch, tokens, rate(&self.train, n, epoch, self.length, &self.plateau)))
    }
}

/// Reads the memory of a plateau schedule from a checkpoint's state file.
fn plateau_of(state: &Path) -> Result<Plateau, StageError> {
    match f64s_of(state, "plateau")?[..] {
        [factor, best, looks] => Ok(Plateau { factor, best, looks: looks as u64 }),
        _ => Err(StageError::format(state, "the tensor `plateau` does not have three elements")),
    }
}

/// NaN and infinity are measurements; a negative value is impossible.
fn not_negative(name: &str, value: Option<Measured>) -> Result<(), String> {
    match value {
        Some(Measured(x)) if x < 0.0 => Err(format!("reports {name} {x:?}, which can't be negative")),
        _ => Ok(()),
    }
}

fn check_duration(seconds: f64) -> Result<(), String> {
    let possible = seconds.is_finite() && seconds >= 0.0;
    if possible { Ok(()) } else { Err(format!("reports the impossible duration {seconds:?} s")) }
}

/// Checks that a token count is plausible, where the exact number is not known.
fn check_tokens(tokens: u64) -> Result<(), String> {
    let possible = (1..=1 << 48).contains(&tokens);
    if possible { Ok(()) } else { Err(format!("reports the impossible number of {tokens} tokens")) }
}

/// Both rates come from the same function, but the worker flushes subnormal numbers to 0.
fn same_rate(told: f64, rate: f64) -> bool {
    (told - rate).abs() <= 1e-12 * rate.abs() + 1e-300
}

#[cfg(test)]
mod tests;
