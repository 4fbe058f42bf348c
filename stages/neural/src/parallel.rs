//! Work on blocks by several threads. What a block yields must not depend on which thread took it: blocks are cut by
//! size alone, so that the number of threads changes no bit.

use std::sync::Mutex;
use std::thread;

/// Calls `work` for each item. A thread that is done with one takes the next, so that none waits for one that the system
/// has put aside.
///
/// Plain threads: they cost some 20 µs a call, against milliseconds of work, and vanish between calls. A pool that
/// spins would fight with libtorch's own for the cores.
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
            // Where a limit allows no more threads, those that run share the work.
            if thread::Builder::new().spawn_scoped(scope, all).is_err() {
                break;
            }
        }
        all();
    });
}
