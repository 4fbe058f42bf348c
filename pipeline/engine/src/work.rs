//! The state machine: from the points of a study to accepted results.
//!
//! 1. Every point walks its stages in order and requests nodes. Nodes with equal keys are one job (`walk`, [`jobs`]).
//! 2. A job whose result is in the record is done at once; the others wait, ordered by rank.
//! 3. While slots are free, the first waiting job is claimed and launched (`start`, [`crate::launch`]).
//!    Idle cores are lent to running jobs (`lend`).
//! 4. Observations are recorded as they arrive; an ended execution is accepted or given up (`hear`, [`recorder`]).
//! 5. When a job is done, its points continue with step 1; when it fails, they end (`end`).

mod end;
mod ground;
mod hear;
mod interface;
mod jobs;
mod lend;
mod origin;
mod point;
mod recorder;
mod recording;
mod show;
mod start;
mod walk;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ground::WatchedFiles;
pub use interface::{End, Interruption, JobLabel, Progress, Settings, Track, WorkError, WorkObserver, WorkSummary};
use jobs::Jobs;
use point::PointJobs;
use recorder::Recorder;

use crate::explain::Explainer;
use crate::graph::{Stage, WorkerFacts};
use crate::launch::{Launcher, Message};
use crate::lock;
use crate::store::Store;
use record::Record;

/// How often claims held by other processes are retried, and progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// How often to check for dead processes during training: their runs keep the steps they have and get no more.
const SWEEP: Duration = Duration::from_millis(500);

/// The stages that points pass through, and facts about the worker that runs them.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The stages, sorted so that each comes after the stages it needs.
    pub stages: Vec<Stage>,
    /// Facts about the worker that affect the numbers that it computes.
    pub facts: WorkerFacts,
}

/// The state machine.
pub struct Work<'a> {
    graph: Graph,
    /// Whether `until` leaves out some stages.
    partial: bool,
    settings: Settings,
    points: Vec<PointJobs<'a>>,
    jobs: Jobs,
    recorder: Recorder<'a>,
    explainer: Explainer,
    launcher: &'a mut dyn Launcher,
    /// The channel for messages: each execution holds a sender, and so does this side.
    told: (Sender<Message>, Receiver<Message>),
    watch: &'a mut dyn WorkObserver,
    /// If set, nothing new is started.
    stopping: bool,
    executed: usize,
    cached: usize,
}

impl<'a> Work<'a> {
    /// Sets up the work on some points; nothing runs yet.
    pub fn new(
        record: &'a mut Record,
        store: Arc<Store>,
        mut graph: Graph,
        launcher: &'a mut dyn Launcher,
        settings: Settings,
        tracks: Vec<Track<'a>>,
        watch: &'a mut dyn WorkObserver,
    ) -> Self {
        let last = settings.until.as_ref().and_then(|until| graph.stages.iter().position(|stage| stage.name == *until));
        let length = last.map_or(graph.stages.len(), |last| last + 1);
        let partial = length < graph.stages.len();
        graph.stages.truncate(length);
        let points: Vec<PointJobs<'_>> = tracks.into_iter().map(|track| PointJobs::new(track, length)).collect();
        Self {
            jobs: Jobs::of(points.len()),
            recorder: Recorder::new(record, store, settings.process.clone()),
            explainer: Explainer::default(),
            told: channel(),
            stopping: false,
            executed: 0,
            cached: 0,
            graph,
            partial,
            settings,
            points,
            launcher,
            watch,
        }
    }

    /// Works until every point has ended, or until the user asked to stop and all executions have ended.
    ///
    /// # Errors
    /// If the record or the store fails as a whole; failures of stages are in the summary.
    pub fn run(mut self) -> Result<WorkSummary, WorkError> {
        let (points, jobs, threads) = (self.points.len(), self.settings.jobs, self.settings.threads);
        tracing::info!(points, jobs, threads, "work started");
        for point in 0..points {
            self.advance(point)?;
        }
        if self.settings.dry_run {
            return self.dry_summary();
        }
        let own = lock::process_path(self.recorder.store.root(), &self.settings.process);
        let ground = WatchedFiles::of([self.recorder.record.path().to_owned(), own])?;
        let mut ticked: Option<Instant> = None;
        let mut swept = Instant::now();
        loop {
            if self.is_asked_to_stop() && !self.stopping {
                self.watch.note("stopping; finished work is kept (press Ctrl-C again to stop at once)");
                self.stop_all();
            }
            let tick = ticked.is_none_or(|last| last.elapsed() >= TICK);
            if tick {
                ticked = Some(Instant::now());
                ground.stands()?;
                if swept.elapsed() >= SWEEP && self.jobs.all_running().any(|(.., running)| running.training.is_some()) {
                    swept = Instant::now();
                    self.recorder.sweep()?;
                }
                self.flush_late()?;
                self.show_progress();
            }
            self.start_ready(tick)?;
            self.lend_cores();
            if self.jobs.count_running() == 0 && (self.stopping || self.jobs.next_waiting(None).is_none()) {
                break;
            }
            match self.told.1.recv_timeout(TICK) {
                Ok(message) => {
                    self.hear(message)?;
                    while let Ok(message) = self.told.1.try_recv() {
                        self.hear(message)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Unreachable, since this side holds a sender too.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        ground.stands()?;
        self.finish_points()?;
        Ok(WorkSummary {
            ends: self.points.iter().map(|point| point.end.clone().expect("BUG: a point has not ended")).collect(),
            partial: self.partial,
            executed: self.executed,
            cached: self.cached,
            pending: Vec::new(),
            later: Vec::new(),
        })
    }

    /// Whether the user asked to stop.
    fn is_asked_to_stop(&self) -> bool {
        self.settings.stop.is_asked()
    }
}
