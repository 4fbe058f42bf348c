//! Numbers distinct byte strings in the order of their first appearance.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Marks a string that has no id yet.
const NONE: u32 = u32::MAX;

/// Gives each distinct string an id.
#[derive(Debug)]
pub(crate) struct Interner {
    table: HashTable<StringEntry>,
    /// All strings, concatenated.
    bytes: Vec<u8>,
    /// Where each string ends.
    ends: Vec<usize>,
    /// Ids of one-byte ASCII strings: most characters and punctuation need no hash.
    singles: [u32; 128],
    state: FixedState,
}

/// An entry of the table. It contains a string of up to 16 bytes itself, so that most look-ups read one cache line. For
/// a longer string it contains the hash, and the strings themselves are compared in `Interner::bytes`.
#[derive(Debug, Clone, Copy)]
struct StringEntry {
    key: StringKey,
    id: u32,
}

/// A string of up to 16 bytes with its length, or the hash of a longer string. Equal keys of short strings mean equal
/// strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StringKey {
    low: u64,
    high: u64,
    /// Lengths above 16 are all stored as 17.
    length: u32,
}

impl StringKey {
    #[inline]
    fn new(text: &[u8], state: &FixedState) -> Self {
        let eight = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let four = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        // The first and last bytes may overlap; together with the length they still identify the string.
        let (low, high) = match text.len() {
            0..4 => (text.iter().fold(0, |key, byte| key << 8 | u64::from(*byte)), 0),
            4..8 => (four(text.first_chunk()) | four(text.last_chunk()) << 32, 0),
            8..=16 => (eight(text.first_chunk()), eight(text.last_chunk())),
            _ => (state.hash_one(text), 0),
        };
        Self { low, high, length: text.len().min(17) as u32 }
    }

    /// A folded 128-bit product, as in foldhash and wyhash.
    #[inline]
    fn hash(self) -> u64 {
        let low = self.low ^ 0x9e37_79b9_7f4a_7c15;
        let high = self.high ^ u64::from(self.length) << 56 ^ 0x2545_f491_4f6c_dd1d;
        let product = u128::from(low) * u128::from(high);
        product as u64 ^ (product >> 64) as u64
    }
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self {
            table: HashTable::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            singles: [NONE; 128],
            state: FixedState::default(),
        }
    }

    /// Number of distinct strings so far.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id of `text`, which is a new one if it was not seen before.
    ///
    /// Beyond 2³² − 1 strings, ids are meaningless: callers must check [`Interner::len`] between blocks.
    #[inline]
    pub(crate) fn id(&mut self, text: &[u8]) -> u32 {
        if let [byte @ 0..128] = *text {
            let single = self.singles[usize::from(byte)];
            if single != NONE {
                return single;
            }
            let id = self.insert(text);
            self.singles[usize::from(byte)] = id;
            return id;
        }
        let key = StringKey::new(text, &self.state);
        let found = self.table.find(key.hash(), |entry| {
            entry.key == key && (key.length <= 16 || get(&self.bytes, &self.ends, entry.id) == text)
        });
        match found {
            Some(entry) => entry.id,
            None => self.insert(text),
        }
    }

    /// The strings in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|id| get(&self.bytes, &self.ends, id as u32))
    }

    #[cold]
    fn insert(&mut self, text: &[u8]) -> u32 {
        let id = u32::try_from(self.ends.len()).unwrap_or(NONE);
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        let key = StringKey::new(text, &self.state);
        self.table.insert_unique(key.hash(), StringEntry { key, id }, |entry| entry.key.hash());
        id
    }
}

fn get<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &bytes[start..ends[id]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_first_appearance() {
        let mut interner = Interner::new();
        // Lengths 1 to 40: strings that differ in one byte at any position, or only in length.
        let zeros = (1..=40).map(|length| "\0".repeat(length));
        let ones = (1..=40).flat_map(|length| {
            (0..length).map(move |at| format!("{}1{}", "\0".repeat(at), "\0".repeat(length - at - 1)))
        });
        let words: Vec<String> = zeros.chain(ones).chain((0..5000).map(|i| format!("é{i}"))).collect();
        for _ in 0..2 {
            for (id, word) in words.iter().enumerate() {
                assert_eq!(interner.id(word.as_bytes()) as usize, id);
            }
        }
        assert_eq!(interner.len(), words.len());
        assert!(interner.iter().eq(words.iter().map(String::as_bytes)));
    }
}
