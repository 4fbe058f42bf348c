//! A made-up record for tests: a study of three rates over shared text stages, one of which diverges, and a run whose
//! process died. Every number is a plain function of its place, so that screens can be compared to the byte.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stages::files::{Cut, Types};
use stages::params::{Layout, STAGES, Unit};
use stages::plan::Plan;

use super::Record;
use crate::experiment::flatten;

/// The corpus of the fixture: 1,200 tokens of this sentence over and over.
const WORDS: [&str; 12] = ["the", "king", "<eos>", "and", "of", "a", "crown", "is", "heavy", "on", "<unk>", "queen"];

/// A folder with `experiments.db` and its store, gone with the value.
pub struct Fixture {
    _folder: tempfile::TempDir,
    pub db: PathBuf,
}

impl Fixture {
    /// The study, in a folder of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("experiments.db");
        fill(&db);
        Self { _folder: folder, db }
    }

    /// Opened for reading.
    pub fn record(&self) -> Record {
        Record::open(&self.db).unwrap()
    }
}

/// Writes the fixture where a person wants to look at it.
fn fill(db: &Path) {
    let store = db.parent().unwrap().join("data/store");
    let mut f = Filler { record: Record::create(db).unwrap(), store, made: 0 };
    f.run("INSERT INTO meta VALUES ('store', 'data/store')", json!([]));
    f.run(
        "INSERT INTO experiments VALUES (1, 'lr_study', 'experiments/lr_study.toml', '', '[]', ?1), \
         (2, 'tiny', 'experiments/tiny.toml', '', '[\"train.steps=600\"]', ?1)",
        json!(["2026-03-01T10:00:00Z"]),
    );
    f.run(
        "INSERT INTO studies VALUES (1, 1, 'lr_study', 3, ?1), (2, 2, 'tiny', 1, ?1)",
        json!(["2026-03-01T10:00:00Z"]),
    );
    let text = f.text_stages();
    for (place, rate) in [0.1, 1.0, 10.0].into_iter().enumerate() {
        let run = place as i64 + 1;
        let steps = if rate > 5.0 { 500 } else { 1000 };
        f.point(run, 1, place as i64, json!({"train.learning_rate": rate}), rate, 1000, Some(steps));
        f.text_of(run, &text, if run == 1 { "executed" } else { "cached" });
        f.training(run, rate, steps);
        f.scores(run, rate, steps);
    }
    f.point(4, 2, 0, json!({}), 0.3, 600, None);
    f.text_of(4, &text, "cached");
    f.training(4, 0.3, 250);
}

struct Filler {
    record: Record,
    store: PathBuf,
    /// Executions made so far.
    made: i64,
}

impl Filler {
    /// Runs a statement with the values of a JSON list.
    fn run(&mut self, statement: &str, values: Value) {
        self.record
            .wait(async |connection| {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()));
                for value in values.as_array().unwrap() {
                    query = match value {
                        Value::Null => query.bind(None::<i64>),
                        Value::Number(n) if n.is_i64() => query.bind(n.as_i64()),
                        Value::Number(n) => query.bind(n.as_f64()),
                        Value::String(text) => query.bind(text.clone()),
                        other => query.bind(other.to_string()),
                    };
                }
                query.execute(connection).await.map(|_| ())
            })
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Puts a file into the store and names it as an output.
    fn output(&mut self, execution: i64, name: &str, bytes: &[u8]) {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = self.store.join("sha256").join(&digest[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&digest[2..]), bytes).unwrap();
        self.run("INSERT OR IGNORE INTO objects VALUES (?1, ?2, 'T')", json!([digest, bytes.len()]));
        self.run("INSERT INTO execution_outputs VALUES (?1, ?2, ?3)", json!([execution, name, digest]));
    }

    fn execution(&mut self, stage: &str, seconds: f64, report: Value) -> i64 {
        self.made += 1;
        let id = self.made;
        let key: String = Sha256::digest(format!("{stage} {id}")).iter().map(|byte| format!("{byte:02x}")).collect();
        self.run(
            "INSERT INTO executions (id, uid, stage, stage_key, fields, status, started_at, finished_at, seconds, \
             threads, device, cpu_capability, libtorch, peak_memory, report, log, log_from) \
             VALUES (?1, ?2, ?3, ?4, '[]', 'finished', 'T', 'T', ?5, 1, 'cpu', 'AVX512', '2.11.0', 200000000, ?6, ?7, ?8)",
            json!([id, format!("execution-{id}"), stage, key, seconds, report.to_string(),
                   if stage == "train" { json!(format!("{id}.log")) } else { Value::Null }, 0]),
        );
        self.run("INSERT INTO results VALUES (?1, ?2)", json!([key, id]));
        if stage == "train" {
            std::fs::create_dir_all(self.store.join("logs")).unwrap();
            let log = self.store.join(format!("logs/{id}.log"));
            std::fs::write(log, format!("libtorch 2.11.0, 1 thread\nexecution {id} begins\n")).unwrap();
        }
        id
    }

    fn text_stages(&mut self) -> [(&'static str, i64); 3] {
        let ids: Vec<u8> = (0..1200u32).flat_map(|token| (token % 12).to_le_bytes()).collect();
        let cut = Cut { unit: Unit::Word, lowercase: true, eos: "<eos>".into() };
        let types = WORDS.iter().map(|word| (*word).to_owned()).collect();
        let file = self.store.with_file_name("types");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        Types { cut, types, counts: vec![100; 12] }.save(&file).unwrap();
        let types = std::fs::read(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        let tokens = json!({"train": 1200, "valid": 60, "test": 60});
        let tokenize = self.execution(
            "tokenize",
            0.031,
            json!({"tokens": tokens, "types": {"train": 12, "valid": 11, "test": 11}, "bytes": 5300, "lines": 100}),
        );
        self.run("INSERT INTO execution_inputs VALUES (?1, 'text', ?2)", json!([tokenize, "c".repeat(64)]));
        self.output(tokenize, "types", &types);
        self.output(tokenize, "train", &ids);
        let vocab = self.execution(
            "vocab",
            0.012,
            json!({"types": 12, "tokens": tokens, "coverage": 0.98, "ln_types": 12f64.ln(), "unigram_entropy": 1.9,
                   "unknown_rate": {"train": 0.02, "valid": 0.025, "test": 0.03}, "first_ids": [0, 1, 2]}),
        );
        self.output(vocab, "vocab", &types);
        self.output(vocab, "train", &ids);
        let plan = Plan { version: 1, layout: Layout::Streams, size: 10, unroll: 6, tokens: 1200, seed: 0 };
        let batch = self.execution(
            "batch",
            0.001,
            json!({"tokens": 1200, "steps_per_epoch": 19, "tokens_per_step": 60, "covered_per_epoch": 1140,
                   "overlap": 0.0, "dropped_tokens": 59}),
        );
        self.output(batch, "plan", serde_json::to_string(&plan).unwrap().as_bytes());
        [("tokenize", tokenize), ("vocab", vocab), ("batch", batch)]
    }

    fn text_of(&mut self, run: i64, text: &[(&str, i64)], how: &str) {
        for (stage, execution) in text {
            self.stage(run, stage, "", None, *execution, how);
        }
    }

    fn stage(&mut self, run: i64, stage: &str, item: &str, step: Option<i64>, execution: i64, how: &str) {
        let row = json!([run, stage, item, step, execution, how]);
        self.run("INSERT INTO run_stages VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row);
    }

    #[expect(clippy::too_many_arguments, reason = "a run is what the arguments say")]
    fn point(&mut self, run: i64, study: i64, place: i64, swept: Value, rate: f64, length: i64, steps: Option<i64>) {
        let mut params = vec![("seed".to_owned(), json!(1)), ("corpus.text".to_owned(), json!("data/kings.txt"))];
        for stage in STAGES {
            for key in stage.keys {
                let Some(value) = key.default_value(1) else { continue };
                let value = match (stage.stage, key.name) {
                    ("train", "learning_rate") => json!(rate),
                    ("train", "optimizer") => json!("sgd"),
                    ("train", "clip_norm") => json!(1.25),
                    ("batch", "size") => json!(10),
                    ("batch", "unroll") => json!(6),
                    ("train", "checkpoints") => json!({"every": 500, "keep": "all"}),
                    _ => value,
                };
                flatten(&format!("{}.{}", stage.stage, key.name), &value, &mut params);
            }
        }
        params.push(("train.steps".to_owned(), json!(length)));
        let done = steps.is_some();
        self.run(
            "INSERT INTO trajectories VALUES (?1, ?2, '[]', 1, 'AVX512', 'T')",
            json!([run, format!("trajectory-{run}")]),
        );
        self.run(
            "INSERT INTO runs (id, uid, run_key, experiment_id, status, point, seed, trajectory_id, length, steps, process, \
             created_at, finished_at, seconds, host, program_version, git_commit, git_dirty) \
             VALUES (?1, ?2, ?2, ?3, ?4, ?5, 1, ?1, ?6, ?7, ?8, ?9, ?10, ?11, 'workbench', '0.1.0', ?12, ?13)",
            json!([run, format!("0195-{run}"), study, if done { "finished" } else { "running" }, "{}", length, steps,
                   if done { Value::Null } else { json!("gone") }, format!("2026-03-01T10:0{run}:00Z"),
                   if done { json!(format!("2026-03-01T10:0{run}:12Z")) } else { Value::Null },
                   steps.unwrap_or(250) as f64 * 0.012, "0123456789abcdef0123456789abcdef01234567", run % 2]),
        );
        self.run("INSERT INTO study_runs VALUES (?1, ?2, ?3, ?4)", json!([study, place, run, swept.to_string()]));
        self.run(
            "INSERT INTO params SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2)",
            json!([run, json!(params).to_string()]),
        );
    }

    fn training(&mut self, run: i64, rate: f64, steps: i64) {
        let execution = self.execution("train", steps as f64 * 0.01, json!({"observe_seconds": 0.02, "steps": steps}));
        self.run(
            "UPDATE executions SET trajectory_id = ?2, from_step = 0, to_step = ?3 WHERE id = ?1",
            json!([execution, run, steps]),
        );
        self.stage(run, "train", "", None, execution, "executed");
        let rows: Vec<Value> = (0..steps).map(|step| step_row(rate, step)).collect();
        self.run(
            "INSERT INTO steps SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), \
             json_extract(value, '$[2]'), json_extract(value, '$[3]'), ?3, json_extract(value, '$[4]'), \
             json_extract(value, '$[5]'), json_extract(value, '$[6]'), json_extract(value, '$[7]'), \
             json_extract(value, '$[8]'), 60, 0.01, json_extract(value, '$[9]') FROM json_each(?2)",
            json!([run, json!(rows).to_string(), rate]),
        );
        let first = rows.iter().position(|row| row[2].is_null());
        if let Some(first) = first {
            let events = [
                (first as i64, "nonfinite", "the loss is inf"),
                (steps - 1, "stopped_nonfinite", "20 steps in a row were not finite: training ends"),
            ];
            for (step, kind, message) in events {
                self.run(
                    "INSERT INTO events (execution_id, trajectory_id, step, kind, message, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, '2026-03-01T10:03:10Z')",
                    json!([execution, run, step, kind, message]),
                );
            }
        }
        blocks(&mut self.record, run);
    }

    fn scores(&mut self, run: i64, rate: f64, steps: i64) {
        let points: Vec<i64> = [0, 500, 1000].into_iter().filter(|step| *step <= steps).collect();
        for step in points {
            for split in ["valid", "test"].into_iter().filter(|split| *split == "valid" || step == steps) {
                let loss = match (rate > 5.0, step) {
                    (true, 500) => Value::Null,
                    _ => json!(2.0 + 0.4849 / (1.0 + step as f64 / 300.0) + rate * 0.1),
                };
                let perplexity = loss.as_f64().map(f64::exp);
                let kind = if loss.is_null() { "nan" } else { "finite" };
                let execution = self.execution("evaluate", 0.2, json!({}));
                self.stage(run, "evaluate", &format!("{step} {split}"), Some(step), execution, "executed");
                self.run(
                    "INSERT INTO evaluations (execution_id, source, step, split, loss, loss_kind, perplexity, tokens, seconds) \
                     VALUES (?1, 'evaluate', ?2, ?3, ?4, ?5, ?6, 59, 0.2)",
                    json!([execution, step, split, loss, kind, perplexity]),
                );
            }
            let execution = self.execution("sample", 0.05, json!({}));
            self.stage(run, "sample", &step.to_string(), Some(step), execution, "executed");
            let broken = rate > 5.0 && step == 500;
            for (position, decode) in ["\"greedy\"", "{\"temperature\":1.0}"].into_iter().enumerate() {
                let text = match (broken, position) {
                    (true, _) => "",
                    (_, 0) => {
                        "the crown is heavy is heavy is heavy is heavy is heavy is heavy is heavy is heavy is heavy"
                    }
                    _ => "a queen and the king of a heavy crown\nthe crown is on the queen",
                };
                let figures = match (broken, position) {
                    (true, _) => json!([0, null, null, null, null, null, "the weights are not finite"]),
                    (_, 0) => json!([20, 0.2, 0.21, 0.71, 2, 2, null]),
                    _ => json!([15, 0.6, 0.93, 0.0, null, null, null]),
                };
                self.run(
                    "INSERT INTO samples SELECT ?1, ?2, ?3, '', ?4, json_extract(?5, '$[0]'), json_extract(?5, '$[1]'), \
                     json_extract(?5, '$[2]'), json_extract(?5, '$[3]'), json_extract(?5, '$[4]'), \
                     json_extract(?5, '$[5]'), json_extract(?5, '$[6]')",
                    json!([execution, position, decode, text, figures.to_string()]),
                );
            }
        }
    }
}

/// step, epoch, loss, kind, grad_norm, clipped, update_ratio, logit_max, entropy, nonfinite.
fn step_row(rate: f64, step: i64) -> Value {
    let noise = ((step * 7919) % 101) as f64 / 1010.0;
    let falling = 2.0 + 0.4849 / (1.0 + step as f64 * rate.min(1.0) / 50.0);
    let probed = |value: f64| if step % 10 == 0 { json!(value) } else { Value::Null };
    let (loss, kind) = match (rate > 5.0, step) {
        (_, 0) => (json!(2.4849), "finite"),
        (true, 480..=484) => (Value::Null, "inf"),
        (true, 485..) => (Value::Null, "nan"),
        (true, _) => (json!(2.4 + (step as f64 / 60.0).exp()), "finite"),
        _ => (json!(falling + noise * rate), "finite"),
    };
    let broken = kind != "finite";
    let norm = if broken { Value::Null } else { json!(0.5 + noise * rate * 10.0) };
    let clipped = norm.as_f64().is_some_and(|norm| norm > 1.25);
    let named = if broken { json!("grad_norm:nan") } else { Value::Null };
    json!([
        step,
        step / 19,
        loss,
        kind,
        norm,
        i64::from(clipped),
        probed(0.001 * rate),
        probed(3.0 + noise),
        probed(2.1),
        named
    ])
}

/// Writes the blocks of a trajectory whose steps stand already.
fn blocks(record: &mut Record, trajectory: i64) {
    record
        .transaction(async |connection| {
            let rows: Vec<(i64, Option<f64>, String)> =
                sqlx::query_as("SELECT step, loss, loss_kind FROM steps WHERE trajectory_id = ?1 ORDER BY step")
                    .bind(trajectory)
                    .fetch_all(&mut *connection)
                    .await?;
            let mut chain = [0u8; 32];
            for (block, rows) in rows.chunks(1024).enumerate() {
                let losses: Vec<f64> = rows.iter().filter_map(|row| row.1).collect();
                for (_, loss, kind) in rows {
                    let bits = loss.map_or(kind.len() as u64, f64::to_bits);
                    chain = Sha256::new().chain_update(chain).chain_update(bits.to_le_bytes()).finalize().into();
                }
                sqlx::query("INSERT INTO step_blocks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
                    .bind(trajectory)
                    .bind(block as i64)
                    .bind(rows.len() as i64)
                    .bind(losses.len() as i64)
                    .bind(losses.iter().copied().reduce(f64::min))
                    .bind(losses.iter().copied().reduce(f64::max))
                    .bind(losses.iter().sum::<f64>())
                    .bind(rows.iter().find(|row| row.1.is_none()).map(|row| row.0))
                    .bind(rows.len() as i64 * 60)
                    .bind(chain.to_vec())
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })
        .unwrap();
}

/// The step of a long run's one spike, where it is that long.
pub const SPIKE: i64 = 777_777;
/// The step from which the losses of the long runs 5 and 6 differ by one bit.
pub const PARTING: i64 = 150_001;

/// Adds a long training; all are equal to the bit, but run6 from [`PARTING`] on.
pub fn long_run(record: &mut Record, run: i64, steps: i64) {
    let add = |statement: &'static str| sqlx::query(statement).bind(run).bind(steps).bind(SPIKE).bind(PARTING);
    record
        .transaction(async |connection| {
            for statement in [
                "INSERT INTO trajectories VALUES (?1, 'long-' || ?1, '[]', 1, 'AVX512', 'T')",
                "INSERT INTO runs (id, uid, run_key, experiment_id, status, point, seed, trajectory_id, length, steps, \
                 created_at, finished_at, seconds, host, program_version) \
                 VALUES (?1, 'long-' || ?1, 'k', 1, 'finished', '{}', ?1, ?1, ?2, ?2, '2026-03-02T10:00:00Z', \
                 '2026-03-02T14:00:00Z', 14400.0, 'workbench', '0.1.0')",
                "INSERT INTO params VALUES (?1, 'train.seed', ?1), (?1, 'train.learning_rate', 0.1)",
                "INSERT INTO steps \
                 WITH RECURSIVE n (step) AS (SELECT 0 UNION ALL SELECT step + 1 FROM n WHERE step + 1 < ?2) \
                 SELECT ?1, step, step / 19, \
                        CASE step WHEN ?3 THEN 60.0 ELSE 2.0 + 1.0 / (1.0 + step * 0.0001) + (step * 7919 % 101) * 0.0001 END \
                        + CASE WHEN ?1 = 6 AND step >= ?4 THEN 1e-15 ELSE 0.0 END, \
                        'finite', 0.1, 1.0, 0, NULL, NULL, NULL, 60, 0.01, NULL FROM n",
            ] {
                add(statement).execute(&mut *connection).await?;
            }
            Ok(())
        })
        .unwrap();
    blocks(record, run);
}
