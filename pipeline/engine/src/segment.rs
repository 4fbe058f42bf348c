//! Determines which part of a trajectory is still missing, and where to start computing it.
//!
//! Resuming after a kill, training longer, adding checkpoints and recomputing the state that a fork starts from are one
//! mechanism: recorded steps and checkpoints are not recomputed, except those between the state to start from and the
//! first missing one.

use std::collections::BTreeMap;

use crate::graph::Training;
use identity::ObjectId;
use identity::observations::Looks;
use record::rows::Trajectory;

/// The part to compute: steps `from..to`, with some checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The first step.
    pub from: u64,
    /// The step after the last.
    pub to: u64,
    /// Weights and state to start from; none at the start of the trajectory, whether a fork or not.
    pub start: Option<(ObjectId, ObjectId)>,
    /// Checkpoints to write.
    pub checkpoints: Vec<u64>,
}

/// The part of a trajectory that a training run of `length` steps still lacks; `None` if it is complete.
///
/// `looks` are the validation losses recorded so far; `sound` says whether an object is in the store and intact;
/// `unmeasured` is the first recorded step that lacks a probe or a validation loss that is requested now.
pub fn missing(
    trajectory: &Trajectory,
    training: &Training,
    length: u64,
    looks: &Looks,
    unmeasured: Option<u64>,
    mut sound: impl FnMut(ObjectId) -> bool,
) -> Option<Missing> {
    let there: BTreeMap<u64, (bool, bool)> = trajectory
        .checkpoints
        .iter()
        .filter(|(step, _)| **step <= length)
        .map(|(step, (weights, state))| (*step, (sound(*weights), state.is_some_and(&mut sound))))
        .collect();
    let kept = training.kept_until(length, looks);
    let stateless = training.whole && there.get(&length).is_some_and(|(_, state)| !state);
    let unmade = kept.into_iter().filter(|step| !there.contains_key(step));
    // Checkpoints needed only for resuming are included: every recorded checkpoint is recomputed if it is damaged.
    let damaged = trajectory.checkpoints.range(..=length).filter(|(step, (_, state))| {
        let (weights_sound, state_sound) = there[step];
        !weights_sound || (state.is_some() && !state_sound)
    });
    let mut checkpoints: Vec<u64> =
        unmade.chain(damaged.map(|(step, _)| *step)).chain(stateless.then_some(length)).collect();
    checkpoints.sort_unstable();
    checkpoints.dedup();
    let steps_missing = trajectory.steps < length;
    let to = if steps_missing { length } else { checkpoints.last().copied().unwrap_or(0) };
    let to = if unmeasured.is_some() { to.max(trajectory.steps.min(length)) } else { to };
    if !steps_missing && checkpoints.is_empty() && unmeasured.is_none() {
        return None;
    }
    // Start no later than the first missing step, checkpoint or measurement.
    let mut latest = if steps_missing { trajectory.steps } else { to };
    for first in checkpoints.first().into_iter().chain(&unmeasured) {
        latest = latest.min(*first);
    }
    let start = there.range(..=latest).rev().find(|(step, (weights, state))| **step > 0 && *weights && *state);
    let from = start.map_or(training.origin(), |(step, _)| *step);
    let start = start.and_then(|(step, _)| {
        let (weights, state) = trajectory.checkpoints.get(step)?;
        Some((*weights, (*state)?))
    });
    Some(Missing { from, to, start, checkpoints })
}

/// Chooses from `steps` (ascending), whose states are stored, those whose state can be pruned. The newest state stays,
/// and of the older ones at most one per doubling of the distance to it, so that n checkpoints keep about log n states.
pub fn states_to_drop(steps: &[u64]) -> Vec<u64> {
    let Some((newest, older)) = steps.split_last() else { return Vec::new() };
    let mut kept_at = 0;
    let mut dropped = Vec::new();
    for step in older.iter().rev() {
        let distance = newest - step;
        if kept_at == 0 || distance >= 2 * kept_at {
            kept_at = distance;
        } else {
            dropped.push(*step);
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use stages::params::{Checkpoints, Keep, KeepWord};

    use super::*;
    use crate::graph::{Node, Parent};
    use identity::{Digest, TrajectoryId, TrajectoryRow};

    fn object(text: &str) -> ObjectId {
        ObjectId(Digest::of(text.as_bytes()))
    }

    fn trajectory(steps: u64, checkpoints: &[(u64, bool)]) -> Trajectory {
        let entry = |(step, state): &(u64, bool)| {
            (*step, (object(&format!("w{step}")), state.then(|| object(&format!("s{step}")))))
        };
        Trajectory {
            row: TrajectoryRow(1),

            threads: 1,
            cpu_capability: String::new(),
            steps,
            checkpoints: checkpoints.iter().map(entry).collect(),
        }
    }

    /// What a training run lacks if its rules don't read the validation loss.
    fn lacks(
        trajectory: &Trajectory,
        training: &Training,
        ended: Option<u64>,
        unmeasured: Option<u64>,
        sound: impl FnMut(ObjectId) -> bool,
    ) -> Option<Missing> {
        let length = ended.unwrap_or(training.length);
        missing(trajectory, training, length, &Looks::new(), unmeasured, sound)
    }

    fn training(length: u64, every: u64) -> Training {
        let checkpoints = Checkpoints { every, keep: Keep::Word(KeepWord::All) };
        Training {
            identity: serde_json::Value::Null,
            length,
            horizon: length,
            checkpoints,
            probes: 0,
            stop_after: None,
            early_stopping: None,
            aside: Vec::new(),
            whole: false,
            parent: None,
        }
    }

    fn segment(trajectory: &Trajectory, training: &Training) -> Option<(u64, u64, Vec<u64>)> {
        lacks(trajectory, training, None, None, |_| true).map(|m| (m.from, m.to, m.checkpoints))
    }

    #[test]
    fn resuming_lengthening_and_adding_checkpoints_are_one_mechanism() {
        let fresh = trajectory(0, &[]);
        assert_eq!(segment(&fresh, &training(200, 100)), Some((0, 200, vec![0, 100, 200])));
        // Killed at step 130 with a state at 100: resumes from there.
        let killed = trajectory(130, &[(0, true), (100, true)]);
        assert_eq!(segment(&killed, &training(200, 100)), Some((100, 200, vec![200])));
        // A complete trajectory, requested as it is, longer, shorter, and with more checkpoints.
        let done = trajectory(200, &[(0, false), (100, true), (200, true)]);
        assert_eq!(segment(&done, &training(200, 100)), None);
        assert_eq!(segment(&done, &training(300, 100)), Some((200, 300, vec![300])));
        assert_eq!(segment(&done, &training(100, 100)), None);
        assert_eq!(segment(&done, &training(200, 50)), Some((0, 150, vec![50, 150])));
        assert_eq!(segment(&done, &training(150, 0)), Some((100, 150, vec![150])));
        // Stopped early by a loss that stayed NaN or infinite.
        let ended = lacks(&trajectory(30, &[(0, true), (30, true)]), &training(200, 100), Some(30), None, |_| true);
        assert_eq!(ended, None);
        // Probes that are requested afterwards require a replay from the state before the first of them.
        for (first, from) in [(0, 0), (90, 0), (130, 100)] {
            let probed = lacks(&done, &training(200, 100), None, Some(first), |_| true).unwrap();
            assert_eq!((probed.from, probed.to, probed.checkpoints), (from, 200, vec![]));
        }
        // After an early stop, only the requested checkpoints that were reached and the last one are needed.
        let last =
            Training { checkpoints: Checkpoints { every: 100, keep: Keep::Last { last: 2 } }, ..training(1000, 100) };
        let ended = trajectory(330, &[(0, true), (330, true)]);
        assert_eq!(lacks(&ended, &last, Some(330), None, |_| true), None);
    }

    /// A training run forked at `step`.
    fn fork(step: u64, length: u64, every: u64) -> Training {
        let node = Node {
            item: String::new(),
            step: None,
            params: serde_json::Value::Null,
            key_params: serde_json::Value::Null,
            inputs: Vec::new(),
            training: None,
        };
        let parent = Parent { identity: TrajectoryId(Digest::of(b"parent")), step, node: Box::new(node) };
        Training { parent: Some(parent), ..training(length, every) }
    }

    #[test]
    fn a_fork_starts_at_its_parents_checkpoint() {
        // The steps of a fork continue the numbers of its parent's steps, even before it has any.
        let begun = |checkpoints: &[(u64, bool)], fork: &Training| {
            lacks(&trajectory(300, checkpoints), fork, None, None, |_| true).unwrap()
        };
        let fresh = begun(&[], &fork(300, 500, 100));
        assert_eq!((fresh.from, fresh.to, fresh.start), (300, 500, None));
        assert_eq!(fresh.checkpoints, [300, 400, 500], "earlier checkpoints belong to the parent");
        assert_eq!(begun(&[(300, true)], &fork(300, 500, 100)).start, Some((object("w300"), object("s300"))));
        let done = trajectory(500, &[(300, false), (400, true), (500, true)]);
        assert_eq!(segment(&done, &fork(300, 500, 100)), None);
        assert_eq!(segment(&done, &fork(300, 500, 50)), Some((300, 450, vec![350, 450])));
    }

    #[test]
    fn a_pruned_state_is_recomputed_where_a_fork_starts() {
        let done = trajectory(400, &[(0, false), (100, true), (300, false), (400, true)]);
        let keep = Checkpoints { every: 0, keep: Keep::Steps(vec![300]) };
        let up_to = Training { checkpoints: keep, whole: true, ..training(300, 0) };
        assert_eq!(segment(&done, &up_to), Some((100, 300, vec![300])));
        let kept = trajectory(400, &[(300, true), (400, true)]);
        assert_eq!(segment(&kept, &up_to), None);
    }

    #[test]
    fn damaged_objects_are_recomputed_from_the_nearest_sound_state() {
        let done = trajectory(300, &[(0, false), (100, true), (200, true), (300, true)]);
        let lost = object("w300");
        let again = lacks(&done, &training(300, 100), None, None, |id| id != lost).unwrap();
        assert_eq!((again.from, again.to, again.checkpoints), (200, 300, vec![300]));
        let lost = object("s200");
        let again = lacks(&done, &training(300, 100), None, None, |id| id != lost).unwrap();
        assert_eq!((again.from, again.to, again.checkpoints), (100, 200, vec![200]));
        assert_eq!(lacks(&done, &training(100, 100), None, None, |id| id != lost), None, "not needed at 100 steps");
        let lost = [object("w300"), object("s200")];
        let again = lacks(&done, &training(300, 100), None, None, |id| !lost.contains(&id)).unwrap();
        assert_eq!((again.from, again.start), (100, Some((object("w100"), object("s100")))));
    }

    #[test]
    fn states_are_pruned_by_their_distance() {
        assert_eq!(states_to_drop(&[0, 100, 200, 300, 400, 500, 600, 700, 800]), [500, 300, 200, 100]);
        assert_eq!(states_to_drop(&[5]), Vec::<u64>::new());
        assert_eq!(states_to_drop(&[]), Vec::<u64>::new());
    }
}
