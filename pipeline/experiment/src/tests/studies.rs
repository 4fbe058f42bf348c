//! Studies that are refused, and exclusions.

use std::path::Path;

use super::fixture::{BARE, SMALL, complaint, load, swept};
use crate::Experiment;

#[test]
fn a_malformed_study_is_refused() {
    for (study, said) in [
        (
            "[[study]]\ntrain.learning_rate=1.0\n",
            "x.toml:4: study is [{ train = { learning_rate = 1.0 } }]; allowed: a table | [study]",
        ),
        ("[study]\npoints=[0.1, 0.01]\n", "x.toml:5: study.points contains 0.1; allowed: tables | [[study.points]]"),
        ("[study]\npoints=3\n", "x.toml:5: study.points contains 3; allowed: tables | [[study.points]]"),
    ] {
        assert_eq!(complaint(&format!("{BARE}{study}"), &[]), said);
    }
    assert!(complaint(&format!("study=5\n{BARE}"), &[]).starts_with("x.toml:1: study is 5; allowed: a table"));
}

#[test]
fn a_repeated_point_is_refused() {
    for (study, said) in [
        (
            "[[study.points]]\ntrain.steps=4\n[[study.points]]\ntrain.steps=4\n",
            "x.toml:6: the study contains the point train.steps = 4 twice, first on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\n[[study.points]]\n",
            "x.toml:5: the study contains the point (the experiment unchanged) twice, first on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\ntrain.learning_rate=1\n[[study.points]]\ntrain.learning_rate=1.0\n",
            "x.toml:6: the study contains the point train.learning_rate = 1.0 twice, first as train.learning_rate = 1 on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\ntrain.learning_rate=0.001\n[[study.points]]\n",
            "x.toml:6: the study contains the point (the experiment unchanged) twice, first as train.learning_rate = 0.001 on line 4 | delete one of them",
        ),
        ("[study]\nseed=[1,\n2,\n1]\n", "x.toml:7: seed lists 1 twice, first on line 5 | delete one of them"),
        (
            "[study]\ntrain.learning_rate=[1, 1.0]\n",
            "x.toml:5: train.learning_rate lists 1.0 twice | delete one of them",
        ),
    ] {
        assert_eq!(complaint(&format!("{BARE}{study}"), &[]), said);
    }
    assert_eq!(
        complaint(SMALL, &["train.learning_rate=[1,2,1]"]),
        "--set 'train.learning_rate=[1,2,1]': train.learning_rate lists 1 twice | delete one of them"
    );
}

#[test]
fn a_recorded_text_that_lists_a_point_twice_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corpus.txt"), "to be or not to be\n".repeat(100)).unwrap();
    let text = format!("{BARE}[[study.points]]\ntrain.steps=4\n[[study.points]]\ntrain.steps=4\n");
    let read = Experiment::of_text(Path::new("x.toml"), text, &[], folder.path(), folder.path()).unwrap();
    assert_eq!(read.points.len(), 1);
    // An axis that an override replaces is not checked.
    let text = format!("{BARE}[study]\nseed=[1,1]\n");
    let sets = ["seed=1".to_owned()];
    let read = Experiment::of_text(Path::new("x.toml"), text, &sets, folder.path(), folder.path()).unwrap();
    assert_eq!(read.points.len(), 1);
}

const TIED: &str = "name='p'\n[corpus]\ntext='corpus.txt'\n[train]\nhidden=16\n[study]\ntrain.tied=[true,false]\ntrain.embedding=[16,32,64]\nseed=[1,2]\n";

#[test]
fn invalid_points_are_named_with_the_exclusions_that_leave_them_out() {
    let found = complaint(TIED, &[]);
    let hint = "exclude = [{ train.tied = true, train.embedding = 32 }, { train.tied = true, train.embedding = 64 }]";
    assert_eq!(
        found,
        format!(
            "x.toml:7: train.tied requires embedding = hidden; they are 32 and 16; this affects 4 of the study's 12 \
             points; the first is train.tied = true, train.embedding = 32, seed = 1 | to leave out the invalid points, \
             add to [study]: {hint}"
        )
    );
    let points = swept(&format!("{TIED}{hint}\n"), &[]);
    assert_eq!(points.len(), 8);
    assert_eq!(points[0], "train.tied=true train.embedding=16 seed=1");
    let first = "exclude = [{ train.tied = true, train.embedding = 32 }]";
    assert!(
        complaint(&format!("{TIED}{first}\n"), &[])
            .ends_with("points, add to exclude: { train.tied = true, train.embedding = 64 }")
    );
    // [study] can't exclude what only the command line sweeps.
    let by_set = complaint(
        &format!("{BARE}[train]\nhidden=16\nembedding=16\n"),
        &["train.tied=[true,false]", "train.embedding=[16,32]"],
    );
    assert!(by_set.ends_with("train.tied = true, train.embedding = 32 | train.embedding = 16"), "{by_set}");
    // If every point is invalid, no exclusion is proposed.
    assert!(!complaint(TIED, &["train.tied=true", "train.embedding=[32,64]"]).contains("exclude"));
}

#[test]
fn excluded_points_are_left_out() {
    let with = |exclude: &str, sets: &[&str]| swept(&format!("{TIED}{exclude}\n"), sets);
    let lines = "[[study.exclude]]\ntrain.tied=true\ntrain.embedding=32\n[[study.exclude]]\n'train.tied'=true\ntrain.embedding=64.0\n";
    assert_eq!(with(lines, &[]).len(), 8);
    let exclude =
        "exclude = [{ train.tied = true, train.embedding = 32 }, { train.tied = true, train.embedding = 64 }]";
    // An exclusion stays if its axis is replaced, and is dropped with the axis if the key is set to one value.
    assert_eq!(with(exclude, &["train.embedding=[16,32]"]).len(), 6);
    assert_eq!(with(exclude, &["train.tied=false"]).len(), 6);
    assert_eq!(with(exclude, &["train.embedding=16"]).len(), 4);
    // A point's pins select that point again.
    let experiment = load(&format!("{TIED}{exclude}\n"), &[]).unwrap();
    for point in &experiment.points {
        let pins = experiment.pins(point);
        let pins: Vec<&str> = pins.iter().map(String::as_str).collect();
        let again = load(&format!("{TIED}{exclude}\n"), &pins).unwrap().points;
        assert_eq!((again.len(), &again[0].stages), (1, &point.stages));
    }
    let said = |exclude: &str| complaint(&format!("{TIED}{exclude}\n"), &[]);
    for (exclude, words) in [
        ("exclude = 3", "x.toml:10: study.exclude contains 3; allowed: tables | exclude = [{ … }]"),
        (
            "exclude = [{}]",
            "x.toml:10: exclude has an empty table, which matches every point | exclude = [{ seed = 1 }]",
        ),
        (
            "exclude = [{ train.hidden = 16 }]",
            "x.toml:10: exclude names train.hidden, which the study does not sweep | \
             delete train.hidden from exclude, or sweep it in [study]",
        ),
        ("exclude = [{ train.hiden = 16 }]", "x.toml:10: unknown key train.hiden | did you mean train.hidden?"),
        ("exlude = [{ seed = 1 }]", "x.toml:10: unknown key exlude | did you mean exclude?"),
        (
            "exclude = [{ seed = 3 }]",
            "x.toml:10: exclude = [{ seed = 3 }] matches no point of the study | use values that the study lists",
        ),
        (
            "[[study.points]]\nseed = 4\nexclude = [{ seed = 1 }]",
            "x.toml:12: exclude is inside a table of [study], but belongs in [study] itself | move it directly below [study]",
        ),
        (
            "exclude = [{ seed = 1 }, { seed = 2 }]",
            "x.toml:10: exclude leaves out every point of the study | delete an entry from exclude",
        ),
        (
            "exclude = [{ seed = [1, 2] }]",
            "x.toml:10: exclude gives seed a list; allowed: one value | write one table per combination: exclude = [{ … }, { … }]",
        ),
    ] {
        assert_eq!(said(exclude), words, "{exclude}");
    }
}
