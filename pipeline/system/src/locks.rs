//! Finds out from the kernel which process holds a lock.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The process that holds a lock on a file: `process 42, python3`. `None` if there is none, or it is not visible from
/// here.
pub fn holder(path: &Path) -> Option<String> {
    let (inode, path) = (path.metadata().ok()?.ino(), path.canonicalize().ok()?);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // 1: FLOCK  ADVISORY  WRITE 42 08:01:131 0 EOF; a waiting process has "->" after the first number.
    let pid = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (pid, file) = (words.get(4)?, words.get(5)?);
        let held = words.get(1) != Some(&"->")
            && words.get(3) == Some(&"WRITE")
            && file.rsplit(':').next()?.parse() == Ok(inode);
        // A file on another filesystem may have the same inode number.
        held.then(|| pid.parse::<u32>().ok()).flatten().filter(|pid| has_open(*pid, &path))
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    Some(match name.as_deref().map(str::trim) {
        Some(name) => format!("process {pid}, {name}"),
        None => format!("process {pid}"),
    })
}

fn has_open(pid: u32, path: &Path) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|open| open == path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holder(file.path()), None);
        file.as_file().lock().unwrap();
        let found = holder(file.path());
        // Some sandboxes have no /proc/locks.
        if Path::new("/proc/locks").exists() {
            assert!(found.unwrap().starts_with(&format!("process {},", std::process::id())));
        }
    }
}
