//! Fetches a corpus over HTTP into a folder, in which each file is named by the SHA-256 of its bytes.
//!
//! Nothing has its final name before its digest was checked. What arrived of an unfinished file stays beside it, as
//! `<sha256>.part`, and the next attempt asks for the rest alone, be it of this process or of a later one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};

use engine::lock;
use identity::Digest;
use system::files;

/// How often a lost connection is made again before any further byte has arrived.
const RETRIES: u32 = 3;

/// How often a file that another process fetches is looked at again.
const TICK: Duration = Duration::from_millis(100);

/// A server that says nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so long without a byte it is said that none comes.
const SILENCE: Duration = Duration::from_secs(10);

/// The most bytes of a file whose length its server does not announce: it might never end, and fill the disk.
const UNANNOUNCED: u64 = 1 << 30;

/// What happens while something is fetched.
#[derive(Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Another process fetches the same file; its result is waited for.
    Waiting {
        /// The file's address.
        url: &'a str,
    },
    /// Bytes begin to arrive.
    Begins {
        /// The file's address.
        url: &'a str,
        /// The place of the first byte that arrives.
        from: u64,
        /// The file's size, where the server says it.
        whole: Option<u64>,
    },
    /// So many bytes more are there.
    Arrived(u64),
    /// Nothing comes.
    Silent {
        /// The file's address.
        url: &'a str,
        /// For how long nothing has come.
        since: Duration,
        /// How long that may last.
        patience: Duration,
    },
    /// The connection is lost and will be made again.
    Lost {
        /// The file's address.
        url: &'a str,
        /// Why.
        words: &'a str,
    },
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server has something to say against it.
    #[error("{url}: the server answers {status}{}", reason.map(|words| format!(" {words}")).unwrap_or_default())]
    Status { url: String, status: u16, reason: Option<&'static str> },
    /// No connection, or not for long enough.
    #[error("{url}: {words}")]
    Connection { url: String, words: String },
    /// Its server announces no length, and it does not end.
    #[error("{url}: the server announces no length, and {} MiB came without an end", most >> 20)]
    Endless { url: String, most: u64 },
    /// These are other bytes.
    #[error("{url} has SHA-256 {found}; expected {expected}")]
    Wrong { url: String, found: Digest, expected: Digest },
    /// The folder can't be used.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl FetchError {
    /// What could be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Status { status: 401 | 403, .. } => {
                "fetch it by hand and name the file: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Status { status: 429 | 500.., .. } => "the server is at fault or busy: try again later",
            Self::Status { .. } => "is the address right?",
            Self::Connection { .. } => {
                "is there a network? run again to go on where it stopped, or name a file: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Endless { .. } => {
                "if it is that large, fetch it by hand and name the file: { path = \"…\", sha256 = \"…\" }; what came was not kept"
            }
            Self::Wrong { .. } => {
                "another edition of the corpus? correct the address or the digest; what came was not kept"
            }
            Self::Disk { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                "free some space, or name another folder in the environment variable PIPELINE_CACHE"
            }
            Self::Disk { .. } => "name another folder in the environment variable PIPELINE_CACHE",
        }
    }
}

/// How one attempt ended, when not well.
enum Broken {
    /// Worth another attempt.
    Lost(String),
    /// No connection came about: worth another attempt only after one that did.
    Unreached(String),
    Final(FetchError),
}

/// Fetches into one folder.
pub struct Fetcher {
    agent: Agent,
    folder: PathBuf,
    /// Before the first retry; before the next it is twice as long.
    pause: Duration,
    /// How long a server may say nothing, and after how long that is said.
    patience: Duration,
    silence: Duration,
    /// The most bytes where no length is announced.
    most: u64,
}

impl Fetcher {
    /// Fetches into `folder`, which is made where it is missing. A proxy is taken from the environment, and so are
    /// certificates: those that the system trusts.
    pub fn new(folder: PathBuf) -> Self {
        let trusted = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(trusted)
            .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            // A compressed answer has other offsets than the file.
            .accept_encoding("identity")
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        Self {
            agent: config.build().new_agent(),
            folder,
            pause: Duration::from_millis(500),
            patience: PATIENCE,
            silence: SILENCE,
            most: UNANNOUNCED,
        }
    }

    /// The same without a proxy and with little patience.
    #[cfg(test)]
    pub fn hasty(folder: PathBuf) -> Self {
        Self::with_patience(folder, Duration::from_millis(300))
    }

    /// The same with a patience, a third of which is spent before a silence is told.
    #[cfg(test)]
    pub fn with_patience(folder: PathBuf, patience: Duration) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_per_read(Some(patience));
        let (pause, silence) = (Duration::from_millis(1), patience / 3);
        Self { agent: config.build().new_agent(), folder, pause, patience, silence, most: 1 << 22 }
    }

    /// Fetches a file unless it is there; two that want the same fetch it once.
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
                .spawn_scoped(scope, move || self.attempt(url, part, &news))
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
                        watch(News::Silent { url, since: self.silence, patience: self.patience });
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            connection.join().unwrap_or_else(|_| Err(Broken::Unreached("BUG: the connection's thread died".to_owned())))
        })
    }

    fn silent(&self) -> String {
        format!("no data for {} s", self.patience.as_secs())
    }

    /// One connection.
    fn attempt(&self, url: &str, part: &Path, tell: &dyn Fn(News<'static>)) -> Result<(), Broken> {
        let have = size(part);
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| broken(url, error))?;
        let from = match response.status().as_u16() {
            // A server that knows no ranges sends everything.
            200 => 0,
            206 if have > 0 && begins_at(&response) == Some(have) => have,
            206 | 416 if have > 0 => {
                std::fs::remove_file(part).map_err(|error| disk(part, error))?;
                return self.attempt(url, part, tell);
            }
            status => {
                let reason = response.status().canonical_reason();
                return Err(Broken::Final(FetchError::Status { url: url.to_owned(), status, reason }));
            }
        };
        let whole = response.body().content_length().map(|rest| from + rest);
        // The rest of a part may come without a length of its own.
        let most = whole.or_else(|| total(&response)).unwrap_or(self.most);
        tell(News::Begins { url: "", from, whole });
        let file = File::options().create(true).write(true).append(from > 0).truncate(from == 0).open(part);
        let mut file = file.map_err(|error| disk(part, error))?;
        let mut body = response.body_mut().as_reader();
        let mut block = vec![0; 1 << 16];
        let mut arrived = from;
        loop {
            let n = match body.read(&mut block) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Whatever it is, the bytes so far are good to go on from.
                Err(error) if is_timeout(&error) => return Err(Broken::Lost(self.silent())),
                Err(error) => return Err(Broken::Lost(error.to_string())),
            };
            arrived += n as u64;
            // What is not announced is not continued either: it would not end the next time.
            if arrived > most {
                std::fs::remove_file(part).map_err(|error| disk(part, error))?;
                return Err(Broken::Final(FetchError::Endless { url: url.to_owned(), most }));
            }
            file.write_all(&block[..n]).map_err(|error| {
                if whole.is_none() && error.kind() == io::ErrorKind::StorageFull {
                    // Left behind when it fails: the disk is at fault, which is said.
                    let _ = std::fs::remove_file(part);
                }
                disk(part, error)
            })?;
            tell(News::Arrived(n as u64));
        }
        if whole.is_some_and(|whole| size(part) < whole) {
            return Err(Broken::Lost("the connection ended too soon".to_owned()));
        }
        // What is renamed must be on the disk: a cache of digests goes by the file's size and times.
        file.sync_all().map_err(|error| disk(part, error))
    }
}

/// Whether a read ended because nothing came for too long.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |meta| meta.len())
}

fn disk(path: &Path, error: io::Error) -> Broken {
    Broken::Final(FetchError::Disk { path: path.to_owned(), error })
}

/// The first byte that a partial answer holds: `Content-Range: bytes 100-199/200`.
fn begins_at<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// The size of the whole file that a partial answer is of: `Content-Range: bytes 100-199/200`.
fn total<T>(response: &Response<T>) -> Option<u64> {
    response.headers().get("content-range")?.to_str().ok()?.rsplit_once('/')?.1.trim().parse().ok()
}

/// Whether an error is worth another attempt.
fn broken(url: &str, error: ureq::Error) -> Broken {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof => {
                Broken::Lost(error.to_string())
            }
            _ => Broken::Unreached(error.to_string()),
        },
        ureq::Error::Timeout(_) => Broken::Lost("no answer for too long".to_owned()),
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => Broken::Unreached(error.to_string()),
        error => Broken::Final(FetchError::Connection { url: url.to_owned(), words: error.to_string() }),
    }
}
