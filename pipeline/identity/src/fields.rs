//! What a key covers, as a list of named fields, and the byte format in which it is hashed.
//!
//! The same list is hashed, kept with the execution and compared by `--explain`, so that an explanation can't disagree
//! with the key.
//!
//! The format: `pipeline key 1\n`; the number of fields as an unsigned 64-bit integer; each field in the order of its
//! name: the name, the value. A text is its length in bytes (unsigned 64-bit) and its bytes; a value is a byte for its
//! type and then 0 null; 1 a boolean as one byte; 2 an integer as signed 64-bit; 3 a float as the 64 bits of IEEE 754,
//! −0 made 0; 4 a text; 5 a list: the number of items (unsigned 64-bit) and the items; 6 a map: the number of entries
//! and each key (a text) and value in the order of the keys. All integers are little-endian.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Named values, each name once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(BTreeMap<String, Value>);

/// A field in which two lists differ: its name, and its value in each, where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The field's.
    pub name: String,
    /// In the earlier list.
    pub before: Option<Value>,
    /// In the later one.
    pub now: Option<Value>,
}

impl Fields {
    /// Adds a field.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        match self.0.entry(name.into()) {
            Entry::Vacant(free) => drop(free.insert(value.into())),
            Entry::Occupied(taken) => debug_assert!(false, "BUG: field {} twice", taken.key()),
        }
    }

    /// Adds every leaf of a table of parameters as `prefix.name`.
    pub fn put_all(&mut self, prefix: &str, value: &Value) {
        self.put_leaves(prefix.to_owned(), value);
    }

    fn put_leaves(&mut self, name: String, value: &Value) {
        match value {
            Value::Object(entries) => {
                entries.iter().for_each(|(entry, value)| self.put_leaves(format!("{name}.{entry}"), value));
            }
            value => self.put(name, value.clone()),
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Hands every field to `visit`, in the order in which they are hashed.
    pub fn walk<'a>(&'a self, mut visit: impl FnMut(&'a str, &'a Value)) {
        self.0.iter().for_each(|(name, value)| visit(name, value));
    }

    /// The digest of the fields.
    pub fn digest(&self) -> Digest {
        Self::digest_of([self])
    }

    /// The digest of the fields of several lists, no name in two of them: that of one list with all of them, which need
    /// not be made.
    pub fn digest_of<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Digest {
        let mut all: Vec<(&String, &Value)> = parts.into_iter().flat_map(|part| &part.0).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        debug_assert!(all.windows(2).all(|pair| pair[0].0 != pair[1].0), "BUG: a field in two lists");
        let mut hash = Sha256::new();
        hash.update(b"pipeline key 1\n");
        hash.update((all.len() as u64).to_le_bytes());
        for (name, value) in all {
            hash_text(&mut hash, name);
            hash_value(&mut hash, value);
        }
        Digest::from_bytes(hash.finalize().into())
    }

    /// The fields as JSON, `[[name, value], …]`: what the record keeps.
    pub fn to_json(&self) -> String {
        let mut list = Vec::with_capacity(self.0.len());
        self.walk(|name, value| list.push(Value::from(vec![Value::from(name), value.clone()])));
        Value::from(list).to_string()
    }

    /// Reads what [`Self::to_json`] wrote; `None` when the text is something else.
    pub fn from_json(text: &str) -> Option<Self> {
        let pairs: Vec<(String, Value)> = serde_json::from_str(text).ok()?;
        Some(Self(pairs.into_iter().collect()))
    }

    /// The fields in which `self` differs from an `earlier` list.
    pub fn differences(&self, earlier: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        self.walk(|name, now| {
            let before = earlier.get(name);
            if before.map(canonical) != Some(canonical(now)) {
                found.push(Difference { name: name.to_owned(), before: before.cloned(), now: Some(now.clone()) });
            }
        });
        earlier.walk(|name, before| {
            if self.get(name).is_none() {
                found.push(Difference { name: name.to_owned(), before: Some(before.clone()), now: None });
            }
        });
        found
    }
}

/// The bytes of one value: equal bytes, equal values.
fn canonical(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash_value(&mut hash, value);
    hash.finalize().into()
}

fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn hash_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update([0]),
        Value::Bool(value) => hash.update([1, u8::from(*value)]),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => {
                hash.update([2]);
                hash.update(value.to_le_bytes());
            }
            // JSON has no NaN; adding 0 makes −0 and 0 one.
            (None, Some(value)) => {
                hash.update([3]);
                hash.update((value + 0.0).to_bits().to_le_bytes());
            }
            (None, None) => unreachable!("BUG: a JSON number is an integer or a float"),
        },
        Value::String(text) => {
            hash.update([4]);
            hash_text(hash, text);
        }
        Value::Array(items) => {
            hash.update([5]);
            hash.update((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| hash_value(hash, item));
        }
        Value::Object(entries) => {
            hash.update([6]);
            hash.update((entries.len() as u64).to_le_bytes());
            // Sorted here, not by whatever map the JSON crate was built with.
            let sorted: BTreeMap<&String, &Value> = entries.iter().collect();
            for (key, value) in sorted {
                hash_text(hash, key);
                hash_value(hash, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(pairs: &[(&str, Value)]) -> Digest {
        let mut fields = Fields::default();
        pairs.iter().for_each(|(name, value)| fields.put(*name, value.clone()));
        fields.digest()
    }

    #[test]
    fn the_format_is_pinned() {
        // Computed by ten lines of Python from the description above.
        let fields = [("stage", json!("train")), ("param.rate", json!(0.1)), ("version", json!(1))];
        assert_eq!(digest(&fields).to_string(), "3e0b0a11b72070094f41048e696a5db6ab9ce03d40e20fc11fcf024ea10372c0");
    }

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        let part =
            |pairs: &[(&str, Value)]| Fields(pairs.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect());
        let (one, other) =
            (part(&[("b", json!(2)), ("d", json!([4]))]), part(&[("a", json!("1")), ("c", json!(null))]));
        let whole = part(&[("a", json!("1")), ("b", json!(2)), ("c", json!(null)), ("d", json!([4]))]);
        assert_eq!(Fields::digest_of([&one, &other, &Fields::default()]), whole.digest());
        assert_ne!(Fields::digest_of([&one]), whole.digest());
    }

    #[test]
    fn borders_types_and_order() {
        assert_ne!(digest(&[("ab", json!("c"))]), digest(&[("a", json!("bc"))]));
        assert_ne!(digest(&[("a", json!(["b", "c"]))]), digest(&[("a", json!(["bc"]))]));
        assert_ne!(digest(&[("a", json!([["b"], "c"]))]), digest(&[("a", json!(["b", ["c"]]))]));
        assert_ne!(digest(&[("a", json!(1))]), digest(&[("a", json!(1.0))]));
        assert_ne!(digest(&[("a", json!(1))]), digest(&[("a", json!("1"))]));
        assert_ne!(digest(&[("a", json!(null))]), digest(&[]));
        assert_ne!(digest(&[("a", json!(0))]), digest(&[("a", json!(false))]));
        assert_eq!(digest(&[("a", json!(-0.0))]), digest(&[("a", json!(0.0))]));
        assert_eq!(digest(&[("a", json!(1)), ("b", json!(2))]), digest(&[("b", json!(2)), ("a", json!(1))]));
        assert_eq!(digest(&[("m", json!({"x": 1, "y": 2}))]), digest(&[("m", json!({"y": 2, "x": 1}))]));
    }

    #[test]
    fn what_was_hashed_comes_back_and_explains_itself() {
        let mut before = Fields::default();
        before.put_all("param", &json!({"rate": 0.1, "schedule": {"kind": "constant"}}));
        before.put("version", 1);
        let again = Fields::from_json(&before.to_json()).unwrap();
        assert_eq!(again.digest(), before.digest());
        let mut now = Fields::default();
        now.put_all("param", &json!({"rate": 0.3, "schedule": {"kind": "constant"}, "extra": true}));
        let found: Vec<String> =
            now.differences(&before).iter().map(|d| format!("{} {:?} {:?}", d.name, d.before, d.now)).collect();
        assert_eq!(
            found,
            [
                "param.extra None Some(Bool(true))",
                "param.rate Some(Number(0.1)) Some(Number(0.3))",
                "version Some(Number(1)) None",
            ]
        );
    }
}
