//! Measures whether more threads make an order faster. A step of a small model takes less time than waking a helper
//! thread, and on a busy machine, waiting for a helper can take ten times as long as the whole step takes on one
//! thread.

/// How many of the newest steps with a number of threads are timed; their median time represents that number.
const TIMED: usize = 5;

/// After this many steps the slower number of threads is tried again, since the load of the machine may have changed.
const AGAIN: u32 = 1000;

/// Chooses how many of its allowed threads an order uses.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The number of threads that the order started with.
    few: Timed,
    /// The number of threads that it is allowed now.
    many: Timed,
    /// Whether the step in progress uses `many`.
    has_many: bool,
    /// The number of steps since the slower number of threads was last tried again.
    since: u32,
    most: usize,
}

/// A number of threads, and the times of the newest steps that used it.
#[derive(Debug)]
struct Timed {
    threads: usize,
    seconds: Vec<f64>,
}

impl Timed {
    fn new(threads: usize) -> Self {
        Self { threads, seconds: Vec::with_capacity(TIMED) }
    }

    fn push(&mut self, seconds: f64) {
        if self.seconds.len() == TIMED {
            self.seconds.remove(0);
        }
        self.seconds.push(seconds);
    }

    /// The median, if enough steps were timed.
    fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        (sorted.len() == TIMED).then(|| sorted[TIMED / 2])
    }
}

impl Pace {
    /// The pace of an order that starts with `threads` threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self { few: Timed::new(threads), many: Timed::new(threads), has_many: false, since: 0, most: threads }
    }

    /// The number of threads for the next step, given how many are allowed: all of them if they are faster than the
    /// number at the start, or have not been timed yet.
    pub(crate) fn threads(&mut self, allowed: usize) -> usize {
        if allowed != self.many.threads {
            (self.many, self.since) = (Timed::new(allowed), 0);
        }
        if self.since >= AGAIN {
            let other = if self.has_many { &mut self.few } else { &mut self.many };
            (*other, self.since) = (Timed::new(other.threads), 0);
        }
        self.has_many = allowed > self.few.threads
            && match (self.few.median(), self.many.median()) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(few), Some(many)) => many < few,
            };
        let threads = if self.has_many { allowed } else { self.few.threads };
        self.most = self.most.max(threads);
        threads
    }

    /// Records the time of a step.
    pub(crate) fn took(&mut self, seconds: f64) {
        self.since += 1;
        let timed = if self.has_many { &mut self.many } else { &mut self.few };
        timed.push(seconds);
    }

    /// The most threads that a step used.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `n` steps, each of which takes `seconds(threads)`; counts the steps that used each number of threads.
    fn steps(pace: &mut Pace, n: usize, allowed: usize, seconds: impl Fn(usize) -> f64) -> [usize; 5] {
        let mut had = [0; 5];
        for _ in 0..n {
            let threads = pace.threads(allowed);
            had[threads] += 1;
            pace.took(seconds(threads));
        }
        had
    }

    #[test]
    fn more_threads_are_used_while_they_are_faster() {
        let (faster, slower) = (|threads| 1.0 / threads as f64, |threads| threads as f64);
        let mut pace = Pace::new(1);
        assert_eq!(steps(&mut pace, 20, 1, faster), [0, 20, 0, 0, 0]);
        // The second thread is tried at once, since the steps above have timed one thread.
        assert_eq!(steps(&mut pace, 20, 2, faster), [0, 0, 20, 0, 0]);
        assert_eq!(pace.most(), 2);
        // The machine becomes busy: the extra threads are dropped once most of the newest steps show it.
        assert_eq!(steps(&mut pace, 100, 2, slower), [0, 97, 3, 0, 0]);
        // Now and then they are tried again, and kept once they are faster.
        let [_, few, many, ..] = steps(&mut pace, 10_000, 2, slower);
        assert!((40..=60).contains(&many) && few + many == 10_000, "{many} slow steps of 10,000");
        let [_, few, many, ..] = steps(&mut pace, 10_000, 2, faster);
        assert!(few < 1100 && few + many == 10_000, "{few} slow steps of 10,000");
        // A changed allowance takes effect at once.
        assert_eq!(steps(&mut pace, 10, 1, faster), [0, 10, 0, 0, 0]);
        assert_eq!(steps(&mut pace, 10, 4, faster), [0, 0, 0, 0, 10]);
        assert_eq!(pace.most(), 4);
    }

    #[test]
    fn an_order_is_timed_with_its_own_threads_first() {
        let mut pace = Pace::new(1);
        assert_eq!(steps(&mut pace, 4, 2, |_| 1.0), [0, 4, 0, 0, 0]);
        assert_eq!(pace.most(), 1);
        assert_eq!(steps(&mut pace, 10, 2, |threads| 1.0 / threads as f64), [0, 1, 9, 0, 0]);
    }
}
