//! The state machine: from the points of a study to accepted results.
//!
//! Every point walks its stages in order; nodes with equal keys are one job, whichever points ask for it. A job is in
//! exactly one [`State`], and `turn` is the only function that moves it to another; it also keeps the sets of those that
//! wait and run, and each point's clock, so that none of them can drift.

mod accept;
mod end;
mod ground;
mod hear;
mod interface;
mod origin;
mod show;
mod start;
mod training;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ground::Ground;
use show::shown;
use stages::StageError;
use stages::looks::Looks;
use stages::protocol::{Evaluation, Event, Measured, Step};

pub use interface::{Cause, End, Progress, Settings, Shown, Summary, Track, Watch, WorkError};

pub use crate::task::Pool;

use crate::explain;
use crate::graph::{self, Node, Parent, Stage, Training, Upstream, Way, WorkerFacts};
use crate::lock::{self, Lock};
use crate::segment::{self, Missing};
use crate::store::{self, Health, Store};
use crate::task::{self, Bench, Made, Message, TaskError, WorkerTask};
use crate::worker::{Shortage, Stopper, WorkerError};
use identity::Fields;
use identity::{Digest, ExecutionId, ObjectId, StageKey, TrajectoryId, TrajectoryRow};
use record::Record;
use record::rows::{Accepted, Finished, KILLED, NewExecution, NewTrajectory, RunEnd, RunRow, Served, Trajectory};
use system::limits;

/// Steps wait this long at most before they are written.
const FLUSH: Duration = Duration::from_millis(250);
/// Steps that are written at once, however long they waited.
const FLUSH_STEPS: usize = 1024;
/// How often a claim that another holds is tried again, and progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// How often a training asks whether others that its runs are of have died: what they have is theirs, and no more.
const SWEEP: Duration = Duration::from_millis(500);

/// Where a job stands.
#[derive(Debug)]
enum State {
    /// Its inputs are there and its result is not. It starts when a place is free.
    Ready,
    /// Another process, or another job of this one, computes the same thing or what it begins from; it is looked at again
    /// at every tick.
    Elsewhere,
    /// It is being computed, under a claim that nobody else can hold.
    Running(Box<Running>),
    /// Its result is accepted.
    Done { accepted: Accepted, how: &'static str },
    /// It failed, and with it every point that asks for it.
    Failed(End),
    /// It was not begun, because all that asked for it had failed elsewhere, or it was interrupted. Whoever asks next makes
    /// it ready.
    Idle,
}

impl State {
    /// For whoever debugs.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Elsewhere => "elsewhere",
            Self::Running(_) => "running",
            Self::Done { how, .. } => how,
            Self::Failed(_) => "failed",
            Self::Idle => "idle",
        }
    }
}

#[derive(Debug)]
struct Running {
    _claim: Lock,
    execution: ExecutionId,
    began: Instant,
    stopper: Option<Stopper>,
    share: Option<Arc<AtomicU64>>,
    training: Option<Recording>,
    evaluations: Vec<Evaluation>,
    events: Vec<Event>,
}

/// A trajectory as its execution is recorded.
#[derive(Debug)]
struct Recording {
    trajectory: Trajectory,
    missing: Missing,
    /// Where the training ends: its length, or the step at which its loss had stayed non-finite for too long.
    limit: u64,
    /// The valid losses that rules of the training have seen.
    looks: Looks,
    /// Steps that were recorded before this execution.
    recorded: u64,
    waiting: Vec<Step>,
    flushed: Instant,
    tokens: u64,
    /// The newest step and its loss, to be shown.
    last: Option<(u64, f64)>,
    differed: bool,
    /// Objects that were let go of on the way.
    dropped: Vec<ObjectId>,
}

struct Job {
    stage: Stage,
    node: Node,
    fields: Fields,
    /// What claims it: its key, or its trajectory's identity, since two lengths of one must not be computed at once.
    claim: Digest,
    state: State,
    /// The job that makes the checkpoint from which it begins, where that had to be asked for.
    needs: Option<StageKey>,
    /// Indices of the points that ask for it, in the order in which they asked.
    users: Vec<usize>,
    /// Its turn among those that wait: points in their order, and each as deep as it goes, so that results come early.
    rank: (usize, usize),
}

/// A stage of one point.
enum Column {
    /// What it needs is not all there.
    Open,
    /// Its nodes, as keys of jobs.
    Expanded { keys: Vec<StageKey>, served: bool },
}

struct Path<'a> {
    track: Track<'a>,
    columns: Vec<Column>,
    end: Option<End>,
    clock: Clock,
    executed: bool,
}

/// How long something was computed for a point.
#[derive(Debug, Default)]
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

/// The state machine.
pub struct Work<'a> {
    record: &'a mut Record,
    store: Arc<Store>,
    stages: Vec<Stage>,
    facts: WorkerFacts,
    settings: Settings,
    watch: &'a mut dyn Watch,
    bench: Bench,
    messages: Receiver<Message>,
    paths: Vec<Path<'a>>,
    jobs: HashMap<StageKey, Job>,
    /// Jobs that are ready or computed elsewhere, by their ranks.
    waiting: BTreeMap<(usize, usize), StageKey>,
    running: HashSet<StageKey>,
    done: usize,
    /// Whether the experiment's stages were cut short.
    partial: bool,
    /// Objects whose want or damage was told.
    noted: HashSet<ObjectId>,
    stop_asked: Arc<AtomicBool>,
    /// Nothing new is started.
    stopping: bool,
    executed: usize,
    cached: usize,
}

impl<'a> Work<'a> {
    /// Sets the work up; nothing runs yet. `stages` is in an order in which each comes after what it needs.
    #[expect(clippy::too_many_arguments, reason = "called once; a struct of the same fields would say no more")]
    pub fn new(
        record: &'a mut Record,
        store: Arc<Store>,
        stages: Vec<Stage>,
        facts: WorkerFacts,
        pool: Pool,
        settings: Settings,
        tracks: Vec<Track<'a>>,
        stop_asked: Arc<AtomicBool>,
        watch: &'a mut dyn Watch,
    ) -> Self {
        let (sender, messages) = channel();
        let bench = Bench {
            store: Arc::clone(&store),
            messages: sender,
            stop: Arc::new(AtomicBool::new(false)),
            pool: Arc::new(pool),
        };
        let last = settings.until.as_ref().and_then(|until| stages.iter().position(|stage| stage.name == until));
        let length = last.map_or(stages.len(), |last| last + 1);
        let partial = length < stages.len();
        let stages: Vec<Stage> = stages[..length].to_vec();
        let path = |track| Path {
            track,
            columns: stages.iter().map(|_| Column::Open).collect(),
            end: None,
            clock: Clock::default(),
            executed: false,
        };
        let paths = tracks.into_iter().map(path).collect();
        Self {
            record,
            store,
            stages,
            facts,
            settings,
            watch,
            bench,
            messages,
            paths,
            jobs: HashMap::new(),
            waiting: BTreeMap::new(),
            running: HashSet::new(),
            done: 0,
            partial,
            noted: HashSet::new(),
            stop_asked,
            stopping: false,
            executed: 0,
            cached: 0,
        }
    }

    /// Works until every point has ended or the user asked to stop.
    ///
    /// # Errors
    /// When the record or the store fails as a whole; failures of stages are in the summary.
    pub fn run(mut self) -> Result<Summary, WorkError> {
        tracing::info!(
            points = self.paths.len(),
            jobs = self.settings.jobs,
            threads = self.settings.threads,
            "work begins"
        );
        for path in 0..self.paths.len() {
            self.advance(path)?;
        }
        if self.settings.dry_run {
            return self.dry_summary();
        }
        let own = lock::process_path(self.store.root(), &self.settings.process);
        let ground = Ground::of([self.record.path().to_owned(), own])?;
        let mut ticked: Option<Instant> = None;
        let mut swept = Instant::now();
        loop {
            if self.stop_asked.load(Ordering::Relaxed) && !self.stopping {
                self.watch.note("stopping: what is done is kept (again to stop at once)");
                self.stop_all();
            }
            let tick = ticked.is_none_or(|last| last.elapsed() >= TICK);
            if tick {
                ticked = Some(Instant::now());
                ground.stands()?;
                if swept.elapsed() >= SWEEP && self.trains() {
                    swept = Instant::now();
                    self.sweep()?;
                }
                self.flush_waiting()?;
                self.show_progress();
            }
            self.start_ready(tick)?;
            if self.running.is_empty() && (self.stopping || self.waiting.is_empty()) {
                break;
            }
            match self.messages.recv_timeout(TICK) {
                Ok(message) => {
                    self.hear(message)?;
                    while let Ok(message) = self.messages.try_recv() {
                        self.hear(message)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // This side holds a sender too.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        ground.stands()?;
        self.finish_paths()?;
        Ok(Summary {
            ends: self.paths.iter().map(|path| path.end.clone().expect("BUG: a point without an end")).collect(),
            partial: self.partial,
            executed: self.executed,
            cached: self.cached,
            pending: Vec::new(),
            later: Vec::new(),
        })
    }
}

/// How a stage's error ends a point.
fn failed(error: &StageError) -> End {
    match error {
        StageError::Input { key, message, hint } => {
            End::Failed { message: message.clone(), key: Some(key.clone()), hint: hint.clone() }
        }
        StageError::Io { error: system, .. } => {
            let (message, hint) = (error.to_string(), store::advice(system).to_owned());
            match limits::is_outside(system) {
                true => End::Interrupted { cause: Some(Cause { message, hint }) },
                false => End::Failed { message, key: None, hint },
            }
        }
        error => End::Failed { message: error.to_string(), key: None, hint: String::new() },
    }
}
