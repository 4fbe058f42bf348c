//! `docs/experiment.md` says of every key what the tables of keys say. `UPDATE_DOCS=1 cargo test docs` writes it anew.

use stages::params::{self, STAGES};
use stages::schema::{Default, Key, Kind};

use super::check::allowed;
use super::keys::CORPUS;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/experiment.md");

fn rows(keys: &[Key], prefix: &str, text: &mut String) {
    for key in keys {
        let default = match key.default {
            Default::Is(value) => format!("`{value}`"),
            Default::Seed => "the experiment's `seed`".to_owned(),
            Default::Absent => "none".to_owned(),
        };
        let allowed = allowed(&key.kind).replace('|', "\\|");
        text.push_str(&format!(
            "| `{prefix}{}` | {allowed} | {default} | {} |\n",
            key.name,
            key.doc.replace('|', "\\|")
        ));
        match &key.kind {
            Kind::Table(inner) => rows(inner, &format!("{prefix}{}.", key.name), text),
            Kind::Tagged(tags) => {
                for (tag, inner) in *tags {
                    rows(inner, &format!("{prefix}{} = {tag}: ", key.name), text);
                }
            }
            _ => {}
        }
    }
}

fn table(name: &str, keys: &[Key]) -> String {
    let mut text = format!("## [{name}]\n\n| key | allowed | default | meaning |\n| --- | --- | --- | --- |\n");
    rows(keys, "", &mut text);
    text
}

#[test]
fn the_document_names_every_key_as_it_is() {
    let (start, end) = ("<!-- keys: written by a test -->\n", "<!-- end of keys -->\n");
    let mut keys = table("corpus", CORPUS);
    for stage in STAGES {
        keys.push('\n');
        keys.push_str(&table(stage.stage, params::stage_keys(stage.stage).unwrap().keys));
    }
    let document = std::fs::read_to_string(PATH).unwrap();
    let (before, rest) = document.split_once(start).expect("the marker of the keys' beginning");
    let (written, after) = rest.split_once(end).expect("the marker of the keys' end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(PATH, format!("{before}{start}{keys}{end}{after}")).unwrap();
    }
    assert!(written == keys, "docs/experiment.md is behind the keys; UPDATE_DOCS=1 cargo test docs_test writes it");
}
