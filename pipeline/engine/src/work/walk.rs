//! Moves points through their stages: turns nodes into jobs, and continues when jobs are done.

use super::Work;
use super::end::failed;
use super::interface::{End, WorkError};
use super::jobs::JobState;
use super::origin;
use super::point::{PointJobs, PointStage};
use super::show::shown;
use crate::graph::{self, Node, Stage};
use crate::segment;
use identity::observations::Looks;
use identity::{How, StageKey, TrajectoryId};
use record::rows::{Accepted, Served};

impl Work<'_> {
    /// Advances a point as far as its results allow.
    pub(super) fn advance(&mut self, point: usize) -> Result<(), WorkError> {
        if self.points[point].end.is_some() {
            return Ok(());
        }
        for column in 0..self.graph.stages.len() {
            if let PointStage::Open = self.points[point].columns[column] {
                let (this, stage) = (&self.points[point], &self.graph.stages[column]);
                let Some(upstream) = this.upstream(stage, &self.graph.stages, &self.jobs) else { continue };
                match this.track.plan.nodes(&stage.name, &upstream) {
                    Ok(nodes) => {
                        let stage = stage.clone();
                        let keys = nodes.into_iter().map(|node| self.want(point, &stage, node));
                        let keys = keys.collect::<Result<_, _>>()?;
                        self.points[point].columns[column] = PointStage::Expanded { keys, served: false };
                        // A job that this point requests may already have failed for others.
                        if let Some(end) = self.points[point].failed(column, &self.jobs) {
                            return self.lose_point(point, end);
                        }
                    }
                    Err(error) => return self.lose_point(point, failed(&error)),
                }
            }
            self.serve(point, column)?;
        }
        let is_served = |column: &PointStage| matches!(column, PointStage::Expanded { served: true, .. });
        if self.points[point].columns.iter().all(is_served) && !self.settings.dry_run {
            self.end_point(point, End::Finished)?;
        }
        Ok(())
    }

    /// Requests a node of a point: finds its job, or adds one.
    fn want(&mut self, point: usize, stage: &Stage, node: Node) -> Result<StageKey, WorkError> {
        let track = &self.points[point].track;
        if let Some(training) = &node.training
            && let Some(run) = track.run.filter(|_| !track.settled)
        {
            let fields = graph::trajectory_fields(stage, &node, training, &self.graph.facts);
            let capability = self.graph.facts.capability(node.device());
            let begun = origin::begun(&fields, training, self.settings.threads, &capability);
            let trajectory = self.recorder.record.start_trajectory(&begun)?;
            self.recorder.record.tie_run(run, trajectory.row, training.length)?;
        }
        self.ask(point, stage, node)
    }

    /// Like [`Self::want`], for a node that is not itself part of the point.
    pub(super) fn ask(&mut self, point: usize, stage: &Stage, node: Node) -> Result<StageKey, WorkError> {
        let fields = graph::key_fields(stage, &node, &self.graph.facts);
        let key = StageKey(fields.digest());
        if self.jobs.join(key, point) {
            return Ok(key);
        }
        let identity = |training| graph::trajectory_fields(stage, &node, training, &self.graph.facts).digest();
        let claim = node.training.as_ref().map_or(key.0, identity);
        self.jobs.add(key, stage.clone(), node, fields, claim, point);
        if let Some(accepted) = self.look_up(key)? {
            self.cached += 1;
            self.jobs.turn(key, JobState::Done { accepted, how: How::Cached });
        } else if self.settings.explain {
            let job = &self.jobs[&key];
            let mut why = self.explainer.why(self.recorder.record, &job.stage.name, &job.fields)?;
            why.extend(self.where_it_resumes(key)?);
            self.watch.explained(&shown(key, &self.jobs[&key], &self.points), &why);
        }
        Ok(key)
    }

    /// The accepted result of a job, if there is one and all of its objects are intact.
    pub(super) fn look_up(&mut self, key: StageKey) -> Result<Option<Accepted>, WorkError> {
        let Self { jobs, recorder, watch, .. } = self;
        let job = &jobs[&key];
        let training = job.node.training.as_ref().map(|training| (training, TrajectoryId(job.claim)));
        recorder.result(key, training, &mut |words| watch.note(words))
    }

    /// Says where training resumes, if a part was computed before or the trajectory has another length.
    fn where_it_resumes(&mut self, key: StageKey) -> Result<Option<String>, WorkError> {
        let Self { jobs, recorder, .. } = self;
        let job = &jobs[&key];
        let Some(training) = &job.node.training else { return Ok(None) };
        let Some(trajectory) = recorder.record.find_trajectory(TrajectoryId(job.claim))? else { return Ok(None) };
        let sound = |id| recorder.is_sound(id);
        let missing = segment::missing(&trajectory, training, training.length, &Looks::new(), None, sound);
        let from = missing.map_or(training.length, |missing| missing.from);
        let of = training.length;
        // Steps before a fork belong to its parent.
        Ok((trajectory.steps > training.origin()).then(|| format!("resuming at step {from} of {of}")))
    }

    /// Records which executions served a stage of a point, once all are done.
    fn serve(&mut self, point: usize, column: usize) -> Result<(), WorkError> {
        let Self { points, jobs, recorder, graph, .. } = self;
        let PointJobs { track, columns, .. } = &mut points[point];
        let PointStage::Expanded { keys, served } = &mut columns[column] else { return Ok(()) };
        if *served {
            return Ok(());
        }
        let mut nodes = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            let job = &jobs[key];
            let JobState::Done { accepted, how } = &job.state else { return Ok(()) };
            // A job counts as executed for the point that requested it first, and as cached for the others.
            let how = if job.users.first() == Some(&point) { *how } else { How::Cached };
            let Node { item, step, .. } = &job.node;
            nodes.push(Served { item: item.clone(), step: *step, execution: accepted.execution, how });
        }
        let executed = nodes.iter().any(|served| served.how == How::Executed);
        let stage = &graph.stages[column];
        if let Some(run) = track.run
            && (!track.settled || executed || stage.later && !recorder.record.is_served(run, stage.name.as_str())?)
        {
            recorder.record.serve(run, stage.name.as_str(), &nodes)?;
        }
        *served = true;
        Ok(())
    }
}
