//! Compares `docs/experiment.md` with the tables that check an experiment; `UPDATE_DOCS=1` rewrites the page.

use serde_json::Value;
use stages::params::{SPLIT, STAGES};
use stages::schema::{Default, Key, KeyKind, Role};

use super::check::allowed;
use super::corpus::CORPUS;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/experiment.md");

#[test]
fn the_page_has_every_key() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut fresh = replace(&page, "corpus", &sources());
    let stages = STAGES.iter().map(|stage| (stage.stage, stage.keys));
    for (name, keys) in std::iter::once(("corpus.split", SPLIT)).chain(stages) {
        fresh = replace(&fresh, name, &table(keys));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &fresh).unwrap();
        return;
    }
    assert!(
        page == fresh,
        "docs/experiment.md is out of date; to update it: UPDATE_DOCS=1 cargo test --release -p experiment docs"
    );
}

/// The page with the text between a table's two marks replaced.
fn replace(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- keys of {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/experiment.md has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/experiment.md has no {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

/// The keys of `[corpus]`, which have neither defaults nor roles: only the bytes of a corpus are part of a stage key.
fn sources() -> String {
    let mut text = String::from("| key | allowed | meaning |\n| --- | --- | --- |\n");
    for key in CORPUS {
        let allowed = if key.name == "split" { "a table, below".to_owned() } else { plain(&allowed(&key.kind)) };
        text.push_str(&format!("| `{}` | {allowed} | {} |\n", key.name, plain(key.doc)));
    }
    text
}

fn table(keys: &[Key]) -> String {
    let mut text = String::from("| key | allowed | default | meaning | role |\n| --- | --- | --- | --- | --- |\n");
    for key in keys {
        row(&mut text, "", "", key.role, key);
    }
    text
}

/// Appends a key's row, then the rows of the keys inside it if its value is a table. `of` says which of several
/// alternative tables the key belongs to; `role` is the outermost key's role, which applies to all keys inside it.
fn row(text: &mut String, prefix: &str, of: &str, role: Role, key: &Key) {
    let name = format!("{prefix}{}", key.name);
    let default = match key.default {
        Default::Is(json) => format!("`{}`", toml(&serde_json::from_str(json).unwrap())),
        Default::Seed => "the experiment's `seed`".to_owned(),
        Default::Absent => "none".to_owned(),
    };
    let allowed =
        if let KeyKind::Table(_) = key.kind { "a table, below".to_owned() } else { plain(&allowed(&key.kind)) };
    let (default, meaning) = (default.replace('|', "\\|"), plain(&format!("{of}{}", key.doc)));
    let word = match role {
        Role::Numbers => "numbers",
        Role::Length => "length",
        Role::Cadence => "cadence",
        Role::Selection => "selection",
        Role::Place => "place",
    };
    text.push_str(&format!("| `{name}` | {allowed} | {default} | {meaning} | {word} |\n"));
    inside(text, &format!("{name}."), role, &key.kind);
}

fn inside(text: &mut String, prefix: &str, role: Role, kind: &KeyKind) {
    match kind {
        KeyKind::Table(keys) => keys.iter().for_each(|key| row(text, prefix, "", role, key)),
        KeyKind::Tagged(tags) => tags.iter().for_each(|(tag, keys)| {
            keys.iter().for_each(|key| row(text, prefix, &format!("{tag}: "), role, key));
        }),
        KeyKind::Any(kinds) => kinds.iter().for_each(|kind| inside(text, prefix, role, kind)),
        KeyKind::List(kind) => inside(text, &format!("{}[].", prefix.trim_end_matches('.')), role, kind),
        _ => {}
    }
}

/// A cell's text, with the characters escaped that Markdown would take for a tag, a column or emphasis.
fn plain(words: &str) -> String {
    words.replace('\\', "\\\\").replace('|', "\\|").replace('<', "\\<").replace('*', "\\*")
}

/// A value as it would be written in an experiment.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}
