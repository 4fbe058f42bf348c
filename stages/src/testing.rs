//! What the tests of several stages share.

use std::path::{Path, PathBuf};

use crate::files::Ids;
use crate::{Context, Outcome};

/// A temporary folder with inputs and a place for outputs.
#[derive(Debug)]
pub(crate) struct Space {
    folder: tempfile::TempDir,
    /// What a stage is handed.
    pub(crate) context: Context,
}

impl Space {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = Context {
            inputs: Default::default(),
            folder: folder.path().join("out"),
            progress: Default::default(),
            stop: Default::default(),
        };
        std::fs::create_dir(&context.folder).unwrap();
        Self { folder, context }
    }

    /// The same, with an input file.
    pub(crate) fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.context.inputs.insert(name.to_owned(), path);
        self
    }

    /// A space whose inputs are the outputs of an earlier stage.
    pub(crate) fn after(outcome: &Outcome) -> Self {
        let mut this = Self::new();
        for output in &outcome.outputs {
            this = this.with(&output.name, std::fs::read(&output.path).unwrap());
        }
        this
    }
}

/// The path of an output.
pub(crate) fn output<'a>(outcome: &'a Outcome, name: &str) -> &'a Path {
    &outcome.outputs.iter().find(|output| output.name == name).unwrap().path
}

/// All tokens of an output.
pub(crate) fn ids(outcome: &Outcome, name: &str) -> Vec<u32> {
    read_ids(output(outcome, name).to_owned())
}

/// All tokens of a file.
pub(crate) fn read_ids(path: PathBuf) -> Vec<u32> {
    let ids = Ids::open(&path).unwrap();
    let mut all = Vec::new();
    ids.read(0, usize::try_from(ids.len()).unwrap(), &mut all).unwrap();
    all
}

/// Token ids as a file holds them.
pub(crate) fn bytes(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}
