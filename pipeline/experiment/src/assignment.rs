//! A key with its value: what axes, listed points and exclusions are made of.

use super::tree::{Raw, TomlNode};

/// A dotted key and its value.
pub type Assignment = (String, TomlNode);

/// A point as it would be written in TOML.
pub fn words(point: &[Assignment]) -> String {
    point.iter().map(|(key, node)| format!("{key} = {}", node.raw)).collect::<Vec<_>>().join(", ")
}

/// Whether two values are equal; `1` equals `1.0`, since a float key accepts either.
pub fn same(a: &Raw, b: &Raw) -> bool {
    match (a, b) {
        (Raw::Int(a), Raw::Float(b)) | (Raw::Float(b), Raw::Int(a)) => *a as f64 == *b,
        (Raw::List(a), Raw::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.raw, &b.raw)),
        (Raw::Table(a), Raw::Table(b)) => {
            let has =
                |(key, node): &(String, TomlNode)| b.iter().any(|(other, it)| other == key && same(&node.raw, &it.raw));
            a.len() == b.len() && a.iter().all(has)
        }
        (a, b) => a == b,
    }
}

/// Whether `key` lies inside the table `whole`.
pub fn is_part(key: &str, whole: &str) -> bool {
    key.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'))
}
