//! The paths of the record, the store and the corpus cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use system::quoted;

/// The default name of the database. Its folder is the root.
const DATABASE: &str = "experiments.db";

/// The paths of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The database.
    pub db: PathBuf,
    /// Whether the command line or the environment names the database.
    pub named: bool,
    /// The store's folder, if the command line or the environment names one.
    pub store: Option<PathBuf>,
}

impl Paths {
    /// Finds the database: the one that is named, or else the one in `here` or its nearest ancestor folder with one, or
    /// else a new one in `here`. An empty name counts as none.
    pub fn find(db: Option<PathBuf>, store: Option<PathBuf>, here: &Path) -> Self {
        let named = |place: Option<PathBuf>| place.filter(|place| !place.as_os_str().is_empty());
        let (db, store) = (named(db), named(store));
        let is_named = db.is_some();
        let db = db.map(|db| here.join(db)).unwrap_or_else(|| {
            here.ancestors()
                .map(|folder| folder.join(DATABASE))
                .find(|db| db.exists())
                .unwrap_or_else(|| here.join(DATABASE))
        });
        // Symbolic links are followed: a database has only one root, the folder of its file, which holds its locks.
        let folder = db.parent().and_then(|folder| folder.canonicalize().ok());
        let real = folder.zip(db.file_name()).map(|(folder, name)| folder.join(name));
        let db = db.canonicalize().ok().or(real).unwrap_or(db);
        Self { db, named: is_named, store: store.map(|store| here.join(store)) }
    }

    /// The flags that name these paths on a command line; empty if a default or the environment names them.
    pub fn flags(&self) -> String {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let here = std::env::current_dir().unwrap_or_default();
        let shown = |path: &Path| quoted(&path.strip_prefix(&here).unwrap_or(path).display().to_string());
        let db =
            if self.named && !is_set("PIPELINE_DB") { format!(" --db {}", shown(&self.db)) } else { String::new() };
        let store = self.store.as_deref().filter(|_| !is_set("PIPELINE_STORE"));
        store.map_or(db.clone(), |store| format!("{db} --store {}", shown(store)))
    }

    /// The folder of the database. An experiment's relative paths are looked up here after the experiment's own folder.
    pub fn root(&self) -> &Path {
        self.db.parent().unwrap_or(Path::new("."))
    }

    /// The store's folder: the named one, or the one `recorded` in the database, or data/store beside the database.
    pub fn store(&self, recorded: Option<&str>) -> PathBuf {
        self.store.clone().unwrap_or_else(|| match recorded {
            Some(path) => self.root().join(path),
            None => self.root().join("data/store"),
        })
    }

    /// The store's path as recorded in the database: relative if the store is inside the database's folder, so that
    /// both can be moved together.
    pub fn to_be_recorded(&self, store: &Path) -> String {
        store.strip_prefix(self.root()).unwrap_or(store).display().to_string()
    }
}

/// The folder of fetched corpora, shared by all projects of a user. It is in `PIPELINE_CACHE`, or else where the XDG
/// Base Directory Specification puts caches. (That specification says to ignore relative paths.)
pub fn corpora(variable: impl Fn(&str) -> Option<OsString>, here: &Path) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
    let named = path("PIPELINE_CACHE").map(|path| here.join(path));
    let usual = || absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let cache = named.or_else(|| usual().map(|cache| cache.join("pipeline")))?;
    Some(cache.join("corpora"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_database_leads_to_its_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("link")).unwrap();
        std::fs::write(root.join("experiments.db"), "").unwrap();
        std::os::unix::fs::symlink("../experiments.db", root.join("link/experiments.db")).unwrap();
        let paths = Paths::find(None, None, &root.join("link"));
        assert_eq!((paths.db.as_path(), paths.root()), (root.join("experiments.db").as_path(), root.as_path()));
        let paths = Paths::find(Some(PathBuf::new()), Some(PathBuf::new()), &root.join("link"));
        assert_eq!((paths.root(), paths.named, &paths.store), (root.as_path(), false, &None));
        let new = Paths::find(Some("new.db".into()), None, &root);
        assert_eq!(new.db, root.join("new.db"));
    }

    #[test]
    fn fetched_corpora_go_to_the_users_cache() {
        let found = |variables: &[(&str, &str)]| {
            let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            corpora(variable, Path::new("/here")).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/ann");
        assert_eq!(found(&[home]).unwrap(), "/home/ann/.cache/pipeline/corpora");
        assert_eq!(found(&[home, ("XDG_CACHE_HOME", "/fast")]).unwrap(), "/fast/pipeline/corpora");
        assert_eq!(found(&[home, ("XDG_CACHE_HOME", "fast")]).unwrap(), "/home/ann/.cache/pipeline/corpora");
        assert_eq!(found(&[home, ("PIPELINE_CACHE", "own")]).unwrap(), "/here/own/corpora");
        assert_eq!(found(&[("PIPELINE_CACHE", "")]), None);
    }
}
