//! What is told while a corpus is fetched.

use std::time::Duration;

/// What happens while something is fetched.
#[derive(Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Another process fetches the same file; its result is waited for.
    Waiting {
        /// The file's address.
        url: &'a str,
    },
    /// Bytes begin to arrive.
    Begins {
        /// The file's address.
        url: &'a str,
        /// The place of the first byte that arrives.
        from: u64,
        /// The file's size, where the server says it.
        whole: Option<u64>,
    },
    /// So many bytes more are there.
    Arrived(u64),
    /// Nothing comes.
    Silent {
        /// The file's address.
        url: &'a str,
        /// For how long nothing has come.
        since: Duration,
        /// How long that may last.
        patience: Duration,
    },
    /// The connection is lost, and another will be made.
    Lost {
        /// The file's address.
        url: &'a str,
        /// Why.
        words: &'a str,
    },
}
