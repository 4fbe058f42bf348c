//! The program `pipeline-neural`: where it is, and what it says of itself.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use stages::protocol::{Describe, PROTOCOL};

use super::{WorkerError, ending, libraries, within};
use crate::engine::graph::{Stage, Way};
use crate::system::files;

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
    let broken = |message: String| WorkerError::Broken { path: program.to_owned(), message };
    let said = Stdio::piped;
    let child = Command::new(program).arg("describe").stdin(Stdio::null()).stdout(said()).stderr(said()).spawn();
    let mut child = child.map_err(|error| broken(error.to_string()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = within(&mut child, move || (words(out), words(err))).map_err(broken)?;
    let status = child.wait().map_err(|error| broken(error.to_string()))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&err);
        if let Some((library, denied)) = libraries::unreadable(program, &said) {
            return Err(WorkerError::Unreadable { library, denied });
        }
        return Err(broken(format!("{}: {}", ending(status), said.lines().last().unwrap_or("nothing said"))));
    }
    let describe: Describe =
        serde_json::from_slice(&out).map_err(|error| broken(format!("its description: {error}")))?;
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

/// All that a program says.
fn words(pipe: Option<impl std::io::Read>) -> Vec<u8> {
    let mut text = Vec::new();
    // A program that breaks off in the middle is told by how it ended.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
    text
}

pub(super) fn check_protocol(program: &Path, describe: &Describe) -> Result<(), WorkerError> {
    if describe.protocol == PROTOCOL {
        return Ok(());
    }
    let message = format!("it speaks protocol {}, this program {PROTOCOL}; build both anew", describe.protocol);
    Err(WorkerError::Broken { path: program.to_owned(), message })
}

/// Checks that a worker computes its stages in the versions that keys are made with.
///
/// # Errors
/// When it is of another build.
pub fn check_stages(program: &Path, describe: &Describe, stages: &[Stage]) -> Result<(), WorkerError> {
    for stage in stages.iter().filter(|stage| matches!(stage.way, Way::Worker)) {
        let has = describe.stages.get(stage.name);
        if has != Some(&stage.version) {
            let has = has.map_or("no version at all".to_owned(), |has| format!("version {has}"));
            let message = format!(
                "it has {has} of the stage {}, this program wants {}; build both anew",
                stage.name, stage.version
            );
            return Err(WorkerError::Broken { path: program.to_owned(), message });
        }
    }
    Ok(())
}
