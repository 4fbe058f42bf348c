//! Fetches corpora from a server that fails in the ways that real servers do.

use std::path::Path;
use std::time::Duration;

use super::server::{Response, Server};
use super::*;

fn body() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

fn fetch(folder: &Path, server: &Server, expected: Digest) -> Result<PathBuf, FetchError> {
    Fetcher::hasty(folder.to_owned()).fetch(&server.url, expected, &mut |_| {})
}

/// A fetcher for a server that never answers: the test lasts as long as the patience of all attempts together.
fn impatient(folder: &Path) -> Fetcher {
    Fetcher::with_patience(folder.to_owned(), Duration::from_millis(60))
}

/// Asserts that the file arrives if the server gives these answers, and that these ranges are requested.
fn arrives(answers: &[Response], part: &[u8], ranges: &[&str]) {
    let (folder, body) = (tempfile::tempdir().unwrap(), body());
    let digest = Digest::of(&body);
    let beside = folder.path().join(format!("{digest}.part"));
    if !part.is_empty() {
        std::fs::write(&beside, part).unwrap();
    }
    let server = Server::new(&body, answers);
    let path = fetch(folder.path(), &server, digest).unwrap();
    assert_eq!(path, folder.path().join(digest.to_string()));
    assert!(std::fs::read(path).unwrap() == body, "wrong bytes arrived");
    assert!(!beside.exists());
    assert_eq!(server.asked(), ranges);
}

#[test]
fn a_file_arrives_whole_and_a_cut_connection_is_resumed() {
    arrives(&[Response::File], &[], &[""]);
    arrives(
        &[Response::Cut(1000), Response::Cut(0), Response::Cut(500), Response::File],
        &[],
        &["", "bytes=1000-", "bytes=1000-", "bytes=1500-"],
    );
    // A killed process left part of the file, or all of it but not yet renamed.
    arrives(&[Response::File], &body()[..777], &["bytes=777-"]);
    arrives(&[Response::File], &body(), &[]);
}

#[test]
fn a_fetch_starts_over_if_the_server_can_not_resume() {
    arrives(&[Response::Whole], &body()[..777], &["bytes=777-"]);
    arrives(&[Response::WrongRange, Response::File], &body()[..777], &["bytes=777-", ""]);
    // A part that is longer than the file gets status 416; one with wrong bytes fails the digest.
    arrives(&[Response::File], &[7; 2_000_000], &["bytes=2000000-", ""]);
    arrives(&[Response::File], &[7; 777], &["bytes=777-", ""]);
}

#[test]
fn a_fetch_without_progress_is_given_up() {
    let (folder, body) = (tempfile::tempdir().unwrap(), body());
    for answer in [Response::WholeCut(1000), Response::Silence] {
        let server = Server::new(&body, &[answer]);
        let error = impatient(folder.path()).fetch(&server.url, Digest::of(&body), &mut |_| {}).unwrap_err();
        assert!(matches!(error, FetchError::Connection { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(server.asked().len() <= 5, "{answer:?}: asked {} times", server.asked().len());
    }
    let gone = Server { url: "http://127.0.0.1:1/x".to_owned(), asked: std::sync::Arc::default() };
    let error = fetch(folder.path(), &gone, Digest::of(&body)).unwrap_err();
    assert!(error.to_string().starts_with("http://127.0.0.1:1/x: Connection refused"), "{error}");
}

#[test]
fn an_error_status_and_wrong_bytes_give_one_line_errors_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(b"", &[Response::Status("404 Not Found")]);
    let error = fetch(folder.path(), &server, Digest::of(b"abc")).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: the server answered 404 Not Found", server.url));
    assert_eq!(server.asked().len(), 1, "a refusal is not retried");
    let server = Server::new(b"abd", &[Response::File]);
    let error = fetch(folder.path(), &server, Digest::of(b"abc")).unwrap_err();
    let (found, expected) = (Digest::of(b"abd"), Digest::of(b"abc"));
    assert_eq!(error.to_string(), format!("{} has SHA-256 {found}; expected {expected}", server.url));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["locks"]);
}

#[test]
fn a_file_without_a_content_length_is_bounded() {
    let (folder, body) = (tempfile::tempdir().unwrap(), body());
    let server = Server::new(&body, &[Response::Endless]);
    let error = fetch(folder.path(), &server, Digest::of(&body)).unwrap_err();
    let words = format!("{}: the server sent no Content-Length, and the file is larger than 4 MiB", server.url);
    assert_eq!(error.to_string(), words);
    assert!(!error.hint().is_empty());
    assert_eq!(server.asked().len(), 1, "an endless file is not retried");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["locks"]);
    arrives(&[Response::Unannounced], &[], &[""]);
}

#[test]
fn a_silent_server_is_reported_while_waiting() {
    let (folder, body) = (tempfile::tempdir().unwrap(), body());
    let server = Server::new(&body, &[Response::Silence]);
    let mut said = Vec::new();
    let mut watch = |news: News<'_>| match news {
        News::Silent { since, patience, .. } => {
            said.push(format!("silent {} of {}", since.as_millis(), patience.as_millis()))
        }
        News::Lost { words, .. } => said.push(words.to_owned()),
        _ => {}
    };
    impatient(folder.path()).fetch(&server.url, Digest::of(&body), &mut watch).unwrap_err();
    let silent = said.iter().filter(|words| *words == "silent 20 of 60").count();
    assert!((1..=4).contains(&silent), "{said:?}");
    assert!(said.iter().any(|words| words == "no data for 0 s"), "{said:?}");
}

#[test]
fn concurrent_callers_fetch_once() {
    let (folder, body) = (tempfile::tempdir().unwrap(), body());
    let server = Server::new(&body, &[Response::Late(200)]);
    let waited = std::thread::scope(|scope| {
        let one = || {
            let mut waited = false;
            let mut watch = |news: News<'_>| waited |= matches!(news, News::Waiting { .. });
            Fetcher::hasty(folder.path().to_owned()).fetch(&server.url, Digest::of(&body), &mut watch).unwrap();
            waited
        };
        let both = [scope.spawn(one), scope.spawn(one)];
        both.map(|thread| thread.join().unwrap())
    });
    assert_eq!(waited.iter().filter(|waited| **waited).count(), 1);
    assert_eq!(server.asked(), [""]);
}

#[test]
fn a_fetched_corpus_is_checked_at_every_use_and_a_dry_run_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let shelf = folder.path().join("corpora");
    let digest = Digest::of(b"a text");
    let source = |url: &str| CorpusFile {
        name: "text".to_owned(),
        origin: CorpusOrigin::Url(url.to_owned()),
        sha256: Some(digest.to_string()),
        bytes: None,
    };
    let obtain = |source: &CorpusFile, dry_run| {
        let mut shelf = Shelf { folder: Some(shelf.clone()), dry_run, watch: &mut |_| {} };
        super::obtain(source, &store, &mut shelf)
    };
    let Refused { message, hint, .. } = obtain(&source("http://127.0.0.1:1/x"), true).unwrap_err();
    assert_eq!(message, "http://127.0.0.1:1/x has not been fetched yet, and --dry-run fetches nothing");
    assert!(!hint.is_empty());
    std::fs::create_dir_all(&shelf).unwrap();
    std::fs::write(shelf.join(digest.to_string()), "a text").unwrap();
    // No server listens at that address, so the file must come from the shelf.
    let (path, found) = obtain(&source("http://127.0.0.1:1/x"), true).unwrap();
    assert_eq!(found, digest);
    std::fs::write(&path, "a test").unwrap();
    obtain(&source("http://127.0.0.1:1/x"), true).unwrap_err();
}
