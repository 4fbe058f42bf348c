//! The worker `pipeline-neural` as a child process.

use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use stages::protocol::{Describe, Done, Order, PROTOCOL, Reply, Request, read_frame, write_frame};

use super::graph::{Stage, Way};

/// The environment variable that names the worker.
const VARIABLE: &str = "PIPELINE_NEURAL";

/// Why a worker can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is no such program.
    #[error("the worker pipeline-neural was not found at {}", .0.display())]
    Missing(PathBuf),
    /// It did not start, or does not answer as a worker.
    #[error("the worker {} does not work: {message}", path.display())]
    Broken { path: PathBuf, message: String },
    /// Another program than the one that keys were computed with.
    #[error("the worker changed while the program ran: {0}")]
    Changed(String),
    /// It ended in the middle of an order.
    #[error("the worker {ending}{}", if tail.is_empty() { String::new() } else { format!("; its last words: {tail}") })]
    Died { ending: String, killed: bool, tail: String },
    /// The order failed; the worker lives.
    #[error("{0}")]
    Failed(String),
}

/// Where the worker is: named by the environment, or beside this program.
///
/// # Errors
/// When there is no such file.
pub fn find() -> Result<PathBuf, WorkerError> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().unwrap_or_default().with_file_name("pipeline-neural"),
    };
    if path.is_file() { Ok(path) } else { Err(WorkerError::Missing(path)) }
}

/// A cached answer of `describe`: good as long as the program and its libraries are the same files, and the processor is
/// the same.
#[derive(Serialize, Deserialize)]
struct Cached {
    capability: String,
    files: Vec<(PathBuf, u64, i64, i64, u64)>,
    describe: Describe,
}

fn stat(path: &Path) -> Option<(PathBuf, u64, i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = path.metadata().ok()?;
    Some((path.to_owned(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ino()))
}

/// What the vector extensions that a worker uses depend on: those of the processor, and the variable that lowers them.
fn capability() -> String {
    let mut start = Vec::new();
    // The first processor's lines; a machine of many would take long to list them all.
    let _ = std::fs::File::open("/proc/cpuinfo").and_then(|file| file.take(1 << 13).read_to_end(&mut start));
    let text = String::from_utf8_lossy(&start);
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    format!("{} {flags}", std::env::var("ATEN_CPU_CAPABILITY").unwrap_or_default())
}

/// What a worker says of itself, without starting it where an earlier answer still holds.
///
/// # Errors
/// When it does not start or speaks another protocol.
pub fn describe(program: &Path, store: &Path) -> Result<Describe, WorkerError> {
    let cache = store.join("worker-cache");
    let known: Option<Cached> = std::fs::read(&cache).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(known) = known
        && known.capability == capability()
        && known.files.first().is_some_and(|file| file.0 == program)
        && known.files.iter().all(|file| stat(&file.0).as_ref() == Some(file))
    {
        return Ok(known.describe);
    }
    tracing::debug!(program = %program.display(), "asking the worker what it is");
    let broken = |message: String| WorkerError::Broken { path: program.to_owned(), message };
    let output = Command::new(program).arg("describe").output().map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(broken(format!("{}: {}", ending(output.status), said.lines().last().unwrap_or("nothing said"))));
    }
    let describe: Describe =
        serde_json::from_slice(&output.stdout).map_err(|error| broken(format!("its description: {error}")))?;
    check_protocol(program, &describe)?;
    let files = std::iter::once(program).chain(describe.libraries.iter().map(PathBuf::as_path)).filter_map(stat);
    if let Ok(text) =
        serde_json::to_vec(&Cached { capability: capability(), files: files.collect(), describe: describe.clone() })
    {
        // Only a cache: where it can't be written, the worker is asked each time.
        let beside = cache.with_extension(std::process::id().to_string());
        let _ = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &cache));
    }
    Ok(describe)
}

fn check_protocol(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    if describe.protocol == PROTOCOL {
        return Ok(());
    }
    let message = format!("it speaks protocol {}, this program {PROTOCOL}; build both anew", describe.protocol);
    Err(WorkerError::Broken { path: program.to_owned(), message })
}

/// Checks that a worker computes its stages in the versions that keys are made with.
///
/// # Errors
/// When it is of another build.
pub fn check_stages(program: &Path, describe: &Describe, stages: &[Stage]) -> Result<(), WorkerError> {
    for stage in stages.iter().filter(|stage| matches!(stage.way, Way::Worker)) {
        let has = describe.stages.get(stage.name);
        if has != Some(&stage.version) {
            let has = has.map_or("no version at all".to_owned(), |has| format!("version {has}"));
            let message = format!(
                "it has {has} of the stage {}, this program wants {}; build both anew",
                stage.name, stage.version
            );
            return Err(WorkerError::Broken { path: program.to_owned(), message });
        }
    }
    Ok(())
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

/// Asks a worker to end its order early, from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Mutex<ChildStdin>>);

impl Stopper {
    /// Asks. A worker that is gone needs no asking.
    pub fn stop(&self) {
        let mut input = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write_frame(&mut *input, &Request::Stop);
    }
}

impl Worker {
    /// Starts a worker whose output for people goes to the file `log`, and checks that it is the one `expected`.
    ///
    /// # Errors
    /// When it does not start or is another.
    pub fn start(program: &Path, log: &Path, expected: &Describe) -> Result<Self, WorkerError> {
        let broken = |message: String| WorkerError::Broken { path: program.to_owned(), message };
        let file = std::fs::File::options().create(true).append(true).open(log);
        let file = file.map_err(|error| broken(format!("{}: {error}", log.display())))?;
        let mut child = Command::new(program)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .envs(
                stages::protocol::WORKER_ENVIRONMENT
                    .iter()
                    .filter(|(name, _)| std::env::var_os(name).is_none())
                    .copied(),
            )
            // A Ctrl-C at the terminal is for this program, which asks its workers to stop in good order.
            .process_group(0)
            .spawn()
            .map_err(|error| broken(error.to_string()))?;
        tracing::debug!(pid = child.id(), log = %log.display(), "a worker starts");
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken("BUG: its pipes are missing".to_owned()));
        };
        let input = Arc::new(Mutex::new(input));
        let mut worker = Self { child, input, output: BufReader::new(output), log: log.to_owned() };
        match worker.read()? {
            Reply::Hello(describe) => {
                check_protocol(program, &describe)?;
                let facts = |it: &Describe| (it.libtorch.clone(), it.stages.clone(), it.cpu_capability.clone());
                if facts(&describe) == facts(expected) {
                    return Ok(worker);
                }
                let words = |it: &Describe| format!("libtorch {}, {}, {:?}", it.libtorch, it.cpu_capability, it.stages);
                Err(WorkerError::Changed(format!("{} became {}", words(expected), words(&describe))))
            }
            _ => Err(broken("its first word is no greeting".to_owned())),
        }
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How long its log is now: where the next order's part begins.
    pub fn log_position(&self) -> u64 {
        self.log.metadata().map_or(0, |meta| meta.len())
    }

    /// The log's file name, in the store's folder of logs.
    pub fn log_name(&self) -> String {
        self.log.file_name().unwrap_or_default().display().to_string()
    }

    /// A handle that can ask it to stop.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.input))
    }

    /// Hands an order over.
    ///
    /// # Errors
    /// When the worker is dead.
    pub fn send(&mut self, order: Order) -> Result<(), WorkerError> {
        let sent = {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            write_frame(&mut *input, &Request::Order(Box::new(order)))
        };
        sent.map_err(|_| self.post_mortem())
    }

    /// Follows the order `id` to its end; every observation goes to `observe`.
    ///
    /// # Errors
    /// When the order fails, the worker dies, or `observe` can't go on.
    pub fn follow(
        &mut self,
        id: u64,
        mut observe: impl FnMut(Reply) -> Result<(), WorkerError>,
    ) -> Result<Done, WorkerError> {
        loop {
            match self.read()? {
                Reply::Done(done) if done.order == id => return Ok(done),
                Reply::Failed { order, message } if order == id => return Err(WorkerError::Failed(message)),
                reply => observe(reply)?,
            }
        }
    }

    fn read(&mut self) -> Result<Reply, WorkerError> {
        match read_frame(&mut self.output) {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(self.post_mortem()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.post_mortem()),
            Err(error) => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                Err(WorkerError::Died { ending: format!("spoke nonsense ({error})"), killed: false, tail: self.tail() })
            }
        }
    }

    /// Says how a worker ended that closed its pipes.
    fn post_mortem(&mut self) -> WorkerError {
        tracing::debug!(pid = self.child.id(), "a worker closed its pipes");
        // One that closed its pipes and lives on would be waited for for ever.
        let begun = std::time::Instant::now();
        while self.lives() && begun.elapsed() < std::time::Duration::from_secs(2) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if self.lives() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let ending = "stopped listening or speaking, and was ended".to_owned();
            return WorkerError::Died { ending, killed: false, tail: self.tail() };
        }
        match self.child.wait() {
            Ok(status) => WorkerError::Died {
                ending: ending(status),
                // From outside, by a person or the kernel's want of memory: nothing is wrong with what it computed.
                killed: matches!(status.signal(), Some(1 | 2 | 9 | 15)),
                tail: self.tail(),
            },
            Err(error) => WorkerError::Died { ending: format!("is lost ({error})"), killed: false, tail: self.tail() },
        }
    }

    /// The last lines of its log, on one line.
    fn tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2000)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        // A backtrace is for the log; what was said before it is why.
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("stack backtrace"));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // An idle worker ends by itself when its input ends; one that is dropped in the middle of an order must not
        // go on computing for nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed (signal 9; was memory short?)".to_owned(),
        (Some(11), _) => "crashed (signal 11, segmentation fault)".to_owned(),
        (Some(6), _) => "crashed (signal 6, aborted)".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
