//! This worker's description of itself: `pipeline-neural describe`, and the first frame of `serve`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use stages::params::stage_keys;
use stages::protocol::{Describe, PROTOCOL};

use crate::failure::Result;
use crate::{cpu, raw};

/// The stages that this program runs.
const STAGES: [&str; 2] = ["train", "evaluate"];

/// The libtorch version that this version of tch is made for; torch-sys refuses to build against another.
const PAIRED_LIBTORCH: &str = "2.11.0";

/// Everything that a stage key, or the validity of a cached description, may depend on.
pub(crate) fn describe() -> Describe {
    // This call into libtorch keeps the linker from dropping the library, so that it is mapped and listed below.
    let _threads = tch::get_num_threads();
    let libraries = libraries();
    let gpu = cuda_library(&libraries).and_then(|_| raw::gpu());
    let devices = ["cpu"].into_iter().chain(gpu.is_some().then_some("cuda")).map(str::to_owned).collect();
    Describe {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stages: STAGES.iter().filter_map(|name| Some(((*name).to_owned(), stage_keys(name)?.version))).collect(),
        libtorch: libtorch_version(&libraries),
        devices,
        gpu,
        cpu_capability: cpu::capability().name().to_owned(),
        bf16: cpu::has_bf16(),
        libraries,
    }
}

/// The files of libtorch that are mapped into this process, with links resolved.
fn libraries() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped: BTreeSet<&str> = maps.lines().filter_map(|line| Some(&line[line.find('/')?..])).collect();
    mapped
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libtorch") || name.starts_with("libc10")
        })
        .collect()
}

/// The GPU half of libtorch, which a CUDA build has beside the CPU half.
fn cuda_library(libraries: &[PathBuf]) -> Option<PathBuf> {
    let beside = |lib: &PathBuf| Some(lib.parent()?.join("libtorch_cuda.so")).filter(|path| path.exists());
    libraries.iter().find_map(beside)
}

/// Loads the GPU half of libtorch, once per process.
///
/// # Errors
/// If there is no GPU, or if libtorch can't use it.
pub(crate) fn ready_cuda() -> Result<()> {
    static READY: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let library = cuda_library(&libraries()).ok_or("this libtorch is not a CUDA build")?;
        raw::load_cuda(&library).map_err(|error| format!("{error:#}"))?;
        if tch::Cuda::is_available() { Ok(()) } else { Err("libtorch finds no usable GPU".to_owned()) }
    });
    READY.clone().map_err(|words| format!("can't use the device cuda: {words}").into())
}

/// The version in the file beside the mapped library, or else the one that this build is made for.
fn libtorch_version(libraries: &[PathBuf]) -> String {
    let beside = |lib: &Path| std::fs::read_to_string(lib.parent()?.parent()?.join("build-version")).ok();
    let version = libraries.iter().find_map(|lib| beside(lib)).unwrap_or_default();
    // PyTorch's own builds say `2.11.0+cpu`.
    let version = version.trim().split('+').next().unwrap_or_default();
    if version.is_empty() { PAIRED_LIBTORCH.to_owned() } else { version.to_owned() }
}

/// The peak resident memory of this process in bytes; 0 if the system does not report it.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}
