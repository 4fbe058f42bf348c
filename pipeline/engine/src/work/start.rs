//! Jobs are started: under a claim, and a training from where it stood.

use std::ops::Bound;

use super::*;

impl Work<'_> {
    /// The only place where a job's state changes. It moves the job between the sets of those that wait and run, and
    /// starts and stops the clocks of its points.
    pub(super) fn turn(&mut self, key: StageKey, state: State) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let before = std::mem::replace(&mut job.state, state);
        tracing::debug!(stage = job.stage.name, item = job.node.item, %key, from = before.name(), to = job.state.name());
        if let State::Running(_) = before {
            self.running.remove(&key);
            job.users.iter().for_each(|user| self.paths[*user].clock.end());
        }
        self.waiting.remove(&job.rank);
        match job.state {
            State::Ready | State::Elsewhere => drop(self.waiting.insert(job.rank, key)),
            State::Running(_) => {
                self.running.insert(key);
                job.users.iter().for_each(|user| self.paths[*user].clock.begin());
            }
            State::Done { .. } => self.done += 1,
            State::Failed(_) | State::Idle => {}
        }
    }

    /// Starts what is ready, as far as there are places; at a tick also looks again at what is computed elsewhere.
    pub(super) fn start_ready(&mut self, tick: bool) -> Result<(), WorkError> {
        let mut from = None;
        while !self.stopping && self.running.len() < self.settings.jobs {
            let bounds = (from.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let Some((rank, key)) = self.waiting.range(bounds).next().map(|(rank, key)| (*rank, *key)) else { break };
            from = Some(rank);
            if tick || matches!(self.jobs[&key].state, State::Ready) {
                self.start(key)?;
                // What was there already may have made others ready, of any rank.
                if matches!(self.jobs[&key].state, State::Done { .. }) {
                    from = None;
                }
            }
        }
        Ok(())
    }

    /// Starts one job, unless somebody else computes it.
    fn start(&mut self, key: StageKey) -> Result<(), WorkError> {
        if self.waits_for_origin(key)? {
            return Ok(());
        }
        let job = &self.jobs[&key];
        let store = |error| WorkError::Store { path: self.store.root().to_owned(), error };
        let Some(claim) = lock::try_lock(self.store.root(), &format!("key-{}", job.claim)).map_err(store)? else {
            let ours = self.running.iter().any(|other| self.jobs[other].claim == job.claim);
            if matches!(job.state, State::Ready) && !ours {
                let words = [job.stage.name, &job.node.item, &self.paths[job.users[0]].track.label];
                let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
                self.watch.note(&format!("{words} is computed by another process; waiting"));
            }
            self.turn(key, State::Elsewhere);
            return Ok(());
        };
        // Under the claim: who held it before may have accepted the result.
        if let Some(accepted) = self.look_up(key)? {
            drop(claim);
            self.cached += 1;
            return self.done(key, accepted, "cached");
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

    /// Finds out what a training lacks. `None` when there is nothing to compute: it lacks nothing and is accepted at once,
    /// or the checkpoint from which it begins is made first.
    fn prepare(&mut self, key: StageKey, training: &Training) -> Result<Option<Recording>, WorkError> {
        let job = &self.jobs[&key];
        let fields = graph::trajectory_fields(&job.stage, &job.node, training, &self.facts);
        let capability = self.facts.capability(job.node.device());
        let begun = origin::begun(&fields, training, self.settings.threads, &capability);
        let trajectory = self.record.begin_trajectory(&begun)?;
        let lost = match training.stop_after {
            Some(in_a_row) => self.record.ended_early(trajectory.row, in_a_row)?,
            None => None,
        };
        let looks = self.looks(trajectory.row, training)?;
        let end = training.end(lost, &looks);
        let computed = trajectory.steps.min(end);
        let unprobed = self.record.missing_probes(trajectory.row, training.probes, computed)?;
        let unlooked = training.first_unlooked(computed, end, &looks);
        let unmeasured = [unprobed, unlooked].into_iter().flatten().min();
        let (store, record) = (&self.store, &mut self.record);
        let sound = |id| matches!(store.check_sized(id, || record.size(id).ok().flatten()), Ok(Health::Sound));
        let mut missing = segment::missing(&trajectory, training, end, &looks, unmeasured, sound);
        if let (Some(missing), Some(parent)) = (&mut missing, &training.parent)
            && missing.start.is_none()
        {
            missing.start = self.origin(parent)?;
            if missing.start.is_none() {
                self.ask_for_origin(key, parent)?;
                return Ok(None);
            }
        }
        if trajectory.steps == 0 {
            self.say_why_afresh(&fields, training)?;
        } else {
            self.say_what_is_kept_to(&trajectory, self.settings.threads, &capability);
        }
        let Some(missing) = missing else {
            let events = accept::early_end(training, end, &looks).into_iter().collect();
            let made = Made { reached: Some(end), report: serde_json::json!({}), events, ..Made::default() };
            let execution = self.begin(key, Some(&trajectory), Some(end), None)?;
            let accepted = self.accept(key, execution, made, Some(&trajectory), &[])?;
            self.cached += 1;
            self.done(key, accepted, "cached")?;
            return Ok(None);
        };
        // Whoever computed it before and was killed keeps what it has by now, and none of the steps that come.
        self.sweep()?;
        tracing::debug!(%key, recorded = trajectory.steps, ?missing, "a training");
        Ok(Some(Recording {
            recorded: trajectory.steps,
            trajectory,
            missing,
            limit: end,
            looks,
            waiting: Vec::new(),
            flushed: Instant::now(),
            tokens: 0,
            last: None,
            differed: false,
            dropped: Vec::new(),
        }))
    }

    /// Whether a training runs.
    pub(super) fn trains(&self) -> bool {
        let is_training = |key| matches!(&self.jobs[key].state, State::Running(running) if running.training.is_some());
        self.running.iter().any(is_training)
    }

    /// Ends the runs of processes that were killed.
    pub(super) fn sweep(&mut self) -> Result<(), WorkError> {
        let root = self.store.root();
        Ok(self.record.sweep(|process| lock::is_alive(root, process), KILLED)?)
    }

    /// The valid losses that a trajectory has seen, where a rule reads them.
    fn looks(&mut self, row: TrajectoryRow, training: &Training) -> Result<Looks, WorkError> {
        if training.looks() { Ok(self.record.looks(row)?) } else { Ok(Looks::new()) }
    }

    /// A training whose rates depend on its length can't go on where a shorter one ended.
    fn say_why_afresh(&mut self, own: &Fields, training: &Training) -> Result<(), WorkError> {
        if training.identity.get("length").is_none() {
            return Ok(());
        }
        let other = self.record.other_lengths()?.into_iter().find_map(|(fields, steps)| {
            let other = Fields::from_json(&fields).filter(|_| steps > 0)?;
            let differences = own.differences(&other);
            (differences.len() == 1 && differences[0].name == "param.length").then_some(steps)
        });
        if let Some(steps) = other {
            self.watch.note(&format!(
                "the schedule depends on the length of the training: it begins afresh, and does not go on from the {steps} \
                 steps of another length"
            ));
        }
        Ok(())
    }

    /// A trajectory keeps to what it began with, whatever is asked for now.
    fn say_what_is_kept_to(&mut self, trajectory: &Trajectory, threads: u32, capability: &str) {
        let Trajectory { threads: began, cpu_capability, .. } = trajectory;
        if *began != threads && self.settings.threads_asked {
            let plural = if *began == 1 { "" } else { "s" };
            self.watch
                .note(&format!("this training began with {began} thread{plural} and keeps to that, for equal bits"));
        }
        if cpu_capability != capability {
            self.watch.note(&format!(
                "this training began with {cpu_capability} and goes on with {capability}: bits may differ, and are compared"
            ));
        }
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
        let capability = self.facts.capability(job.node.device());
        let fresh = system::uid();
        Ok(self.record.begin(&NewExecution {
            uid: uid.unwrap_or(&fresh),
            stage: job.stage.name,
            key,
            fields: &job.fields,
            process: &self.settings.process,
            inputs: job.node.inputs.iter().map(|input| (input.name.clone(), input.digest.to_string())).collect(),
            runs: job
                .users
                .iter()
                .map(|user| &self.paths[*user])
                .filter(|path| path.end.is_none())
                .map(|path| &path.track)
                .filter(|track| !track.settled)
                .filter_map(|track| track.run)
                .collect(),
            item: &job.node.item,
            step: job.node.step,
            threads: worker.then(|| trajectory.map_or(self.settings.threads, |t| t.threads)),
            device: worker.then_some(job.node.device()),
            cpu_capability: worker.then_some(capability.as_str()),
            libtorch: worker.then_some(self.facts.libtorch.as_str()),
            trajectory: trajectory.map(|trajectory| trajectory.row),
            from_step,
        })?)
    }

    fn execute(&mut self, key: StageKey, claim: Lock, training: Option<Recording>) -> Result<(), WorkError> {
        for user in self.jobs[&key].users.clone() {
            self.take_over(user)?;
        }
        let uid = system::uid();
        let trajectory = training.as_ref().map(|recording| &recording.trajectory);
        let from = training.as_ref().map(|recording| recording.missing.from);
        let execution = self.begin(key, trajectory, from, Some(&uid))?;
        let job = &self.jobs[&key];
        self.watch.started(&shown(key, job, &self.paths));
        let mut share = None;
        match job.stage.way {
            Way::Here(stage) => {
                let (params, threads) = (job.node.params.clone(), self.settings.threads);
                share = Some(task::spawn_here(&self.bench, key, &uid, stage, params, &job.node.inputs, threads));
            }
            Way::Worker => {
                let path_of = |id: ObjectId| self.store.path(id);
                let segment = training.as_ref().map(|recording| stages::protocol::Segment {
                    from: recording.missing.from,
                    to: recording.missing.to,
                    length: job.node.training.as_ref().map_or(0, |training| training.horizon),
                    weights: recording.missing.start.map(|(weights, _)| path_of(weights)),
                    state: recording.missing.start.map(|(_, state)| path_of(state)),
                    checkpoints: recording.missing.checkpoints.clone(),
                    looks: recording.looks.iter().map(|(step, loss)| (*step, Measured(*loss))).collect(),
                    checkpoint_seconds: 30,
                    inspect: None,
                });
                let task = WorkerTask {
                    key,
                    stage: job.stage.name,
                    params: job.node.params.clone(),
                    inputs: task::paths(&self.store, &job.node.inputs),
                    threads: trajectory.map_or(self.settings.threads, |t| t.threads),
                    segment,
                    may_give_up: job.node.training.as_ref().is_some_and(|training| training.stop_after.is_some()),
                    may_stop_early: job
                        .node
                        .training
                        .as_ref()
                        .is_some_and(|training| training.early_stopping.is_some()),
                };
                task::spawn_worker(&self.bench, &uid, task);
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
}
