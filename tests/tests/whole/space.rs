//! A folder of its own for each test, with a small corpus and experiments; `KEEP=1` keeps it for debugging.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of the built programs; built here once, because cargo does not build another package's programs for a
/// test. Nothing to do takes it half a second.
pub fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "pipeline", "-p", "neural"]).current_dir(repository());
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        if profile == "release" {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the programs do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(repository().join("target"), PathBuf::from);
        target.join(profile)
    })
}

/// A test's folder.
pub struct Space {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Drop for Space {
    fn drop(&mut self) {
        if std::env::var_os("KEEP").is_some()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("kept {}", folder.keep().display());
        }
    }
}

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// `3 executed, 14 cached`.
    pub fn counts(&self) -> (u64, u64) {
        let number = |word: &str| -> u64 {
            let before = self.err.split(word).next().unwrap();
            before.trim_end().rsplit(['(', ' ']).next().unwrap().parse().unwrap_or_else(|_| panic!("{}", self.err))
        };
        (number(" executed"), number(" cached"))
    }

    /// The stages that were executed, once each execution, sorted.
    pub fn executed(&self) -> Vec<String> {
        let mut stages: Vec<String> = self
            .err
            .lines()
            .filter(|line| line.contains(" done in "))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect();
        stages.sort();
        stages
    }
}

impl Space {
    /// A folder with the sonnets and the experiment `x.toml`.
    pub fn new() -> Self {
        programs();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        std::fs::copy(repository().join("data/sonnets.txt"), path.join("corpus.txt")).unwrap();
        let space = Self { folder: Some(folder), path };
        space.write("x.toml", EXPERIMENT);
        space
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).unwrap();
    }

    /// The program, ready to be given words.
    pub fn command(&self) -> Command {
        let mut command = Command::new(programs().join("pipeline"));
        command.current_dir(&self.path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `pipeline` with these words.
    pub fn pipeline(&self, words: &[&str]) -> Said {
        Said::of(self.command().args(words).output().unwrap())
    }

    /// The same; it must succeed.
    pub fn ok(&self, words: &[&str]) -> Said {
        let said = self.pipeline(words);
        assert_eq!(said.code, Some(0), "{words:?}\n{}\n{}", said.out, said.err);
        said
    }

    /// Rows of a query.
    pub fn sql(&self, query: &str) -> Vec<Value> {
        let said = self.ok(&["sql", "--format", "json", query]);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
    }

    /// The first value of the first row.
    pub fn one(&self, query: &str) -> Value {
        let rows = self.sql(query);
        rows[0].as_object().unwrap().values().next().unwrap().clone()
    }

    /// All that fixes a study's answer: every step's numbers, and the digests of all weights.
    pub fn answer(&self) -> String {
        let steps = self.sql(
            "SELECT run, step, loss, loss_kind, grad_norm, learning_rate, entropy FROM run_steps ORDER BY run, step",
        );
        let weights = self.sql(
            "SELECT run, name, digest FROM run_lineage WHERE stage = 'train' AND direction = 'output' ORDER BY run, name",
        );
        let scores = self.sql("SELECT run, step, split, loss, tokens FROM run_evaluations ORDER BY run, step, split");
        let samples = self.sql("SELECT run, step, position, text FROM run_samples ORDER BY run, step, position");
        [steps, weights, scores, samples].iter().map(|rows| Value::from(rows.clone()).to_string()).collect()
    }

    /// Each object's bytes are what its name says, by a SHA-256 that is not the program's own call.
    pub fn objects_are_sound(&self) {
        use sha2::Digest as _;
        let mut seen = 0;
        for folder in std::fs::read_dir(self.path.join("data/store/sha256")).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = format!(
                    "{}{}",
                    path.parent().unwrap().file_name().unwrap().display(),
                    path.file_name().unwrap().display()
                );
                let hash = sha2::Sha256::digest(std::fs::read(&path).unwrap());
                let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex, name);
                seen += 1;
            }
        }
        assert!(seen > 0);
    }
}

/// A few seconds, with a diverging point.
pub const EXPERIMENT: &str = r#"
name = "x"
seed = 1

[corpus]
text = "corpus.txt"
split = { valid = 0.05, test = 0.05 }

[tokenize]
lowercase = true

[vocab]
size = 500

[batch]
size = 8
unroll = 8

[train]
embedding = 16
hidden = 16
dropout = 0.2
steps = 100
checkpoints = { every = 50, keep = "all" }

[evaluate]

[sample]
length = 20

[study]
"train.learning_rate" = [0.01, 1e38]
"#;
