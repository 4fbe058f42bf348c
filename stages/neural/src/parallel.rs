//! Work on blocks by several threads. What a block yields must not depend on which thread took it: blocks are cut by
//! size alone, so that the number of threads changes no bit.

/// Calls `work` for each item, neighbouring items on one thread.
///
/// Plain threads: they cost some 20 µs a call, against milliseconds of work, and vanish between calls. A pool that
/// spins would fight with libtorch's own for the cores.
pub(crate) fn each<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) + Sync) {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let mut items = items.into_iter();
    std::thread::scope(|scope| {
        let mut mine = Vec::new();
        for thread in 0..threads.max(1) {
            let group: Vec<T> = items.by_ref().take(share).collect();
            if thread == 0 {
                mine = group;
            } else if !group.is_empty() {
                let work = &work;
                scope.spawn(move || group.into_iter().for_each(work));
            }
        }
        mine.into_iter().for_each(&work);
    });
}
