//! Signals that ask the program to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use signal_hook::iterator::Signals;

use engine::stop::Stop;
use system::process::is_ignored;

/// Demands to stop: Ctrl-C, termination, a closed terminal, or an alarm set by a parent process. The second demand
/// ends the program at once.
const DEMANDS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGALRM];

/// Warnings by a scheduler that the time limit is near, or by the kernel that the CPU time limit is reached. The kernel
/// repeats its warning every second, so a second warning means no more than the first.
const WARNINGS: [i32; 3] = [SIGUSR1, SIGUSR2, SIGXCPU];

/// How long after the first demand another one still counts as the same demand: `timeout` and `kill` send a signal to a
/// program and then to its process group.
const SAME: Duration = Duration::from_millis(200);

/// What the next signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InterruptState {
    /// No work is in progress: a signal ends the program at once.
    Idle,
    /// Work is in progress: a signal is a request to stop cleanly.
    Listening,
    /// A request was made: a second demand ends the program at once.
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

/// Requests to stop that arrive as signals. Clones share their state.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// The [`InterruptState`], as a number.
    state: Arc<AtomicUsize>,
    /// Whether a demand ends the program. True when idle, and from shortly after the first demand.
    demands_end: Arc<AtomicBool>,
    /// Whether a warning ends the program. True when idle.
    warnings_end: Arc<AtomicBool>,
}

impl Interrupt {
    /// Installs handlers for the signals. A signal that ends the program does so with the exit code `status`.
    pub fn install(status: i32) -> Self {
        let this = Self::idle();
        // If a handler can't be installed, the signal ends the program, which is the default.
        // Under nohup, a closed terminal must have no effect.
        let demands = DEMANDS.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
        for signal in demands.clone() {
            let _ = register_conditional_shutdown(signal, status, Arc::clone(&this.demands_end));
            let _ = register_usize(signal, Arc::clone(&this.state), InterruptState::Asked as usize);
        }
        if this.insist_later(demands.clone()).is_err() {
            // Without the thread, every signal counts separately.
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

    /// Lets another demand end the program, from shortly after the first one.
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

    /// From here on, the first signal is a request to stop. A request made during earlier work is kept.
    pub fn listen(&self) {
        if self.state() == InterruptState::Idle {
            self.state.store(InterruptState::Listening as usize, Ordering::Relaxed);
            self.set_ends(false);
        }
    }

    /// From here on, a signal ends the program again. Returns whether a signal had asked to stop.
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
    fn a_request_is_kept_until_release() {
        let interrupt = Interrupt::idle();
        let ends = |it: &Interrupt| [&it.demands_end, &it.warnings_end].map(|ends| ends.load(Ordering::Relaxed));
        assert_eq!((interrupt.state(), ends(&interrupt)), (InterruptState::Idle, [true; 2]));
        interrupt.listen();
        assert_eq!((interrupt.state(), ends(&interrupt)), (InterruptState::Listening, [false; 2]));
        assert!(!interrupt.release() && ends(&interrupt) == [true; 2]);

        interrupt.listen();
        interrupt.state.store(InterruptState::Asked as usize, Ordering::Relaxed);
        // The request must not be forgotten when the next work begins.
        interrupt.listen();
        assert!(interrupt.clone().is_asked());
        assert!(interrupt.release() && !interrupt.is_asked());
    }

    #[test]
    fn a_second_warning_does_not_end_the_program() {
        let interrupt = Interrupt::install(130);
        interrupt.listen();
        for _ in 0..2 {
            signal_hook::low_level::raise(SIGUSR2).unwrap();
            assert!(interrupt.is_asked());
        }
    }
}
