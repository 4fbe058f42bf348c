//! Jobs: computations that are done once, however many points request them.
//!
//! A job is in exactly one [`JobState`]. Only [`Jobs::turn`] changes it, and also maintains the sets of waiting and
//! running jobs and each point's clock, so that they stay consistent.

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

/// The priority of a waiting job: the order of points, then of requests, so that early points finish early.
pub(super) type Rank = (usize, usize);

/// The state of a job.
#[derive(Debug)]
pub(super) enum JobState {
    /// Its inputs are available and its result is not. It starts when a slot is free.
    Ready,
    /// Another process or job is computing the same thing, or what this job starts from. It is retried at every tick.
    Elsewhere,
    /// It is being computed, under an exclusive claim.
    Running(Box<Running>),
    /// Its result is accepted.
    Done { accepted: Accepted, how: How },
    /// It failed, and with it every point that requests it.
    Failed(End),
    /// It was interrupted, or never started because all points that requested it failed elsewhere. The next request
    /// makes it ready.
    Idle,
}

impl JobState {
    /// The name of the state, for the log.
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
    /// Held while the job is running.
    pub(super) _claim: Lock,
    pub(super) execution: ExecutionId,
    pub(super) began: Instant,
    /// Set for a job that trains.
    pub(super) training: Option<Recording>,
    /// For other jobs: evaluations and events until the result is accepted.
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) events: Vec<Event>,
}

/// One thing to compute.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) stage: Stage,
    pub(super) node: Node,
    pub(super) fields: Fields,
    /// The name of its claim: its key, or the identity of its trajectory, of which two lengths must not be computed at
    /// once.
    pub(super) claim: Digest,
    pub(super) state: JobState,
    /// The job that recomputes the checkpoint from which it starts, if that was necessary.
    pub(super) needs: Option<StageKey>,
    /// Indices of the points that requested it, in order of request.
    pub(super) users: Vec<usize>,
    pub(super) rank: Rank,
}

/// Measures the time spent computing for a point.
#[derive(Debug, Default, Clone)]
struct Clock {
    /// Number of jobs running for the point.
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
    /// Jobs in the states `Ready` and `Elsewhere`.
    waiting: BTreeMap<Rank, StageKey>,
    running: HashSet<StageKey>,
    /// The clock of each point.
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
    /// No jobs yet, for `points` points.
    pub(super) fn of(points: usize) -> Self {
        let (all, waiting, running) = (HashMap::new(), BTreeMap::new(), HashSet::new());
        Self { all, waiting, running, clocks: vec![Clock::default(); points], done: 0 }
    }

    /// The job with a key, if there is one.
    pub(super) fn get(&self, key: &StageKey) -> Option<&Job> {
        self.all.get(key)
    }

    /// Adds a job for a point, in the state `Ready`.
    pub(super) fn add(&mut self, key: StageKey, stage: Stage, node: Node, fields: Fields, claim: Digest, point: usize) {
        let (rank, users) = ((point, self.all.len()), vec![point]);
        self.all.insert(key, Job { stage, node, fields, claim, state: JobState::Idle, needs: None, users, rank });
        self.turn(key, JobState::Ready);
    }

    /// Adds a point to an existing job; false if there is no such job.
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

    /// Sets the job whose checkpoint a job starts from.
    pub(super) fn set_need(&mut self, key: StageKey, needs: Option<StageKey>) {
        if let Some(job) = self.all.get_mut(&key) {
            job.needs = needs;
        }
    }

    /// Changes a job's state; no other function does. Moves the job between the sets of waiting and running jobs, and
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

    /// The running state of a job, if it is running.
    pub(super) fn running(&mut self, key: StageKey) -> Option<&mut Running> {
        match &mut self.all.get_mut(&key)?.state {
            JobState::Running(running) => Some(running),
            _ => None,
        }
    }

    /// All running jobs.
    pub(super) fn all_running(&self) -> impl Iterator<Item = (StageKey, &Job, &Running)> {
        self.running.iter().filter_map(|key| match &self.all[key] {
            job @ Job { state: JobState::Running(running), .. } => Some((*key, job, &**running)),
            _ => None,
        })
    }

    /// Number of running jobs.
    pub(super) fn count_running(&self) -> usize {
        self.running.len()
    }

    /// All waiting jobs, by rank.
    pub(super) fn all_waiting(&self) -> impl Iterator<Item = StageKey> {
        self.waiting.values().copied()
    }

    /// The first waiting job after a rank.
    pub(super) fn next_waiting(&self, after: Option<Rank>) -> Option<(Rank, StageKey)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.waiting.range((from, Bound::Unbounded)).next().map(|(rank, key)| (*rank, *key))
    }

    /// Time spent computing for a point, in seconds.
    pub(super) fn seconds(&self, point: usize) -> f64 {
        self.clocks[point].seconds()
    }

    /// Number of jobs done.
    pub(super) fn count_done(&self) -> usize {
        self.done
    }

    /// Number of jobs.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }
}
