//! The program `pipeline-neural`: finds it, and asks for its description.

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

/// Finds the worker: named by the environment, or beside this program.
pub fn find() -> Result<PathBuf, WorkerError> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().unwrap_or_default().with_file_name("pipeline-neural"),
    };
    if path.is_file() { Ok(path) } else { Err(WorkerError::Missing(path)) }
}

/// A cached answer of `describe`, valid while the program, its libraries and the hardware are the same.
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

/// What a worker's description depends on besides its files: the processor's vector extensions and the variable that
/// restricts them, the presence of a GPU driver and the variable that hides GPUs.
fn capability() -> String {
    let mut start = Vec::new();
    // Read only the first processor, since listing all those of a large machine takes long.
    let _ = std::fs::File::open("/proc/cpuinfo").and_then(|file| file.take(1 << 13).read_to_end(&mut start));
    let text = String::from_utf8_lossy(&start);
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let (lowered, visible) = (told("ATEN_CPU_CAPABILITY"), told("CUDA_VISIBLE_DEVICES"));
    let driver = Path::new("/dev/nvidiactl").exists();
    format!("{lowered} {visible} {driver} {flags}")
}

/// The worker's description, from the cache if it is still valid.
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
    tracing::debug!(program = %program.display(), "asking the worker for its description");
    let Answer { out, err, status } = ask(program)?;
    let tail = last_words(&err);
    if killed(status) {
        let ending = format!("{} while describing itself", ending(status));
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
        let message = format!("invalid description: {}", brief(&error.to_string(), LONGEST_WORDS));
        WorkerError::Broken { path: program.to_owned(), message }
    })?;
    check_words(program, &describe)?;
    check_protocol(program, &describe)?;
    let files = std::iter::once(program).chain(describe.libraries.iter().map(PathBuf::as_path)).filter_map(stat);
    if let Ok(text) =
        serde_json::to_vec(&Cached { capability: capability(), files: files.collect(), describe: describe.clone() })
    {
        // This is only a cache: if it can't be written, the worker is asked every time.
        let _ = files::replace(&cache, &text);
    }
    Ok(describe)
}

fn cache(store: &Path) -> PathBuf {
    store.join("worker-cache")
}

/// Drops the cached description, after a worker described itself differently.
pub fn forget(store: &Path) {
    // A cache that can't be removed can't have been written either.
    let _ = std::fs::remove_file(cache(store));
}

/// Maximum length of a description, in bytes.
const LONGEST_DESCRIPTION: usize = 1 << 20;

/// Maximum bytes of standard error kept while a program describes itself; the newest bytes are kept.
const LONGEST_TALK: usize = 1 << 16;

/// Maximum characters of a text in a description, or of an error about one.
const LONGEST_WORDS: usize = 300;

/// The output of a program, and how it ended.
struct Answer {
    out: Vec<u8>,
    err: Vec<u8>,
    status: ExitStatus,
}

/// Runs a program to describe itself, until it ends or [`GREETING`] has passed.
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
    // Kills the program if it has not ended.
    let _ = child.kill();
    let status = child.wait();
    let broken = |message: String| WorkerError::Broken { path: program.to_owned(), message };
    let (out, err) = heard.map_err(broken)?;
    Ok(Answer { out, err, status: status.map_err(|error| broken(error.to_string()))? })
}

/// Reads a program's output until it ends.
fn hear(child: &mut Child, mut out: UnixStream, mut err: UnixStream) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (began, mut said, mut talk) = (Instant::now(), Vec::new(), Vec::new());
    loop {
        // This is tested before reading, so that nothing is left in the pipes after the program's end.
        let ended = child.try_wait().map_err(|error| error.to_string())?.is_some();
        gather(&mut out, &mut said, LONGEST_DESCRIPTION);
        if said.len() > LONGEST_DESCRIPTION {
            return Err(format!("description is longer than {LONGEST_DESCRIPTION} bytes"));
        }
        gather(&mut err, &mut talk, 2 * LONGEST_TALK);
        talk.drain(..talk.len().saturating_sub(LONGEST_TALK));
        if ended {
            return Ok((said, talk));
        }
        if began.elapsed() >= GREETING {
            return Err(format!("no description within {} s", GREETING.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Appends what can be read now, up to a little more than `most` bytes in all.
fn gather(pipe: &mut UnixStream, into: &mut Vec<u8>, most: usize) {
    let mut bytes = [0; 1 << 12];
    while into.len() <= most {
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => into.extend_from_slice(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing more for now. Other errors show in how the program ended.
            Err(_) => return,
        }
    }
}

/// Refuses a description whose texts are too long, or contain characters that a terminal acts on.
pub(super) fn check_words(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    let Describe { version, stages, libtorch, devices, gpu, cpu_capability, .. } = describe;
    let texts = [version, libtorch, cpu_capability].into_iter().chain(gpu).chain(stages.keys()).chain(devices);
    match texts.into_iter().find(|text| text.chars().any(stages::plain::acts) || text.chars().count() > LONGEST_WORDS) {
        None => Ok(()),
        Some(text) => {
            let message = format!("its description contains invalid text: \"{}\"", brief(text, LONGEST_WORDS));
            Err(WorkerError::Broken { path: program.to_owned(), message })
        }
    }
}

pub(super) fn check_protocol(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    if describe.protocol == PROTOCOL {
        return Ok(());
    }
    let message = format!("it speaks protocol {}; this program requires {PROTOCOL}", describe.protocol);
    Err(WorkerError::OtherBuild { path: program.to_owned(), message })
}

/// Checks that a worker has the versions of its stages that keys are computed with.
pub fn check_stages(program: &Path, describe: &Describe, stages: &[Stage]) -> Result<(), WorkerError> {
    for stage in stages.iter().filter(|stage| matches!(stage.way, Way::Worker)) {
        let has = describe.stages.get(stage.name.as_str());
        if has != Some(&stage.version) {
            let has = has.map_or("no version".to_owned(), |has| format!("version {has}"));
            let (name, version) = (&stage.name, stage.version);
            let message = format!("it has {has} of the stage {name}; this program requires version {version}");
            return Err(WorkerError::OtherBuild { path: program.to_owned(), message });
        }
    }
    Ok(())
}
