//! The program `pipeline-neural`: where it is, and what it says of itself.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stages::protocol::{Describe, PROTOCOL};

use super::log::{brief, last_words};
use super::{GREETING, Shortage, WorkerError, ending, killed, libraries};
use crate::graph::{Stage, Way};
use system::files;

/// The environment variable that names the worker.
const VARIABLE: &str = "PIPELINE_NEURAL";

/// Where the worker is: named by the environment, or beside this program.
///
/// # Errors
/// When there is no such file.
pub fn find() -> Result<PathBuf, WorkerError> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().unwrap_or_default().with_file_name("pipeline-neural"),
    };
    if path.is_file() { Ok(path) } else { Err(WorkerError::Missing(path)) }
}

/// A cached answer of `describe`: good as long as the program and its libraries are the same files, and the processor is
/// the same.
#[derive(Serialize, Deserialize)]
struct Cached {
    capability: String,
    files: Vec<(PathBuf, u64, i64, i64, u64)>,
    describe: Describe,
}

fn stat(path: &Path) -> Option<(PathBuf, u64, i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = path.metadata().ok()?;
    Some((path.to_owned(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ino()))
}

/// What the vector extensions that a worker uses depend on: those of the processor, and the variable that lowers them;
/// and the GPU that it could use: whether a driver is there, and the variable that hides cards.
fn capability() -> String {
    let mut start = Vec::new();
    // The first processor's lines; a machine of many would take long to list them all.
    let _ = std::fs::File::open("/proc/cpuinfo").and_then(|file| file.take(1 << 13).read_to_end(&mut start));
    let text = String::from_utf8_lossy(&start);
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let (lowered, visible) = (told("ATEN_CPU_CAPABILITY"), told("CUDA_VISIBLE_DEVICES"));
    let driver = Path::new("/dev/nvidiactl").exists();
    format!("{lowered} {visible} {driver} {flags}")
}

/// What a worker says of itself, without starting it where an earlier answer still holds.
///
/// # Errors
/// When it does not start or speaks another protocol.
pub fn describe(program: &Path, store: &Path) -> Result<Describe, WorkerError> {
    let cache = cache(store);
    let known: Option<Cached> = files::read(&cache).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(known) = known
        && known.capability == capability()
        && known.files.first().is_some_and(|file| file.0 == program)
        && known.files.iter().all(|file| stat(&file.0).as_ref() == Some(file))
    {
        return Ok(known.describe);
    }
    tracing::debug!(program = %program.display(), "asking the worker what it is");
    let Answer { out, err, status } = ask(program)?;
    let tail = last_words(&err);
    if killed(status) {
        let ending = format!("{} while it said what it is", ending(status));
        return Err(WorkerError::Died { ending, killed: true, tail });
    }
    if !status.success() {
        if let Some((library, denied)) = libraries::unreadable(program, &String::from_utf8_lossy(&err)) {
            return Err(WorkerError::Unreadable { library, denied });
        }
        let (path, message) = (program.to_owned(), ending(status));
        let message = if tail.is_empty() { message } else { format!("{message}: {tail}") };
        return Err(match Shortage::told(&tail) {
            Some(what) => WorkerError::Short { path, message, what },
            None => WorkerError::Broken { path, message },
        });
    }
    let describe: Describe = serde_json::from_slice(&out).map_err(|error| {
        let message = format!("its description: {}", brief(&error.to_string(), LONGEST_WORDS));
        WorkerError::Broken { path: program.to_owned(), message }
    })?;
    check_words(program, &describe)?;
    check_protocol(program, &describe)?;
    let files = std::iter::once(program).chain(describe.libraries.iter().map(PathBuf::as_path)).filter_map(stat);
    if let Ok(text) =
        serde_json::to_vec(&Cached { capability: capability(), files: files.collect(), describe: describe.clone() })
    {
        // Only a cache: where it can't be written, the worker is asked each time.
        let _ = files::replace(&cache, &text);
    }
    Ok(describe)
}

fn cache(store: &Path) -> PathBuf {
    store.join("worker-cache")
}

/// Forgets what a worker said of itself: one that was started says otherwise.
pub fn forget(store: &Path) {
    // A cache that can't be removed could not be written either.
    let _ = std::fs::remove_file(cache(store));
}

/// The longest description that is read, in bytes.
const LONGEST_DESCRIPTION: usize = 1 << 20;

/// The most bytes of other words that are kept of a program that describes itself: the newest.
const LONGEST_TALK: usize = 1 << 16;

/// Characters of an unreadable description's fault.
const LONGEST_WORDS: usize = 300;

/// What a program said, and how it ended.
struct Answer {
    out: Vec<u8>,
    err: Vec<u8>,
    status: ExitStatus,
}

/// Has a program describe itself. The wait ends with the program, and after a while in any case.
fn ask(program: &Path) -> Result<Answer, WorkerError> {
    let unstarted = |error: io::Error| WorkerError::unstarted(program, &error);
    let pair = || -> io::Result<(UnixStream, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((ours, theirs.into()))
    };
    let ((out, stdout), (err, stderr)) = (pair().map_err(unstarted)?, pair().map_err(unstarted)?);
    let child = Command::new(program).arg("describe").stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut child = child.map_err(unstarted)?;
    let heard = hear(&mut child, out, err);
    // It has ended, or is to.
    let _ = child.kill();
    let status = child.wait();
    let broken = |message: String| WorkerError::Broken { path: program.to_owned(), message };
    let (out, err) = heard.map_err(broken)?;
    Ok(Answer { out, err, status: status.map_err(|error| broken(error.to_string()))? })
}

/// What a program says until it ends.
fn hear(child: &mut Child, mut out: UnixStream, mut err: UnixStream) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (began, mut said, mut talk) = (Instant::now(), Vec::new(), Vec::new());
    loop {
        // Asked before its words are read, so that after its end nothing is left in the pipes.
        let ended = child.try_wait().map_err(|error| error.to_string())?.is_some();
        gather(&mut out, &mut said, LONGEST_DESCRIPTION);
        if said.len() > LONGEST_DESCRIPTION {
            return Err(format!("its description is longer than {LONGEST_DESCRIPTION} bytes"));
        }
        gather(&mut err, &mut talk, 2 * LONGEST_TALK);
        talk.drain(..talk.len().saturating_sub(LONGEST_TALK));
        if ended {
            return Ok((said, talk));
        }
        if began.elapsed() >= GREETING {
            return Err(format!("it did not say what it is in {} s", GREETING.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Adds what there is to be read now, up to a little more than `most` bytes in all.
fn gather(pipe: &mut UnixStream, into: &mut Vec<u8>, most: usize) {
    let mut bytes = [0; 1 << 12];
    while into.len() <= most {
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => into.extend_from_slice(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing more for now; a program that breaks off in the middle is told by how it ended.
            Err(_) => return,
        }
    }
}

/// Refuses a description whose texts would be recorded and shown, and that a terminal would obey.
pub(super) fn check_words(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    let Describe { version, stages, libtorch, devices, gpu, cpu_capability, .. } = describe;
    let texts = [version, libtorch, cpu_capability].into_iter().chain(gpu).chain(stages.keys()).chain(devices);
    match texts.into_iter().find(|text| text.chars().any(stages::plain::acts) || text.chars().count() > LONGEST_WORDS) {
        None => Ok(()),
        Some(text) => {
            let message = format!("its description has the text \"{}\"", brief(text, LONGEST_WORDS));
            Err(WorkerError::Broken { path: program.to_owned(), message })
        }
    }
}

pub(super) fn check_protocol(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    if describe.protocol == PROTOCOL {
        return Ok(());
    }
    let message = format!("it speaks protocol {}, and this program {PROTOCOL}", describe.protocol);
    Err(WorkerError::OtherBuild { path: program.to_owned(), message })
}

/// Checks that a worker computes its stages in the versions that keys are made with.
///
/// # Errors
/// When it is of another build.
pub fn check_stages(program: &Path, describe: &Describe, stages: &[Stage]) -> Result<(), WorkerError> {
    for stage in stages.iter().filter(|stage| matches!(stage.way, Way::Worker)) {
        let has = describe.stages.get(stage.name.as_str());
        if has != Some(&stage.version) {
            let has = has.map_or("no version at all".to_owned(), |has| format!("version {has}"));
            let message = format!("it has {has} of the stage {}, and this program {}", stage.name, stage.version);
            return Err(WorkerError::OtherBuild { path: program.to_owned(), message });
        }
    }
    Ok(())
}
