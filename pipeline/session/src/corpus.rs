//! Obtains corpus files: finds them on disk or fetches them, and checks their digests.

mod fetch;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::SystemTime;

use fetch::FetchError;
pub use fetch::{Fetcher, News};

use engine::store::Store;
use experiment::{CorpusFile, CorpusOrigin};
use identity::Digest;

/// Where fetched corpora are kept, and whether more may be fetched.
pub struct Shelf<'a> {
    /// The folder, with one file per corpus, named by its digest; `None` if no cache folder is known.
    pub folder: Option<PathBuf>,
    /// Whether fetching is forbidden.
    pub dry_run: bool,
    /// Receives the events of a fetch.
    pub watch: &'a mut dyn FnMut(News<'_>),
}

/// Why a corpus file can't be obtained.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong.
    pub message: String,
    /// What to do about it; can be empty.
    pub hint: String,
    /// Whether the cause is a full disk rather than the experiment.
    pub is_full: bool,
}

impl From<(String, String)> for Refused {
    fn from((message, hint): (String, String)) -> Self {
        Self { message, hint, is_full: false }
    }
}

impl From<FetchError> for Refused {
    fn from(error: FetchError) -> Self {
        let is_full = matches!(&error, FetchError::Disk { error, .. } if error.kind() == ErrorKind::StorageFull);
        Self { message: error.to_string(), hint: error.hint().to_owned(), is_full }
    }
}

/// The path and digest of a corpus file.
///
/// # Errors
/// When the file is missing, can't be fetched, or doesn't have the expected digest.
pub fn obtain(source: &CorpusFile, store: &Store, shelf: &mut Shelf<'_>) -> Result<(PathBuf, Digest), Refused> {
    let path = match &source.origin {
        CorpusOrigin::File(path) => path.clone(),
        CorpusOrigin::Url(url) => return from_shelf(url, source.sha256.as_deref().unwrap_or(""), store, shelf),
    };
    let digest = store.digest_of(&path).map_err(|error| (format!("{}: {error}", path.display()), String::new()))?;
    match &source.sha256 {
        Some(expected) if *expected != digest.to_string() => {
            let message = format!("{} has SHA-256 {digest}; expected {expected}", path.display());
            Err((message, "if this is another edition of the corpus, correct the path or the digest".to_owned()).into())
        }
        _ => Ok((path, digest)),
    }
}

/// The path and digest of a corpus in the cache folder. The corpus is fetched first if necessary.
fn from_shelf(url: &str, sha256: &str, store: &Store, shelf: &mut Shelf<'_>) -> Result<(PathBuf, Digest), Refused> {
    let expected: Digest = sha256.parse().map_err(|error| (format!("{url}: {error}"), String::new()))?;
    let Some(folder) = &shelf.folder else {
        let message =
            format!("{url} can't be fetched: there is no cache folder, as neither HOME nor PIPELINE_CACHE is set");
        return Err((message, "set PIPELINE_CACHE to a folder".to_owned()).into());
    };
    let path = folder.join(sha256);
    // A file that was changed or damaged no longer matches its name and is fetched again.
    let sound = |path: &PathBuf| store.digest_of(path).is_ok_and(|found| found == expected);
    if sound(&path) {
        return Ok((path, expected));
    }
    if shelf.dry_run {
        let message = format!("{url} has not been fetched yet, and --dry-run fetches nothing");
        return Err((message, "to fetch it: use --until tokenize instead of --dry-run".to_owned()).into());
    }
    // Before 1970 no certificate is valid, and the library that checks certificates panics.
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        let message = format!("{url} can't be fetched: the system clock is set to before 1970");
        let hint = "set the clock, or download the file yourself and give its path: { path = \"…\", sha256 = \"…\" }";
        return Err((message, hint.to_owned()).into());
    }
    let fetcher = Fetcher::new(folder.clone());
    fetcher.fetch(url, expected, shelf.watch)?;
    Ok((path, expected))
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
