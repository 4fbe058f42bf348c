//! Fetches over one connection: requests the missing rest of a file and appends it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};

use super::error::FetchError;
use super::news::News;

/// How long a server can be silent before the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes to accept if the server sends no Content-Length. Such a response might never end and fill the disk.
const UNANNOUNCED: u64 = 1 << 30;

/// How an attempt failed.
pub enum Broken {
    /// The connection was lost, so another attempt is worthwhile.
    Lost(String),
    /// No connection could be made. Another attempt is worthwhile only if an earlier one succeeded.
    Unreached(String),
    /// Another attempt would fail too.
    Final(FetchError),
}

/// Connects to servers.
pub struct Client {
    agent: Agent,
    /// How long a server can be silent before the connection counts as lost.
    pub patience: Duration,
    /// The most bytes to accept if the server sends no Content-Length.
    most: u64,
}

impl Client {
    /// A client that takes its proxy from the environment and trusts the system's certificates.
    pub fn new() -> Self {
        let trusted = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(trusted)
            .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            // Offsets in a compressed response are not offsets in the file.
            .accept_encoding("identity")
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        Self { agent: config.build().new_agent(), patience: PATIENCE, most: UNANNOUNCED }
    }

    /// A client without a proxy and with the given patience.
    #[cfg(test)]
    pub fn with_patience(patience: Duration) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_per_read(Some(patience));
        Self { agent: config.build().new_agent(), patience, most: 1 << 22 }
    }

    /// Fetches the missing rest of a part over one connection.
    pub fn attempt(&self, url: &str, part: &Path, tell: &dyn Fn(News<'static>)) -> Result<(), Broken> {
        let have = size(part);
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| broken(url, error))?;
        let from = match response.status().as_u16() {
            // A server without range support sends everything.
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
        // A partial response may lack a Content-Length.
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
                // Whatever the error, the next attempt continues after the bytes received so far.
                Err(error) if is_timeout(&error) => return Err(Broken::Lost(self.silent())),
                Err(error) => return Err(Broken::Lost(error.to_string())),
            };
            arrived += n as u64;
            // The part is removed because an endless download must not be resumed.
            if arrived > most {
                std::fs::remove_file(part).map_err(|error| disk(part, error))?;
                return Err(Broken::Final(FetchError::Endless { url: url.to_owned(), most }));
            }
            file.write_all(&block[..n]).map_err(|error| {
                if whole.is_none() && error.kind() == io::ErrorKind::StorageFull {
                    // If removing fails too, the error below still names the full disk.
                    let _ = std::fs::remove_file(part);
                }
                disk(part, error)
            })?;
            tell(News::Arrived(n as u64));
        }
        if whole.is_some_and(|whole| size(part) < whole) {
            return Err(Broken::Lost("the connection closed before the end of the file".to_owned()));
        }
        // The bytes must be on disk before the rename: the digest cache trusts a file's size and times.
        file.sync_all().map_err(|error| disk(part, error))
    }

    fn silent(&self) -> String {
        format!("no data for {} s", self.patience.as_secs())
    }
}

/// Whether a read timed out.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut
}

/// The size of a file; 0 if it does not exist.
pub fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |meta| meta.len())
}

fn disk(path: &Path, error: io::Error) -> Broken {
    Broken::Final(FetchError::Disk { path: path.to_owned(), error })
}

/// The offset of a partial response's first byte: 100 of `Content-Range: bytes 100-199/200`.
fn begins_at<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// The size of the whole file, from a partial response: 200 of `Content-Range: bytes 100-199/200`.
fn total<T>(response: &Response<T>) -> Option<u64> {
    response.headers().get("content-range")?.to_str().ok()?.rsplit_once('/')?.1.trim().parse().ok()
}

/// Classifies an error by whether another attempt is worthwhile.
fn broken(url: &str, error: ureq::Error) -> Broken {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof => {
                Broken::Lost(error.to_string())
            }
            _ => Broken::Unreached(error.to_string()),
        },
        ureq::Error::Timeout(_) => Broken::Lost("timed out waiting for a response".to_owned()),
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => Broken::Unreached(error.to_string()),
        error => Broken::Final(FetchError::Connection { url: url.to_owned(), words: error.to_string() }),
    }
}
