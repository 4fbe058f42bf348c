//! Finds out why a worker's library is not found: the loader also says "No such file" for a folder without permission.

use std::path::{Path, PathBuf};

use system::permission::{self, Denied};

/// The library that the loader reported as missing, and the permission that this user lacks to read it.
pub(super) fn unreadable(program: &Path, said: &str) -> Option<(String, Denied)> {
    let (_, said) = said.split_once("error while loading shared libraries: ")?;
    let library = said.split(':').next()?.to_owned();
    let variable = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&variable).filter(|folder| folder.is_absolute()).collect();
    folders.extend(run_path(&std::fs::read(program).ok()?, program.parent()?).unwrap_or_default());
    // A library that can be read in one folder is not the missing one.
    let denied = folders.iter().find_map(|folder| permission::unreadable(&folder.join(&library)))?;
    Some((library, denied))
}

/// The library folders listed in a 64-bit ELF program (`DT_RUNPATH`, `DT_RPATH`).
fn run_path(elf: &[u8], origin: &Path) -> Option<Vec<PathBuf>> {
    const LOAD: u64 = 1;
    const DYNAMIC: u64 = 2;
    const STRINGS: u64 = 5;
    const RPATH: u64 = 15;
    const RUNPATH: u64 = 29;
    let number = |at: u64, bytes: usize| {
        let at = usize::try_from(at).ok()?;
        let field = elf.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    // Little-endian and 64 bits, like all machines that libtorch supports.
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    // Kind, offset in the file, address in memory, length in the file.
    let segments: Vec<[u64; 4]> = (0..count)
        .map(|i| {
            let at = table.checked_add(i * size)?;
            Some([number(at, 4)?, number(at + 8, 8)?, number(at + 16, 8)?, number(at + 32, 8)?])
        })
        .collect::<Option<_>>()?;
    let [_, dynamic, _, length] = *segments.iter().find(|segment| segment[0] == DYNAMIC)?;
    let entries: Vec<(u64, u64)> = (0..length / 16)
        .map_while(|i| Some((number(dynamic.checked_add(i * 16)?, 8)?, number(dynamic.checked_add(i * 16 + 8)?, 8)?)))
        .collect();
    let strings = entries.iter().find(|entry| entry.0 == STRINGS)?.1;
    let [_, offset, address, _] = *segments.iter().find(|[kind, _, address, length]| {
        *kind == LOAD && (*address..address.saturating_add(*length)).contains(&strings)
    })?;
    let text = |at: u64| {
        let at = usize::try_from((strings - address).checked_add(offset)?.checked_add(at)?).ok()?;
        elf.get(at..)?.split(|byte| *byte == 0).next().map(|text| String::from_utf8_lossy(text).into_owned())
    };
    let paths = entries.iter().filter(|entry| [RPATH, RUNPATH].contains(&entry.0)).filter_map(|entry| text(entry.1));
    let origin = origin.display().to_string();
    let folders = paths.flat_map(|path| {
        let path = path.replace("$ORIGIN", &origin).replace("${ORIGIN}", &origin);
        path.split(':').map(PathBuf::from).collect::<Vec<_>>()
    });
    Some(folders.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_path_of_a_program_is_read_and_garbage_gives_none() {
        // Uses this test's own binary. A truncated program must not cause a panic.
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(run_path(&elf, Path::new("/")).is_some());
        for length in (0..4096).step_by(7) {
            let _ = run_path(&elf[..length.min(elf.len())], Path::new("/"));
        }
        assert_eq!(run_path(b"#!/bin/sh", Path::new("/")), None);
        let words = "x: error while loading shared libraries: libno.so: cannot open shared object file";
        assert_eq!(unreadable(Path::new("/bin/sh"), words), None);
        assert_eq!(unreadable(Path::new("/bin/sh"), "another error"), None);
    }
}
