//! Finds out which permission this user lacks; the system only reports that one is missing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::quoted;

/// A path for which this user lacks a permission, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The path.
    pub path: PathBuf,
    /// The missing permission: `write` or `read`.
    pub right: &'static str,
    /// A hint with the command that grants it, and who can run it.
    pub hint: String,
}

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// This process's user and groups, as the filesystem sees them.
struct User {
    uid: u32,
    groups: Vec<u32>,
}

impl User {
    fn own() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().filter_map(|number| number.parse().ok()).collect())
        };
        // The columns are real, effective, saved and filesystem.
        let uid = *numbers("Uid:")?.get(3)?;
        let mut groups = numbers("Groups:")?;
        groups.extend(numbers("Gid:")?.get(3));
        Some(Self { uid, groups })
    }

    /// The bits of `rights` that a file's mode denies this user, and a hint with the command that grants them.
    fn lacks(&self, path: &Path, rights: u32) -> Option<(u32, String)> {
        let meta = path.metadata().ok()?;
        let (shift, class) = match () {
            () if meta.uid() == self.uid => (6, 'u'),
            () if self.groups.contains(&meta.gid()) => (3, 'g'),
            () => (0, 'o'),
        };
        let missing = rights & !(meta.mode() >> shift);
        if self.uid == 0 || missing == 0 {
            return None;
        }
        let letters: String = [(READ, 'r'), (WRITE, 'w'), (SEARCH, 'x')]
            .iter()
            .filter_map(|(bit, letter)| (missing & bit > 0).then_some(*letter))
            .collect();
        let command = format!("chmod {class}+{letters} {}", quoted(&path.display().to_string()));
        let hint = match class {
            'u' => format!("to allow it: {command}"),
            _ => format!("ask its owner (user {}) to run: {command}", meta.uid()),
        };
        Some((missing, hint))
    }
}

/// The first of the given files and folders that this user can't write to, with the missing permission.
pub fn unwritable<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Option<Denied> {
    first(paths, |path| if path.is_dir() { WRITE | SEARCH } else { READ | WRITE })
}

/// What keeps this user from reading a path: the path itself, or the topmost folder above it that can't be searched.
pub fn unreadable(path: &Path) -> Option<Denied> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    first(above, |path| if path.is_dir() { SEARCH } else { READ })
}

fn first<'p>(paths: impl IntoIterator<Item = &'p Path>, rights: impl Fn(&Path) -> u32) -> Option<Denied> {
    let user = User::own()?;
    paths.into_iter().find_map(|path| {
        let (missing, hint) = user.lacks(path, rights(path))?;
        Some(Denied { path: path.to_owned(), right: if missing & WRITE > 0 { "write" } else { "read" }, hint })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_users_class_decides_which_right_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let meta = file.metadata().unwrap();
        let (own, group) = (meta.uid(), meta.gid());
        let (no_user, no_group) = (own + 12_345, group + 12_345);
        let lacks = |mode, uid, gid| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            User { uid, groups: vec![gid] }.lacks(&file, READ | WRITE).map(|(_, hint)| hint)
        };
        let quoted = format!("'{}'", file.display());
        // Root can write whatever the mode says.
        let expected = (own != 0).then(|| format!("to allow it: chmod u+w {quoted}"));
        assert_eq!(lacks(0o466, own, no_group), expected);
        let ask = |change: &str| Some(format!("ask its owner (user {own}) to run: chmod {change} {quoted}"));
        assert_eq!(lacks(0o644, no_user, group), ask("g+w"));
        assert_eq!(lacks(0o664, no_user, group), None);
        assert_eq!(lacks(0o664, no_user, no_group), ask("o+w"));
        assert_eq!(lacks(0o600, no_user, group), ask("g+rw"));
        assert_eq!(lacks(0o004, 0, no_group), None);
        assert!(User::own().is_some());
    }
}
