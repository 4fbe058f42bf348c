//! The worker `pipeline-neural` as a child process.
//!
//! This program and the worker communicate over two pairs of sockets, whose reads and writes time out, so that every
//! wait is checked ([`ear`]), ends when the worker ends, and needs no thread.

mod ear;
mod error;
mod facts;
mod libraries;
mod log;
mod shortage;

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use ear::Tell;
use ear::{Ear, Ended};
pub use error::WorkerError;
pub use facts::{check_stages, describe, find, forget};
use log::Log;
pub use log::brief;
pub use shortage::Shortage;
use stages::protocol::{Describe, Done, Order, Reply, Request, read_frame, write_frame};

use crate::stop::Stop;

/// How long a worker can take to describe itself: loading libtorch, half a gigabyte or more, from a slow disk takes
/// time.
const GREETING: Duration = Duration::from_secs(120);

/// How long the rest of a message can take. A worker writes each message at once.
const MESSAGE: Duration = Duration::from_secs(60);

/// Maximum number of characters in a worker's error message.
const LONGEST_REASON: usize = 2000;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    input: Arc<Mutex<UnixStream>>,
    output: BufReader<Ear>,
}

/// Sends requests to a worker in the middle of an order, from any thread.
#[derive(Debug, Clone)]
pub struct Asker(Arc<Mutex<UnixStream>>);

impl Asker {
    /// Asks the worker to end its order early. Errors don't matter: the worker is gone, or does not read.
    pub fn stop(&self) {
        let _ = self.ask(&Request::Stop);
    }

    /// Allows an order `threads` threads. Fails if the worker is gone or does not read.
    pub fn allow(&self, order: u64, threads: u32) -> io::Result<()> {
        self.ask(&Request::Threads { order, threads })
    }

    fn ask(&self, request: &Request) -> io::Result<()> {
        write_frame(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), request)
    }
}

impl Worker {
    /// Starts a worker that logs to the file `log`, and checks that it matches `expected`. A request to `stop` ends the
    /// wait.
    pub fn start(program: &Path, log: &Path, expected: &Describe, stop: Arc<dyn Stop>) -> Result<Self, WorkerError> {
        let (worker, describe) = Self::greet(program, log, stop)?;
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

    /// Starts a worker and reads its description.
    pub fn greet(program: &Path, log: &Path, stop: Arc<dyn Stop>) -> Result<(Self, Describe), WorkerError> {
        let unstarted = |error: io::Error| WorkerError::unstarted(program, &error);
        let in_log = |error: io::Error| match Shortage::of(&error) {
            Some(_) => unstarted(error),
            None => WorkerError::Broken { path: program.to_owned(), message: format!("{}: {error}", log.display()) },
        };
        let (log, words) = Log::open(log).map_err(in_log)?;
        let (input, stdin) = UnixStream::pair().map_err(unstarted)?;
        let (output, stdout) = UnixStream::pair().map_err(unstarted)?;
        input.set_write_timeout(Some(ear::TICK)).map_err(unstarted)?;
        let child = Command::new(program)
            .arg("serve")
            .stdin(OwnedFd::from(stdin))
            .stdout(OwnedFd::from(stdout))
            .stderr(words)
            .envs(
                stages::protocol::WORKER_ENVIRONMENT
                    .iter()
                    .filter(|(name, _)| std::env::var_os(name).is_none())
                    .copied(),
            )
            // Ctrl-C at the terminal must reach only this program, which asks its workers to stop gracefully.
            .process_group(0)
            .spawn()
            .map_err(unstarted)?;
        tracing::debug!(pid = child.id(), log = %log.path.display(), "worker started");
        let mut ear = Ear::new(child, output, log).map_err(unstarted)?;
        (ear.stop, ear.ends_at_stop, ear.patience) = (Some(stop), true, Some(GREETING));
        let mut worker = Self { input: Arc::new(Mutex::new(input)), output: BufReader::new(ear) };
        let said = read_frame::<Reply>(&mut worker.output);
        match worker.understand(said) {
            Ok(Reply::Hello(describe)) => {
                facts::check_words(program, &describe)?;
                facts::check_protocol(program, &describe)?;
                Ok((worker, describe))
            }
            Ok(_) => {
                let message = "the first message is not a greeting".to_owned();
                Err(WorkerError::Broken { path: program.to_owned(), message })
            }
            Err(WorkerError::Astray(message)) => Err(WorkerError::Broken { path: program.to_owned(), message }),
            Err(error) => Err(error),
        }
    }

    fn ear(&mut self) -> &mut Ear {
        self.output.get_mut()
    }

    /// Whether it is still running.
    pub fn lives(&mut self) -> bool {
        self.ear().lives()
    }

    /// Starts the next order's part of the log, and returns its offset.
    pub fn begin_log(&mut self) -> u64 {
        self.ear().log.begin()
    }

    /// The log's file name, in the store's folder of logs.
    pub fn log_name(&self) -> String {
        self.output.get_ref().log.path.file_name().unwrap_or_default().display().to_string()
    }

    /// A handle for requests in the middle of an order.
    pub fn asker(&self) -> Asker {
        Asker(Arc::clone(&self.input))
    }

    /// Sends an order. Messages about the worker's silence go to `tell`. Fails if the worker is dead, or if a request
    /// to stop comes before it has taken the order.
    pub fn send(&mut self, order: Order, tell: Option<Tell>) -> Result<(), WorkerError> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Request::Order(Box::new(order)))
            .map_err(|error| WorkerError::failed(format!("can't encode the job: {error}")))?;
        let (input, ear) = (Arc::clone(&self.input), self.ear());
        (ear.ends_at_stop, ear.patience) = (true, None);
        ear.tells(tell);
        let sent = ear.say(&input.lock().unwrap_or_else(PoisonError::into_inner), &bytes);
        sent.map_err(|error| match ended(&error) {
            Some(_) => WorkerError::Stopped,
            None => self.post_mortem(),
        })
    }

    /// Follows the order `id` to its end, passing every observation to `observe`. With `ends_at_stop`, a request to
    /// stop ends the wait at once, because nothing of the order will be kept.
    pub fn follow(
        &mut self,
        id: u64,
        ends_at_stop: bool,
        mut observe: impl FnMut(Reply) -> Result<(), WorkerError>,
    ) -> Result<Done, WorkerError> {
        self.ear().ends_at_stop = ends_at_stop;
        let astray = |what: &str, of: u64| WorkerError::Astray(format!("sent {what} of job {of}, expected job {id}"));
        loop {
            match self.read()? {
                Reply::Done(done) if done.order == id => return Ok(done),
                Reply::Failed { order, message, os_error } if order == id => {
                    return Err(WorkerError::Failed { message: brief(&message, LONGEST_REASON), os_error });
                }
                Reply::Done(done) => return Err(astray("the end", done.order)),
                Reply::Failed { order, .. } => return Err(astray("the failure", order)),
                Reply::Progress { order, .. } if order != id => return Err(astray("the progress", order)),
                Reply::Hello(_) => return Err(WorkerError::Astray("sent a second greeting".to_owned())),
                reply => observe(reply)?,
            }
        }
    }

    /// The next message. A worker can take any time to begin one, but then must finish it within [`MESSAGE`].
    fn read(&mut self) -> Result<Reply, WorkerError> {
        (self.ear().patience, self.ear().since) = (None, None);
        let said = match self.output.fill_buf() {
            Ok(_) => {
                (self.ear().patience, self.ear().since) = (Some(MESSAGE), Some(Instant::now()));
                read_frame(&mut self.output)
            }
            Err(error) => Err(error),
        };
        self.understand(said)
    }

    fn understand(&mut self, said: io::Result<Option<Reply>>) -> Result<Reply, WorkerError> {
        let error = match said {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => return Err(self.post_mortem()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.post_mortem()),
            Err(error) => error,
        };
        let why = ended(&error).map(|why| match why {
            Ended::Stopped => WorkerError::Stopped,
            Ended::Silent(_) => WorkerError::Astray(format!("{why} when a message was due")),
        });
        // The stream can't be read any further.
        let _ = self.ear().end();
        Err(why.unwrap_or_else(|| {
            let ending = format!("sent an invalid message ({})", brief(&error.to_string(), LONGEST_REASON));
            WorkerError::Died { ending, killed: false, tail: self.tail() }
        }))
    }

    /// Finds out how a worker that closed its pipes ended.
    fn post_mortem(&mut self) -> WorkerError {
        tracing::debug!(pid = self.ear().child.id(), "worker closed its pipes");
        // A worker that closes its pipes but lives on must not be waited for forever.
        let begun = Instant::now();
        while self.lives() && begun.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.lives() {
            let _ = self.ear().end();
            let ending = "closed its pipes and was killed".to_owned();
            return WorkerError::Died { ending, killed: false, tail: self.tail() };
        }
        match self.ear().end() {
            Ok(status) => WorkerError::Died { ending: ending(status), killed: killed(status), tail: self.tail() },
            Err(error) => {
                let ending = format!("ended in an unknown way ({error})");
                WorkerError::Died { ending, killed: false, tail: self.tail() }
            }
        }
    }

    fn tail(&self) -> String {
        self.output.get_ref().log.last_words()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // An idle worker ends by itself when its input is closed, but one that is dropped in the middle of an order
        // would keep computing.
        let _ = self.ear().end();
    }
}

/// Why the wait for a living worker ended, if that caused this error.
fn ended(error: &io::Error) -> Option<&Ended> {
    error.get_ref()?.downcast_ref()
}

/// Whether the worker was ended from outside, so that what it computed is sound: by a user, by a scheduler's warning
/// before the worker handled signals, by the kernel for lack of memory, or by a limit on CPU time.
fn killed(status: ExitStatus) -> bool {
    matches!(status.signal(), Some(1 | 2 | 9 | 10 | 12 | 14 | 15 | 24))
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed (signal 9; out of memory?)".to_owned(),
        (Some(11), _) => "crashed (signal 11, segmentation fault)".to_owned(),
        (Some(6), _) => "crashed (signal 6, aborted)".to_owned(),
        (Some(signal), _) => format!("was terminated by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
