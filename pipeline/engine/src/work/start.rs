//! Starts jobs: claims them, and finds out where training resumes.

use std::time::Instant;

use stages::protocol::Segment;

use super::Work;
use super::interface::WorkError;
use super::jobs::{JobState, Rank, Running};
use super::origin;
use super::point::PointJobs;
use super::recorder::early_end;
use super::recording::Recording;
use super::show::shown;
use crate::graph::{self, Training, Way};
use crate::launch::{Made, Task};
use crate::lock::{self, Lock};
use crate::segment;
use identity::observations::{Looks, Measured};
use identity::{ExecutionId, Fields, How, RunId, StageKey};
use record::rows::{NewExecution, Trajectory};

/// Seconds between checkpoints that are made only for resuming.
const CHECKPOINT_SECONDS: u64 = 30;

impl Work<'_> {
    /// Starts ready jobs while slots are free; at a tick, also retries jobs that are computed elsewhere.
    pub(super) fn start_ready(&mut self, tick: bool) -> Result<(), WorkError> {
        let mut after: Option<Rank> = None;
        while !self.stopping && self.jobs.count_running() < self.settings.jobs {
            let Some((rank, key)) = self.jobs.next_waiting(after) else { break };
            after = Some(rank);
            if tick || matches!(self.jobs[&key].state, JobState::Ready) {
                self.start(key)?;
                // A cached result may have made jobs of any rank ready.
                if matches!(self.jobs[&key].state, JobState::Done { .. }) {
                    after = None;
                }
            }
        }
        Ok(())
    }

    /// Starts one job, unless it is being computed elsewhere.
    fn start(&mut self, key: StageKey) -> Result<(), WorkError> {
        if self.waits_for_origin(key)? {
            return Ok(());
        }
        let job = &self.jobs[&key];
        let root = self.recorder.store.root();
        let claim = lock::try_lock(root, &format!("key-{}", job.claim));
        let Some(claim) = claim.map_err(|error| WorkError::Store { path: root.to_owned(), error })? else {
            let ours = self.jobs.all_running().any(|(_, other, _)| other.claim == job.claim);
            if matches!(job.state, JobState::Ready) && !ours {
                let words = [job.stage.name.as_str(), &job.node.item, &self.points[job.users[0]].track.label];
                let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
                self.watch.note(&format!("{words} is being computed by another process; waiting"));
            }
            self.jobs.turn(key, JobState::Elsewhere);
            return Ok(());
        };
        // Look up again under the claim: its previous holder may have accepted the result.
        if let Some(accepted) = self.look_up(key)? {
            drop(claim);
            return self.done(key, accepted, How::Cached);
        }
        let recording = match self.jobs[&key].node.training.clone() {
            Some(training) => match self.prepare(key, &training)? {
                Some(recording) => Some(recording),
                None => return Ok(()),
            },
            None => None,
        };
        self.execute(key, claim, recording)
    }

    /// Finds out what a training run lacks. `None` if there is nothing to compute now: either it lacks nothing and is
    /// accepted at once, or the checkpoint that it starts from must be recomputed first.
    fn prepare(&mut self, key: StageKey, training: &Training) -> Result<Option<Recording>, WorkError> {
        let job = &self.jobs[&key];
        let fields = graph::trajectory_fields(&job.stage, &job.node, training, &self.graph.facts);
        let capability = self.graph.facts.capability(job.node.device());
        let begun = origin::begun(&fields, training, self.settings.threads, &capability);
        let recorder = &mut self.recorder;
        let trajectory = recorder.record.begin_trajectory(&begun)?;
        let lost = match training.stop_after {
            Some(in_a_row) => recorder.record.ended_early(trajectory.row, in_a_row)?,
            None => None,
        };
        // The validation losses are needed only if a rule reads them.
        let looks = if training.looks() { recorder.record.looks(trajectory.row)? } else { Looks::new() };
        let end = training.end(lost, &looks);
        let computed = trajectory.steps.min(end);
        let unprobed = recorder.record.missing_probes(trajectory.row, training.probes, computed)?;
        let unlooked = training.first_unlooked(computed, end, &looks);
        let unmeasured = [unprobed, unlooked].into_iter().flatten().min();
        let sound = |id| recorder.is_sound(id);
        let mut missing = segment::missing(&trajectory, training, end, &looks, unmeasured, sound);
        if let (Some(missing), Some(parent)) = (&mut missing, &training.parent)
            && missing.start.is_none()
        {
            missing.start = recorder.origin(parent)?;
            if missing.start.is_none() {
                self.ask_for_origin(key, parent)?;
                return Ok(None);
            }
        }
        if trajectory.steps == 0 {
            self.explain_starting_over(&fields, training)?;
        } else {
            self.note_kept_settings(&trajectory, &capability);
        }
        let Some(missing) = missing else {
            let events = early_end(training, end, &looks).into_iter().collect();
            let made = Made { reached: Some(end), report: serde_json::json!({}), events, ..Made::default() };
            let execution = self.begin(key, Some(&trajectory), Some(end), None)?;
            let accepted = self.recorder.accept(key, execution, made, Some((training, &trajectory)), &[])?;
            self.done(key, accepted, How::Cached)?;
            return Ok(None);
        };
        // Runs of killed processes keep the steps they have now, and get none of those computed from now on.
        self.recorder.sweep()?;
        tracing::debug!(%key, recorded = trajectory.steps, ?missing, "training");
        Ok(Some(Recording::new(trajectory, missing, end, looks)))
    }

    /// Explains why a run whose learning rate depends on its length can't resume from one of another length.
    fn explain_starting_over(&mut self, own: &Fields, training: &Training) -> Result<(), WorkError> {
        if training.identity.get("length").is_none() {
            return Ok(());
        }
        let other = self.recorder.record.other_lengths()?.into_iter().find_map(|(fields, steps)| {
            let other = Fields::from_json(&fields).filter(|_| steps > 0)?;
            let differences = own.differences(&other);
            (differences.len() == 1 && differences[0].name == "param.length").then_some(steps)
        });
        if let Some(steps) = other {
            self.watch.note(&format!(
                "the schedule depends on the length of the run: starting over instead of resuming the {steps} steps of \
                 a run of another length"
            ));
        }
        Ok(())
    }

    /// Reports settings that a trajectory keeps from its start, and hardware that has changed since.
    fn note_kept_settings(&mut self, trajectory: &Trajectory, capability: &str) {
        let Trajectory { threads: began, cpu_capability, .. } = trajectory;
        if *began != self.settings.threads && self.settings.threads_asked {
            let plural = if *began == 1 { "" } else { "s" };
            self.watch.note(&format!(
                "this run keeps the {began} thread{plural} it started with, so that the same steps give the same bits"
            ));
        }
        if cpu_capability != capability {
            self.watch.note(&format!(
                "this run started on {cpu_capability}, resuming on {capability}: recomputed steps may differ, and are \
                 compared"
            ));
        }
    }

    /// Records the start of an execution, for all of its runs.
    fn begin(
        &mut self,
        key: StageKey,
        trajectory: Option<&Trajectory>,
        from_step: Option<u64>,
        uid: Option<&str>,
    ) -> Result<ExecutionId, WorkError> {
        let Self { jobs, points, recorder, graph, settings, .. } = self;
        let job = &jobs[&key];
        let worker = matches!(job.stage.way, Way::Worker);
        let capability = graph.facts.capability(job.node.device());
        let fresh = system::uid();
        let run_of = |user: &usize| -> Option<RunId> {
            let PointJobs { end: None, track, .. } = &points[*user] else { return None };
            track.run.filter(|_| !track.settled)
        };
        Ok(recorder.record.begin(&NewExecution {
            uid: uid.unwrap_or(&fresh),
            stage: job.stage.name.as_str(),
            key,
            fields: &job.fields,
            process: &settings.process,
            inputs: job.node.inputs.iter().map(|input| (input.name.clone(), input.digest.to_string())).collect(),
            runs: job.users.iter().filter_map(run_of).collect(),
            item: &job.node.item,
            step: job.node.step,
            threads: worker.then(|| trajectory.map_or(settings.threads, |t| t.threads)),
            device: worker.then_some(job.node.device()),
            cpu_capability: worker.then_some(capability.as_str()),
            libtorch: worker.then_some(graph.facts.libtorch.as_str()),
            trajectory: trajectory.map(|trajectory| trajectory.row),
            from_step,
        })?)
    }

    /// Launches a claimed job.
    fn execute(&mut self, key: StageKey, claim: Lock, recording: Option<Recording>) -> Result<(), WorkError> {
        for user in self.jobs[&key].users.clone() {
            self.recorder.take_over(&mut self.points[user].track)?;
        }
        let uid = system::uid();
        let trajectory = recording.as_ref().map(|recording| &recording.trajectory);
        let from = recording.as_ref().map(|recording| recording.missing.from);
        let execution = self.begin(key, trajectory, from, Some(&uid))?;
        let job = &self.jobs[&key];
        self.watch.started(&shown(key, job, &self.points));
        let training = job.node.training.as_ref();
        let store = &self.recorder.store;
        let segment = recording.as_ref().map(|Recording { missing, looks, .. }| Segment {
            from: missing.from,
            to: missing.to,
            length: training.map_or(0, |training| training.horizon),
            weights: missing.start.map(|(weights, _)| store.path(weights)),
            state: missing.start.map(|(_, state)| store.path(state)),
            checkpoints: missing.checkpoints.clone(),
            looks: looks.iter().map(|(step, loss)| (*step, Measured(*loss))).collect(),
            checkpoint_seconds: CHECKPOINT_SECONDS,
            inspect: None,
        });
        let task = Task {
            key,
            uid,
            stage: job.stage.name.clone(),
            way: job.stage.way.clone(),
            params: job.node.params.clone(),
            inputs: job.node.inputs.clone(),
            threads: trajectory.map_or(self.settings.threads, |trajectory| trajectory.threads),
            segment,
            may_give_up: training.is_some_and(|training| training.stop_after.is_some()),
            may_stop_early: training.is_some_and(|training| training.early_stopping.is_some()),
        };
        self.launcher.launch(task, &self.told.0);
        let (began, evaluations, events) = (Instant::now(), Vec::new(), Vec::new());
        let running = Running { _claim: claim, execution, began, training: recording, evaluations, events };
        self.jobs.turn(key, JobState::Running(Box::new(running)));
        Ok(())
    }
}
