//! Tests of putting, damaging and removing objects.

use super::*;

fn store_with(text: &str) -> (tempfile::TempDir, Store, ObjectId) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let file = store.scratch("x").unwrap().join("out");
    std::fs::write(&file, text).unwrap();
    let id = store.put(&file).unwrap().id;
    assert!(!file.exists());
    (folder, store, id)
}

#[test]
fn an_object_is_named_by_its_content_and_read_only() {
    let (_folder, store, id) = store_with("abc");
    assert!(store.path(id).ends_with("sha256/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert!(store.path(id).metadata().unwrap().permissions().readonly());
    assert_eq!(store.objects().unwrap(), [(id, 3)]);
}

#[test]
fn a_damaged_object_is_set_aside_and_restored_by_the_same_content() {
    let (folder, store, id) = store_with("abc");
    std::fs::set_permissions(store.path(id), Permissions::from_mode(0o644)).unwrap();
    std::fs::write(store.path(id), "abd").unwrap();
    assert_eq!(store.check(id).unwrap(), Health::Damaged);
    assert_eq!(store.check(id).unwrap(), Health::Missing);
    assert_eq!(std::fs::read_dir(folder.path().join("damaged")).unwrap().count(), 1);
    let file = store.scratch("y").unwrap().join("out");
    std::fs::write(&file, "abc").unwrap();
    assert_eq!(store.put(&file).unwrap().id, id);
    assert_eq!(store.verify(id, None).unwrap(), Health::Sound);
}

#[test]
fn a_database_moves_with_its_store_and_other_databases_stay_noted() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let others = |at: &Path, own: &Path| -> Vec<PathBuf> {
        Store::over(&at.join("data/store")).other_databases(own).into_iter().map(|(path, _)| path).collect()
    };
    let store = Store::open(&here.join("data/store")).unwrap();
    let (own, other) = (here.join("experiments.db"), folder.path().join("other.db"));
    std::fs::write(&own, "").unwrap();
    // Unfinished notes of a killed process and of a living one.
    let _alive = crate::lock::enlist(store.root(), "alive").unwrap();
    std::fs::create_dir_all(store.root().join("databases")).unwrap();
    let notes = ["new-123", "new-alive"].map(|name| store.root().join("databases").join(name));
    notes.iter().for_each(|note| std::fs::write(note, "torn").unwrap());
    store.enrol(&own, "me").unwrap();
    store.enrol(&own, "me").unwrap();
    assert_eq!(notes.each_ref().map(|note| note.exists()), [false, true]);
    std::fs::remove_file(&notes[1]).unwrap();
    assert_eq!(others(&here, &own), Vec::<PathBuf>::new());
    std::fs::rename(&here, &there).unwrap();
    let own = there.join("experiments.db");
    assert_eq!(others(&there, &own), Vec::<PathBuf>::new());
    std::fs::write(&other, "").unwrap();
    Store::open(&there.join("data/store")).unwrap().enrol(&other, "me").unwrap();
    let other = other.canonicalize().unwrap();
    assert_eq!(others(&there, &own), std::slice::from_ref(&other));
    // A missing database keeps its claim to its objects.
    std::fs::remove_file(&other).unwrap();
    assert_eq!(others(&there, &own), [other]);
}

#[test]
fn nothing_is_removed_while_a_process_adds_objects() {
    let (_folder, store, id) = store_with("abc");
    let hold = lock::hold_content(store.root()).unwrap();
    assert_eq!(store.remove(|| io::Result::Ok(vec![id])).unwrap(), None);
    drop(hold);
    assert_eq!(store.remove(|| io::Result::Ok(vec![id])).unwrap(), Some(3));
    assert_eq!(store.check(id).unwrap(), Health::Missing);
}
