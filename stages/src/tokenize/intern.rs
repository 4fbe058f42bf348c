//! Distinct byte strings, numbered in the order of their first appearance.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// No id yet.
const NONE: u32 = u32::MAX;

/// Gives each distinct string an id.
#[derive(Debug)]
pub(crate) struct Interner {
    table: HashTable<Entry>,
    /// All strings, one behind the other.
    bytes: Vec<u8>,
    /// Where each string ends.
    ends: Vec<usize>,
    /// Ids of the strings of one ASCII byte: most characters and much punctuation need no hash.
    singles: [u32; 128],
    state: FixedState,
}

/// The hash stands in the table, so that another string is hardly ever looked at.
#[derive(Debug)]
struct Entry {
    hash: u32,
    id: u32,
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

    /// Distinct strings so far.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id of `text`, a new one if it was never seen.
    ///
    /// Beyond 2³² − 1 strings, ids are meaningless: whoever feeds blocks looks at [`Interner::len`] between them.
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
        let hash = self.state.hash_one(text);
        let short = hash as u32;
        let found =
            self.table.find(hash, |entry| entry.hash == short && get(&self.bytes, &self.ends, entry.id) == text);
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
        let hash = self.state.hash_one(text);
        let (bytes, ends, state) = (&self.bytes, &self.ends, &self.state);
        self.table
            .insert_unique(hash, Entry { hash: hash as u32, id }, |entry| state.hash_one(get(bytes, ends, entry.id)));
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
        let words: Vec<String> = (0..5000).map(|i| format!("word{i}")).chain(["a".into(), "é".into()]).collect();
        for _ in 0..2 {
            for (id, word) in words.iter().enumerate() {
                assert_eq!(interner.id(word.as_bytes()) as usize, id);
            }
        }
        assert_eq!(interner.len(), words.len());
        assert!(interner.iter().eq(words.iter().map(String::as_bytes)));
    }
}
