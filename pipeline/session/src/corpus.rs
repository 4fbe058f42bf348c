//! Corpus files brought to hand: found on disk or fetched, and checked against their digests.

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
    /// The folder, one file a corpus, named by its digest; `None` where nothing says whose cache it would be.
    pub folder: Option<PathBuf>,
    /// Whether nothing may be fetched.
    pub dry_run: bool,
    /// Told what is being fetched.
    pub watch: &'a mut dyn FnMut(News<'_>),
}

/// Why a corpus file can't be had.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong.
    pub message: String,
    /// What could be done about it; empty where there is nothing.
    pub hint: String,
    /// Whether the disk is at fault, and not the experiment.
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
/// When it is not there, can't be fetched, or holds other bytes than its digest says.
pub fn obtain(source: &CorpusFile, store: &Store, shelf: &mut Shelf<'_>) -> Result<(PathBuf, Digest), Refused> {
    let path = match &source.origin {
        CorpusOrigin::File(path) => path.clone(),
        CorpusOrigin::Url(url) => return from_shelf(url, source.sha256.as_deref().unwrap_or(""), store, shelf),
    };
    let digest = store.digest_of(&path).map_err(|error| (format!("{}: {error}", path.display()), String::new()))?;
    match &source.sha256 {
        Some(expected) if *expected != digest.to_string() => {
            let message = format!("{} has SHA-256 {digest}; expected {expected}", path.display());
            Err((message, "another edition of the corpus? correct the path or the digest".to_owned()).into())
        }
        _ => Ok((path, digest)),
    }
}

/// A fetched corpus: from the shelf, or brought there now.
fn from_shelf(url: &str, sha256: &str, store: &Store, shelf: &mut Shelf<'_>) -> Result<(PathBuf, Digest), Refused> {
    let expected: Digest = sha256.parse().map_err(|error| (format!("{url}: {error}"), String::new()))?;
    let Some(folder) = &shelf.folder else {
        let message = format!("{url}: there is no home folder to keep it in");
        return Err((message, "name a folder in the environment variable PIPELINE_CACHE".to_owned()).into());
    };
    let path = folder.join(sha256);
    // A file that was changed or damaged since is no longer what its name says: it is fetched anew.
    let sound = |path: &PathBuf| store.digest_of(path).is_ok_and(|found| found == expected);
    if sound(&path) {
        return Ok((path, expected));
    }
    if shelf.dry_run {
        let message = format!("{url} is not fetched yet, and a dry run fetches nothing");
        return Err(
            (message, "without --dry-run, `--until tokenize` fetches it and stops soon after".to_owned()).into()
        );
    }
    // Before that time no certificate is valid, and the library that checks them panics.
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        let message = format!("{url} can't be fetched: the clock says that it is before 1970");
        return Err((message, "set the clock, or name a file: { path = \"…\", sha256 = \"…\" }".to_owned()).into());
    }
    let fetcher = Fetcher::new(folder.clone());
    fetcher.fetch(url, expected, shelf.watch)?;
    Ok((path, expected))
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
