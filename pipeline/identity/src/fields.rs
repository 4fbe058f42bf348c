//! The named fields that a key covers, and the byte format in which they are hashed.
//!
//! The same list is hashed, recorded with the execution and compared by `--explain`, so an explanation can't disagree
//! with the key.
//!
//! The format: `pipeline key 1\n`; the number of fields as an unsigned 64-bit integer; then the fields in order of
//! their names, each as name and value. A text is its length in bytes (unsigned 64-bit) and its bytes. A value is a
//! type byte and the content: 0 null, nothing; 1 a boolean, one byte; 2 an integer, signed 64-bit; 3 a float, the 64
//! bits of IEEE 754, with −0 as 0; 4 a text; 5 a list, the number of items (unsigned 64-bit) and the items; 6 a map,
//! the number of entries (unsigned 64-bit) and each key (a text) and value in order of the keys. All integers are
//! little-endian.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Values with unique names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(BTreeMap<String, Value>);

/// A field in which two lists differ: its name, and its value in each list, if present.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The field's name.
    pub name: String,
    /// The value in the earlier list.
    pub before: Option<Value>,
    /// The value in the later list.
    pub now: Option<Value>,
}

impl Fields {
    /// Adds a field.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        match self.0.entry(name.into()) {
            Entry::Vacant(free) => drop(free.insert(value.into())),
            Entry::Occupied(taken) => debug_assert!(false, "BUG: field {} was put twice", taken.key()),
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

    /// Passes every field to `visit`, in the order in which they are hashed.
    pub fn walk<'a>(&'a self, mut visit: impl FnMut(&'a str, &'a Value)) {
        self.0.iter().for_each(|(name, value)| visit(name, value));
    }

    /// The digest of the fields.
    pub fn digest(&self) -> Digest {
        Self::digest_of([self])
    }

    /// The digest of the fields of several lists that have no name in common. It is the same as that of one list with
    /// all the fields, which need not be built.
    pub fn digest_of<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Digest {
        let mut all: Vec<(&String, &Value)> = parts.into_iter().flat_map(|part| &part.0).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        debug_assert!(all.windows(2).all(|pair| pair[0].0 != pair[1].0), "BUG: a field is in two lists");
        let mut hash = Sha256::new();
        hash.update(b"pipeline key 1\n");
        hash.update((all.len() as u64).to_le_bytes());
        for (name, value) in all {
            hash_text(&mut hash, name);
            hash_value(&mut hash, value);
        }
        Digest::from_bytes(hash.finalize().into())
    }

    /// The fields as JSON, `[[name, value], …]`, as the record stores them.
    pub fn to_json(&self) -> String {
        let mut list = Vec::with_capacity(self.0.len());
        self.walk(|name, value| list.push(Value::from(vec![Value::from(name), value.clone()])));
        Value::from(list).to_string()
    }

    /// Reads what [`Self::to_json`] wrote; `None` if the text is anything else.
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

/// The digest of one value; values are equal exactly if their digests are.
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
            // JSON has no NaN; adding 0 turns −0 into 0.
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
            // Sorted here, because the order of the JSON crate's map depends on its features.
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
    fn boundaries_types_and_order_are_hashed() {
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
    fn fields_survive_a_round_trip_and_explain_a_difference() {
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
