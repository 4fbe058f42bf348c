//! Signals that ask the program to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use signal_hook::iterator::Signals;

use engine::stop::Stop;
use system::process::is_ignored;

/// Ctrl-C, termination, a closed terminal, an alarm that a parent has set: a second one ends the program at once.
const DEMANDS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGALRM];

/// A scheduler's warnings that time is nearly up, and the kernel's that CPU time is. The latter comes again each second,
/// so a second one asks for no more than the first.
const WARNINGS: [i32; 3] = [SIGUSR1, SIGUSR2, SIGXCPU];

/// How long after a first demand another one still counts as the same: `timeout` and `kill` send it to a program and then
/// to its group.
const SAME: Duration = Duration::from_millis(200);

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InterruptState {
    /// Nothing is at stake: a first signal ends the program at once.
    Idle,
    /// Something is being computed: a first signal is a request to stop in good order.
    Listening,
    /// One has asked: a second demand ends the program at once.
    Asked,
}

impl InterruptState {
    fn of(number: usize) -> Self {
        match number {
            0 => Self::Idle,
            1 => Self::Listening,
            _ => Self::Asked,
        }
    }
}

/// Requests to stop that come as signals. Clones are one.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// A [`InterruptState`].
    state: Arc<AtomicUsize>,
    /// Whether a demand ends the program: where it is idle, and a moment after the first demand.
    demands_end: Arc<AtomicBool>,
    /// Whether a warning ends the program: where it is idle.
    warnings_end: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes the signals over. One that ends the program does so with the exit code `status`.
    pub fn install(status: i32) -> Self {
        let this = Self::idle();
        // A signal that can't be taken over ends the program, as it would anyway.
        // Under nohup a closed terminal is to change nothing.
        let demands = DEMANDS.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
        for signal in demands.clone() {
            let _ = register_conditional_shutdown(signal, status, Arc::clone(&this.demands_end));
            let _ = register_usize(signal, Arc::clone(&this.state), InterruptState::Asked as usize);
        }
        if this.insist_later(demands.clone()).is_err() {
            // Where no thread can be started, each signal counts for itself.
            for signal in demands {
                let _ = register(signal, Arc::clone(&this.demands_end));
            }
        }
        for signal in WARNINGS {
            let _ = register_conditional_shutdown(signal, status, Arc::clone(&this.warnings_end));
            let _ = register_usize(signal, Arc::clone(&this.state), InterruptState::Asked as usize);
        }
        this
    }

    fn idle() -> Self {
        let ends = || Arc::new(AtomicBool::new(true));
        Self {
            state: Arc::new(AtomicUsize::new(InterruptState::Idle as usize)),
            demands_end: ends(),
            warnings_end: ends(),
        }
    }

    /// Makes the next demand end the program, a moment after the first.
    fn insist_later(&self, demands: impl Iterator<Item = i32>) -> std::io::Result<()> {
        let (mut signals, demands_end) = (Signals::new(demands)?, Arc::clone(&self.demands_end));
        let wait = move || {
            for _ in signals.forever() {
                std::thread::sleep(SAME);
                demands_end.store(true, Ordering::Relaxed);
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    fn state(&self) -> InterruptState {
        InterruptState::of(self.state.load(Ordering::Relaxed))
    }

    /// From here on a first signal is a request. One that was made before, while something else was computed, stands.
    pub fn listen(&self) {
        if self.state() == InterruptState::Idle {
            self.state.store(InterruptState::Listening as usize, Ordering::Relaxed);
            self.set_ends(false);
        }
    }

    /// From here on a signal ends the program again; says whether one asked to stop.
    pub fn release(&self) -> bool {
        self.set_ends(true);
        InterruptState::of(self.state.swap(InterruptState::Idle as usize, Ordering::Relaxed)) == InterruptState::Asked
    }

    fn set_ends(&self, value: bool) {
        self.demands_end.store(value, Ordering::Relaxed);
        self.warnings_end.store(value, Ordering::Relaxed);
    }
}

impl Stop for Interrupt {
    fn is_asked(&self) -> bool {
        self.state() == InterruptState::Asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stands_until_nothing_is_at_stake() {
        let interrupt = Interrupt::idle();
        let ends = |it: &Interrupt| [&it.demands_end, &it.warnings_end].map(|ends| ends.load(Ordering::Relaxed));
        assert_eq!((interrupt.state(), ends(&interrupt)), (InterruptState::Idle, [true; 2]));
        interrupt.listen();
        assert_eq!((interrupt.state(), ends(&interrupt)), (InterruptState::Listening, [false; 2]));
        assert!(!interrupt.release() && ends(&interrupt) == [true; 2]);

        interrupt.listen();
        interrupt.state.store(InterruptState::Asked as usize, Ordering::Relaxed);
        // What is computed next does not forget it.
        interrupt.listen();
        assert!(interrupt.clone().is_asked());
        assert!(interrupt.release() && !interrupt.is_asked());
    }

    #[test]
    fn a_warning_asks_and_a_second_one_asks_for_no_more() {
        let interrupt = Interrupt::install(130);
        interrupt.listen();
        for _ in 0..2 {
            signal_hook::low_level::raise(SIGUSR2).unwrap();
            assert!(interrupt.is_asked());
        }
    }
}
