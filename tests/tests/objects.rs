//! Stored objects that were damaged.

use tests::TestSpace;

#[test]
fn a_damaged_object_is_noticed_set_aside_and_made_again() {
    let whole = TestSpace::new();
    whole.run("tiny", &[]).ok();
    let expected = whole.bits();
    let output = |stage: &str, name: &str| {
        let query = format!(
            "SELECT o.digest FROM run_stages s JOIN execution_outputs o ON o.execution_id = s.execution_id
             WHERE s.run_id = 1 AND s.stage = '{stage}' AND o.name = '{name}'"
        );
        whole.texts(&query).pop().unwrap_or_else(|| panic!("{stage} has no output {name}"))
    };
    for (stage, name) in [
        ("tokenize", "train"),
        ("vocab", "vocab"),
        ("batch", "plan"),
        ("train", "weights@100"),
        ("train", "weights@200"),
    ] {
        let digest = output(stage, name);
        let object = whole.object(&digest);
        let sound = std::fs::read(&object).unwrap();
        whole.damage(&object);
        let ended = whole.run("tiny", &[]).ok();
        assert!(ended.stderr.contains(&digest) && ended.stderr.contains("damaged"), "{ended}");
        assert_eq!(std::fs::read(&object).unwrap(), sound, "{stage} {name}: made again with the same digest");
        assert!(object.metadata().unwrap().permissions().readonly());
        whole.assert_bits(&expected, &format!("{stage} {name} was damaged"));
        let aside = std::fs::read_dir(whole.path("data/store/damaged")).unwrap();
        assert!(aside.flatten().any(|file| file.file_name().display().to_string().starts_with(&digest)));
        whole.assert_objects_are_sound();
        assert_eq!(whole.run("tiny", &[]).ok().executed(), 0);
    }
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
