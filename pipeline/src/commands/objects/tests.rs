//! Tests with a small store that contains every fault.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::gc::{Folders, screen, waste};
use super::*;
use crate::commands::owners;
use crate::commands::verify::objects::{Complaint, look, tell};
use crate::ui::look::Look;
use engine::lock;
use identity::{ObjectId, RunId};
use record::objects::{Reference, Trace};

struct Small {
    _folder: tempfile::TempDir,
    store: Store,
}

fn small() -> Small {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    Small { _folder: folder, store }
}

impl Small {
    fn put(&self, text: &str) -> ObjectId {
        let file = self.store.scratch("new").unwrap().join("out");
        std::fs::write(&file, text).unwrap();
        let id = self.store.put(&file).unwrap().id;
        std::fs::remove_dir(file.parent().unwrap()).unwrap();
        id
    }

    fn spoil(&self, id: ObjectId) {
        let path = self.store.path(id);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

fn reference(id: ObjectId, stage: &str, name: &str, run: RunId) -> Reference {
    Reference {
        digest: id.to_string(),
        stage: stage.to_owned(),
        name: name.parse().unwrap(),
        run: Some(run),
        experiment: Some("tiny.toml".to_owned()),
        overrides: Some("[\"train.steps=600\"]".to_owned()),
        needed: true,
    }
}

#[test]
fn damaged_and_missing_objects_are_listed_with_their_runs() {
    let small = small();
    let (vocab, weights, state) = (small.put("vocab"), small.put("weights"), small.put("state"));
    let references = [
        reference(vocab, "vocab", "vocab", RunId(1)),
        reference(vocab, "vocab", "vocab", RunId(2)),
        reference(weights, "train", "weights@100", RunId(2)),
        reference(state, "train", "state@100", RunId(2)),
    ];
    let owners = owners::owners(&references);
    let sizes = std::collections::HashMap::new();
    let (text, complaint) = tell(&look(&small.store, &owners, &sizes).unwrap(), &owners, "");
    assert_eq!(text, "3 objects, 17 B, no damage found\n");
    assert_eq!(complaint, None);

    small.spoil(vocab);
    std::fs::remove_file(small.store.path(state)).unwrap();
    let (text, complaint) = tell(&look(&small.store, &owners, &sizes).unwrap(), &owners, "");
    let mut wanted = [
        format!("{vocab}  damaged, set aside: vocab vocab of run1, run2\n"),
        format!("{state}  missing: train state@100 of run2\n"),
    ];
    wanted.sort();
    assert_eq!(text, wanted.concat());
    let message = "1 of 2 objects damaged, 1 object missing".to_owned();
    let hint = "to recompute: pipeline run tiny.toml --set train.steps=600".to_owned();
    assert_eq!(complaint, Some(Complaint { message, hint }));

    // An object that a newer execution superseded is not needed.
    let mut replaced = reference(weights, "train", "weights@100", RunId(2));
    (replaced.needed, replaced.run) = (false, None);
    std::fs::remove_file(small.store.path(weights)).unwrap();
    let replaced = [replaced];
    assert!(look(&small.store, &owners::owners(&replaced), &sizes).unwrap().wrong.is_empty());
}

#[test]
fn sizes_are_listed_by_stage_and_run_and_each_byte_counts_once() {
    let small = small();
    let (vocab, weights, state) = (small.put("vocab"), small.put("weights"), small.put("state"));
    small.put("an orphan");
    std::fs::write(small.store.root().join("logs/a.log"), "words").unwrap();
    let references = [
        reference(vocab, "vocab", "vocab", RunId(1)),
        reference(vocab, "vocab", "vocab", RunId(2)),
        reference(weights, "train", "weights@100", RunId(2)),
        reference(state, "train", "state@100", RunId(2)),
    ];
    let text = super::size::screen(&small.store, &references, Look::PLAIN).unwrap();
    insta::assert_snapshot!(text, @"
    stage           objects  bytes
    train state           1    5 B
    train weights         1    7 B
    vocab                 1    5 B
    (unreferenced)        1    9 B
    total                 4   26 B

    run       objects  bytes  shared  shared bytes
    run1            0    0 B       1           5 B
    run2            2   12 B       1           5 B
    (shared)        0    0 B       1           5 B

    folder                entries  bytes
    logs (worker output)        1    5 B
    ");
}

#[test]
fn files_that_a_live_process_may_need_are_kept() {
    let small = small();
    let root = small.store.root().to_owned();
    let orphan = small.put("an orphan");
    for uid in ["dead", "alive", "unknown"] {
        std::fs::write(small.store.scratch(uid).unwrap().join("half"), "12345").unwrap();
    }
    for log in ["known.log", "unknown.log"] {
        std::fs::write(root.join("logs").join(log), "words").unwrap();
    }
    let damaged = small.put("a sample");
    small.spoil(damaged);
    small.store.verify(damaged, None).unwrap();
    let trace = |uid: &str, process: Option<&str>, log: Option<&str>| Trace {
        uid: uid.to_owned(),
        stage: "train".to_owned(),
        log: log.map(str::to_owned),
        process: process.map(str::to_owned),
        run: Some(RunId(3)),
    };
    let traces = [trace("dead", Some("p1"), Some("known.log")), trace("alive", Some("p2"), None)];
    let references = [reference(damaged, "sample", "text", RunId(3))];
    let owners = owners::owners(&references);
    let found = || {
        let found = waste(&small.store, Folders::read(&small.store), &traces, &owners);
        screen(&[(orphan, 9)], &found, Look::PLAIN)
    };
    let lock = lock::enlist(&root, "p2").unwrap();
    let with = found();
    drop(lock);
    insta::assert_snapshot!(format!("{with}\n{}", found()), @"
    what     bytes  name                                                              belongs to
    object     9 B  968760f5f1a7fbc5847bb6642a4128d5660c8c2137ba6f1da8a851a409205db3
    scratch    5 B  dead                                                              train of run3
    damaged    8 B  a02d817c50f2f0e2863495102a37e26d48643f9831478fe536f3b2698635a84f  sample text of run3
    would remove 1 object, 1 damaged file, 1 scratch folder, 22 B

    what     bytes  name                                                              belongs to
    object     9 B  968760f5f1a7fbc5847bb6642a4128d5660c8c2137ba6f1da8a851a409205db3
    scratch    5 B  alive                                                             train of run3
    scratch    5 B  dead                                                              train of run3
    scratch    5 B  unknown
    damaged    8 B  a02d817c50f2f0e2863495102a37e26d48643f9831478fe536f3b2698635a84f  sample text of run3
    log        5 B  unknown.log
    would remove 1 object, 1 damaged file, 3 scratch folders, 1 log, 37 B
    ");
}

#[test]
fn objects_count_as_lost_only_in_the_records_own_store() {
    let small = small();
    let (state, other) = (small.put("state"), small.put("other"));
    let references = [reference(state, "train", "state@1", RunId(1)), reference(other, "vocab", "vocab", RunId(1))];
    let owners = owners::owners(&references);
    assert!(super::gc::lost(&owners, &BTreeMap::new()).is_empty());
    assert_eq!(super::gc::lost(&owners, &BTreeMap::from([(other, 5)])), [state.to_string()]);
}
