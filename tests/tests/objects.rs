//! Stored objects that were damaged.

use std::os::unix::fs::MetadataExt as _;

use tests::TestSpace;

/// What stages made, and the states that only resuming needs.
const OUTPUTS: &str = "SELECT digest FROM objects JOIN
                           (SELECT digest FROM execution_outputs UNION SELECT state FROM checkpoints) USING (digest)
                       WHERE bytes > 0 ORDER BY digest";

#[test]
fn every_damaged_object_is_noticed_set_aside_and_made_again() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "vocab.size=300"]).ok();
    let expected = space.bits();
    for digest in space.texts(OUTPUTS) {
        let object = space.object(&digest);
        let sound = std::fs::read(&object).unwrap();
        space.damage(&object);
        let ended = space.run("tiny", &["--set", "vocab.size=300"]).ok();
        assert!(ended.stderr.contains(&digest) && ended.stderr.contains("damaged"), "{ended}");
        assert!(std::fs::read(&object).unwrap() == sound, "{digest} is made again with the same digest\n{ended}");
        assert!(object.metadata().unwrap().permissions().readonly());
        space.assert_bits(&expected, &format!("{digest} was damaged"));
        let aside = std::fs::read_dir(space.path("data/store/damaged")).unwrap();
        assert!(aside.flatten().any(|file| file.file_name().display().to_string().starts_with(&digest)));
    }
    space.assert_objects_are_sound();
    assert_eq!(space.run("tiny", &["--set", "vocab.size=300"]).ok().executed(), 0);
}

#[test]
fn verify_finds_a_flipped_bit_that_the_files_times_do_not_show() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let expected = space.bits();
    space.pipeline(&["objects", "verify"]).ok();
    let digest = space.texts(OUTPUTS).pop().unwrap();
    let object = space.object(&digest);
    space.damage(&object);
    // The cache of digests says that the file, with the times that it has now, is what its name says.
    let stat = object.metadata().unwrap();
    let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    let (modified, changed) = (ns(stat.mtime(), stat.mtime_nsec()), ns(stat.ctime(), stat.ctime_nsec()));
    let line = format!("{}\t{digest}\t{}\t{modified}\t{changed}\t{}", object.display(), stat.size(), stat.ino());
    space.write("line", &line);
    let check = tests::space::sha256(&space.path("line"));
    space.write("data/store/stat-cache", &format!("{line}\t{check}\n"));
    let before = space.dump();
    assert_eq!(space.run("tiny", &[]).ok().executed(), 0, "times are what a run goes by");
    let ended = space.pipeline(&["objects", "verify"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stdout.contains(&digest) && ended.stdout.contains("damaged"), "{ended}");
    assert_eq!(space.dump(), before, "looking changes no row");
    assert!(!object.exists(), "it is set aside");
    space.run("tiny", &[]).ok();
    space.pipeline(&["objects", "verify"]).ok();
    space.assert_bits(&expected, "a bit was flipped");
}

#[test]
fn a_missing_object_is_made_again() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let expected = space.bits();
    let (_, path) = space.objects().into_iter().next().unwrap();
    std::fs::remove_dir_all(space.path("data/store/sha256")).unwrap();
    let ended = space.run("tiny", &[]).ok();
    assert!(ended.stderr.contains("missing"), "{ended}");
    assert!(path.exists());
    space.assert_bits(&expected, "all objects were gone");
    space.assert_objects_are_sound();
}

#[test]
fn a_store_that_two_databases_share_loses_nothing_of_either() {
    let space = TestSpace::new();
    let run = |db: &str, more: &[&str]| {
        space.pipeline(&[&["run", "experiments/tiny.toml", "--db", db, "--store", "both"][..], more].concat()).ok();
    };
    run("a.db", &[]);
    run("b.db", &["--set", "seed=5"]);
    // States are thinned on the way; those of the other database stay.
    run("b.db", &["--set", "train.steps=400", "--set", "train.checkpoints.every=20"]);
    let gc = |db: &str| space.pipeline(&["objects", "gc", "--db", db, "--store", "both"]);
    gc("a.db").complains(2, "b.db").hints("--store");
    for db in ["a.db", "b.db"] {
        space.pipeline(&["objects", "verify", "--db", db, "--store", "both"]).ok();
    }
    // A database that is not to be found may only be elsewhere for now.
    std::fs::remove_file(space.path("b.db")).unwrap();
    let ended = gc("a.db").complains(2, "b.db, which does not exist").hints("rm ");
    let noted = ended.stderr.lines().find_map(|line| line.split_once(": rm ")).expect("a file to be removed").1;
    std::fs::remove_file(noted).unwrap();
    gc("a.db").ok();
    space.pipeline(&["objects", "verify", "--db", "a.db", "--store", "both"]).ok();
}
