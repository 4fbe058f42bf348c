//! The state machine: from the points of a study to accepted results.
//!
//! Every point walks its stages in order; nodes with equal keys are one job, whichever points ask for it. A job is in
//! exactly one [`State`], and `turn` is the only function that moves it to another, so that counters can't drift.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use stages::StageError;
use stages::protocol::{Evaluation, Event, Step};

use super::digest::{ObjectId, StageKey, TrajectoryId};
use super::explain;
use super::graph::{self, Node, Plan, Stage, Upstream, Way, WorkerFacts};
use super::key::Fields;
use super::lock::{self, Lock};
use super::segment::{self, Missing};
use super::store::{Health, Store};
use super::task::{self, Bench, Made, Message, Pool, TaskError, WorkerTask};
use super::worker::{Stopper, WorkerError};
use crate::record::rows::{Accepted, ExecutionId, Finished, NewExecution, RunId, Trajectory};
use crate::record::{Record, RecordError};

/// Steps wait this long at most before they are written.
const FLUSH: Duration = Duration::from_millis(250);
/// Steps that are written at once, however long they waited.
const FLUSH_STEPS: usize = 1024;
/// How often a claim that another holds is tried again, and progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// How the work is to be done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Executions side by side.
    pub jobs: usize,
    /// Threads of an execution by the worker, where a trajectory does not say otherwise.
    pub threads: u32,
    /// The last stage to compute.
    pub until: Option<String>,
    /// Compute nothing.
    pub dry_run: bool,
    /// Say why each job is computed.
    pub explain: bool,
    /// Go on with other points when one fails.
    pub keep_going: bool,
    /// This process.
    pub process: String,
}

/// What the state machine tells whoever watches.
pub trait Watch {
    /// A job begins.
    fn started(&mut self, job: &Shown<'_>);
    /// A job is so far.
    fn progress(&mut self, job: &Shown<'_>, progress: &Progress);
    /// A job ended; `None` when it was accepted.
    fn ended(&mut self, job: &Shown<'_>, seconds: f64, error: Option<&str>);
    /// Why a job is computed.
    fn explained(&mut self, job: &Shown<'_>, why: &[String]);
    /// Anything else that a user should read.
    fn note(&mut self, text: &str);
    /// Called ten times a second: jobs that are done, and that are known so far.
    fn tick(&mut self, done: usize, known: usize);
}

/// A job as people know it.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    pub key: StageKey,
    pub stage: &'static str,
    pub item: &'a str,
    /// The point that asked first.
    pub label: &'a str,
    /// How many points ask.
    pub users: usize,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A training.
    Steps { from: u64, step: u64, to: u64, loss: f64, tokens: u64 },
    /// Anything else, in thousandths.
    Share(u64),
}

/// A point on its way.
pub struct Track<'a> {
    /// What it asks of each stage.
    pub plan: &'a dyn Plan,
    /// Its run; none in a dry run.
    pub run: Option<RunId>,
    /// Whether its run was finished before: then nothing is written about it unless something is executed.
    pub settled: bool,
    /// Whether another living process works on its run, so that its end is that one's to write.
    pub attached: bool,
    /// What tells it from its siblings.
    pub label: String,
}

/// How a point ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every stage is accepted.
    Finished,
    /// Something failed; with the words, and the experiment's key that is at fault, if one is.
    Failed { message: String, key: Option<String>, hint: String },
    /// The user, or a failure elsewhere, stopped it before its end; or a worker was killed, and `error` says so.
    Interrupted { error: Option<String> },
}

/// What came of it.
#[derive(Debug)]
pub struct Summary {
    /// How each point ended, in their order.
    pub ends: Vec<End>,
    /// Jobs that were executed.
    pub executed: usize,
    /// Jobs whose results were there.
    pub cached: usize,
    /// In a dry run: jobs that would be executed, by stage; what comes after them is not known yet.
    pub pending: Vec<(&'static str, String, String)>,
}

/// What can end the work as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{}: {error}", path.display())]
    Store { path: PathBuf, error: std::io::Error },
    #[error("the store failed: {0}")]
    Disk(#[from] std::io::Error),
}

/// Where a job stands.
#[derive(Debug)]
enum State {
    /// Its inputs are there and its result is not. It starts when a place is free.
    Ready,
    /// Another process, or another job of this one, computes the same thing; it is looked at again at every tick.
    Elsewhere,
    /// It is being computed, under a claim that nobody else can hold.
    Running(Box<Running>),
    /// Its result is accepted.
    Done { accepted: Accepted, how: &'static str },
    /// It failed, or was not begun because something else failed.
    Lost(End),
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
    state: State,
    /// Indices of the points that ask for it, in the order in which they asked.
    users: Vec<usize>,
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
    began: Instant,
    executed: bool,
}

/// The state machine.
pub struct Work<'a> {
    record: &'a mut Record,
    store: Arc<Store>,
    stages: Vec<Stage>,
    facts: WorkerFacts,
    cpu_capability: String,
    settings: Settings,
    watch: &'a mut dyn Watch,
    bench: Bench,
    messages: Receiver<Message>,
    paths: Vec<Path<'a>>,
    jobs: HashMap<StageKey, Job>,
    /// Keys in the order in which they were asked for.
    order: Vec<StageKey>,
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
        cpu_capability: String,
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
        let stages: Vec<Stage> = stages[..last.map_or(stages.len(), |last| last + 1)].to_vec();
        let path = |track| Path {
            track,
            columns: stages.iter().map(|_| Column::Open).collect(),
            end: None,
            began: Instant::now(),
            executed: false,
        };
        let paths = tracks.into_iter().map(path).collect();
        Self {
            record,
            store,
            stages,
            facts,
            cpu_capability,
            settings,
            watch,
            bench,
            messages,
            paths,
            jobs: HashMap::new(),
            order: Vec::new(),
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
        for path in 0..self.paths.len() {
            self.advance(path)?;
        }
        if self.settings.dry_run {
            return Ok(self.dry_summary());
        }
        loop {
            if self.stop_asked.load(Ordering::Relaxed) && !self.stopping {
                self.watch.note("stopping: what is done is kept (again to stop at once)");
                self.stop_all();
            }
            self.start_ready()?;
            let running = self.jobs.values().filter(|job| matches!(job.state, State::Running(_))).count();
            let elsewhere = self.jobs.values().filter(|job| matches!(job.state, State::Elsewhere)).count();
            if running == 0 && (self.stopping || elsewhere == 0) {
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
            self.flush_waiting()?;
            self.show_progress();
        }
        self.finish_paths()?;
        Ok(Summary {
            ends: self.paths.iter().map(|path| path.end.clone().unwrap_or(End::Finished)).collect(),
            executed: self.executed,
            cached: self.cached,
            pending: Vec::new(),
        })
    }

    // ------------------------------------------------------------------------------------------ walking the stages

    /// Moves a point as far as its results allow.
    fn advance(&mut self, path: usize) -> Result<(), WorkError> {
        if self.paths[path].end.is_some() {
            return Ok(());
        }
        for column in 0..self.stages.len() {
            let stage = self.stages[column];
            if matches!(self.paths[path].columns[column], Column::Open) {
                let Some(upstream) = self.upstream(path, &stage) else { continue };
                match self.paths[path].track.plan.nodes(stage.name, &upstream) {
                    Ok(nodes) => {
                        let keys = nodes.into_iter().map(|node| self.want(path, stage, node)).collect::<Result<_, _>>()?;
                        self.paths[path].columns[column] = Column::Expanded { keys, served: false };
                    }
                    Err(error) => return self.lose_path(path, failed(&error)),
                }
            }
            self.serve(path, column)?;
        }
        let all_served = self.paths[path].columns.iter().all(|c| matches!(c, Column::Expanded { served: true, .. }));
        if all_served && !self.settings.dry_run {
            self.end_path(path, End::Finished)?;
        }
        Ok(())
    }

    /// What a stage's needs made for a point; `None` while one is not done.
    fn upstream(&self, path: usize, stage: &Stage) -> Option<Upstream> {
        let mut upstream = Upstream::default();
        for need in stage.needs {
            let column = self.stages.iter().position(|other| other.name == *need)?;
            let Column::Expanded { keys, .. } = &self.paths[path].columns[column] else { return None };
            let mut made = graph::Made::default();
            for key in keys {
                let State::Done { accepted, .. } = &self.jobs.get(key)?.state else { return None };
                made.outputs.extend(accepted.outputs.clone());
                made.report = accepted.report.clone();
                made.reached = accepted.reached;
            }
            upstream.put(self.stages[column].name, made);
        }
        Some(upstream)
    }

    /// A point asks for a node: finds its job, or makes one.
    fn want(&mut self, path: usize, stage: Stage, node: Node) -> Result<StageKey, WorkError> {
        let fields = graph::key_fields(&stage, &node, &self.facts);
        let key = StageKey(fields.digest());
        if let (Some(training), Some(run)) = (&node.training, self.paths[path].track.run)
            && !self.paths[path].track.settled
        {
            let fields = graph::trajectory_fields(&stage, &node, training, &self.facts);
            let identity = TrajectoryId(fields.digest());
            let threads = self.settings.threads;
            let trajectory = self.record.start_trajectory(identity, &fields, threads, &self.cpu_capability)?;
            self.record.tie_run(run, trajectory.row, training.length)?;
        }
        if let Some(job) = self.jobs.get_mut(&key) {
            if !job.users.contains(&path) {
                job.users.push(path);
            }
            return Ok(key);
        }
        self.order.push(key);
        self.jobs.insert(key, Job { stage, node, fields, state: State::Ready, users: vec![path] });
        if let Some(accepted) = self.look_up(key)? {
            self.cached += 1;
            self.turn(key, State::Done { accepted, how: "cached" });
        } else if self.settings.explain {
            let job = &self.jobs[&key];
            let why = explain::why(self.record, job.stage.name, &job.fields)?;
            self.watch.explained(&shown(key, job, &self.paths), &why);
        }
        Ok(key)
    }

    /// The accepted result of a job, when there is one and all that it made is sound.
    fn look_up(&mut self, key: StageKey) -> Result<Option<Accepted>, WorkError> {
        let Some(accepted) = self.record.result(key)? else { return Ok(None) };
        let mut sound = true;
        for (name, id) in &accepted.outputs {
            let path = self.store.path(*id);
            let health = self.store.check(*id).map_err(|error| WorkError::Store { path: path.clone(), error })?;
            if health != Health::Sound {
                let what = if health == Health::Missing { "is missing" } else { "is damaged and was set aside" };
                self.watch.note(&format!("object {id} ({name}) {what}; it is made again"));
                sound = false;
            }
        }
        Ok(sound.then_some(accepted))
    }

    /// Writes down which executions served a stage of a point, once all are done.
    fn serve(&mut self, path: usize, column: usize) -> Result<(), WorkError> {
        let Column::Expanded { keys, served: false } = &self.paths[path].columns[column] else { return Ok(()) };
        let mut nodes = Vec::with_capacity(keys.len());
        for key in keys {
            let job = &self.jobs[key];
            let State::Done { accepted, how } = &job.state else { return Ok(()) };
            // Executed for the point that asked first; for the others it was there.
            let how = if job.users.first() == Some(&path) { how } else { "cached" };
            nodes.push((job.node.item.clone(), job.node.step, accepted.execution, how));
        }
        let executed = nodes.iter().any(|(.., how)| *how == "executed");
        let Path { track, executed: any, .. } = &mut self.paths[path];
        *any |= executed;
        if let Some(run) = track.run
            && (!track.settled || executed)
        {
            self.record.serve(run, self.stages[column].name, &nodes)?;
        }
        if let Column::Expanded { served, .. } = &mut self.paths[path].columns[column] {
            *served = true;
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------ moving jobs

    /// The only place where a job's state changes.
    fn turn(&mut self, key: StageKey, state: State) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.state = state;
        }
    }

    /// Starts what is ready, as far as there are places, and looks again at what is computed elsewhere.
    fn start_ready(&mut self) -> Result<(), WorkError> {
        if self.stopping {
            return Ok(());
        }
        let mut places =
            self.settings.jobs.saturating_sub(self.jobs.values().filter(|j| matches!(j.state, State::Running(_))).count());
        // Points in their order, and each as deep as it goes: the first results come early.
        let mut candidates: Vec<StageKey> = self
            .order
            .iter()
            .filter(|key| matches!(self.jobs[key].state, State::Ready | State::Elsewhere))
            .copied()
            .collect();
        candidates.sort_by_key(|key| self.jobs[key].users.first().copied());
        for key in candidates {
            if places == 0 || self.stopping {
                break;
            }
            if self.start(key)? {
                places -= 1;
            }
        }
        Ok(())
    }

    /// Starts one job, unless somebody else computes it. Says whether it now takes a place.
    fn start(&mut self, key: StageKey) -> Result<bool, WorkError> {
        let job = &self.jobs[&key];
        let training = job.node.training.as_ref();
        let identity = training.map(|training| graph::trajectory_fields(&job.stage, &job.node, training, &self.facts));
        // Two lengths of one trajectory are two keys, and must not be computed at once.
        let claim = identity.as_ref().map_or(key.0, Fields::digest);
        let store = |error| WorkError::Store { path: self.store.root().to_owned(), error };
        let Some(claim) = lock::try_lock(self.store.root(), &format!("key-{claim}")).map_err(store)? else {
            if matches!(job.state, State::Ready) {
                let words = format!("{} {} is computed by another process; waiting", job.stage.name, job.node.item);
                self.watch.note(words.trim());
            }
            self.turn(key, State::Elsewhere);
            return Ok(false);
        };
        // Under the claim: who held it before may have accepted the result.
        if let Some(accepted) = self.look_up(key)? {
            drop(claim);
            self.cached += 1;
            self.done(key, accepted, "cached")?;
            return Ok(false);
        }
        let recording = match identity {
            Some(fields) => match self.prepare(key, &fields)? {
                Some(recording) => Some(recording),
                None => {
                    drop(claim);
                    return Ok(false);
                }
            },
            None => None,
        };
        self.execute(key, claim, recording)?;
        Ok(true)
    }

    /// Finds out what a training lacks; accepts it at once when that is nothing, and says `None`.
    fn prepare(&mut self, key: StageKey, fields: &Fields) -> Result<Option<Recording>, WorkError> {
        let job = &self.jobs[&key];
        let Some(training) = job.node.training.clone() else { return Ok(None) };
        let identity = TrajectoryId(fields.digest());
        let trajectory =
            self.record.start_trajectory(identity, fields, self.settings.threads, &self.cpu_capability)?;
        if trajectory.steps > 0 && trajectory.cpu_capability != self.cpu_capability {
            self.watch.note(&format!(
                "this training began with {} and goes on with {}: bits may differ, and are compared",
                trajectory.cpu_capability, self.cpu_capability
            ));
        }
        let ended = match training.stop_after {
            Some(in_a_row) => self.record.ended_early(trajectory.row, in_a_row)?,
            None => None,
        };
        let probes = self.record.missing_probes(trajectory.row, training.probes, trajectory.steps.min(training.length))?;
        let store = &self.store;
        let missing = segment::missing(&trajectory, &training, ended, probes > 0, |id| {
            matches!(store.check(id), Ok(Health::Sound))
        });
        let Some(missing) = missing else {
            let reached = ended.unwrap_or(training.length).min(training.length);
            let made = Made { reached: Some(reached), report: serde_json::json!({}), ..Made::default() };
            let execution = self.begin(key, Some(&trajectory), Some(reached), None)?;
            let accepted = self.accept(key, execution, made, &trajectory, &[], &[])?;
            self.cached += 1;
            self.done(key, accepted, "cached")?;
            return Ok(None);
        };
        Ok(Some(Recording {
            recorded: trajectory.steps,
            trajectory,
            missing,
            waiting: Vec::new(),
            flushed: Instant::now(),
            tokens: 0,
            last: None,
            differed: false,
            dropped: Vec::new(),
        }))
    }

    fn begin(
        &mut self,
        key: StageKey,
        trajectory: Option<&Trajectory>,
        from_step: Option<u64>,
        uid: Option<&str>,
    ) -> Result<ExecutionId, WorkError> {
        let job = &self.jobs[&key];
        let worker = matches!(job.stage.way, Way::Worker);
        let fresh = uuid::Uuid::now_v7().to_string();
        Ok(self.record.begin(&NewExecution {
            uid: uid.unwrap_or(&fresh),
            stage: job.stage.name,
            key,
            fields: &job.fields,
            process: &self.settings.process,
            inputs: job.node.inputs.iter().map(|input| (input.name.clone(), input.digest.to_string())).collect(),
            threads: worker.then(|| trajectory.map_or(self.settings.threads, |t| t.threads)),
            device: worker.then_some(self.facts.device),
            cpu_capability: worker.then_some(self.cpu_capability.as_str()),
            libtorch: worker.then_some(self.facts.libtorch.as_str()),
            trajectory: trajectory.map(|trajectory| trajectory.row),
            from_step,
        })?)
    }

    fn execute(&mut self, key: StageKey, claim: Lock, training: Option<Recording>) -> Result<(), WorkError> {
        let uid = uuid::Uuid::now_v7().to_string();
        let trajectory = training.as_ref().map(|recording| &recording.trajectory);
        let from = training.as_ref().map(|recording| recording.missing.from);
        let execution = self.begin(key, trajectory, from, Some(&uid))?;
        let job = &self.jobs[&key];
        let path_of = |id: ObjectId| self.store.path(id);
        let inputs: BTreeMap<String, PathBuf> = job
            .node
            .inputs
            .iter()
            .map(|input| (input.name.clone(), input.file.clone().unwrap_or_else(|| path_of(ObjectId(input.digest)))))
            .collect();
        self.watch.started(&shown(key, job, &self.paths));
        let mut share = None;
        match job.stage.way {
            Way::Here(stage) => {
                share = Some(task::spawn_here(&self.bench, key, &uid, stage, job.node.params.clone(), inputs));
            }
            Way::Worker => {
                let segment = training.as_ref().map(|recording| stages::protocol::Segment {
                    from: recording.missing.from,
                    to: recording.missing.to,
                    length: job.node.training.as_ref().map_or(0, |training| training.length),
                    weights: recording.missing.start.map(|(weights, _)| path_of(weights)),
                    state: recording.missing.start.map(|(_, state)| path_of(state)),
                    checkpoints: recording.missing.checkpoints.clone(),
                    checkpoint_seconds: 30,
                });
                let task = WorkerTask {
                    key,
                    uid,
                    stage: job.stage.name,
                    params: job.node.params.clone(),
                    inputs,
                    threads: trajectory.map_or(self.settings.threads, |t| t.threads),
                    segment,
                };
                task::spawn_worker(&self.bench, task);
            }
        }
        let running = Running {
            _claim: claim,
            execution,
            began: Instant::now(),
            stopper: None,
            share,
            training,
            evaluations: Vec::new(),
            events: Vec::new(),
        };
        self.turn(key, State::Running(Box::new(running)));
        Ok(())
    }

    // -------------------------------------------------------------------------------------------- hearing of tasks

    fn running(&mut self, key: StageKey) -> Option<&mut Running> {
        match &mut self.jobs.get_mut(&key)?.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), WorkError> {
        match message {
            Message::Taken { key, stopper, log, log_from } => {
                if self.stopping {
                    stopper.stop();
                }
                if let Some(running) = self.running(key) {
                    running.stopper = Some(stopper);
                    let execution = running.execution;
                    self.record.set_log(execution, &log, log_from)?;
                }
            }
            Message::Step(key, step) => {
                if let Some(Running { training: Some(recording), .. }) = self.running(key) {
                    recording.tokens += step.tokens;
                    recording.last = Some((step.step, step.loss.0));
                    recording.waiting.push(step);
                    if recording.waiting.len() >= FLUSH_STEPS {
                        self.flush(key)?;
                    }
                }
            }
            Message::Checkpoint { key, step, weights, state } => {
                // Steps first: whoever finds a checkpoint finds all steps before it.
                self.flush(key)?;
                let Some(running) = self.running(key) else { return Ok(()) };
                let execution = running.execution;
                let Some(recording) = &mut running.training else { return Ok(()) };
                recording.trajectory.checkpoints.insert(step, (weights.id, Some(state.id)));
                let row = recording.trajectory.row;
                let (w, s) = ((weights.id, weights.bytes), (state.id, state.bytes));
                self.record.add_checkpoint(row, execution, step, w, s)?;
                drop((weights, state));
                self.thin(key)?;
            }
            Message::Evaluation(key, evaluation) => {
                let Some(running) = self.running(key) else { return Ok(()) };
                let execution = running.execution;
                match &running.training {
                    Some(recording) => {
                        let row = recording.trajectory.row;
                        self.record.trajectory_evaluation(row, execution, &evaluation)?;
                    }
                    None => running.evaluations.push(evaluation),
                }
            }
            Message::Event(key, event) => {
                self.flush(key)?;
                let Some(running) = self.running(key) else { return Ok(()) };
                match &running.training {
                    Some(recording) => {
                        let row = recording.trajectory.row;
                        self.record.trajectory_event(row, &event)?;
                    }
                    None => running.events.push(event.clone()),
                }
                let job = &self.jobs[&key];
                let label = &self.paths[job.users[0]].track.label;
                self.watch.note(format!("{label}: {}", event.message).trim_start_matches(": "));
            }
            Message::Progress(key, share) => {
                let job = &self.jobs[&key];
                self.watch.progress(&shown(key, job, &self.paths), &Progress::Share(share));
            }
            Message::Ended(key, result) => self.hear_end(key, result)?,
        }
        Ok(())
    }

    fn hear_end(&mut self, key: StageKey, result: Result<Made, TaskError>) -> Result<(), WorkError> {
        self.flush(key)?;
        let Some(running) = self.running(key) else { return Ok(()) };
        let (execution, seconds) = (running.execution, running.began.elapsed().as_secs_f64());
        let evaluations = std::mem::take(&mut running.evaluations);
        let events = std::mem::take(&mut running.events);
        let trajectory = running.training.as_ref().map(|recording| recording.trajectory.clone());
        let recorded = running.training.as_ref().map(|recording| recording.recorded);
        let error = match result {
            Ok(mut made) => {
                // A segment that only makes lost checkpoints again ends before the steps that were there.
                let length = self.jobs[&key].node.training.as_ref().map_or(0, |training| training.length);
                made.reached = made.reached.max(recorded.map(|recorded| recorded.min(length)));
                let accepted = match &trajectory {
                    Some(trajectory) => self.accept(key, execution, made, trajectory, &evaluations, &events)?,
                    None => self.accept_simple(key, execution, made, &evaluations, &events)?,
                };
                self.remove_dropped(key)?;
                self.executed += 1;
                let job = &self.jobs[&key];
                self.watch.ended(&shown(key, job, &self.paths), seconds, None);
                return self.done(key, accepted, "executed");
            }
            Err(error) => error,
        };
        let (status, end) = match &error {
            TaskError::Stopped => ("interrupted", End::Interrupted { error: None }),
            TaskError::Worker(WorkerError::Died { killed: true, .. }) => {
                ("interrupted", End::Interrupted { error: Some(error.to_string()) })
            }
            TaskError::Stage(error) => ("failed", failed(error)),
            TaskError::Disk { .. } => {
                let hint = "free some space, or name another place with --store".to_owned();
                ("failed", End::Failed { message: error.to_string(), key: None, hint })
            }
            TaskError::Worker(_) => {
                let hint = self.paths[self.jobs[&key].users[0]].track.run.map(|run| format!("pipeline show {run} --log"));
                ("failed", End::Failed { message: error.to_string(), key: None, hint: hint.unwrap_or_default() })
            }
        };
        let exit = matches!(error, TaskError::Worker(_)).then(|| error.to_string());
        self.record.give_up(execution, status, &error.to_string(), exit.as_deref())?;
        let job = &self.jobs[&key];
        let words = error.to_string();
        self.watch.ended(&shown(key, job, &self.paths), seconds, Some(&words));
        let users = job.users.clone();
        self.turn(key, State::Lost(end.clone()));
        for path in users {
            self.lose_path(path, end.clone())?;
        }
        Ok(())
    }

    /// A job's result is accepted: its points go on.
    fn done(&mut self, key: StageKey, accepted: Accepted, how: &'static str) -> Result<(), WorkError> {
        self.turn(key, State::Done { accepted, how });
        for path in self.jobs[&key].users.clone() {
            self.advance(path)?;
        }
        Ok(())
    }

    /// Accepts a training: its outputs are the kept checkpoints of its trajectory.
    fn accept(
        &mut self,
        key: StageKey,
        execution: ExecutionId,
        made: Made,
        trajectory: &Trajectory,
        evaluations: &[Evaluation],
        events: &[Event],
    ) -> Result<Accepted, WorkError> {
        let reached = made.reached.unwrap_or(0);
        let training = self.jobs[&key].node.training.as_ref();
        let kept = training.map(|training| training.checkpoints.kept(training.length.min(reached))).unwrap_or_default();
        let mut outputs = Vec::new();
        for step in kept {
            if let Some((weights, _)) = trajectory.checkpoints.get(&step) {
                let bytes = self.store.path(*weights).metadata().map_or(0, |meta| meta.len());
                outputs.push((format!("weights@{step}"), *weights, bytes));
            }
        }
        self.accept_outputs(key, execution, &made, outputs, evaluations, events)
    }

    fn accept_simple(
        &mut self,
        key: StageKey,
        execution: ExecutionId,
        made: Made,
        evaluations: &[Evaluation],
        events: &[Event],
    ) -> Result<Accepted, WorkError> {
        let outputs = made.outputs.iter().map(|(name, put)| (name.clone(), put.id, put.bytes)).collect();
        // `made` holds the store's content until its references are recorded.
        self.accept_outputs(key, execution, &made, outputs, evaluations, events)
    }

    fn accept_outputs(
        &mut self,
        key: StageKey,
        execution: ExecutionId,
        made: &Made,
        outputs: Vec<(String, ObjectId, u64)>,
        evaluations: &[Evaluation],
        events: &[Event],
    ) -> Result<Accepted, WorkError> {
        let accepted = Accepted {
            execution,
            outputs: outputs.iter().map(|(name, id, _)| (name.clone(), *id)).collect(),
            report: made.report.clone(),
            reached: made.reached,
        };
        let all_events: Vec<Event> = events.iter().chain(&made.events).cloned().collect();
        self.record.accept(&Finished {
            execution,
            key,
            outputs,
            report: &made.report,
            evaluations,
            samples: &made.samples,
            events: &all_events,
            seconds: made.seconds,
            peak_memory: made.peak_memory,
            to_step: made.reached,
        })?;
        Ok(accepted)
    }

    // -------------------------------------------------------------------------------------------------- trajectories

    /// Writes a training's waiting steps down.
    fn flush(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(Running { execution, training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
        if recording.waiting.is_empty() {
            return Ok(());
        }
        let execution = *execution;
        let steps = std::mem::take(&mut recording.waiting);
        recording.flushed = Instant::now();
        let (row, recorded, from) = (recording.trajectory.row, recording.recorded, recording.missing.from);
        let told = recording.differed;
        let Some(mismatch) = self.record.append_steps(row, recorded, &steps)? else { return Ok(()) };
        if told {
            return Ok(());
        }
        let message = format!(
            "step {} was computed again, from step {from}, and differs: {} before, {} now (execution {})",
            mismatch.step, mismatch.before, mismatch.now, execution.0
        );
        let event = Event { step: Some(mismatch.step), kind: "differs".to_owned(), message };
        self.record.trajectory_event(row, &event)?;
        self.watch.note(&event.message);
        if let Some(Running { training: Some(recording), .. }) = self.running(key) {
            recording.differed = true;
        }
        Ok(())
    }

    fn flush_waiting(&mut self) -> Result<(), WorkError> {
        let due: Vec<StageKey> = self
            .jobs
            .iter()
            .filter(|(_, job)| match &job.state {
                State::Running(running) => running.training.as_ref().is_some_and(|r| r.flushed.elapsed() > FLUSH),
                _ => false,
            })
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().try_for_each(|key| self.flush(key))
    }

    /// Lets go of states that resuming will not need, and of checkpoints that were only steps on the way.
    fn thin(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(training) = self.jobs[&key].node.training.clone() else { return Ok(()) };
        let Some(Running { training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
        let checkpoints = &mut recording.trajectory.checkpoints;
        let with_state: Vec<u64> = checkpoints.iter().filter(|(_, c)| c.1.is_some()).map(|(step, _)| *step).collect();
        let states = segment::states_to_drop(&with_state);
        let kept: HashSet<u64> = training.checkpoints.kept(training.length).into_iter().collect();
        let mut whole = Vec::new();
        for step in &states {
            let Some((weights, state)) = checkpoints.get_mut(step) else { continue };
            recording.dropped.extend(state.take());
            if !kept.contains(step) {
                recording.dropped.push(*weights);
                whole.push(*step);
            }
        }
        whole.iter().for_each(|step| drop(checkpoints.remove(step)));
        let row = recording.trajectory.row;
        if !states.is_empty() {
            self.record.thin_checkpoints(row, &states, &whole)?;
        }
        // In a long training the dropped states would fill the disk before its end.
        self.remove_dropped(key)
    }

    /// Removes the objects that a training let go of, unless somebody else refers to them or is adding objects.
    fn remove_dropped(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(Running { training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
        let dropped = std::mem::take(&mut recording.dropped);
        if dropped.is_empty() {
            return Ok(());
        }
        let mut gone = Vec::new();
        let record = &mut *self.record;
        let removed = self.store.remove(|| -> Result<_, WorkError> {
            gone = record.unreferenced(&dropped)?;
            // The rows go first: a row without its file would be taken for damage.
            record.forget_objects(&gone)?;
            Ok(gone.clone())
        })?;
        if removed.is_none()
            && let Some(Running { training: Some(recording), .. }) = self.running(key)
        {
            recording.dropped = dropped;
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------------- endings

    /// Asks everything that runs to stop.
    fn stop_all(&mut self) {
        self.stopping = true;
        self.bench.stop.store(true, Ordering::Relaxed);
        for job in self.jobs.values() {
            if let State::Running(running) = &job.state
                && let Some(stopper) = &running.stopper
            {
                stopper.stop();
            }
        }
    }

    /// A point can't be finished.
    fn lose_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        if !matches!(end, End::Interrupted { error: None }) && !self.settings.keep_going && !self.stopping {
            self.stop_all();
        }
        // What only lost points wait for is not begun.
        if self.paths[path].end.is_none() {
            self.end_path(path, end.clone())?;
        }
        let lost: HashSet<usize> = (0..self.paths.len())
            .filter(|path| matches!(self.paths[*path].end, Some(End::Failed { .. } | End::Interrupted { .. })))
            .collect();
        let idle: Vec<StageKey> = self
            .jobs
            .iter()
            .filter(|(_, job)| matches!(job.state, State::Ready | State::Elsewhere))
            .filter(|(_, job)| job.users.iter().all(|user| lost.contains(user)))
            .map(|(key, _)| *key)
            .collect();
        for key in idle {
            self.turn(key, State::Lost(end.clone()));
        }
        Ok(())
    }

    /// Writes a point's end down.
    fn end_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        let reached = self.reached(path);
        let Path { track, began, executed, end: slot, .. } = &mut self.paths[path];
        *slot = Some(end.clone());
        let Some(run) = track.run else { return Ok(()) };
        if track.settled && !(*executed) && end == End::Finished {
            return Ok(());
        }
        if track.attached && self.record.is_worked_on(run, &self.settings.process, self.store.root())? {
            return Ok(());
        }
        let seconds = began.elapsed().as_secs_f64();
        let partial = self.settings.until.is_some();
        let (status, error) = match &end {
            End::Finished if partial && !track.settled => ("interrupted", None),
            End::Finished => ("finished", None),
            End::Failed { message, .. } => ("failed", Some(message.as_str())),
            End::Interrupted { error } => ("interrupted", error.as_deref()),
        };
        // A finished run stays one, also when a damaged object of it could not be made again just now.
        let status = if track.settled { "finished" } else { status };
        Ok(self.record.end_run(run, status, reached, seconds, error)?)
    }

    /// The steps that a point's training reached.
    fn reached(&self, path: usize) -> Option<u64> {
        self.paths[path].columns.iter().find_map(|column| {
            let Column::Expanded { keys, .. } = column else { return None };
            keys.iter().find_map(|key| match &self.jobs.get(key)?.state {
                State::Done { accepted, .. } => accepted.reached,
                _ => None,
            })
        })
    }

    /// Whoever has not ended by now was interrupted.
    fn finish_paths(&mut self) -> Result<(), WorkError> {
        for path in 0..self.paths.len() {
            if self.paths[path].end.is_none() {
                self.end_path(path, End::Interrupted { error: None })?;
            }
        }
        Ok(())
    }

    fn dry_summary(&self) -> Summary {
        let pending = self.order.iter().filter(|key| matches!(self.jobs[key].state, State::Ready)).map(|key| {
            let job = &self.jobs[key];
            (job.stage.name, job.node.item.clone(), self.paths[job.users[0]].track.label.clone())
        });
        Summary { ends: Vec::new(), executed: 0, cached: self.cached, pending: pending.collect() }
    }

    fn show_progress(&mut self) {
        for (key, job) in &self.jobs {
            let State::Running(running) = &job.state else { continue };
            let shown = shown(*key, job, &self.paths);
            if let Some(share) = &running.share {
                self.watch.progress(&shown, &Progress::Share(share.load(Ordering::Relaxed)));
            }
            if let Some(recording) = &running.training
                && let Some((step, loss)) = recording.last
            {
                let Missing { from, to, .. } = recording.missing;
                let progress = Progress::Steps { from, step, to, loss, tokens: recording.tokens };
                self.watch.progress(&shown, &progress);
            }
        }
        let done = self.jobs.values().filter(|job| matches!(job.state, State::Done { .. })).count();
        self.watch.tick(done, self.jobs.len());
    }
}

fn shown<'j>(key: StageKey, job: &'j Job, paths: &'j [Path<'_>]) -> Shown<'j> {
    let label = paths[job.users[0]].track.label.as_str();
    Shown { key, stage: job.stage.name, item: &job.node.item, label, users: job.users.len() }
}

/// How a stage's error ends a point.
fn failed(error: &StageError) -> End {
    match error {
        StageError::Input { key, message, hint } => {
            End::Failed { message: message.clone(), key: Some(key.clone()), hint: hint.clone() }
        }
        error => End::Failed { message: error.to_string(), key: None, hint: String::new() },
    }
}
