//! Points walk their stages: nodes become jobs, jobs that are done let a point go on.

use super::*;

/// An object that is not what its name says, with what it is to its stage.
type Ill = (ObjectId, String, Health);

impl Work<'_> {
    /// Moves a point as far as its results allow.
    pub(super) fn advance(&mut self, path: usize) -> Result<(), WorkError> {
        if self.paths[path].end.is_some() {
            return Ok(());
        }
        for column in 0..self.stages.len() {
            let stage = self.stages[column];
            if matches!(self.paths[path].columns[column], Column::Open) {
                let Some(upstream) = self.upstream(path, &stage) else { continue };
                match self.paths[path].track.plan.nodes(stage.name, &upstream) {
                    Ok(nodes) => {
                        let keys =
                            nodes.into_iter().map(|node| self.want(path, stage, node)).collect::<Result<_, _>>()?;
                        self.paths[path].columns[column] = Column::Expanded { keys, served: false };
                        // Asked for after it had failed for others.
                        if let Some(end) = self.failed(path, column) {
                            return self.lose_path(path, end);
                        }
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

    /// How a job ended that a stage of a point needs and that has failed.
    fn failed(&self, path: usize, column: usize) -> Option<End> {
        let Column::Expanded { keys, .. } = &self.paths[path].columns[column] else { return None };
        keys.iter().find_map(|key| match &self.jobs[key].state {
            State::Failed(end) => Some(end.clone()),
            _ => None,
        })
    }

    /// What a stage's needs made for a point; `None` while one is not done.
    pub(super) fn upstream(&self, path: usize, stage: &Stage) -> Option<Upstream> {
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
    pub(super) fn want(&mut self, path: usize, stage: Stage, node: Node) -> Result<StageKey, WorkError> {
        if let Some(training) = &node.training
            && let Some(run) = self.paths[path].track.run.filter(|_| !self.paths[path].track.settled)
        {
            let fields = graph::trajectory_fields(&stage, &node, training, &self.facts);
            let capability = self.facts.capability(node.device());
            let begun = origin::begun(&fields, training, self.settings.threads, &capability);
            let trajectory = self.record.start_trajectory(&begun)?;
            self.record.tie_run(run, trajectory.row, training.length)?;
        }
        self.ask(path, stage, node)
    }

    /// The same of a node that is no part of the point itself.
    pub(super) fn ask(&mut self, path: usize, stage: Stage, node: Node) -> Result<StageKey, WorkError> {
        let fields = graph::key_fields(&stage, &node, &self.facts);
        let key = StageKey(fields.digest());
        let identity = |training| graph::trajectory_fields(&stage, &node, training, &self.facts).digest();
        let claim = node.training.as_ref().map_or(key.0, identity);
        if let Some(job) = self.jobs.get_mut(&key) {
            if !job.users.contains(&path) {
                job.users.push(path);
                if let State::Running(_) = job.state {
                    self.paths[path].clock.begin();
                }
            }
            if let State::Idle = job.state {
                self.turn(key, State::Ready);
            }
            return Ok(key);
        }
        let rank = (path, self.jobs.len());
        let job = Job { stage, node, fields, claim, state: State::Idle, needs: None, users: vec![path], rank };
        self.jobs.insert(key, job);
        self.turn(key, State::Ready);
        if let Some(accepted) = self.look_up(key)? {
            self.cached += 1;
            self.turn(key, State::Done { accepted, how: "cached" });
        } else if self.settings.explain {
            let job = &self.jobs[&key];
            let mut why = explain::why(self.record, job.stage.name, &job.fields)?;
            why.extend(self.what_is_there(key)?);
            let job = &self.jobs[&key];
            self.watch.explained(&shown(key, job, &self.paths), &why);
        }
        Ok(key)
    }

    /// How far a training is that was computed in part, or for another length.
    fn what_is_there(&mut self, key: StageKey) -> Result<Option<String>, WorkError> {
        let job = &self.jobs[&key];
        let Some(training) = &job.node.training else { return Ok(None) };
        let Some(trajectory) = self.record.find_trajectory(TrajectoryId(job.claim))? else { return Ok(None) };
        let (store, record) = (&self.store, &mut self.record);
        let sound = |id| matches!(store.check_sized(id, || record.size(id).ok().flatten()), Ok(Health::Sound));
        let missing = segment::missing(&trajectory, training, training.length, &Looks::new(), None, sound);
        let from = missing.map_or(training.length, |missing| missing.from);
        let of = training.length;
        // Those before a fork are its parent's.
        Ok((trajectory.steps > training.origin())
            .then(|| format!("{} steps of it are there: it goes on at step {from} of {of}", trajectory.steps)))
    }

    /// The accepted result of a job, when there is one and all that it made is sound.
    pub(super) fn look_up(&mut self, key: StageKey) -> Result<Option<Accepted>, WorkError> {
        let Some(accepted) = self.record.result(key)? else { return Ok(None) };
        let mut unsound = Vec::new();
        for (name, id) in &accepted.outputs {
            unsound.extend(self.ill(*id, name)?);
        }
        unsound.extend(self.ill_checkpoints(key)?);
        for (id, name, health) in &unsound {
            // Several results may list it, and a result is looked up again under its claim.
            if self.noted.insert(*id) {
                let what = if *health == Health::Missing { "is missing" } else { "is damaged and was set aside" };
                self.watch.note(&format!("object {id} ({name}) {what}; it is made again"));
            }
        }
        Ok((unsound.is_empty() && self.is_whole(key)?).then_some(accepted))
    }

    /// An object that is not what its name says.
    fn ill(&mut self, id: ObjectId, name: &str) -> Result<Option<Ill>, WorkError> {
        let (store, record) = (&self.store, &mut self.record);
        let health = store.check_sized(id, || record.size(id).ok().flatten());
        let health = health.map_err(|error| WorkError::Store { path: store.path(id), error })?;
        Ok((health != Health::Sound).then(|| (id, name.to_owned(), health)))
    }

    /// Of a training's checkpoints, also those that only resuming needs, the objects that are not what their names say.
    fn ill_checkpoints(&mut self, key: StageKey) -> Result<Vec<Ill>, WorkError> {
        let job = &self.jobs[&key];
        let Some(length) = job.node.training.as_ref().map(|training| training.length) else { return Ok(Vec::new()) };
        let identity = TrajectoryId(job.claim);
        let Some(recorded) = self.record.find_trajectory(identity)? else { return Ok(Vec::new()) };
        let mut ill = Vec::new();
        for (step, (weights, state)) in recorded.checkpoints.range(..=length) {
            ill.extend(self.ill(*weights, &format!("weights@{step}"))?);
            if let Some(state) = state {
                ill.extend(self.ill(*state, &format!("state@{step}"))?);
            }
        }
        if !ill.is_empty() {
            // Another process may have let go of a state just then, its row before its file.
            let still = self.record.find_trajectory(identity)?.map(|t| t.checkpoints).unwrap_or_default();
            ill.retain(|(id, ..)| still.values().any(|(weights, state)| weights == id || *state == Some(*id)));
        }
        Ok(ill)
    }

    /// Writes down which executions served a stage of a point, once all are done.
    pub(super) fn serve(&mut self, path: usize, column: usize) -> Result<(), WorkError> {
        let Column::Expanded { keys, served: false } = &self.paths[path].columns[column] else { return Ok(()) };
        let mut nodes = Vec::with_capacity(keys.len());
        for key in keys {
            let job = &self.jobs[key];
            let State::Done { accepted, how } = &job.state else { return Ok(()) };
            // Executed for the point that asked first; for the others it was there.
            let how = if job.users.first() == Some(&path) { how } else { "cached" };
            let Node { item, step, .. } = &job.node;
            nodes.push(Served { item: item.clone(), step: *step, execution: accepted.execution, how });
        }
        let executed = nodes.iter().any(|served| served.how == "executed");
        let Path { track, executed: any, .. } = &mut self.paths[path];
        *any |= executed;
        let (run, settled, stage) = (track.run, track.settled, self.stages[column]);
        if let Some(run) = run
            && (!settled || executed || stage.later && !self.record.is_served(run, stage.name)?)
        {
            self.record.serve(run, stage.name, &nodes)?;
        }
        if let Column::Expanded { served, .. } = &mut self.paths[path].columns[column] {
            *served = true;
        }
        Ok(())
    }
}
