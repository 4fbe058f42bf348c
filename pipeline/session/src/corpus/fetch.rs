//! Fetches corpora over HTTP into a folder where each file is named by the SHA-256 of its bytes.
//!
//! A file gets its final name only once its digest has been checked. An unfinished download stays as `<sha256>.part`,
//! and the next attempt, of this process or a later one, requests only the rest.

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

/// How many times in a row a connection that delivers no new bytes is retried.
const RETRIES: u32 = 3;

/// How often to check whether another process has finished fetching the same file.
const TICK: Duration = Duration::from_millis(100);

/// How long the connection can be silent before the watcher is told.
const SILENCE: Duration = Duration::from_secs(10);

/// Fetches into one folder.
pub struct Fetcher {
    client: Client,
    folder: PathBuf,
    /// The wait before the first retry; it doubles with each further retry.
    pause: Duration,
    /// How long the connection can be silent before the watcher is told.
    silence: Duration,
}

impl Fetcher {
    /// Creates a fetcher for `folder`, which is created on the first fetch if it is missing. The proxy is read from the
    /// environment; the system's certificates are trusted.
    pub fn new(folder: PathBuf) -> Self {
        Self { client: Client::new(), folder, pause: Duration::from_millis(500), silence: SILENCE }
    }

    /// A fetcher without a proxy and with little patience.
    #[cfg(test)]
    pub fn hasty(folder: PathBuf) -> Self {
        Self::with_patience(folder, Duration::from_millis(300))
    }

    /// A fetcher without a proxy and with the given patience; it reports silence after a third of that time.
    #[cfg(test)]
    pub fn with_patience(folder: PathBuf, patience: Duration) -> Self {
        let client = Client::with_patience(patience);
        Self { client, folder, pause: Duration::from_millis(1), silence: patience / 3 }
    }

    /// Fetches a file unless it is cached. Concurrent callers fetch the same file only once.
    ///
    /// # Errors
    /// When the server or the network fails, the digest is not the expected one, or the folder can't be written.
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
        // The previous holder of the lock may have fetched the file.
        if files::digest(&path).is_ok_and(|found| found == expected) {
            return Ok(path);
        }
        let mut old = size(&part) > 0;
        loop {
            // A process that was killed before it could rename its file leaves a complete part.
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
            // Either the leftover part or the file at the URL is wrong. Fetching from the start tells which.
            old = false;
        }
    }

    /// Completes a partial download, over as many connections as necessary.
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
            // Only connections that deliver no new bytes count, so a large file still arrives over a poor line.
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

    /// Fetches over one connection, on a separate thread, because a blocked read can't report that it is blocked.
    fn attended(&self, url: &str, part: &Path, watch: &mut dyn FnMut(News<'_>)) -> Result<(), Broken> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(64);
            let news = move |news: News<'static>| {
                // The receiver lives until the connection has ended.
                let _ = sender.send(news);
            };
            let thread = std::thread::Builder::new().name("fetch".to_owned());
            let connection = thread
                .spawn_scoped(scope, move || self.client.attempt(url, part, &news))
                .map_err(|error| Broken::Unreached(format!("can't start a thread: {error}")))?;
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
            connection.join().unwrap_or_else(|_| Err(Broken::Unreached("BUG: the fetching thread panicked".to_owned())))
        })
    }
}
