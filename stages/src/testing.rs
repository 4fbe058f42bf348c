//! Helpers shared by the tests of several stages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::files::Ids;
use crate::random::Stream;
use crate::{Context, StageOutcome};

/// A temporary folder with inputs and a folder for outputs.
#[derive(Debug)]
pub(crate) struct Space {
    folder: tempfile::TempDir,
    /// The context to pass to a stage.
    pub(crate) context: Context,
}

impl Space {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = Context {
            inputs: Default::default(),
            folder: folder.path().join("out"),
            threads: 1,
            progress: Default::default(),
            stop: Default::default(),
        };
        std::fs::create_dir(&context.folder).unwrap();
        Self { folder, context }
    }

    /// Adds an input file.
    pub(crate) fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.context.inputs.insert(name.to_owned(), path);
        self
    }

    /// A space whose inputs are the outputs of an earlier stage.
    pub(crate) fn after(outcome: &StageOutcome) -> Self {
        let mut this = Self::new();
        for output in &outcome.outputs {
            this = this.with(&output.name, std::fs::read(&output.path).unwrap());
        }
        this
    }
}

/// The parameters of `train` at their defaults.
pub(crate) fn train_params() -> serde_json::Value {
    let keys = crate::params::stage_keys("train").unwrap().keys;
    keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect()
}

/// The same, as the parsed struct.
pub(crate) fn train_defaults() -> crate::params::Train {
    crate::params::read("train", &train_params()).unwrap()
}

/// The path of an output.
pub(crate) fn output<'a>(outcome: &'a StageOutcome, name: &str) -> &'a Path {
    &outcome.outputs.iter().find(|output| output.name == name).unwrap().path
}

/// All tokens of an output.
pub(crate) fn ids(outcome: &StageOutcome, name: &str) -> Vec<u32> {
    read_ids(output(outcome, name).to_owned())
}

/// All tokens of a file.
pub(crate) fn read_ids(path: PathBuf) -> Vec<u32> {
    let ids = Ids::open(&path).unwrap();
    let mut all = Vec::new();
    ids.read(0, usize::try_from(ids.len()).unwrap(), &mut all).unwrap();
    all
}

/// Token ids in their file format.
pub(crate) fn bytes(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

/// The weights of a small model, drawn from a fixed stream.
#[derive(Debug, Clone)]
pub(crate) struct TestWeights {
    pub(crate) embedding: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) tied: bool,
    /// Shape and values by name.
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl TestWeights {
    pub(crate) fn new(types: usize, embedding: usize, hidden: usize, layers: usize, tied: bool) -> Self {
        let mut this = Self { embedding, hidden, layers, tied, tensors: BTreeMap::new() };
        this.draw("encoder.weight".into(), vec![types, embedding]);
        for k in 0..layers {
            let inputs = if k == 0 { embedding } else { hidden };
            this.draw(format!("lstm.weight_ih_l{k}"), vec![4 * hidden, inputs]);
            this.draw(format!("lstm.weight_hh_l{k}"), vec![4 * hidden, hidden]);
            this.draw(format!("lstm.bias_ih_l{k}"), vec![4 * hidden]);
            this.draw(format!("lstm.bias_hh_l{k}"), vec![4 * hidden]);
        }
        if !tied {
            this.draw("decoder.weight".into(), vec![types, hidden]);
        }
        this.draw("decoder.bias".into(), vec![types]);
        this
    }

    fn draw(&mut self, name: String, shape: Vec<usize>) {
        let stream = Stream::new(1, &name);
        // Uniform, not normal, so that the bits don't depend on a logarithm.
        let values = (0..shape.iter().product::<usize>() as u64).map(|i| (stream.uniform(i) - 0.5) as f32);
        let values = values.collect();
        self.tensors.insert(name, (shape, values));
    }

    pub(crate) fn get(&self, name: &str) -> &[f32] {
        &self.tensors[name].1
    }

    /// The weights as the bytes of a safetensors file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let data: BTreeMap<&str, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, (_, x))| (name.as_str(), x.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let views = self.tensors.iter().map(|(name, (shape, _))| {
            (name, TensorView::new(Dtype::F32, shape.clone(), &data[name.as_str()]).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }
}
