//! Corpus files brought to hand: found on disk or fetched, and checked against their digests.

use std::path::PathBuf;

use crate::engine::digest::Digest;
use crate::engine::store::Store;
use crate::experiment::{Origin, Source};

/// The path and digest of a corpus file; a message and a hint when it can't be had.
pub fn obtain(source: &Source, store: &Store) -> Result<(PathBuf, Digest), (String, String)> {
    let path = match &source.origin {
        Origin::File(path) => path.clone(),
        Origin::Url(url) => return Err((format!("{url}: fetching is not built yet"), String::new())),
    };
    let digest = store.digest_of(&path).map_err(|error| (format!("{}: {error}", path.display()), String::new()))?;
    match &source.sha256 {
        Some(expected) if *expected != digest.to_string() => {
            let message = format!("{} has SHA-256 {digest}; expected {expected}", path.display());
            Err((message, "another edition of the corpus? correct the path or the digest".to_owned()))
        }
        _ => Ok((path, digest)),
    }
}
