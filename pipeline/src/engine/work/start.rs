//! Jobs are started: under a claim, and a training from where it stood.

use super::*;

impl Work<'_> {
    /// The only place where a job's state changes.
    pub(super) fn turn(&mut self, key: StageKey, state: State) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.state = state;
        }
    }

    /// Starts what is ready, as far as there are places, and looks again at what is computed elsewhere.
    pub(super) fn start_ready(&mut self) -> Result<(), WorkError> {
        if self.stopping {
            return Ok(());
        }
        let mut places = self
            .settings
            .jobs
            .saturating_sub(self.jobs.values().filter(|j| matches!(j.state, State::Running(_))).count());
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
    pub(super) fn start(&mut self, key: StageKey) -> Result<bool, WorkError> {
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
    pub(super) fn prepare(&mut self, key: StageKey, fields: &Fields) -> Result<Option<Recording>, WorkError> {
        let job = &self.jobs[&key];
        let Some(training) = job.node.training.clone() else { return Ok(None) };
        let identity = TrajectoryId(fields.digest());
        let trajectory = self.record.start_trajectory(identity, fields, self.settings.threads, &self.cpu_capability)?;
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
        let probes =
            self.record.missing_probes(trajectory.row, training.probes, trajectory.steps.min(training.length))?;
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
            limit: ended.unwrap_or(training.length).min(training.length),
            waiting: Vec::new(),
            flushed: Instant::now(),
            tokens: 0,
            last: None,
            differed: false,
            dropped: Vec::new(),
        }))
    }

    pub(super) fn begin(
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

    pub(super) fn execute(&mut self, key: StageKey, claim: Lock, training: Option<Recording>) -> Result<(), WorkError> {
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
}
