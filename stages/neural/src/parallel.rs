//! Runs work on blocks in several threads. The result of a block must not depend on the thread that took it. Blocks are
//! cut by size alone, so that the number of threads changes no bit of it.

use std::sync::Mutex;
use std::thread;

/// Calls `work` for each item. A thread that finishes an item takes the next, so that no thread waits for one that the
/// system has suspended.
///
/// Plain threads cost about 20 µs per call, against milliseconds of work, and vanish between calls. A spinning pool
/// would compete with libtorch's own for the cores.
pub(crate) fn each<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) + Sync) {
    let helpers = threads.min(items.len()).saturating_sub(1);
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().ok()?.next();
    let all = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // If a limit allows no more threads, the running ones share the work.
            if thread::Builder::new().spawn_scoped(scope, all).is_err() {
                break;
            }
        }
        all();
    });
}
