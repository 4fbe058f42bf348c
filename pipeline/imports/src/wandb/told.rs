//! What a reader of records tells its user once, however often it was met.

use crate::{Oddity, Remark, Sink};

/// Where a record is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Of the records of a file, from 0.
    pub(crate) number: u64,
    /// At which it begins.
    pub(crate) byte: u64,
}

impl Place {
    /// A remark about this record.
    pub(crate) fn remark(self, what: Oddity) -> Remark {
        Remark { place: self.number, byte: Some(self.byte), what }
    }
}

/// How often something was met, and where first.
#[derive(Debug, Default)]
pub(crate) struct Met {
    first: Option<Place>,
    times: u64,
}

impl Met {
    /// It was met here.
    pub(crate) fn count(&mut self, place: Place) {
        self.first.get_or_insert(place);
        self.times += 1;
    }

    /// Tells what it is and how often it was met, at the place where it was met first.
    pub(crate) fn tell(&self, what: &str, sink: &mut dyn Sink) {
        if let Some(first) = self.first {
            sink.remark(first.remark(Oddity::Unreadable(format!("{what}: {}", self.times))));
        }
    }
}
