//! Folders as programs leave them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// An event file: its version, and a number of each tag at each step.
fn events(tags: &[&str], steps: i64) -> Vec<u8> {
    let masked = |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let mut all = vec![field(3, b"brain.Event:2")];
    for step in 0..steps {
        for tag in tags {
            let value = [field(1, tag.as_bytes()), vec![2 << 3 | 5], 2.5_f32.to_le_bytes().to_vec()].concat();
            all.push([vec![2 << 3, step as u8], field(5, &field(1, &value))].concat());
        }
    }
    let mut file = Vec::new();
    for event in all {
        let event = [vec![1 << 3 | 1], 1.5_f64.to_le_bytes().to_vec(), event].concat();
        let length = (event.len() as u64).to_le_bytes();
        file.extend([&length[..], &masked(&length), &event, &masked(&event)].concat());
    }
    file
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// `NAME in FOLDER: FILE=SPLIT FILE …` of each run, with paths below the folder.
fn found(folder: &TempDir, paths: &[&str]) -> Vec<String> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
    let below = |path: &Path| {
        let root = [folder.path().to_owned(), fs::canonicalize(folder.path()).unwrap()];
        let below = root.iter().find_map(|root| path.strip_prefix(root).ok()).unwrap();
        below.display().to_string()
    };
    let search = find(&paths);
    let mut all: Vec<String> = Vec::new();
    for run in search.runs {
        let files: Vec<String> = run
            .files
            .iter()
            .map(|file| below(&file.path) + &file.split.as_ref().map_or(String::new(), |split| format!("={split}")))
            .collect();
        all.push(format!("{} in {}: {}", run.name, below(&run.folder), files.join(" ")));
    }
    all.extend(search.skipped.iter().map(|skipped| format!("{}: {}", below(&skipped.path), skipped.why)));
    all
}

const CSV: &[u8] = b"step,loss\n1,2\n";
const TEXT: &[u8] = b"step 1 loss 2\n";

fn state(step: u32) -> Vec<u8> {
    format!("{{\"global_step\": {step}, \"log_history\": [{{\"step\": {step}, \"loss\": 2}}]}}").into_bytes()
}

#[test]
fn event_files_of_a_folder_are_one_run() {
    let loss = events(&["loss"], 2);
    let folder = folder(&[
        ("a/events.out.tfevents.200.host", &loss),
        ("a/events.out.tfevents.1000.host", &loss),
        ("b/events.out.tfevents.1.host", &events(&[], 0)),
        ("b/model.pt", b"PK\x03\x04\0\0\0\0"),
    ]);
    assert_eq!(
        found(&folder, &[""]),
        [
            "a in a: a/events.out.tfevents.1000.host a/events.out.tfevents.200.host",
            "b in b: b/events.out.tfevents.1.host"
        ]
    );
}

#[test]
fn folders_of_splits_are_one_run() {
    let (loss, both) = (events(&["epoch_loss"], 2), events(&["loss", "lr"], 2));
    let keras = folder(&[("fit/train/e1", &loss), ("fit/validation/e2", &loss), ("old/train/e1", &loss)]);
    assert_eq!(
        found(&keras, &[""]),
        ["fit in fit: fit/train/e1=train fit/validation/e2=validation", "old in old: old/train/e1=train"]
    );
    assert_eq!(found(&keras, &["fit/train"])[0], "fit in fit: fit/train/e1=train");
    let estimator = folder(&[("m/e1", &both), ("m/eval/e2", &loss)]);
    assert_eq!(found(&estimator, &["m"]), ["m in m: m/e1 m/eval/e2=eval"]);
    // PyTorch's add_scalars, beside other runs that somebody keeps in a run's folder.
    let scalars = folder(&[
        ("r/e1", &both),
        ("r/epoch_loss_fast/e2", &loss),
        ("r/epoch_loss_slow/e3", &loss),
        ("r/lstm/e4", &loss),
    ]);
    assert_eq!(
        found(&scalars, &["r"]),
        ["r in r: r/e1 r/epoch_loss_fast/e2=fast r/epoch_loss_slow/e3=slow", "lstm in r/lstm: r/lstm/e4"]
    );
    let named =
        folder(&[("lstm_train/e1", &both), ("lstm_valid/e2", &both), ("gru_train/e3", &both), ("test/e4", &both)]);
    assert_eq!(
        found(&named, &[""]),
        [
            "gru_train in gru_train: gru_train/e3",
            "lstm in lstm: lstm_train/e1=train lstm_valid/e2=valid",
            "test in test: test/e4"
        ]
    );
}

#[test]
fn the_state_that_got_furthest_wins() {
    let folder = folder(&[
        ("a/checkpoint-500/trainer_state.json", &state(500)),
        ("a/checkpoint-1000/trainer_state.json", &state(1000)),
        ("b/checkpoint-20/trainer_state.json", &state(20)),
        ("b/trainer_state.json", &state(20)),
        ("c/checkpoint-30/trainer_state.json", &state(30)),
        ("c/trainer_state.json", &state(20)),
    ]);
    assert_eq!(
        found(&folder, &[""]),
        [
            "a in a: a/checkpoint-1000/trainer_state.json",
            "b in b: b/trainer_state.json",
            "c in c: c/checkpoint-30/trainer_state.json"
        ]
    );
    assert_eq!(
        found(&folder, &["a/checkpoint-500", "b/trainer_state.json"]),
        ["a in a: a/checkpoint-500/trainer_state.json", "b in b: b/trainer_state.json"]
    );
}

#[test]
fn names_are_as_long_as_needed() {
    let folder = folder(&[
        ("x/version_2/metrics.csv", CSV),
        ("x/version_10/metrics.csv", CSV),
        ("y/version_2/metrics.csv", CSV),
        ("z/main.log", TEXT),
        ("z/other.log", TEXT),
        ("z/other.csv", CSV),
        ("w/run.out", TEXT),
    ]);
    let names = |paths: &[&str]| -> Vec<String> {
        find(&paths.iter().map(|path| folder.path().join(path)).collect::<Vec<_>>())
            .runs
            .into_iter()
            .map(|run| run.name)
            .collect()
    };
    assert_eq!(names(&[""]), ["w", "x/version_2", "version_10", "y/version_2", "main", "other", "other.log"]);
    assert_eq!(names(&["z/main.log", "x/version_10/metrics.csv", "w/run.out"]), ["main", "version_10", "run"]);
}

#[test]
fn tables_named_by_splits_are_one_run() {
    let folder = folder(&[
        ("a/train.csv", CSV),
        ("a/val.csv", b"step,loss\n1,3\n"),
        ("b/train.csv", b"step,loss,val_loss\n1,2,3\n"),
        ("b/test.csv", b"step,loss\n9,3\n"),
    ]);
    assert_eq!(
        found(&folder, &[""]),
        ["a in a: a/train.csv=train a/val.csv=val", "test in b: b/test.csv", "train in b: b/train.csv"]
    );
}

#[test]
fn a_run_of_wandb_is_one_file() {
    let folder = folder(&[
        ("wandb/run-1-ab/run-ab.wandb", b":W&B\xe1\xbe\0"),
        ("wandb/run-1-ab/files/output.log", TEXT),
        ("wandb/debug.log", TEXT),
        ("wandb/offline-run-2-cd/run-cd.wandb", b":W&B\xe1\xbe\0"),
    ]);
    std::os::unix::fs::symlink("run-1-ab", folder.path().join("wandb/latest-run")).unwrap();
    let all = [
        "offline-run-2-cd in wandb/offline-run-2-cd: wandb/offline-run-2-cd/run-cd.wandb",
        "run-1-ab in wandb/run-1-ab: wandb/run-1-ab/run-ab.wandb",
    ];
    let mut runs = found(&folder, &["wandb"]);
    runs.sort();
    assert_eq!(runs, all);
}

#[test]
fn stores_of_mlflow() {
    let point = b"1700000000000 2.5 0\n";
    let meta = |stage: &str| format!("lifecycle_stage: {stage}\nrun_id: ab\n").into_bytes();
    let folder = folder(&[
        ("mlruns/1/meta.yaml", b"experiment_id: '1'\nname: study\n"),
        ("mlruns/1/ab/meta.yaml", &meta("active")),
        ("mlruns/1/ab/metrics/train/loss", point),
        ("mlruns/1/ab/metrics/Generator loss", point),
        ("mlruns/1/ab/artifacts/main.log", TEXT),
        ("mlruns/1/cd/meta.yaml", &meta("deleted")),
        ("mlruns/1/cd/metrics/loss", point),
        ("mlruns/.trash/ef/meta.yaml", &meta("active")),
        ("flat/meta.yaml", &meta("active")),
        ("flat/loss", point),
        ("flat/notes", b"1 2 3\n"),
    ]);
    let run =
        "ab in mlruns/1/ab: mlruns/1/ab/meta.yaml mlruns/1/ab/metrics/Generator loss mlruns/1/ab/metrics/train/loss";
    let flat = "flat in flat: flat/meta.yaml flat/loss";
    assert_eq!(found(&folder, &[""]), [flat, run]);
    assert_eq!(found(&folder, &["mlruns/1/ab/meta.yaml", "flat"]), [run, flat]);
    assert_eq!(
        found(&folder, &["mlruns/1/ab/metrics/train/loss"]),
        ["loss in mlruns/1/ab: mlruns/1/ab/metrics/train/loss"]
    );
    assert_eq!(
        found(&folder, &["mlruns/1/ab/metrics"]),
        ["ab in mlruns/1/ab: mlruns/1/ab/metrics/Generator loss mlruns/1/ab/metrics/train/loss"]
    );
}

#[test]
fn what_is_reached_twice_counts_once_and_loops_end() {
    let folder =
        folder(&[("a/metrics.csv", CSV), (".hidden/metrics.csv", CSV), ("venv/pyvenv.cfg", b""), ("venv/m.csv", CSV)]);
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("broken")).unwrap();
    std::os::unix::fs::symlink("a/metrics.csv", folder.path().join("link.csv")).unwrap();
    assert_eq!(found(&folder, &[""]), ["a in a: a/metrics.csv"]);
    assert_eq!(found(&folder, &["a/metrics.csv", "a", "link.csv", ""]), ["a in a: a/metrics.csv"]);
    assert_eq!(found(&folder, &[".hidden"]), [".hidden in .hidden: .hidden/metrics.csv"]);
}

#[test]
fn what_a_user_names_and_is_no_log_is_told() {
    let folder = folder(&[("empty", b""), ("model.pt", b"\x7fELF\0\0\0\0\0"), ("notes/README.md", TEXT)]);
    assert_eq!(
        found(&folder, &["empty", "model.pt", "notes", "absent"]),
        [
            "empty: it is empty",
            "model.pt: it is no log of a known format",
            "notes: no log is in it",
            "absent: No such file or directory (os error 2)"
        ]
    );
    // What a user names is taken for a log.
    assert_eq!(found(&folder, &["notes/README.md"]), ["README in notes: notes/README.md"]);
}
