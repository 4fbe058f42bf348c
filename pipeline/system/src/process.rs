//! Runs other programs for their output, and reads which signals this process ignores.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The output of a program; `None` if it does not start, fails, or does not finish in time, in which case it is killed.
pub fn output_within(command: &mut Command, limit: Duration) -> Option<Vec<u8>> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().ok()?;
    let pipe = child.stdout.take();
    let (sender, heard) = channel();
    let read = move || {
        let mut said = Vec::new();
        let done = pipe.map(|mut pipe| pipe.read_to_end(&mut said));
        // The receiver is gone if the caller has stopped waiting.
        let _ = sender.send(matches!(done, Some(Ok(_))).then_some(said));
    };
    let started = std::thread::Builder::new().spawn(read);
    let said = started.ok().and_then(|_| heard.recv_timeout(limit).ok().flatten());
    // A program can close its output and keep running.
    while said.is_some() && begun.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(done)) => return said.filter(|_| done.success()),
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => break,
        }
    }
    // Killing a program that has ended fails harmlessly.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Whether this process was started with a signal ignored, as `nohup` starts programs.
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1. If the system does not say, assume that no signal is ignored.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_in_time_is_killed() {
        let ask = |script: &str, limit| output_within(Command::new("sh").args(["-c", script]), limit);
        assert_eq!(ask("echo yes", Duration::from_secs(60)).as_deref(), Some(&b"yes\n"[..]));
        assert_eq!(ask("echo no; exit 3", Duration::from_secs(60)), None);
        assert_eq!(ask("exec sleep 600", Duration::from_millis(50)), None);
        assert_eq!(ask("echo yes; exec sleep 600 >&-", Duration::from_millis(50)), None);
        assert_eq!(output_within(&mut Command::new("/no/such/program"), Duration::from_secs(60)), None);
    }
}
