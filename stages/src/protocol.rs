//! The messages between `pipeline` and its worker `pipeline-neural`.
//!
//! The worker reads [`Request`]s from standard input, writes [`Reply`]s to standard output, and logs to standard error.
//! Each message is a frame: its length in bytes as an unsigned 32-bit little-endian integer, then that many bytes of
//! JSON. `docs/stage-protocol.md` shows a session.
//!
//! JSON has no NaN and no infinity; a measured float that can be either is a [`Measured`], sent as a number or as the
//! word `"nan"`, `"inf"` or `"-inf"`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use identity::observations::{Evaluation, Event, Measured, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::artifacts::{Checkpoint, Predicted, PredictionsFile};

/// The version of this protocol; both sides must agree on it.
pub const PROTOCOL: u32 = 6;

/// Environment variables that `pipeline` sets for a worker, unless the user has set them. They must be set before the
/// process starts: libtorch's OpenMP reads its variable while loading, and cuBLAS its own at startup.
///
/// Waiting OpenMP threads spin by default. When they sleep instead, two workers of two threads on two cores finish 1.6
/// times as much, and a single worker loses nothing (measured). cuBLAS is reproducible to the bit only with a workspace
/// of a fixed size.
pub const WORKER_ENVIRONMENT: [(&str, &str); 2] =
    [("OMP_WAIT_POLICY", "PASSIVE"), ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")];

/// The maximum frame length, in bytes: a longer one means that the stream is out of sync.
const LONGEST: u32 = 1 << 26;

/// The output of `pipeline-neural describe`, and the first message of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// Version of the worker's package.
    pub version: String,
    /// Versions of its stages, by name.
    pub stages: BTreeMap<String, u32>,
    /// Version of its libtorch, such as `2.11.0`.
    pub libtorch: String,
    /// Available devices: `cpu`, `cuda`.
    pub devices: Vec<String>,
    /// The name of the GPU that `cuda` means, such as `NVIDIA H100 80GB HBM3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Vector extensions chosen by libtorch, such as `AVX512`.
    pub cpu_capability: String,
    /// Whether the CPU has AVX512-BF16, which `train.precision = "bf16"` requires.
    pub bf16: bool,
    /// Paths of the libraries it is linked with, so that a changed file is noticed.
    pub libraries: Vec<PathBuf>,
}

/// A message from `pipeline` to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// One execution.
    Order(Box<Order>),
    /// End the current execution after its current step, write a checkpoint, and reply [`Reply::Done`] with `stopped`.
    Stop,
    /// Allow an execution to use this many threads from its next step, or the next part of its split, on. The worker
    /// uses them only if they are faster, and never fewer than its order names. The request is ignored on a GPU, and
    /// after the execution has ended.
    Threads {
        /// The order.
        order: u64,
        /// How many threads it may use.
        threads: u32,
    },
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// A number chosen by the sender; progress replies and the final reply carry it.
    pub id: u64,
    /// `train` or `evaluate`.
    pub stage: String,
    /// The stage's parameters, complete.
    pub params: Value,
    /// Input objects by name; read-only files.
    pub inputs: BTreeMap<String, PathBuf>,
    /// An empty folder for output files.
    pub folder: PathBuf,
    /// Threads to compute with; [`Request::Threads`] may allow more.
    pub threads: u32,
    /// For `train` only: the steps to compute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
}

/// The part of a trajectory that an execution of `train` computes: steps `from..to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The first step to compute: 0 starts from initial weights, any other step from `weights` and `state`.
    pub from: u64,
    /// The step after the last; equal to `from` if only the checkpoint at `from` is needed.
    pub to: u64,
    /// Total number of steps, which some schedules read; at least `to`.
    pub length: u64,
    /// The weights after `from` updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// The state after `from` updates: optimiser, hidden state, position in the corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// The checkpoints n to write, `from <= n <= to`. The last one reached is always written.
    pub checkpoints: Vec<u64>,
    /// Validation losses at earlier steps, as pairs of step and nats, for the rules that read them. This is a list,
    /// since serde can't turn the string keys of a JSON object back into numbers inside a tagged message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<(u64, Measured)>,
    /// Also write a checkpoint this many seconds after the last one, so that a kill costs little.
    pub checkpoint_seconds: u64,
    /// A step, `from <= inspect < to`, whose predictions are reported token by token. Such a segment is computed only
    /// for these predictions: no checkpoint is written at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspect: Option<u64>,
}

/// A message from a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// The first frame of a worker.
    Hello(Describe),
    /// One optimiser step.
    Step(Step),
    /// A checkpoint's files are complete in the order's folder.
    Checkpoint(Checkpoint),
    /// The predictions of the next step are complete in the order's folder.
    Predictions(PredictionsFile),
    /// A split was scored.
    Evaluation(Evaluation),
    /// Something worth recording.
    Event(Event),
    /// Progress of an order without steps.
    Progress {
        /// The order.
        order: u64,
        /// Units done.
        done: u64,
        /// Total units.
        whole: u64,
    },
    /// The order is finished.
    Done(Done),
    /// The order failed; the worker can take another.
    Failed {
        /// The order.
        order: u64,
        /// The reason, in one line.
        message: String,
        /// The number of the system error that caused it, such as 28 for a full disk.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        os_error: Option<i32>,
    },
}

/// The end of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The order.
    pub order: u64,
    /// For `train`: the step after the last one computed. It is before the segment's end if training ended early or was
    /// asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<u64>,
    /// Whether [`Request::Stop`] ended it early.
    pub stopped: bool,
    /// Peak resident memory of the worker so far, in bytes.
    pub peak_memory: u64,
    /// Small facts, such as `observe_seconds`: the time that reporting took inside the training loop.
    pub report: Value,
}

/// Writes one frame.
pub fn write_frame<T: Serialize>(out: &mut impl Write, message: &T) -> std::io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| std::io::Error::other("message exceeds the maximum frame length"))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    out.write_all(&bytes)
}

/// Reads one frame; `None` at the end of the stream. A stream that ends inside a frame is an error.
pub fn read_frame<T: for<'de> Deserialize<'de>>(input: &mut impl Read) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    let mut got = 0;
    while got < 4 {
        match input.read(&mut length[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => got += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(std::io::Error::other(format!("a frame announces {length} bytes: the stream is out of sync")));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_floats_cross_the_pipe_to_the_bit() {
        for x in [0.1, -0.0, 9.202_733_993_530_273, f64::MIN_POSITIVE / 4.0, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Measured(x)).unwrap();
            let back: Measured = serde_json::from_str(&text).unwrap();
            assert_eq!(back.0.to_bits(), x.to_bits(), "{text}");
        }
        let nan: Measured = serde_json::from_str(&serde_json::to_string(&Measured(f64::NAN)).unwrap()).unwrap();
        assert!(nan.0.is_nan());
        assert!(serde_json::from_str::<Measured>("\"big\"").is_err());
    }

    #[test]
    fn an_order_survives_a_round_trip() {
        let looks = vec![(0, Measured(9.5)), (20, Measured(f64::INFINITY))];
        let segment = Segment {
            from: 20,
            to: 40,
            length: 60,
            weights: Some("w".into()),
            state: Some("s".into()),
            checkpoints: vec![20, 40],
            looks,
            checkpoint_seconds: 30,
            inspect: Some(33),
        };
        let order = Order {
            id: 7,
            stage: "train".into(),
            params: serde_json::json!({"hidden": 3}),
            inputs: [("ids".to_owned(), "x".into())].into(),
            folder: "f".into(),
            threads: 2,
            segment: Some(segment),
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Request::Order(Box::new(order.clone()))).unwrap();
        assert_eq!(read_frame::<Request>(&mut &bytes[..]).unwrap(), Some(Request::Order(Box::new(order))));
    }

    #[test]
    fn frames_survive_a_round_trip_and_a_torn_one_is_an_error() {
        let mut bytes = Vec::new();
        let event = Event { step: Some(3), kind: "nonfinite".into(), message: "loss is NaN".into() };
        write_frame(&mut bytes, &Reply::Event(event.clone())).unwrap();
        write_frame(&mut bytes, &Request::Stop).unwrap();
        write_frame(&mut bytes, &Request::Threads { order: 7, threads: 2 }).unwrap();
        let mut input = &bytes[..];
        assert_eq!(read_frame::<Reply>(&mut input).unwrap(), Some(Reply::Event(event)));
        assert_eq!(read_frame::<Request>(&mut input).unwrap(), Some(Request::Stop));
        assert_eq!(read_frame::<Request>(&mut input).unwrap(), Some(Request::Threads { order: 7, threads: 2 }));
        assert_eq!(read_frame::<Request>(&mut input).unwrap(), None);
        assert!(read_frame::<Reply>(&mut &bytes[..9]).is_err());
        assert!(read_frame::<Reply>(&mut &[255u8, 255, 255, 255][..]).is_err());
    }
}
