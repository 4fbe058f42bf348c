//! A record of an earlier schema is updated without loss, and a copy of it is kept.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fixture::Fixture;
use serde_json::json;

use super::aged::age;
use crate::{Record, RecordError, migrate, options};
use identity::{BLOCK, Cell};

/// docs/sql.md, whose queries users may have copied.
const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql.md"));

/// A record of schema 7 with every kind of row that it could contain.
fn old() -> Fixture {
    let fixture = Fixture::new();
    for (statement, values) in [
        // A fork in the middle of a block, and an interrupted run of it.
        (
            "INSERT INTO trajectories (id, identity, fields, threads, cpu_capability, created_at, parent_id, parent_step) \
             VALUES (10, 'fork', '[]', 1, 'AVX512', 'T', 1, 300)",
            json!([]),
        ),
        (
            "INSERT INTO steps SELECT 10, step, epoch, loss + 0.5, loss_kind, learning_rate, grad_norm, clipped, update_ratio, \
             logit_max, entropy, tokens, seconds, nonfinite, overshoot, sharpness, 1, NULL, NULL FROM steps \
             WHERE trajectory_id = 1 AND step BETWEEN 300 AND 700",
            json!([]),
        ),
        (
            "INSERT INTO step_blocks SELECT 10, 0, 701, finite, minimum, maximum, sum, NULL, 42060, chain, 700, 0 \
             FROM step_blocks WHERE trajectory_id = 1",
            json!([]),
        ),
        (
            "INSERT INTO runs SELECT 5, 'fork', 'fork', experiment_id, 'interrupted', point, seed, 10, 900, 650, NULL, created_at, \
             NULL, 3.5, host, program_version, git_commit, git_dirty, 'stopped', 2, NULL, NULL, loss_unit, NULL FROM runs WHERE id = 1",
            json!([]),
        ),
        ("INSERT INTO params SELECT 5, name, value FROM params WHERE run_id = 1", json!([])),
        (
            "INSERT INTO run_stages SELECT 5, stage, item, step, execution_id, 'cached' FROM run_stages WHERE run_id = 1 AND stage = 'train'",
            json!([]),
        ),
        // Evaluations made during training, the last at its end.
        (
            "INSERT INTO evaluations (execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity, tokens, seconds) \
             SELECT 5, 'train', 1, value, 'valid', 3.0, 'finite', 20.085536923187668, 59, 0.1 FROM json_each('[100, 500, 1000]')",
            json!([]),
        ),
        ("INSERT INTO events (run_id, kind, message, created_at) VALUES (5, 'steps_cut', 'shows 650', 'T')", json!([])),
        (
            "INSERT INTO events (execution_id, kind, message, created_at) VALUES (1, 'note', 'of an execution', 'T')",
            json!([]),
        ),
        (
            "INSERT INTO verdicts VALUES (3, 'diverged', 'rate_too_high', 480, NULL, 'it diverged', NULL, 1, 'finished', 'T')",
            json!([]),
        ),
        ("INSERT INTO verdict_evidence VALUES (3, 0, 'diverged', 'rise', NULL, 'inf', 2.0, 480, 'it rose')", json!([])),
        ("INSERT INTO confirmations VALUES (1, 3, 5, 'rate_too_high', 'open', 'it is open', 'T')", json!([])),
        // The number of a deleted run is not used again.
        ("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'runs'", json!([])),
    ] {
        fixture.change(statement, values);
    }
    age(&fixture.db, 7);
    fixture.change_all("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'runs'");
    fixture
}

type Rows = Vec<String>;

/// The results of some queries, without those that fail under this schema.
fn answers(record: &mut Record, queries: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Rows> {
    let mut all = BTreeMap::new();
    for (name, query) in queries {
        let mut rows = Vec::new();
        let mut row = |cells: Vec<Cell>| {
            rows.push(cells.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>().join(" "));
            ControlFlow::Continue(())
        };
        if record.ask(&query, &mut |_| (), &mut row).unwrap().is_ok() {
            rows.sort();
            all.insert(name, rows);
        }
    }
    all
}

/// Opens a database without updating it.
fn as_is(db: &Path) -> Record {
    Record::connect(db, options(db)).unwrap()
}

/// Every table with its rows, and the schema.
fn dump(db: &Path) -> BTreeMap<String, Rows> {
    let mut record = as_is(db);
    let tables = record.relations().unwrap();
    let all = tables.iter().map(|it| it.name.as_str()).chain(["sqlite_sequence"]);
    let schema = ("schema".to_owned(), "SELECT type, name, sql FROM sqlite_schema".to_owned());
    let all: Vec<_> = all.map(|name| (name.to_owned(), format!("SELECT * FROM {name}"))).chain([schema]).collect();
    answers(&mut record, all.into_iter())
}

#[test]
fn old_views_and_documented_queries_give_the_same_rows() {
    let fixture = old();
    let views: Vec<(String, String)> = as_is(&fixture.db)
        .relations()
        .unwrap()
        .into_iter()
        .filter(|it| it.kind == "view")
        .map(|it| {
            let columns: Vec<String> = it.columns.into_iter().map(|(name, _)| name).collect();
            (it.name.clone(), format!("SELECT {} FROM {}", columns.join(", "), it.name))
        })
        .collect();
    assert_eq!(views.len(), 18);
    let documented = || {
        let queries = DOCS.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        queries.map(|query| (query.clone(), query))
    };
    let before = answers(&mut as_is(&fixture.db), views.iter().cloned().chain(documented()));
    assert!(before.len() >= 18 + 24, "{:?}", before.keys());
    assert!(before.values().filter(|rows| !rows.is_empty()).count() > 36);
    let mut record = Record::open(&fixture.db).unwrap();
    let mut after = answers(&mut record, views.into_iter().chain(documented()));
    after.retain(|query, _| before.contains_key(query));
    for (query, rows) in &before {
        assert_eq!(after.get(query), Some(rows), "{query}");
    }
    // Every run and study is a change, so that a new reader learns of them.
    let changes = record.changes_since(0).unwrap();
    assert_eq!(changes.iter().filter_map(|it| Some(it.run?.0)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(changes.iter().filter_map(|it| it.study).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(record.uid().unwrap().len(), 32);
    assert_eq!(fixture.numbers("SELECT seq FROM sqlite_sequence WHERE name = 'runs'"), [41]);
    assert_eq!(fixture.numbers("SELECT DISTINCT window FROM steps"), [1]);
    assert_eq!(fixture.numbers("SELECT last_step FROM step_blocks ORDER BY 1"), [249, 499, 700, 999, 999]);
    assert_eq!(fixture.numbers("SELECT count(*) FROM pragma_foreign_key_check"), [0]);
}

#[test]
fn a_copy_of_the_old_database_is_kept_beside_it() {
    let fixture = old();
    let folder = fixture.db.parent().unwrap();
    std::fs::set_permissions(&fixture.db, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(folder.join("experiments.db.schema7"), "somebody's").unwrap();
    for left in ["experiments.db.unfinished", "experiments.db.unfinished-journal"] {
        std::fs::write(folder.join(left), "left by a killed process").unwrap();
    }
    let before = dump(&fixture.db);
    let mut record = Record::open(&fixture.db).unwrap();
    let copy = folder.join("experiments.db.schema7-2");
    let migrated = record.take_migrated().unwrap();
    assert_eq!((migrated.from, migrated.to, migrated.copy.file_name()), (7, migrate::KNOWN, copy.file_name()));
    assert_eq!(record.take_migrated(), None);
    assert_eq!(dump(&copy), before);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(migrate::version(&mut as_is(&copy)).unwrap(), 7);
    assert_eq!(std::fs::read(folder.join("experiments.db.schema7")).unwrap(), b"somebody's");
    assert!(!folder.join("experiments.db.unfinished").exists());
    assert!(!folder.join("experiments.db.unfinished-journal").exists());
    // The database is updated only once.
    assert_eq!(Record::open(&fixture.db).unwrap().take_migrated(), None);
    assert!(!folder.join(format!("experiments.db.schema{}", migrate::KNOWN)).exists());
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let fixture = old();
    // This table makes the last part of the migration fail.
    fixture.change_all("CREATE TABLE changes (a)");
    let before = dump(&fixture.db);
    for _ in 0..2 {
        let error = Record::open(&fixture.db).unwrap_err();
        // The version is right, so the hint to set another one must not be given.
        assert!(matches!(error, RecordError::Altered { version: None, .. }), "{error}");
        let why = format!("can't update schema 7 to {}: ", migrate::KNOWN);
        let said = error.to_string();
        assert!(said.contains(&why) && said.contains("table changes already exists"), "{said}");
        assert_eq!(dump(&fixture.db), before);
        let left = std::fs::read_dir(fixture.db.parent().unwrap()).unwrap();
        let left: Vec<_> = left
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.display().to_string().contains("schema"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    fixture.change_all("DROP TABLE changes");
    assert_eq!(Record::open(&fixture.db).unwrap().summaries(None).unwrap().len(), 5);
}

#[test]
fn views_of_users_and_broken_references_do_not_prevent_an_update() {
    let fixture = old();
    fixture.change_all("CREATE VIEW mine AS SELECT run, loss FROM run_steps JOIN run_summary USING (run)");
    fixture.change_all("PRAGMA foreign_keys = OFF; DELETE FROM executions WHERE id = 1");
    let mut record = Record::open(&fixture.db).unwrap();
    assert_eq!(record.summaries(None).unwrap().len(), 5);
    assert!(fixture.numbers("SELECT count(*) FROM mine")[0] > 2000);
    assert!(fixture.numbers("SELECT count(*) FROM pragma_foreign_key_check")[0] > 0);
}

#[test]
fn views_use_the_length_of_a_block() {
    let mut record = Record::imagine().unwrap();
    let text: String = record
        .wait(async |c| {
            sqlx::query_scalar("SELECT group_concat(sql, ' ') FROM sqlite_schema WHERE type = 'view'")
                .fetch_one(c)
                .await
        })
        .unwrap();
    let divided: Vec<&str> =
        text.split(" / ").skip(1).map(|rest| rest.split([' ', ')', ',', '\n']).next().unwrap()).collect();
    assert!(divided.len() >= 6, "{divided:?}");
    assert!(divided.iter().all(|by| *by == BLOCK.to_string()), "{divided:?}");
    assert!(text.contains(&format!("n + {} ELSE n END / {BLOCK} * {BLOCK} AS whole", BLOCK - 1)));
}
