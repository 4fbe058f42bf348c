//! Whether more threads make an order faster. A small model's steps take less time than it takes to wake a helper, and on a
//! machine that others use too, a helper may be waited for ten times as long as the step takes alone.

/// Steps whose median time stands for a number of threads.
const TIMED: usize = 5;

/// After so many steps what was found slower is tried again: the machine may be less busy, or more.
const AGAIN: u32 = 1000;

/// How many threads an order uses, of those that it is allowed.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Those that it began with.
    few: Timed,
    /// Those that it is allowed.
    many: Timed,
    /// Whether the step in progress has the many.
    has_many: bool,
    /// Steps since either was tried.
    since: u32,
    most: usize,
}

/// A number of threads, and the times of the newest steps that had so many.
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

    /// The median, where enough steps were timed.
    fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        (sorted.len() == TIMED).then(|| sorted[TIMED / 2])
    }
}

impl Pace {
    /// Of an order that begins with so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self { few: Timed::new(threads), many: Timed::new(threads), has_many: false, since: 0, most: threads }
    }

    /// How many threads the next step is to have, where so many are allowed: these if they are faster than those at the
    /// beginning, or if that is not known yet.
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

    /// The step took so long.
    pub(crate) fn took(&mut self, seconds: f64) {
        self.since += 1;
        let timed = if self.has_many { &mut self.many } else { &mut self.few };
        timed.push(seconds);
    }

    /// The most threads that a step had.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many steps had each number of threads, at `seconds` by threads.
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
    fn more_threads_are_used_as_long_as_they_are_faster() {
        let (faster, slower) = (|threads| 1.0 / threads as f64, |threads| threads as f64);
        let mut pace = Pace::new(1);
        assert_eq!(steps(&mut pace, 20, 1, faster), [0, 20, 0, 0, 0]);
        // At once, since the few were timed before.
        assert_eq!(steps(&mut pace, 20, 2, faster), [0, 0, 20, 0, 0]);
        assert_eq!(pace.most(), 2);
        // The machine becomes busy: given up once most of the newest steps show it.
        assert_eq!(steps(&mut pace, 100, 2, slower), [0, 97, 3, 0, 0]);
        // Now and then they are tried again, and kept to where that has changed.
        let [_, few, many, ..] = steps(&mut pace, 10_000, 2, slower);
        assert!((40..=60).contains(&many) && few + many == 10_000, "{many} slow steps of 10,000");
        let [_, few, many, ..] = steps(&mut pace, 10_000, 2, faster);
        assert!(few < 1100 && few + many == 10_000, "{few} slow steps of 10,000");
        // What is taken back is given back at once.
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
