//! Reads an experiment's text from a file or a pipe, within limits on size and time: a file can be endless, and a pipe
//! may never be written to.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::check::did_you_mean;
use super::problem::Refusal;

/// The maximum size of an experiment's text in bytes: enough for 10,000 listed points of many keys.
const MOST: u64 = 8 << 20;

/// Disk errors and resource limits, for which the experiment is not to blame: EIO, ENOMEM, ENFILE and EMFILE.
const SYSTEM: [i32; 4] = [5, 12, 23, 24];

/// How long to wait for data from a pipe.
const PATIENCE: Duration = Duration::from_secs(30);

/// The text of the experiment given as `path`, which resolves to `file`.
pub fn read(path: &Path, file: &Path) -> Result<String, Refusal> {
    let Some(name) = path.to_str() else {
        let message = format!("{path:?}: path is not valid UTF-8, so it can't be recorded");
        return Err(Refusal::new(message, "rename the file to a UTF-8 name"));
    };
    let wrong = |what: &str, hint: &str| Refusal::new(format!("{name} {what}"), hint);
    let failed = |error: io::Error| {
        let is_system = error.raw_os_error().is_some_and(|number| SYSTEM.contains(&number));
        Refusal { is_system, ..Refusal::new(format!("{name}: {error}"), "") }
    };
    let meta = file.metadata().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::new(format!("{name}: no such experiment"), nearby_experiments(file)),
        _ => failed(error),
    })?;
    let kind = meta.file_type();
    let bytes = if kind.is_dir() {
        return Err(Refusal::new(format!("{name} is a folder; allowed: a TOML file"), experiments_in(file)));
    } else if kind.is_fifo() {
        of_pipe(file, PATIENCE).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                let what = format!("is a pipe, and no data arrived within {} seconds", PATIENCE.as_secs());
                wrong(&what, "start the program that writes to the pipe first, or pass a file")
            }
            _ => failed(error),
        })?
    } else if kind.is_file() {
        let mut bytes = Vec::new();
        File::open(file).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes)).map_err(failed)?;
        bytes
    } else {
        return Err(wrong("is neither a file nor a pipe", "pass a TOML file"));
    };
    if bytes.len() as u64 > MOST {
        let what = format!("is larger than {} MiB; allowed: a smaller TOML file", MOST >> 20);
        return Err(wrong(&what, "pass a TOML file that gives the path of the corpus in corpus.text"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong("is empty; allowed: a TOML file", "see docs/experiment.md for an example"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        let hint = "to convert the file from Latin-1: iconv -f LATIN1 -t UTF-8 old.toml > new.toml";
        Refusal::new(format!("{name}:{line}: not valid UTF-8"), hint)
    })
}

/// Everything written to a pipe until its last writer closes it. Opening a pipe blocks until it has a writer, with no
/// timeout, so another thread opens it; that thread is abandoned if no writer comes.
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

/// A hint for a path that does not exist: the experiments in the same folder.
fn nearby_experiments(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    let names = listed(folder);
    let typed = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let number = typed.strip_prefix("run").unwrap_or("");
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("to recompute that run: pipeline reproduce {typed}");
    }
    let near = did_you_mean(typed, names.iter().map(String::as_str));
    if near.is_empty() { experiments_in(folder) } else { near }
}

/// A hint that names the experiments in a folder.
fn experiments_in(folder: &Path) -> String {
    let names = listed(folder);
    if names.is_empty() { String::new() } else { format!("experiments in that folder: {}", names.join(", ")) }
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
    fn a_pipe_is_read_until_its_writer_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = of_pipe(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // The abandoned reader could take the writer's bytes, so this is another pipe.
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
