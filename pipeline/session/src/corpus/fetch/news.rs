//! The events that a fetch reports.

use std::time::Duration;

/// An event of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Waiting for another process that is fetching the same file.
    Waiting {
        /// The file's address.
        url: &'a str,
    },
    /// The first bytes are about to arrive.
    Begins {
        /// The file's address.
        url: &'a str,
        /// The offset of the first byte that arrives.
        from: u64,
        /// The file's size, if the server announces it.
        whole: Option<u64>,
    },
    /// This many more bytes have arrived.
    Arrived(u64),
    /// No data is arriving.
    Silent {
        /// The file's address.
        url: &'a str,
        /// For how long no data has arrived.
        since: Duration,
        /// How long the silence can last before the connection counts as lost.
        patience: Duration,
    },
    /// The connection was lost and will be retried.
    Lost {
        /// The file's address.
        url: &'a str,
        /// Why the connection was lost.
        words: &'a str,
    },
}
