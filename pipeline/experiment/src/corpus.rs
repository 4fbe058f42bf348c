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
    KeyKind::Table(&[Key::optional("path", KeyKind::Path, "a file"), SHA256]),
    KeyKind::Table(&[Key::optional("url", KeyKind::Text, "an address, http or https"), SHA256]),
]);

const SHA256: Key = Key::optional("sha256", KeyKind::Text, "the SHA-256 that the file's bytes must have");

/// The keys of `[corpus]`.
pub const CORPUS: &[Key] = &[
    Key::optional("text", SOURCE, "one text, cut in three by split: a path, { path, sha256 } or { url, sha256 }"),
    Key::optional("train", SOURCE, "the training text, in place of text"),
    Key::optional("valid", SOURCE, "the validation text beside train"),
    Key::optional("test", SOURCE, "the test text beside train"),
    Key::optional("url", KeyKind::Text, "the address of one text, in place of text"),
    SHA256,
    Key::optional("split", KeyKind::Table(params::SPLIT), "the shares of one text that are held out"),
];

/// The folders in which a relative path is looked for, in order.
pub type SearchPath = Vec<PathBuf>;

/// Where relative corpus paths are looked for.
pub fn search_path(experiment: &Path, here: &Path, root: &Path) -> SearchPath {
    let mut folders = vec![here.to_owned(), root.to_owned()];
    folders.extend(experiment.ancestors().skip(1).map(Path::to_owned));
    folders
}

/// The split of a corpus that is one text; `None` for three files.
pub fn split(tree: &TomlNode, seed: i64) -> Result<Option<Value>, Problem> {
    let written = tree.at("corpus.split");
    if tree.at("corpus.train").is_some() {
        return match written {
            Some(node) => Err(Problem::new(
                node.location.clone(),
                "corpus.split goes with corpus.text, not with corpus.train",
                "",
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
                "corpus.split leaves nothing for train: valid {} + test {}; allowed: a sum below 1",
                shares.valid, shares.test
            ),
            "split = { valid = 0.05, test = 0.05 }",
        ));
    }
    Ok(Some(value))
}

/// The corpus, found.
pub fn corpus(tree: &TomlNode, folders: &SearchPath, seed: i64) -> Result<Corpus, Problem> {
    let hint = "[corpus]\ntext = \"data/shakespeare.txt\"".replace('\n', " ");
    let Some(table) = tree.get("corpus") else {
        return Err(Problem::new(Location::Default, "the experiment has no corpus", hint));
    };
    let checked = check_table(CORPUS, table, "corpus", seed)?;
    let has = |key: &str| table.get(key).is_some();
    let forms = [has("text"), has("url"), has("train")];
    if forms.iter().filter(|has| **has).count() != 1 {
        return Err(Problem::new(table.location.clone(), "corpus wants exactly one of text, url and train", hint));
    }
    if !has("train")
        && let Some(extra) = ["valid", "test"].iter().find_map(|key| table.get(key))
    {
        return Err(Problem::new(extra.location.clone(), "corpus.valid and corpus.test go with corpus.train", ""));
    }
    if has("sha256") && has("train") {
        let location = table.get("sha256").map_or(Location::Default, |node| node.location.clone());
        return Err(Problem::new(
            location,
            "corpus.sha256 goes with text or url",
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
        return Err((format!("sha256 is \"{digest}\"; allowed: 64 hexadecimal digits"), String::new()));
    }
    let sha256 = sha256.map(str::to_lowercase);
    let (origin, bytes) = match (path, url) {
        (_, Some(url)) => {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_lowercase());
            match scheme.as_deref() {
                Some("http" | "https") => {}
                Some("file") => return Err(local(url)),
                Some(other) => {
                    let message = format!("{url}: {other} is not fetched; allowed: http and https");
                    return Err((message, "fetch it by hand, and name the file: text = \"…\"".to_owned()));
                }
                None => return Err((format!("{url} is not an address"), "url = \"https://…\"".to_owned())),
            }
            if sha256.is_none() {
                return Err((
                    format!("{url} has no sha256: what is fetched must be checked"),
                    "sha256 = \"…\"".to_owned(),
                ));
            }
            (CorpusOrigin::Url(url.to_owned()), None)
        }
        (path, None) => {
            let path = path.unwrap_or("");
            let found = folders.iter().map(|folder| folder.join(path)).find(|path| path.is_file());
            let found = found.ok_or_else(|| no_file(path, folders))?;
            if found.to_str().is_none() {
                let message = format!("{found:?}: the path is not UTF-8, and is to be recorded");
                return Err((message, "put the corpus into a folder with a name in UTF-8".to_owned()));
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

/// Why there is no corpus file of that name, and what could be typed.
fn no_file(path: &str, folders: &SearchPath) -> (String, String) {
    if path.starts_with("file:") {
        return local(path);
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        let message = format!("{path} is an address; allowed: a path");
        return (message, "text = { url = \"https://…\", sha256 = \"…\" }".to_owned());
    }
    if let Some(rest) = path.strip_prefix("~/") {
        let home = std::env::var("HOME").ok().filter(|home| home.starts_with('/'));
        let hint = home.map_or_else(|| "write the whole path".to_owned(), |home| format!("{home}/{rest}"));
        return (format!("no file {path}; ~ is the shell's, and stands for nothing here"), hint);
    }
    if let Some(there) =
        folders.iter().map(|folder| folder.join(path)).find(|path| path.exists()).filter(|_| !path.is_empty())
    {
        return match there.is_dir() {
            true => (
                format!("{path} is a folder; allowed: a text file"),
                format!("a file in it: {}", there.join("NAME").display()),
            ),
            false => {
                let message = format!("{path} is not a regular file; allowed: a text file");
                (message, "a corpus is read more than once: write it to a file first".to_owned())
            }
        };
    }
    let shown = if path.is_empty() { "\"\"" } else { path };
    let hint = "paths are looked for from the working directory, then beside the database, then beside the experiment";
    (format!("no file {shown}"), hint.to_owned())
}

/// A file that is named by an address.
fn local(url: &str) -> (String, String) {
    let path = url.trim_start_matches("file:").trim_start_matches("//");
    let path = path.strip_prefix("localhost").unwrap_or(path);
    (format!("{url} is a file of this machine; allowed: its path"), format!("text = \"{path}\""))
}
