//! Identifiers of processes, runs and executions: version 7 UUIDs, which sort by time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

/// A new identifier. It only has to be unique, so a clock set before 1970 or a system without random numbers is not a
/// problem.
pub fn uid() -> String {
    let mut random = [0; 10];
    if getrandom::fill(&mut random).is_err() {
        random = guessed();
    }
    version_7(SystemTime::now(), random)
}

fn version_7(now: SystemTime, random: [u8; 10]) -> String {
    // A version 7 UUID has no time before 1970 or after the year 10889.
    let milliseconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    uuid::Builder::from_unix_timestamp_millis(milliseconds & 0xffff_ffff_ffff, &random).into_uuid().to_string()
}

/// Bytes that differ for every call, if the system has no random numbers.
fn guessed() -> [u8; 10] {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hash = Sha256::new();
    hash.update(std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default());
    hash.update(std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default());
    // The start time distinguishes this process from an earlier one with the same number.
    hash.update(std::fs::read("/proc/self/stat").unwrap_or_default());
    let now = SystemTime::now();
    let age = now.duration_since(UNIX_EPOCH).unwrap_or_else(|before| before.duration());
    hash.update(age.as_nanos().to_le_bytes());
    hash.update(CALLS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let digest = hash.finalize();
    std::array::from_fn(|i| digest[i])
}

/// Checks that the system has random numbers. Without them, the standard library's hash maps panic.
///
/// # Errors
/// The system's error if it has none.
pub fn check_random() -> Result<(), String> {
    getrandom::fill(&mut [0; 16]).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn identifiers_differ_and_sort_by_time_whatever_the_clock_says() {
        let years = |n: u64| Duration::from_secs(n * 31_557_600);
        let times = [
            UNIX_EPOCH - years(2000),
            UNIX_EPOCH - Duration::from_nanos(1),
            UNIX_EPOCH + Duration::from_millis(1),
            UNIX_EPOCH + years(55),
            UNIX_EPOCH + years(155),
        ];
        let uids: Vec<String> = times.iter().map(|time| version_7(*time, guessed())).collect();
        assert!(uids[0].starts_with("00000000-0000-7") && uids[1].starts_with("00000000-0000-7"), "{uids:?}");
        assert!(uids[1..].is_sorted(), "{uids:?}");
        assert!(uids.iter().all(|uid| uid.len() == 36 && uid.as_bytes()[14] == b'7'), "{uids:?}");
        assert_ne!(guessed(), guessed());
        assert_ne!(uid(), uid());
    }
}
