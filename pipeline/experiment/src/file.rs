//! Reads an experiment's text from a file or a pipe, up to a bound: what is named may never end, or never begin.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::check::did_you_mean;
use super::problem::Refusal;

/// Room for 10,000 listed points of many keys.
const MOST: u64 = 8 << 20;

/// Errors of the disk and of limits, which say nothing about the experiment: EIO, ENOMEM, ENFILE and EMFILE.
const SYSTEM: [i32; 4] = [5, 12, 23, 24];

/// A pipe that nobody writes to for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The text of the experiment that was named `path`, and lies at `file`.
pub fn read(path: &Path, file: &Path) -> Result<String, Refusal> {
    let Some(name) = path.to_str() else {
        let message = format!("{path:?}: the path is not UTF-8, and is to be recorded");
        return Err(Refusal::new(message, "give the file a name in UTF-8"));
    };
    let wrong = |words: &str, hint: &str| Refusal::new(format!("{name}: {words}"), hint);
    let failed = |error: io::Error| {
        let is_system = error.raw_os_error().is_some_and(|number| SYSTEM.contains(&number));
        Refusal { is_system, ..wrong(&error.to_string(), "") }
    };
    let meta = file.metadata().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::new(format!("{name}: no such experiment"), nearby_experiments(file)),
        _ => failed(error),
    })?;
    let kind = meta.file_type();
    let bytes = if kind.is_dir() {
        return Err(Refusal::new(format!("{name}: a folder; allowed: a TOML file"), experiments_in(file)));
    } else if kind.is_fifo() {
        of_pipe(file, PATIENCE).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                let words = format!("nothing was written to this pipe for {} seconds", PATIENCE.as_secs());
                wrong(&words, "start what writes to it first, or name a file")
            }
            _ => failed(error),
        })?
    } else if kind.is_file() {
        let mut bytes = Vec::new();
        File::open(file).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes)).map_err(failed)?;
        bytes
    } else {
        return Err(wrong("neither a file nor a pipe", "name a TOML file"));
    };
    if bytes.len() as u64 > MOST {
        let words = format!("larger than {} MiB, which no experiment is", MOST >> 20);
        return Err(wrong(&words, "name a TOML file; the corpus is named in it, by corpus.text"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong("there is nothing in it", "docs/experiment.md shows what an experiment says"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Refusal::new(format!("{name}:{line}: not UTF-8"), "iconv -t UTF-8 converts a text; -f names its encoding")
    })
}

/// What is written to a pipe until its last writer closes it. Opening a pipe waits for a writer, and no timeout ends
/// that; so another thread waits, and is left behind when it does so in vain.
fn of_pipe(file: &Path, patience: Duration) -> io::Result<Vec<u8>> {
    let (sender, receiver) = sync_channel::<io::Result<Vec<u8>>>(1);
    let path = file.to_owned();
    std::thread::Builder::new().name("pipe".to_owned()).spawn(move || {
        let mut block = vec![0; 1 << 16];
        let mut pipe = match File::open(path) {
            Ok(pipe) => pipe,
            Err(error) => return drop(sender.send(Err(error))),
        };
        loop {
            let read = pipe.read(&mut block).map(|n| block[..n].to_vec());
            let ended = !read.as_ref().is_ok_and(|bytes| !bytes.is_empty());
            if sender.send(read).is_err() || ended {
                return;
            }
        }
    })?;
    let mut bytes = Vec::new();
    loop {
        match receiver.recv_timeout(patience) {
            Ok(Ok(more)) if more.is_empty() => return Ok(bytes),
            Ok(Ok(more)) => bytes.extend(more),
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => return Ok(bytes),
        }
        if bytes.len() as u64 > MOST {
            return Ok(bytes);
        }
    }
}

/// A hint that names experiments beside a path that has none.
fn nearby_experiments(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    let names = listed(folder);
    let typed = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let number = typed.strip_prefix("run").unwrap_or("");
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("pipeline reproduce {typed} computes that run again");
    }
    let near = did_you_mean(typed, names.iter().map(String::as_str));
    if near.is_empty() { experiments_in(folder) } else { near }
}

/// A hint that names the experiments in a folder.
fn experiments_in(folder: &Path) -> String {
    let names = listed(folder);
    if names.is_empty() { String::new() } else { format!("in that folder: {}", names.join(", ")) }
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name != "Cargo.toml")
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_read_while_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = of_pipe(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // The reader that was given up may take the first writer's bytes: another pipe.
        let path = folder.path().join("another");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || std::fs::write(path, "a = 1\n").unwrap())
        };
        assert_eq!(of_pipe(&path, Duration::from_secs(10)).unwrap(), b"a = 1\n");
        writer.join().unwrap();
    }
}
