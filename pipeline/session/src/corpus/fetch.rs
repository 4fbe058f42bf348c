//! Fetches a corpus over HTTP into a folder, in which each file is named by the SHA-256 of its bytes.
//!
//! Nothing has its final name before its digest was checked. What arrived of an unfinished file stays beside it, as
//! `<sha256>.part`, and the next attempt asks for the rest alone, be it of this process or of a later one.

mod client;
mod error;
mod news;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use engine::lock;
use identity::Digest;
use system::files;

use client::{Broken, Client, size};
pub use error::FetchError;
pub use news::News;

/// How often a connection is lost and replaced before any further byte has arrived.
const RETRIES: u32 = 3;

/// How often a file that another process fetches is looked at again.
const TICK: Duration = Duration::from_millis(100);

/// After so long without a byte it is said that none comes.
const SILENCE: Duration = Duration::from_secs(10);

/// Fetches into one folder.
pub struct Fetcher {
    client: Client,
    folder: PathBuf,
    /// Before the first retry; before the next it is twice as long.
    pause: Duration,
    /// After how long without a byte it is said that none comes.
    silence: Duration,
}

impl Fetcher {
    /// Fetches into `folder`, which is made where it is missing. A proxy is taken from the environment, and so are
    /// certificates: those that the system trusts.
    pub fn new(folder: PathBuf) -> Self {
        Self { client: Client::new(), folder, pause: Duration::from_millis(500), silence: SILENCE }
    }

    /// The same without a proxy and with little patience.
    #[cfg(test)]
    pub fn hasty(folder: PathBuf) -> Self {
        Self::with_patience(folder, Duration::from_millis(300))
    }

    /// The same with a patience, a third of which is spent before a silence is told.
    #[cfg(test)]
    pub fn with_patience(folder: PathBuf, patience: Duration) -> Self {
        let client = Client::with_patience(patience);
        Self { client, folder, pause: Duration::from_millis(1), silence: patience / 3 }
    }

    /// Fetches a file unless it is there; two that ask for the same fetch it once.
    ///
    /// # Errors
    /// When the server or the network fails, the bytes are others than expected, or the folder can't be written.
    pub fn fetch(&self, url: &str, expected: Digest, watch: &mut dyn FnMut(News<'_>)) -> Result<PathBuf, FetchError> {
        let disk = |error: io::Error| FetchError::Disk { path: self.folder.clone(), error };
        let (path, part) = (self.folder.join(expected.to_string()), self.folder.join(format!("{expected}.part")));
        std::fs::create_dir_all(self.folder.join("locks")).map_err(disk)?;
        let mut told = false;
        let _lock = loop {
            if let Some(lock) = lock::try_lock(&self.folder, &expected.to_string()).map_err(disk)? {
                break lock;
            }
            if !told {
                watch(News::Waiting { url });
                told = true;
            }
            std::thread::sleep(TICK);
        };
        // Whoever held the lock before may have brought it.
        if files::digest(&path).is_ok_and(|found| found == expected) {
            return Ok(path);
        }
        let mut old = size(&part) > 0;
        loop {
            // A process that was killed before it could rename its file leaves a whole part.
            if !(old && files::digest(&part).is_ok_and(|found| found == expected)) {
                self.download(url, &part, watch)?;
            }
            let found = files::digest(&part).map_err(disk)?;
            if found == expected {
                std::fs::rename(&part, &path).map_err(disk)?;
                return Ok(path);
            }
            std::fs::remove_file(&part).map_err(disk)?;
            if !old {
                return Err(FetchError::Wrong { url: url.to_owned(), found, expected });
            }
            // The part that an earlier process left was at fault, or the address: once more from the start tells.
            old = false;
        }
    }

    /// Brings a part to its end, over as many connections as it takes.
    fn download(&self, url: &str, part: &Path, watch: &mut dyn FnMut(News<'_>)) -> Result<(), FetchError> {
        let (mut failures, mut furthest, mut reached) = (0, size(part), false);
        loop {
            let words = match self.attended(url, part, watch) {
                Ok(()) => return Ok(()),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Unreached(words)) if !reached => {
                    return Err(FetchError::Connection { url: url.to_owned(), words });
                }
                Err(Broken::Lost(words) | Broken::Unreached(words)) => words,
            };
            reached = true;
            // Only a connection that brought nothing new counts: a large file over a poor line still arrives.
            if size(part) > furthest {
                (failures, furthest) = (0, size(part));
            }
            if failures == RETRIES {
                return Err(FetchError::Connection { url: url.to_owned(), words });
            }
            watch(News::Lost { url, words: &words });
            std::thread::sleep(self.pause * 2_u32.pow(failures));
            failures += 1;
        }
    }

    /// One connection, on a thread of its own: a read that waits can't say so itself.
    fn attended(&self, url: &str, part: &Path, watch: &mut dyn FnMut(News<'_>)) -> Result<(), Broken> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(64);
            let news = move |news: News<'static>| {
                // Whoever listens does so until the connection has ended.
                let _ = sender.send(news);
            };
            let thread = std::thread::Builder::new().name("fetch".to_owned());
            let connection = thread
                .spawn_scoped(scope, move || self.client.attempt(url, part, &news))
                .map_err(|error| Broken::Unreached(format!("no thread can be started: {error}")))?;
            let mut told = false;
            loop {
                match receiver.recv_timeout(self.silence) {
                    Ok(News::Begins { from, whole, .. }) => watch(News::Begins { url, from, whole }),
                    Ok(news) => {
                        told = false;
                        watch(news);
                    }
                    Err(RecvTimeoutError::Timeout) if told => {}
                    Err(RecvTimeoutError::Timeout) => {
                        told = true;
                        watch(News::Silent { url, since: self.silence, patience: self.client.patience });
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            connection.join().unwrap_or_else(|_| Err(Broken::Unreached("BUG: the connection's thread died".to_owned())))
        })
    }
}
