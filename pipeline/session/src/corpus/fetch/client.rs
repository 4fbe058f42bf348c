//! One connection: what is missing of a file is asked for, and what arrives is appended.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};

use super::error::FetchError;
use super::news::News;

/// A server that says nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of a file whose length its server does not announce: it might never end, and fill the disk.
const UNANNOUNCED: u64 = 1 << 30;

/// How one attempt ended, when not well.
pub enum Broken {
    /// Worth another attempt.
    Lost(String),
    /// No connection came about: worth another attempt only after one that did.
    Unreached(String),
    Final(FetchError),
}

/// Connects to servers.
pub struct Client {
    agent: Agent,
    /// How long a server may say nothing.
    pub patience: Duration,
    /// The most bytes where no length is announced.
    most: u64,
}

impl Client {
    /// A proxy is taken from the environment, and so are certificates: those that the system trusts.
    pub fn new() -> Self {
        let trusted = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(trusted)
            .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            // A compressed answer has other offsets than the file.
            .accept_encoding("identity")
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        Self { agent: config.build().new_agent(), patience: PATIENCE, most: UNANNOUNCED }
    }

    /// One without a proxy, and with this patience.
    #[cfg(test)]
    pub fn with_patience(patience: Duration) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_per_read(Some(patience));
        Self { agent: config.build().new_agent(), patience, most: 1 << 22 }
    }

    /// Brings what is missing of a part, over one connection.
    pub fn attempt(&self, url: &str, part: &Path, tell: &dyn Fn(News<'static>)) -> Result<(), Broken> {
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
                // Whatever it is, the next attempt continues after the bytes so far.
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

    fn silent(&self) -> String {
        format!("no data for {} s", self.patience.as_secs())
    }
}

/// Whether a read ended because nothing came for too long.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut
}

/// The bytes of a file that are there; 0 where there is none.
pub fn size(file: &Path) -> u64 {
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
