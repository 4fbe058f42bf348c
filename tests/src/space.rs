//! A folder with a corpus and experiments, in which the program runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::process::{Ended, Started};

/// A folder of its own; `KEEP=1` leaves it behind and says where.
pub struct TestSpace {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl TestSpace {
    /// With `data/sonnets.txt` and `experiments/tiny.toml` in it.
    pub fn new() -> Self {
        let temporary = TempDir::with_prefix("pipeline-test-").expect("a temporary folder");
        let space = if std::env::var_os("KEEP").is_some() {
            let folder = temporary.keep();
            eprintln!("kept: {}", folder.display());
            Self { folder, _temporary: None }
        } else {
            Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) }
        };
        for file in ["data/sonnets.txt", "experiments/tiny.toml"] {
            space.write(
                file,
                &std::fs::read_to_string(crate::repository().join(file)).expect("a file of the repository"),
            );
        }
        space
    }

    /// Also with `experiments/longer.toml`: tiny with more steps and checkpoints, and with dropout, whose draws a resumed
    /// training must repeat.
    pub fn longer(steps: u32, every: u32) -> Self {
        let space = Self::new();
        space.vary(
            "tiny",
            "longer",
            &[
                ("name = \"tiny\"", "name = \"longer\""),
                ("steps = 200", &format!("steps = {steps}\ndropout = 0.2")),
                ("every = 100", &format!("every = {every}")),
            ],
        );
        space
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file is written");
    }

    /// Reads a text file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file is read")
    }

    /// Writes a variant of an experiment; each replaced text must be there.
    pub fn vary(&self, from: &str, to: &str, replaced: &[(&str, &str)]) {
        let mut text = self.read(&format!("experiments/{from}.toml"));
        for (before, after) in replaced {
            assert!(text.contains(before), "experiments/{from}.toml has no {before:?}");
            text = text.replace(before, after);
        }
        self.write(&format!("experiments/{to}.toml"), &text);
    }

    /// `pipeline` with some words, in this folder, with none of its variables set.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(crate::programs().join("pipeline"));
        command.args(words).current_dir(&self.folder);
        for variable in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL", "PIPELINE_LOG", "PIPELINE_REDACT"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs `pipeline` to its end.
    pub fn pipeline(&self, words: &[&str]) -> Ended {
        self.start(words).end()
    }

    /// Starts `pipeline`.
    pub fn start(&self, words: &[&str]) -> Started {
        Started::new(&mut self.command(words))
    }

    /// `pipeline run experiments/NAME.toml` with two jobs of one thread, and more words.
    pub fn run(&self, name: &str, more: &[&str]) -> Ended {
        self.start_run(name, more).end()
    }

    /// The same, only started.
    pub fn start_run(&self, name: &str, more: &[&str]) -> Started {
        let path = format!("experiments/{name}.toml");
        let words: Vec<&str> = ["run", &path, "--jobs", "2", "--threads", "1"].iter().chain(more).copied().collect();
        self.start(&words)
    }

    /// Every file under the store's objects: its digest by name, and its path.
    pub fn objects(&self) -> Vec<(String, PathBuf)> {
        let mut found = Vec::new();
        let Ok(folders) = std::fs::read_dir(self.path("data/store/sha256")) else { return found };
        for folder in folders.flatten() {
            for file in std::fs::read_dir(folder.path()).expect("a folder of objects").flatten() {
                let name = format!("{}{}", folder.file_name().display(), file.file_name().display());
                found.push((name, file.path()));
            }
        }
        found.sort();
        found
    }

    /// Where the object of a digest lies.
    pub fn object(&self, digest: &str) -> PathBuf {
        self.path("data/store/sha256").join(&digest[..2]).join(&digest[2..])
    }

    /// Checks that every object is what its name says, and that every one that the record needs is there.
    pub fn assert_objects_are_sound(&self) {
        for (name, path) in self.objects() {
            assert_eq!(sha256(&path), name, "{} is not what its name says", path.display());
        }
        let needed = "SELECT digest FROM execution_outputs WHERE execution_id IN (SELECT execution_id FROM results)
                      UNION SELECT weights FROM checkpoints
                      UNION SELECT state FROM checkpoints WHERE state IS NOT NULL";
        for digest in self.texts(needed) {
            assert!(self.object(&digest).exists(), "object {digest} is gone");
        }
    }

    /// Makes a file writable and changes one bit of its middle byte.
    pub fn damage(&self, path: &Path) {
        let mut bytes = std::fs::read(path).expect("a file is read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("a file's mode");
        std::fs::write(path, bytes).expect("a file is written");
    }
}

impl Default for TestSpace {
    fn default() -> Self {
        Self::new()
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("a file is read");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Copies a folder and all in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder is read").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file is copied");
        }
    }
}
