//! Caches the digests of files by their metadata, so that an unchanged file is not read again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use identity::Digest;
use system::files;

/// On filesystems with the coarsest timestamps, a change within this time after a read may not change the file's times.
const TOO_YOUNG_NS: i128 = 2_000_000_000;

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The file is unchanged since it had this digest.
    Known(Digest),
    /// The file is new or has changed; its current metadata.
    Unknown(Stat),
}

/// A file's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    inode: u64,
}

/// A file's digest, and its metadata when it was read.
#[derive(Debug, Clone, Copy)]
struct Entry {
    digest: Digest,
    stat: Stat,
    /// Whether the file was old enough when it was read. Only this process trusts a younger one, so that it need not
    /// read its own outputs again.
    old: bool,
}

/// The cache: a text file of one line per file, which any process may replace as a whole. A lost line costs one read.
#[derive(Debug)]
pub struct StatCache {
    path: PathBuf,
    entries: HashMap<String, Entry>,
    changed: bool,
}

impl StatCache {
    /// Reads the cache; a missing or damaged one is empty.
    pub fn load(path: &Path) -> Self {
        let text = String::from_utf8(files::read(path).unwrap_or_default()).unwrap_or_default();
        let entries = text.lines().filter_map(parse).collect();
        Self { path: path.to_owned(), entries, changed: false }
    }

    /// Looks up a file. The caller reads an unknown file and passes its digest to [`Self::learn`], so that others can
    /// use the cache meanwhile.
    pub fn look(&self, file: &Path) -> io::Result<Lookup> {
        let stat = Stat::of(file)?;
        let known = name_of(file).and_then(|name| self.entries.get(name)).filter(|entry| entry.stat == stat);
        Ok(known.map_or(Lookup::Unknown(stat), |entry| Lookup::Known(entry.digest)))
    }

    /// Remembers the digest of a file that was looked up and then read, unless it has changed since. The file's age is
    /// measured at `now`.
    pub fn learn(&mut self, file: &Path, before: Stat, digest: Digest, now: SystemTime) -> io::Result<()> {
        let after = Stat::of(file)?;
        if let Some(name) = name_of(file).filter(|_| after == before) {
            let old = after.age_ns(now) > TOO_YOUNG_NS;
            self.entries.insert(name.to_owned(), Entry { digest, stat: after, old });
            self.changed |= old;
        }
        Ok(())
    }

    /// Whether the digest of a file is known without reading it.
    pub fn knows(&self, file: &Path) -> bool {
        let entry = file.to_str().and_then(|name| self.entries.get(name));
        entry.is_some_and(|entry| Stat::of(file).is_ok_and(|stat| stat == entry.stat))
    }

    /// Whether a file is known to have this digest and is unchanged since it was read.
    pub fn vouches(&self, file: &Path, digest: Digest) -> bool {
        let entry = file.to_str().and_then(|name| self.entries.get(name)).filter(|entry| entry.digest == digest);
        // Links are not followed: a link is not an object.
        entry.is_some_and(|entry| std::fs::symlink_metadata(file).is_ok_and(|meta| Stat::from(&meta) == entry.stat))
    }

    /// Forgets a file.
    pub fn forget(&mut self, file: &Path) {
        if let Some(name) = file.to_str() {
            self.changed |= self.entries.remove(name).is_some();
        }
    }

    /// Writes the cache if it changed. It is only a cache, so failing is not an error.
    pub fn save(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let mut text = String::new();
        for (name, Entry { digest, stat, .. }) in self.entries.iter().filter(|(_, entry)| entry.old) {
            let Stat { size, mtime_ns, ctime_ns, inode } = stat;
            let line = format!("{name}\t{digest}\t{size}\t{mtime_ns}\t{ctime_ns}\t{inode}");
            let _ = writeln!(text, "{line}\t{}", Digest::of(line.as_bytes()));
        }
        let _ = files::replace(&self.path, text.as_bytes());
    }
}

/// A file's name in the cache; `None` for names that would break the line format. Such files are read every time.
fn name_of(file: &Path) -> Option<&str> {
    file.to_str().filter(|name| !name.contains(['\t', '\n']))
}

fn parse(line: &str) -> Option<(String, Entry)> {
    // A damaged line could make one file pass for another.
    let (line, check) = line.rsplit_once('\t')?;
    if Digest::of(line.as_bytes()).to_string() != check {
        return None;
    }
    let mut parts = line.split('\t');
    let name = parts.next()?.to_owned();
    let digest = parts.next()?.parse().ok()?;
    let stat = Stat {
        size: parts.next()?.parse().ok()?,
        mtime_ns: parts.next()?.parse().ok()?,
        ctime_ns: parts.next()?.parse().ok()?,
        inode: parts.next()?.parse().ok()?,
    };
    Some((name, Entry { digest, stat, old: true }))
}

impl From<&std::fs::Metadata> for Stat {
    fn from(meta: &std::fs::Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            size: meta.len(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        }
    }
}

impl Stat {
    fn of(file: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(file)?))
    }

    /// Time from the last change of the file to `now`.
    fn age_ns(&self, now: SystemTime) -> i128 {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i128);
        now - self.mtime_ns.max(self.ctime_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The digest of a file as the store finds it, with the clock `later` ahead.
    fn digest(cache: &mut StatCache, file: &Path, later: Duration) -> Digest {
        match cache.look(file).unwrap() {
            Lookup::Known(digest) => digest,
            Lookup::Unknown(stat) => {
                let digest = files::digest(file).unwrap();
                cache.learn(file, stat, digest, SystemTime::now() + later).unwrap();
                digest
            }
        }
    }

    #[test]
    fn a_young_file_is_read_again_and_a_change_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let mut cache = StatCache::load(&folder.path().join("cache"));
        assert_eq!(digest(&mut cache, &file, Duration::ZERO), Digest::of(b"one"));
        cache.save();
        let mut cache = StatCache::load(&folder.path().join("cache"));
        assert!(cache.entries.is_empty(), "a file that had just changed was saved for other processes");
        digest(&mut cache, &file, Duration::from_millis(2100));
        cache.save();
        let mut cache = StatCache::load(&folder.path().join("cache"));
        assert_eq!(cache.entries.len(), 1);
        std::fs::write(&file, "two").unwrap();
        assert_eq!(digest(&mut cache, &file, Duration::from_millis(2100)), Digest::of(b"two"));
        let text = std::fs::read_to_string(folder.path().join("cache")).unwrap();
        let other = Digest::of(b"other").to_string();
        std::fs::write(folder.path().join("cache"), text.replace(&Digest::of(b"one").to_string(), &other)).unwrap();
        assert!(StatCache::load(&folder.path().join("cache")).entries.is_empty(), "a damaged line was accepted");
    }
}
