//! Reads from and writes to a worker without ever waiting forever. Reading ends when the worker ends, even if another
//! process still holds its pipe; at a request to stop, if nothing is lost by that; and if a message stalls in the
//! middle.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::Log;
use crate::stop::Stop;

/// How often a wait is checked.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How long to read what an ended worker left in its pipe; a child of the worker may still be writing.
const LEFTOVER: Duration = Duration::from_secs(2);

/// How long a worker can be silent before that is reported.
const QUIET: Duration = Duration::from_secs(60);

/// How long a worker can be silent after a request to stop before that is reported.
const QUIET_STOPPING: Duration = Duration::from_secs(10);

/// How long a worker can be idle after a request to stop before it is killed.
const IDLE: Duration = Duration::from_secs(20);

/// Called with messages about a silent worker.
pub type Tell = Box<dyn FnMut(String) + Send>;

/// A worker's process and its output.
pub(super) struct Ear {
    pub(super) child: Child,
    stream: UnixStream,
    pub(super) log: Log,
    /// The source of requests to stop.
    pub(super) stop: Option<Arc<dyn Stop>>,
    /// Whether a request to stop ends a wait at once.
    pub(super) ends_at_stop: bool,
    /// How long the worker can be silent; `None` for as long as it lives.
    pub(super) patience: Option<Duration>,
    /// When the current message began, since all of its bytes together must arrive within `patience`.
    pub(super) since: Option<Instant>,
    pub(super) tell: Option<Tell>,
    /// Whether its silence was reported: before, and after a request to stop.
    told: [bool; 2],
    looked: Instant,
    /// After a request to stop: since when it has used no CPU time, and the CPU time used by then.
    idle: Option<(Instant, u64)>,
    ended: Option<Instant>,
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear").field("child", &self.child).field("log", &self.log).finish_non_exhaustive()
    }
}

impl Ear {
    pub(super) fn new(child: Child, stream: UnixStream, log: Log) -> io::Result<Self> {
        stream.set_read_timeout(Some(TICK))?;
        Ok(Self {
            child,
            stream,
            log,
            stop: None,
            ends_at_stop: false,
            patience: None,
            since: None,
            tell: None,
            told: [false; 2],
            looked: Instant::now(),
            idle: None,
            ended: None,
        })
    }

    /// Starts reporting the silences of a new order.
    pub(super) fn tells(&mut self, tell: Option<Tell>) {
        (self.tell, self.told) = (tell, [false; 2]);
    }

    /// Whether the process is alive.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process if it has not ended.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        let _ = self.child.kill();
        self.child.wait()
    }

    /// Checks a wait that began at `began`.
    fn look(&mut self, began: Instant) -> io::Result<()> {
        self.looked = Instant::now();
        self.log.keep_within();
        if self.ended.is_none() && !self.lives() {
            self.ended = Some(Instant::now());
        }
        let asked = self.stop.as_ref().is_some_and(|stop| stop.is_asked());
        if asked && self.ends_at_stop {
            return Err(io::Error::other(Ended::Stopped));
        }
        if asked && self.is_idle() {
            let words = format!("the worker (process {}) has been idle for {} s", self.child.id(), IDLE.as_secs());
            self.tell.iter_mut().for_each(|tell| tell(format!("{words}; killing it")));
            return Err(io::Error::other(Ended::Stopped));
        }
        let silent = began.elapsed();
        if let Some(patience) = self.patience
            && silent >= patience
        {
            if !self.is_stopped() {
                return Err(io::Error::other(Ended::Silent(patience)));
            }
            self.since = self.since.map(|_| Instant::now());
        }
        let bound = if asked { QUIET_STOPPING } else { QUIET };
        if silent >= bound && self.ended.is_none() && !self.told[usize::from(asked)] {
            self.told[usize::from(asked)] = true;
            let words = self.silence_message(silent, asked);
            self.tell.iter_mut().for_each(|tell| tell(words.clone()));
        }
        Ok(())
    }

    fn silence_message(&self, silent: Duration, asked: bool) -> String {
        let (pid, seconds) = (self.child.id(), silent.as_secs());
        let what = if asked { "has not stopped after" } else { "has been silent for" };
        let stopped = match self.is_stopped() {
            true => format!(": it is suspended (to resume it: kill -CONT {pid})"),
            false => String::new(),
        };
        let then = if asked { "press Ctrl-C again to kill it" } else { "press Ctrl-C to stop it" };
        format!("the worker (process {pid}) {what} {seconds} s{stopped}; {then}")
    }

    /// Whether a signal or a debugger suspends the process.
    fn is_stopped(&self) -> bool {
        self.stat().starts_with(['T', 't'])
    }

    /// Whether a worker that was asked to stop has used no CPU time for a long while: it neither computes nor saves,
    /// but is suspended or stuck.
    fn is_idle(&mut self) -> bool {
        let stat = self.stat();
        // Fields 12 and 13, counted from the state on, are the ticks in user mode and in the kernel.
        let used = stat.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>();
        // A worker that waits for a disk (D) is saving.
        let Some(used) = used.ok().filter(|_| !stat.is_empty() && !stat.starts_with('D')) else { return false };
        match self.idle {
            Some((since, before)) if before == used => since.elapsed() >= IDLE,
            _ => {
                self.idle = Some((Instant::now(), used));
                false
            }
        }
    }

    /// The line of /proc/PID/stat, from the state on; empty if it can't be read.
    fn stat(&self) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // pid (name) state …; the name can contain anything.
        stat.rsplit_once(") ").map_or(String::new(), |(_, rest)| rest.to_owned())
    }

    /// Writes to the worker, which may be busy, suspended or dead.
    pub(super) fn say(&mut self, mut to: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if waits(&error) => {
                    self.look(began)?;
                    if self.ended.is_some() {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Why a wait ended although the worker is alive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("stopped")]
    Stopped,
    #[error("sent nothing for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Read for Ear {
    /// Returns 0 at the end of the worker's output: its pipe is closed, or it has ended and nothing more comes.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let now = Instant::now();
        loop {
            let began = self.since.unwrap_or(now);
            if self.ended.is_some_and(|at| at.elapsed() >= LEFTOVER) {
                return Ok(0);
            }
            match self.stream.read(into) {
                Ok(n) => {
                    if self.looked.elapsed() >= TICK {
                        self.look(self.since.unwrap_or_else(Instant::now))?;
                    }
                    return Ok(n);
                }
                Err(error) if waits(&error) && self.ended.is_some() => return Ok(0),
                Err(error) if waits(&error) => self.look(began)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The worker ended with an unread request.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
