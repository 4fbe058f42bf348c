//! `[corpus]`: where the text comes from.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stages::params::{self, Split};
use stages::schema::{Key, KeyKind};

use super::check::check_table;
use super::point::{Corpus, CorpusFile, CorpusOrigin};
use super::problem::{Location, Problem};
use super::tree::{Raw, TomlNode};

const SOURCE: KeyKind = KeyKind::Any(&[
    KeyKind::Path,
    KeyKind::Table(&[Key::optional("path", KeyKind::Path, "the path of a file"), SHA256]),
    KeyKind::Table(&[Key::optional("url", KeyKind::Text, "an http or https URL"), SHA256]),
]);

const SHA256: Key = Key::optional("sha256", KeyKind::Text, "the expected SHA-256 of the file");

/// The keys of `[corpus]`.
pub const CORPUS: &[Key] = &[
    Key::optional("text", SOURCE, "a text that split divides into parts: a path, { path, sha256 } or { url, sha256 }"),
    Key::optional("train", SOURCE, "the training text; use it instead of text"),
    Key::optional("valid", SOURCE, "the validation text; requires train"),
    Key::optional("test", SOURCE, "the test text; requires train"),
    Key::optional("url", KeyKind::Text, "the URL of the text; use it instead of text"),
    SHA256,
    Key::optional("split", KeyKind::Table(params::SPLIT), "the fractions of text to hold out for validation and test"),
];

/// The folders in which to search for a relative path, in order.
pub type SearchPath = Vec<PathBuf>;

/// The folders to search: the working directory, the database's folder, then the experiment's folder and its ancestors.
pub fn search_path(experiment: &Path, here: &Path, root: &Path) -> SearchPath {
    let mut folders = vec![here.to_owned(), root.to_owned()];
    folders.extend(experiment.ancestors().skip(1).map(Path::to_owned));
    folders
}

/// The split of a corpus that is a single text; `None` if the parts are separate files.
pub fn split(tree: &TomlNode, seed: i64) -> Result<Option<Value>, Problem> {
    let written = tree.at("corpus.split");
    if tree.at("corpus.train").is_some() {
        return match written {
            Some(node) => Err(Problem::new(
                node.location.clone(),
                "corpus.split applies to corpus.text, not to corpus.train",
                "delete split: corpus.valid and corpus.test name the held-out texts",
            )),
            None => Ok(None),
        };
    }
    let empty = TomlNode { raw: Raw::Table(Vec::new()), location: Location::Default };
    let node = written.unwrap_or(&empty);
    let value = Value::from(check_table(params::SPLIT, node, "corpus.split", seed)?);
    let shares: Split =
        params::read("tokenize", &value).map_err(|error| Problem::new(node.location.clone(), error.to_string(), ""))?;
    if shares.valid + shares.test >= 1.0 {
        return Err(Problem::new(
            node.location.clone(),
            format!(
                "corpus.split leaves nothing to train on: valid is {} and test is {}; their sum must be below 1",
                shares.valid, shares.test
            ),
            "split = { valid = 0.05, test = 0.05 }",
        ));
    }
    Ok(Some(value))
}

/// The corpus, with its files located.
pub fn corpus(tree: &TomlNode, folders: &SearchPath, seed: i64) -> Result<Corpus, Problem> {
    let hint = "[corpus]\ntext = \"data/shakespeare.txt\"".replace('\n', " ");
    let Some(table) = tree.get("corpus") else {
        return Err(Problem::new(Location::Default, "the experiment has no corpus", hint));
    };
    let checked = check_table(CORPUS, table, "corpus", seed)?;
    let has = |key: &str| table.get(key).is_some();
    let forms = [has("text"), has("url"), has("train")];
    if forms.iter().filter(|has| **has).count() != 1 {
        return Err(Problem::new(table.location.clone(), "corpus requires exactly one of text, url and train", hint));
    }
    if !has("train")
        && let Some(extra) = ["valid", "test"].iter().find_map(|key| table.get(key))
    {
        let message = "corpus.valid and corpus.test require corpus.train";
        let hint = "to hold out parts of one text: split = { valid = 0.05, test = 0.05 }";
        return Err(Problem::new(extra.location.clone(), message, hint));
    }
    if has("sha256") && has("train") {
        let location = table.get("sha256").map_or(Location::Default, |node| node.location.clone());
        return Err(Problem::new(
            location,
            "corpus.sha256 applies to text or url, not to train",
            "train = { path = \"…\", sha256 = \"…\" }",
        ));
    }
    let mut sources = Vec::new();
    for name in ["text", "url", "train", "valid", "test"] {
        let Some(value) = checked.get(name) else { continue };
        let location = table.get(name).map_or(Location::Default, |node| node.location.clone());
        let sha256 = value.get("sha256").or(checked.get("sha256")).and_then(Value::as_str);
        let url = if name == "url" { value.as_str() } else { value.get("url").and_then(Value::as_str) };
        let path = if name == "url" { None } else { value.as_str().or(value.get("path").and_then(Value::as_str)) };
        let source = source(if name == "url" { "text" } else { name }, path, url, sha256, folders)
            .map_err(|(message, hint)| Problem::new(location, format!("corpus.{name}: {message}"), hint))?;
        sources.push(source);
    }
    Ok(Corpus { sources, split: split(tree, seed)? })
}

fn source(
    name: &str,
    path: Option<&str>,
    url: Option<&str>,
    sha256: Option<&str>,
    folders: &SearchPath,
) -> Result<CorpusFile, (String, String)> {
    if let Some(digest) = sha256
        && !(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()))
    {
        let message = format!("sha256 is \"{digest}\"; allowed: 64 hexadecimal digits");
        return Err((message, "to compute it: sha256sum FILE".to_owned()));
    }
    let sha256 = sha256.map(str::to_lowercase);
    let (origin, bytes) = match (path, url) {
        (_, Some(url)) => {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_lowercase());
            match scheme.as_deref() {
                Some("http" | "https") => {}
                Some("file") => return Err(local(url)),
                Some(other) => {
                    let message = format!("{url}: unsupported scheme {other}; allowed: http and https");
                    return Err((message, "download the file and give its path: text = \"…\"".to_owned()));
                }
                None => return Err((format!("{url} is not a URL"), "url = \"https://…\"".to_owned())),
            }
            if sha256.is_none() {
                return Err((format!("{url} has no sha256, which a download requires"), "sha256 = \"…\"".to_owned()));
            }
            (CorpusOrigin::Url(url.to_owned()), None)
        }
        (path, None) => {
            let path = path.unwrap_or("");
            let found = folders.iter().map(|folder| folder.join(path)).find(|path| path.is_file());
            let found = found.ok_or_else(|| no_file(path, folders))?;
            if found.to_str().is_none() {
                let message = format!("{found:?}: path is not valid UTF-8, so it can't be recorded");
                return Err((message, "move the corpus to a folder with a UTF-8 name".to_owned()));
            }
            let bytes = found.metadata().map_err(|error| (format!("{path}: {error}"), String::new()))?.len();
            if bytes == 0 {
                return Err((format!("{path} is empty"), String::new()));
            }
            (CorpusOrigin::File(found), Some(bytes))
        }
    };
    Ok(CorpusFile { name: name.to_owned(), origin, sha256, bytes })
}

/// The error for a path at which no corpus file was found, and its hint.
fn no_file(path: &str, folders: &SearchPath) -> (String, String) {
    if path.starts_with("file:") {
        return local(path);
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        let message = format!("{path} is a URL; allowed: a path");
        return (message, "text = { url = \"https://…\", sha256 = \"…\" }".to_owned());
    }
    if let Some(rest) = path.strip_prefix("~/") {
        let home = std::env::var("HOME").ok().filter(|home| home.starts_with('/'));
        let hint = home.map_or_else(|| "write the full path".to_owned(), |home| format!("{home}/{rest}"));
        return (format!("no file {path}; ~ is not expanded here"), hint);
    }
    if let Some(there) =
        folders.iter().map(|folder| folder.join(path)).find(|path| path.exists()).filter(|_| !path.is_empty())
    {
        return match there.is_dir() {
            true => (
                format!("{path} is a folder; allowed: a text file"),
                format!("give a file in it: {}", there.join("NAME").display()),
            ),
            false => {
                let message = format!("{path} is not a regular file; allowed: a text file");
                (message, "a corpus is read more than once, so write it to a file first".to_owned())
            }
        };
    }
    let shown = if path.is_empty() { "\"\"" } else { path };
    let hint = "searched: the working directory, the database's folder, the experiment's folder and its parent folders";
    (format!("no file {shown}"), hint.to_owned())
}

/// The error for a local file given as a `file:` URL, and its hint.
fn local(url: &str) -> (String, String) {
    let path = url.trim_start_matches("file:").trim_start_matches("//");
    let path = path.strip_prefix("localhost").unwrap_or(path);
    (format!("{url} is the URL of a local file; allowed: its path"), format!("text = \"{path}\""))
}
