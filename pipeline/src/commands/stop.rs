//! Signals that ask the program to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::flag::{register, register_conditional_shutdown};
use signal_hook::iterator::Signals;

use crate::failure::INTERRUPTED;
use system::process::is_ignored;

/// Ctrl-C, termination, a closed terminal, an alarm that a parent has set: a second one ends the program at once.
const DEMANDS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGALRM];

/// A scheduler's warnings that time is nearly up, and the kernel's that CPU time is. The latter comes again each second,
/// so a second one asks for no more than the first.
const WARNINGS: [i32; 3] = [SIGUSR1, SIGUSR2, SIGXCPU];

/// How long after a first demand another one still counts as the same: `timeout` and `kill` send it to a program and then
/// to its group.
const SAME: Duration = Duration::from_millis(200);

/// Whether a signal has asked the program to stop. From [`Stop::listen`] to [`Stop::begin`], and after [`Stop::end`],
/// nothing is at stake, and a signal ends the program at once.
#[derive(Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    demanded: Arc<AtomicBool>,
    idle: Arc<AtomicBool>,
}

impl Stop {
    /// Takes the signals over.
    pub fn listen() -> Self {
        let flag = || Arc::new(AtomicBool::new(true));
        let stop = Self { asked: flag(), demanded: flag(), idle: flag() };
        // A signal that can't be taken over ends the program, as it would anyway.
        // Under nohup a closed terminal is to change nothing.
        let demands = DEMANDS.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
        for signal in demands.clone() {
            let _ = register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&stop.demanded));
            let _ = register(signal, Arc::clone(&stop.asked));
        }
        if stop.demand_later(demands.clone()).is_err() {
            // Where no thread can be started, each signal counts for itself.
            for signal in demands {
                let _ = register(signal, Arc::clone(&stop.demanded));
            }
        }
        for signal in WARNINGS {
            let _ = register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&stop.idle));
            let _ = register(signal, Arc::clone(&stop.asked));
        }
        stop
    }

    /// Sets the flag that makes the next demand end the program, a moment after the first.
    fn demand_later(&self, demands: impl Iterator<Item = i32>) -> std::io::Result<()> {
        let (mut signals, demanded) = (Signals::new(demands)?, Arc::clone(&self.demanded));
        let wait = move || {
            for _ in signals.forever() {
                std::thread::sleep(SAME);
                demanded.store(true, Ordering::Relaxed);
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// From here on a first signal is a request.
    pub fn begin(&self) {
        self.set(false);
    }

    /// From here on a signal ends the program again; says whether one asked to stop.
    pub fn end(&self) -> bool {
        let asked = self.is_asked();
        self.set(true);
        asked
    }

    fn set(&self, value: bool) {
        for flag in [&self.asked, &self.demanded, &self.idle] {
            flag.store(value, Ordering::Relaxed);
        }
    }

    /// Whether a signal asked to stop.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The same, for whoever works on another floor.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }
}
