//! Splits the products of the forward pass between threads.
//!
//! The rows of a product are cut into pieces; whichever thread is free, including the caller's, takes the next one.
//! Each row is summed by one thread, in the order that the kernel fixes, so the bits don't depend on which thread that
//! is.
//!
//! Threads spin while waiting, since a product takes less time than waking a thread. On a busy machine, a helper can be
//! preempted in the middle of a piece for longer than many products take. After the caller has had to wait for that, it
//! computes the next products alone while the helpers sleep, and twice as many of them after each further wait.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use super::kernels::Kernels;
use super::panels::{LANES, Matrix};

/// A product whose rows can be computed independently, panel by panel.
pub(super) trait PanelProduct: std::fmt::Debug + Sync {
    fn rows(&self) -> usize;

    /// Bytes of weights per panel.
    fn panel_bytes(&self) -> usize;

    /// Computes as many rows from `first` on as `y` has room for, in whole panels.
    fn multiply(&self, kernels: Kernels, first: usize, x: &[f32], y: &mut [f32]);

    /// The length of a result: the rows, padded to whole panels.
    fn padded_rows(&self) -> usize {
        self.rows().next_multiple_of(LANES)
    }

    /// Rows per piece.
    fn piece_rows(&self) -> usize {
        (PIECE / self.panel_bytes()).max(1) * LANES
    }

    fn pieces(&self) -> usize {
        self.padded_rows().div_ceil(self.piece_rows())
    }
}

/// A matrix and a bias.
#[derive(Debug)]
pub(super) struct Affine {
    pub(super) weights: Matrix,
    /// One entry per padded row of the matrix.
    pub(super) bias: Vec<f32>,
}

impl PanelProduct for Affine {
    fn rows(&self) -> usize {
        self.weights.rows()
    }

    fn panel_bytes(&self) -> usize {
        self.weights.panel_bytes()
    }

    fn multiply(&self, kernels: Kernels, first: usize, x: &[f32], y: &mut [f32]) {
        kernels.multiply(&self.weights, first, &self.bias, x, y);
    }
}

/// Threads that share the products of a model.
#[derive(Debug)]
pub(super) struct Team<'a> {
    kernels: Kernels,
    products: Vec<&'a dyn PanelProduct>,
    task: RwLock<ProductTask>,
    /// The number of pieces of the task that are not yet taken, and the number that helpers have done.
    left: AtomicUsize,
    done: AtomicUsize,
    /// The helpers' results, by piece.
    made: Vec<Mutex<Vec<f32>>>,
    helpers: usize,
    /// The number of products that the caller still computes alone, and that number after its next wait.
    alone: AtomicU32,
    pause: AtomicU32,
    over: AtomicBool,
    broken: AtomicBool,
}

/// The product being computed.
#[derive(Debug, Default)]
struct ProductTask {
    product: usize,
    x: Vec<f32>,
}

/// Bytes of weights per piece, which take a microsecond or two.
const PIECE: usize = 128 << 10;

/// The number of spins before a waiting thread yields, some tens of microseconds.
const PATIENCE: u32 = 1000;

/// The number of yields before a helper sleeps.
const BOREDOM: u32 = 100;

/// The least and the greatest number of products to compute alone after a wait, some milliseconds and a second.
const PAUSES: (u32, u32) = (64, 1 << 14);

impl<'a> Team<'a> {
    /// Runs `work` with a team of `threads` threads, or of as many as can be started.
    pub(super) fn gather<T>(
        kernels: Kernels,
        products: Vec<&'a dyn PanelProduct>,
        threads: usize,
        work: impl FnOnce(&Self) -> T,
    ) -> T {
        let pieces = products.iter().map(|product| product.pieces()).max().unwrap_or(0);
        let mut team = Self {
            kernels,
            products,
            task: RwLock::default(),
            left: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            made: (0..pieces).map(|_| Mutex::default()).collect(),
            helpers: threads.saturating_sub(1),
            alone: AtomicU32::new(0),
            pause: AtomicU32::new(PAUSES.0),
            over: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        };
        if team.helpers == 0 {
            return work(&team);
        }
        team.helpers = team.helpers.min(pieces);
        thread::scope(|scope| {
            // Ends the helpers even if `work` panics, since the scope waits for its threads.
            let _end = Raised { flag: &team.over, only_in_panic: false };
            for _ in 0..team.helpers {
                // If one can't be started, the others take its pieces.
                let _ = thread::Builder::new().spawn_scoped(scope, || team.help());
            }
            work(&team)
        })
    }

    pub(super) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Computes `y` = bias + weights · `x` for the product with the index `which`.
    pub(super) fn multiply(&self, which: usize, x: &[f32], y: &mut [f32]) {
        let product = self.products[which];
        let less = |alone: u32| alone.checked_sub(1);
        if self.helpers == 0 || self.alone.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return product.multiply(self.kernels, 0, x, y);
        }
        {
            let mut task = self.task.write().unwrap_or_else(PoisonError::into_inner);
            task.product = which;
            task.x.clear();
            task.x.extend_from_slice(x);
        }
        let (pieces, rows) = (product.pieces(), product.piece_rows());
        let mut own = 0;
        let mut helped = vec![true; pieces];
        self.done.store(0, Ordering::Relaxed);
        // Release: a thread that takes a piece must see the task and the count stored above.
        self.left.store(pieces, Ordering::Release);
        while let Some(piece) = self.take() {
            let to = (piece * rows + rows).min(y.len());
            product.multiply(self.kernels, piece * rows, x, &mut y[piece * rows..to]);
            helped[piece] = false;
            own += 1;
        }
        let rounds = wait(None, || {
            assert!(!self.broken.load(Ordering::Relaxed), "BUG: a thread of the team panicked");
            self.done.load(Ordering::Acquire) + own == pieces
        });
        let pause = self.pause.load(Ordering::Relaxed);
        if rounds > PATIENCE {
            self.alone.store(pause, Ordering::Relaxed);
            self.pause.store((2 * pause).min(PAUSES.1), Ordering::Relaxed);
        } else {
            self.pause.store((pause - 1).max(PAUSES.0), Ordering::Relaxed);
        }
        for (y, (made, helped)) in y.chunks_mut(rows).zip(self.made.iter().zip(helped)) {
            if helped {
                y.copy_from_slice(&made.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Takes the last of the pieces that are not yet taken.
    fn take(&self) -> Option<usize> {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, less).ok().map(|left| left - 1)
    }

    /// Takes pieces until the team ends.
    fn help(&self) {
        let _alarm = Raised { flag: &self.broken, only_in_panic: true };
        loop {
            let mut piece = None;
            wait(Some(Duration::from_micros(200)), || {
                // The number is read first, since an attempt to take a piece claims a cache line that other threads
                // write to.
                piece = if self.left.load(Ordering::Relaxed) > 0 { self.take() } else { None };
                piece.is_some() || self.over.load(Ordering::Relaxed)
            });
            let Some(piece) = piece else { return };
            {
                let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
                let product = self.products[task.product];
                let rows = product.piece_rows();
                let mut made = self.made[piece].lock().unwrap_or_else(PoisonError::into_inner);
                made.resize(rows.min(product.padded_rows() - piece * rows), 0.0);
                product.multiply(self.kernels, piece * rows, &task.x, &mut made);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
    }
}

/// Waits until `so` returns true: spins, then yields, then sleeps if `sleep` is given. Returns the number of rounds.
fn wait(sleep: Option<Duration>, mut so: impl FnMut() -> bool) -> u32 {
    let mut rounds = 0u32;
    while !so() {
        rounds = rounds.saturating_add(1);
        match sleep {
            _ if rounds <= PATIENCE => std::hint::spin_loop(),
            Some(sleep) if rounds > PATIENCE + BOREDOM => thread::sleep(sleep),
            _ => thread::yield_now(),
        }
    }
    rounds
}

/// Raises a flag when it is dropped.
struct Raised<'a> {
    flag: &'a AtomicBool,
    only_in_panic: bool,
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        if !self.only_in_panic || thread::panicking() {
            self.flag.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn product(rows: usize, columns: usize) -> Affine {
        let random = Stream::new(rows as u64, "team test");
        let number = |i: usize| random.normal(i as u64) as f32;
        let weights = Matrix::new(rows, columns, |r, out| {
            for (c, x) in out.iter_mut().enumerate() {
                *x = number(r * columns + c);
            }
        });
        let bias = (0..rows.next_multiple_of(LANES)).map(|r| number(rows * columns + r)).collect();
        Affine { weights, bias }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let products = [product(3000, 200), product(5, 3), product(801, 400)];
        let x: Vec<f32> = (0..400).map(|i| (i as f32 * 0.37).sin()).collect();
        let kernels = Kernels::detect();
        let multiplied = |threads: usize| {
            Team::gather(
                kernels,
                products.iter().map(|product| product as &dyn PanelProduct).collect(),
                threads,
                |team| {
                    let mut all = Vec::new();
                    for round in 0..50 {
                        for (which, columns) in [(0, 200), (1, 3), (2, 400)] {
                            let mut y = vec![f32::NAN; products[which].padded_rows()];
                            team.multiply(which, &x[(round % 2) * (400 - columns)..][..columns], &mut y);
                            all.extend(y.into_iter().map(f32::to_bits));
                        }
                    }
                    all
                },
            )
        };
        let alone = multiplied(1);
        for threads in [2, 3, 16] {
            assert_eq!(multiplied(threads), alone, "{threads} threads");
        }
    }

    #[test]
    fn a_panic_ends_the_team() {
        let products = [product(3000, 200)];
        let gone = std::panic::catch_unwind(|| {
            Team::gather(
                Kernels::detect(),
                products.iter().map(|product| product as &dyn PanelProduct).collect(),
                3,
                |_| panic!("deliberate"),
            );
        });
        assert!(gone.is_err());
    }
}
