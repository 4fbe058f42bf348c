//! Jobs: what is to be computed, once, whichever points ask for it.
//!
//! A job is in exactly one [`JobState`], and [`Jobs::turn`] is the only function that moves it to another; it also keeps the
//! sets of those that wait and run, and each point's clock, so that none of them can drift.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Bound, Index};
use std::time::{Duration, Instant};

use super::interface::End;
use super::recording::Recording;
use crate::graph::{Node, Stage};
use crate::lock::Lock;
use identity::observations::{Evaluation, Event};
use identity::{Digest, ExecutionId, Fields, How, StageKey};
use record::rows::Accepted;

/// A job's turn among those that wait: points in their order, and each as deep as it goes, so that results come early.
pub(super) type Rank = (usize, usize);

/// Where a job stands.
#[derive(Debug)]
pub(super) enum JobState {
    /// Its inputs are there and its result is not. It starts when a place is free.
    Ready,
    /// Another process, or another job of this one, computes the same thing or what it begins from; it is looked at again
    /// at every tick.
    Elsewhere,
    /// It is being computed, under a claim that nobody else can hold.
    Running(Box<Running>),
    /// Its result is accepted.
    Done { accepted: Accepted, how: How },
    /// It failed, and with it every point that asks for it.
    Failed(End),
    /// It was not begun, because all that asked for it had failed elsewhere, or it was interrupted. Whoever asks next makes
    /// it ready.
    Idle,
}

impl JobState {
    /// For whoever debugs.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Elsewhere => "elsewhere",
            Self::Running(_) => "running",
            Self::Done { how, .. } => how.as_str(),
            Self::Failed(_) => "failed",
            Self::Idle => "idle",
        }
    }
}

/// A job that is being computed.
#[derive(Debug)]
pub(super) struct Running {
    /// Held as long as this is there.
    pub(super) _claim: Lock,
    pub(super) execution: ExecutionId,
    pub(super) began: Instant,
    /// For a training.
    pub(super) training: Option<Recording>,
    /// Of anything else: what it scored, and what is worth a line, until its result is accepted.
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) events: Vec<Event>,
}

/// One thing to compute.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) stage: Stage,
    pub(super) node: Node,
    pub(super) fields: Fields,
    /// What claims it: its key, or its trajectory's identity, since two lengths of one must not be computed at once.
    pub(super) claim: Digest,
    pub(super) state: JobState,
    /// The job that makes the checkpoint from which it begins, where that had to be asked for.
    pub(super) needs: Option<StageKey>,
    /// Indices of the points that ask for it, in the order in which they asked.
    pub(super) users: Vec<usize>,
    pub(super) rank: Rank,
}

/// How long something was computed for a point.
#[derive(Debug, Default, Clone)]
struct Clock {
    /// Jobs that are being computed for it.
    running: usize,
    since: Option<Instant>,
    spent: Duration,
}

impl Clock {
    fn begin(&mut self) {
        self.running += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.spent += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        }
    }

    fn seconds(&self) -> f64 {
        (self.spent + self.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }
}

/// All jobs of the work.
#[derive(Debug)]
pub(super) struct Jobs {
    all: HashMap<StageKey, Job>,
    /// Jobs that are ready or computed elsewhere.
    waiting: BTreeMap<Rank, StageKey>,
    running: HashSet<StageKey>,
    /// Of each point.
    clocks: Vec<Clock>,
    done: usize,
}

impl Index<&StageKey> for Jobs {
    type Output = Job;

    fn index(&self, key: &StageKey) -> &Job {
        &self.all[key]
    }
}

impl Jobs {
    /// No jobs, of that many points.
    pub(super) fn of(points: usize) -> Self {
        let (all, waiting, running) = (HashMap::new(), BTreeMap::new(), HashSet::new());
        Self { all, waiting, running, clocks: vec![Clock::default(); points], done: 0 }
    }

    /// A job, if there is one.
    pub(super) fn get(&self, key: &StageKey) -> Option<&Job> {
        self.all.get(key)
    }

    /// Adds a job for a point; it is ready.
    pub(super) fn add(&mut self, key: StageKey, stage: Stage, node: Node, fields: Fields, claim: Digest, point: usize) {
        let (rank, users) = ((point, self.all.len()), vec![point]);
        self.all.insert(key, Job { stage, node, fields, claim, state: JobState::Idle, needs: None, users, rank });
        self.turn(key, JobState::Ready);
    }

    /// A point asks for a job that is there, if it is.
    pub(super) fn join(&mut self, key: StageKey, point: usize) -> bool {
        let Some(job) = self.all.get_mut(&key) else { return false };
        if !job.users.contains(&point) {
            job.users.push(point);
            if let JobState::Running(_) = job.state {
                self.clocks[point].begin();
            }
        }
        if let JobState::Idle = job.state {
            self.turn(key, JobState::Ready);
        }
        true
    }

    /// A job begins from what another one makes.
    pub(super) fn set_need(&mut self, key: StageKey, needs: Option<StageKey>) {
        if let Some(job) = self.all.get_mut(&key) {
            job.needs = needs;
        }
    }

    /// The only place where a job's state changes. It moves the job between the sets of those that wait and run, and
    /// starts and stops the clocks of its points.
    pub(super) fn turn(&mut self, key: StageKey, state: JobState) {
        let Some(job) = self.all.get_mut(&key) else { return };
        let before = std::mem::replace(&mut job.state, state);
        tracing::debug!(stage = job.stage.name.as_str(), item = job.node.item, %key, from = before.name(), to = job.state.name());
        if let JobState::Running(_) = before {
            self.running.remove(&key);
            job.users.iter().for_each(|user| self.clocks[*user].end());
        }
        self.waiting.remove(&job.rank);
        match job.state {
            JobState::Ready | JobState::Elsewhere => drop(self.waiting.insert(job.rank, key)),
            JobState::Running(_) => {
                self.running.insert(key);
                job.users.iter().for_each(|user| self.clocks[*user].begin());
            }
            JobState::Done { .. } => self.done += 1,
            JobState::Failed(_) | JobState::Idle => {}
        }
    }

    /// A running job.
    pub(super) fn running(&mut self, key: StageKey) -> Option<&mut Running> {
        match &mut self.all.get_mut(&key)?.state {
            JobState::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Those that run.
    pub(super) fn all_running(&self) -> impl Iterator<Item = (StageKey, &Job, &Running)> {
        self.running.iter().filter_map(|key| match &self.all[key] {
            job @ Job { state: JobState::Running(running), .. } => Some((*key, job, &**running)),
            _ => None,
        })
    }

    /// How many run.
    pub(super) fn count_running(&self) -> usize {
        self.running.len()
    }

    /// Those that wait, by their ranks.
    pub(super) fn all_waiting(&self) -> impl Iterator<Item = StageKey> {
        self.waiting.values().copied()
    }

    /// The first that waits behind a rank.
    pub(super) fn next_waiting(&self, after: Option<Rank>) -> Option<(Rank, StageKey)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.waiting.range((from, Bound::Unbounded)).next().map(|(rank, key)| (*rank, *key))
    }

    /// How long something was computed for a point, in seconds.
    pub(super) fn seconds(&self, point: usize) -> f64 {
        self.clocks[point].seconds()
    }

    /// How many are done.
    pub(super) fn count_done(&self) -> usize {
        self.done
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }
}
