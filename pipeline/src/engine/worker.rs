//! The worker `pipeline-neural` as a child process.

mod facts;
mod libraries;

use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::system::permission::Denied;
pub use facts::{check_stages, describe, find, forget};
use stages::protocol::{Describe, Done, Order, Reply, Request, read_frame, write_frame};

/// How long a worker may take to say who it is: libtorch is half a gigabyte, or several, perhaps on a slow disk.
const GREETING: Duration = Duration::from_secs(120);

/// Why a worker can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is no such program.
    #[error("the worker pipeline-neural was not found at {}", .0.display())]
    Missing(PathBuf),
    /// It did not start, or does not answer as a worker.
    #[error("the worker {} does not work: {message}", path.display())]
    Broken { path: PathBuf, message: String },
    /// A library of its lies where this user may not read.
    #[error("the worker can't load {library}: this user may not read {}", denied.path.display())]
    Unreadable { library: String, denied: Denied },
    /// Another program than the one that keys were computed with.
    #[error("the worker changed while the program ran: {0}")]
    Changed(String),
    /// It ended in the middle of an order.
    #[error("the worker {ending}{}", if tail.is_empty() { String::new() } else { format!("; its last words: {tail}") })]
    Died { ending: String, killed: bool, tail: String },
    /// It did something else than it was asked for.
    #[error("the worker does not keep to its order: {0}")]
    Astray(String),
    /// The order failed; the worker lives.
    #[error("{0}")]
    Failed(String),
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
        let (worker, describe) = Self::greet(program, log)?;
        let facts = |it: &Describe| (it.libtorch.clone(), it.stages.clone(), it.cpu_capability.clone(), it.gpu.clone());
        if facts(&describe) == facts(expected) {
            return Ok(worker);
        }
        let words = |it: &Describe| {
            let gpu = it.gpu.as_deref().unwrap_or("no GPU");
            format!("libtorch {}, {}, {gpu}, {:?}", it.libtorch, it.cpu_capability, it.stages)
        };
        Err(WorkerError::Changed(format!("{} became {}", words(expected), words(&describe))))
    }

    /// Starts a worker, whatever it is, and hears what that is.
    ///
    /// # Errors
    /// When it does not start.
    pub fn greet(program: &Path, log: &Path) -> Result<(Self, Describe), WorkerError> {
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
        let mut output = BufReader::new(output);
        let (said, output) = within(&mut child, move || (read_frame::<Reply>(&mut output), output)).map_err(broken)?;
        let mut worker = Self { child, input: Arc::new(Mutex::new(input)), output, log: log.to_owned() };
        match worker.understand(said)? {
            Reply::Hello(describe) => {
                facts::check_protocol(program, &describe)?;
                Ok((worker, describe))
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
        let said = read_frame(&mut self.output);
        self.understand(said)
    }

    fn understand(&mut self, said: std::io::Result<Option<Reply>>) -> Result<Reply, WorkerError> {
        match said {
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
        let begun = Instant::now();
        while self.lives() && begun.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
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
                // From outside, by a person, the kernel's want of memory or a limit on CPU time: nothing is wrong with what it computed.
                killed: matches!(status.signal(), Some(1 | 2 | 9 | 15 | 24)),
                tail: self.tail(),
            },
            Err(error) => WorkerError::Died { ending: format!("is lost ({error})"), killed: false, tail: self.tail() },
        }
    }

    /// The last lines of its log, on one line.
    fn tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = crate::system::files::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
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

/// Bytes of a log in which last words are looked for: a backtrace behind them may be long.
const LAST_WORDS: u64 = 1 << 16;

impl Drop for Worker {
    fn drop(&mut self) {
        // An idle worker ends by itself when its input ends; one that is dropped in the middle of an order must not
        // go on computing for nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `hear` makes of a program's first words, which it reads from its pipes; the program is ended when it takes too
/// long over them.
fn within<T: Send + 'static>(child: &mut Child, hear: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, heard) = channel();
    // Whoever gave up waiting has dropped the receiver.
    let spawned = std::thread::Builder::new().spawn(move || drop(sender.send(hear())));
    let words = match spawned.map(|_| heard.recv_timeout(GREETING)) {
        Ok(Ok(heard)) => return Ok(heard),
        Ok(Err(RecvTimeoutError::Timeout)) => format!("it did not say who it is in {} s", GREETING.as_secs()),
        Ok(Err(RecvTimeoutError::Disconnected)) => "BUG: its words were not heard".to_owned(),
        Err(error) => format!("no thread could be started: {error}"),
    };
    let _ = child.kill();
    let _ = child.wait();
    Err(words)
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
