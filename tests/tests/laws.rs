//! The laws of the house, read off the sources (docs and DESIGN say why each).

use std::path::{Path, PathBuf};

/// A source file without comments and without its tests.
struct Source {
    /// Its path in the repository.
    name: String,
    lines: Vec<(usize, String)>,
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a file declares for its tests alone.
fn test_modules(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let declared = text.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let line = rest.trim_start().lines().next()?;
        Some(line.split_once("mod ")?.1.strip_suffix(';')?.to_owned())
    });
    declared.collect()
}

/// The sources of a folder, tests left out: a law is about what the programs do.
fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&tests::repository().join(folder), &mut paths);
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
        let lines = lines.map(|(number, line)| (number, line.to_owned())).collect();
        let name = path.strip_prefix(tests::repository()).unwrap().display().to_string();
        Source { name, lines }
    };
    let only_tested: Vec<String> = paths.iter().flat_map(|path| test_modules(path)).collect();
    let is_test = |path: &PathBuf| {
        let part = |name: &str| path.iter().any(|it| it == name || it.to_str() == Some(&format!("{name}.rs")));
        only_tested.iter().any(|name| part(name))
    };
    let sources: Vec<Source> = paths.into_iter().filter(|path| !is_test(path)).map(read).collect();
    assert!(sources.len() > 3, "{folder} has few sources");
    sources
}

/// Whether a word stands in a line, not as a part of another.
fn has(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let (first, last) = (word.chars().next().is_some_and(part), word.chars().last().is_some_and(part));
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part);
        !(first && before || last && after)
    })
}

/// Checks that words stand nowhere but where they may, and says how often they stand there: a law whose words stand
/// nowhere at all may be spelled wrong.
fn assert_only(folders: &[&str], words: &[&str], may: &dyn Fn(&str) -> bool, law: &str) -> usize {
    let mut broken = Vec::new();
    let mut kept = 0;
    for source in folders.iter().flat_map(|folder| sources(folder)) {
        for (number, line) in &source.lines {
            for word in words.iter().filter(|word| has(line, word)) {
                if may(&source.name) {
                    kept += 1;
                } else {
                    broken.push(format!("{}:{number}: {word}", source.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{law}:\n{}", broken.join("\n"));
    kept
}

/// Everything but the worker.
const OWN: &[&str] = &[
    "pipeline/src",
    "pipeline/chart/src",
    "pipeline/engine/src",
    "pipeline/experiment/src",
    "pipeline/identity/src",
    "pipeline/insight/src",
    "pipeline/record/src",
    "pipeline/session/src",
    "pipeline/system/src",
    "pipeline/view/src",
    "stages/src",
];
const ALL: &[&str] = &[
    "pipeline/src",
    "pipeline/chart/src",
    "pipeline/engine/src",
    "pipeline/experiment/src",
    "pipeline/identity/src",
    "pipeline/insight/src",
    "pipeline/record/src",
    "pipeline/session/src",
    "pipeline/system/src",
    "pipeline/view/src",
    "stages/src",
    "stages/neural/src",
];

/// What each crate may depend on of ours, and of what only some may: the compiler holds it to that.
const CRATES: &[(&str, &[&str])] = &[
    (
        "pipeline",
        &[
            "chart",
            "clap",
            "engine",
            "experiment",
            "identity",
            "imports",
            "insight",
            "record",
            "session",
            "stages",
            "system",
            "view",
        ],
    ),
    ("pipeline/chart", &["identity", "resvg"]),
    ("pipeline/engine", &["identity", "record", "stages", "system"]),
    ("pipeline/experiment", &["stages"]),
    ("pipeline/identity", &[]),
    ("pipeline/imports", &["identity"]),
    ("pipeline/insight", &["identity", "stages"]),
    ("pipeline/record", &["identity", "sqlx", "system"]),
    (
        "pipeline/session",
        &["engine", "experiment", "identity", "imports", "insight", "record", "stages", "system", "view"],
    ),
    ("pipeline/system", &["identity"]),
    ("pipeline/view", &["chart", "identity", "insight", "record", "stages", "system"]),
    ("stages", &["identity"]),
    ("stages/neural", &["identity", "stages", "tch", "torch-sys"]),
];

#[test]
fn crates_depend_on_what_they_may() {
    let limited: Vec<&str> =
        CRATES.iter().flat_map(|(_, may)| may.iter().copied()).chain(["pipeline", "neural"]).collect();
    for (package, may) in CRATES {
        let manifest = std::fs::read_to_string(tests::repository().join(package).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let names = dependencies.lines().filter_map(|line| Some(line.split(['.', ' ', '=']).next()?.trim()));
        let found: std::collections::BTreeSet<&str> = names.filter(|name| limited.contains(name)).collect();
        assert_eq!(found, may.iter().copied().collect(), "{package}/Cargo.toml");
    }
}

/// A dependency of tests that asks a crate for more than the programs do makes cargo compile that crate, and everything that
/// depends on it, a second time for `cargo test`: for minutes, where it is one that `record` depends on.
#[test]
fn tests_ask_no_dependency_for_more_than_the_programs_do() {
    let features = |edges: &str| -> std::collections::BTreeSet<String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut tree = std::process::Command::new(cargo);
        tree.args(["tree", "--workspace", "--locked", "--offline", "--prefix", "none", "--edges", edges]);
        let output = tree.current_dir(tests::repository()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter(|line| line.contains(" feature \""))
            .map(|line| line.trim_end_matches(" (*)").to_owned())
            .collect()
    };
    let (with, without) = (features("features"), features("features,no-dev"));
    assert!(without.len() > 100, "{without:?}");
    let more: Vec<&String> = with.difference(&without).collect();
    assert!(
        more.is_empty(),
        "make these dependencies of `tests` or `properties` that are not for tests alone: {more:?}"
    );
}

#[test]
fn only_neural_names_tch() {
    let may = |name: &str| name.starts_with("stages/neural/");
    assert!(assert_only(ALL, &["tch", "torch_sys"], &may, "only neural names tch") > 0);
}

#[test]
fn only_ui_prints() {
    let may = |name: &str| name.starts_with("pipeline/src/ui");
    let words = ["println!", "eprintln!", "print!", "eprint!", "io::stdout", "io::stderr()"];
    assert!(assert_only(OWN, &words, &may, "only ui prints") > 0);
}

#[test]
fn only_main_exits() {
    let may = |name: &str| name == "pipeline/src/main.rs";
    assert_only(OWN, &["process::exit", "exit("], &may, "only main exits");
    assert!(assert_only(OWN, &["ExitCode"], &may, "only main chooses an exit code") > 0);
}

#[test]
fn the_engine_names_no_stage() {
    let list = std::fs::read_to_string(tests::repository().join("stages/src/params.rs")).unwrap();
    let names = list.split("StageKeys { stage: ").skip(1).filter_map(|rest| rest.split(',').next());
    let stages: Vec<&str> = names.collect();
    assert!(stages.len() > 6 && stages.contains(&"\"train\""), "stages are not found any more: {stages:?}");
    assert_only(&["pipeline/engine/src"], &stages, &|_| false, "the engine names no stage");
    assert_only(&["pipeline/engine/src"], &["stages::train", "stages::sample", "clap"], &|_| false, "nor a flag");
}

#[test]
fn nothing_is_unsafe_outside_three_files() {
    let may = |name: &str| {
        ["stages/src/sample/kernels.rs", "stages/neural/src/raw.rs", "stages/neural/src/tiles.rs"].contains(&name)
    };
    assert!(assert_only(ALL, &["unsafe"], &may, "unsafe stands in the kernels, in raw.rs and in tiles.rs alone") > 0);
}

/// The type that a line defines at the top of a file, and whether other files see it.
fn defined(line: &str) -> Option<(&str, bool)> {
    // A closed list of words: `Status, "status":` in the macro of that name.
    if let Some((name, _)) = line.strip_prefix("    ").and_then(|line| line.split_once(", \""))
        && line.ends_with("\":")
    {
        return Some((name, true));
    }
    let is_seen = line.starts_with("pub");
    let rest = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| rest.strip_prefix(kind))?;
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    Some((&rest[..end], is_seen))
}

#[test]
fn a_type_that_other_files_see_has_a_name_of_its_own() {
    let mut all: std::collections::BTreeMap<String, Vec<(String, bool)>> = Default::default();
    for source in ALL.iter().flat_map(|folder| sources(folder)) {
        for (number, line) in &source.lines {
            if let Some((name, is_seen)) = defined(line) {
                all.entry(name.to_owned()).or_default().push((format!("{}:{number}", source.name), is_seen));
            }
        }
    }
    assert!(all.len() > 400 && all.contains_key("LossKind"), "types are not found any more: {}", all.len());
    // `Result` with a crate's own error is an idiom of its own.
    all.remove("Result");
    let doubled = all.iter().filter(|(_, found)| found.len() > 1 && found.iter().any(|(_, is_seen)| *is_seen));
    let doubled: Vec<String> = doubled.map(|(name, found)| format!("{name}: {found:?}")).collect();
    assert!(doubled.is_empty(), "one name, two types:\n{}", doubled.join("\n"));
}

/// The floors of the house, from the top down; those of one entry stand beside each other.
const FLOORS: &[&[&str]] = &[&["main"], &["commands", "args"], &["ui"], &["exit"]];

/// The modules that a line names after `crate::`.
fn named(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let path: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            found.push(path);
        }
    }
    found
}

#[test]
fn arrows_between_the_parts_never_run_up() {
    let floor = |part: &str| FLOORS.iter().position(|parts| parts.contains(&part));
    let mut broken = Vec::new();
    let mut arrows = 0;
    for source in sources("pipeline/src") {
        let path = source.name.trim_start_matches("pipeline/src/").trim_end_matches(".rs");
        let part = path.split('/').next().unwrap_or_default();
        let own = floor(part).unwrap_or_else(|| panic!("{} stands on no floor of the house", source.name));
        for (number, line) in &source.lines {
            for name in named(line) {
                let Some(other) = floor(name.split("::").next().unwrap_or_default()) else { continue };
                arrows += 1;
                if other < own {
                    broken.push(format!("{}:{number}: {part} uses {name}", source.name));
                }
            }
            // A way to the crate's root that `crate::` would not show.
            if line.contains("super::super::") {
                broken.push(format!("{}:{number}: super::super", source.name));
            }
        }
    }
    assert!(broken.is_empty(), "arrows run up:\n{}", broken.join("\n"));
    assert!(arrows > 20, "arrows are not found any more");
}

/// The paths of sources and folders in backquotes.
fn paths_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|path| ["pipeline/", "stages/", "tests/", "bench/"].iter().any(|root| path.starts_with(root)))
        .collect()
}

#[test]
fn the_documents_name_files_that_are_there() {
    let repository = tests::repository();
    let mut named = 0;
    let design = std::fs::read_dir(repository.join("docs/design")).unwrap().map(|entry| entry.unwrap().path());
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| repository.join(name)).into_iter().chain(design) {
        let text = std::fs::read_to_string(&document).unwrap();
        for path in paths_in(&text) {
            assert!(repository.join(path).exists(), "{} names {path}", document.display());
            named += 1;
        }
    }
    assert!(named > 30, "paths are not found any more");
    // A walk passes each file once.
    let text = std::fs::read_to_string(repository.join("ARCHITECTURE.md")).unwrap();
    let walks = text.split("## Three walks").nth(1).unwrap().split("\n## ").next().unwrap();
    let walks: Vec<&str> = walks.split("\n**").skip(1).collect();
    assert_eq!(walks.len(), 3);
    for walk in walks {
        let mut paths = paths_in(walk);
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!((paths.len(), all > 7), (all, true), "{}", walk.lines().next().unwrap_or_default());
    }
}
