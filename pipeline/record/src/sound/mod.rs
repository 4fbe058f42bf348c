//! Checks whether the record is sound: its pages and indexes, its references, and rows that must agree with other rows.
//!
//! Everything is read in one transaction, so that concurrent writes are seen whole or not at all. A value that no other
//! row confirms (a gradient norm, a text) can change unnoticed, because SQLite keeps no checksums.

mod steps;

use std::os::unix::fs::MetadataExt as _;

use futures_util::TryStreamExt as _;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::blocks::{self, Block};
use super::{Record, Result, migrate, options, sql};
use identity::{Digest, Fields, RunId, TrajectoryRow};

/// Something in the record that is damaged.
#[derive(Debug, Clone, PartialEq)]
pub enum Damage {
    /// A page, an index or a constraint, as SQLite describes it.
    Page(String),
    /// Rows that contradict other rows, or that are missing although other rows require them.
    Row(String),
    /// Steps that are missing, or whose losses differ from those that their block was computed from.
    Steps { of: String, run: Option<RunId>, what: String },
    /// A damaged block whose steps are sound.
    Block { of: String, what: String, rebuilt: Rebuilt },
    /// A run's verdict with a part that is missing or invalid.
    Verdict { run: RunId },
}

/// A block recomputed from its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    trajectory: i64,
    number: i64,
    block: Block,
}

/// What was examined, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Examined {
    pub runs: i64,
    pub steps: u64,
    pub faults: Vec<Damage>,
    /// What was recomputed.
    pub repaired: Vec<String>,
}

/// The most lines of damage to request from SQLite.
pub const MOST_PAGES: usize = 20;

/// The number of instructions of SQLite's virtual machine between two progress reports.
const BETWEEN: i32 = 20_000;

/// Roughly the number of instructions that it takes to check one page; used only for progress.
const EACH_PAGE: u64 = 3_000;

/// Callbacks for the progress of an examination.
pub struct Told {
    /// Gets the number of bytes of the database checked since the last call.
    pub pages: Box<dyn FnMut(u64) + Send>,
    /// Gets the number of steps compared since the last call, and their total.
    pub steps: Box<dyn FnMut(u64, u64)>,
}

impl Record {
    /// Reads the whole record.
    ///
    /// # Errors
    /// If it can't be read for a reason other than damage.
    pub fn examine(&mut self, told: Told) -> Result<Examined> {
        let altered = migrate::altered(self)?;
        let mut writable = self.writable();
        let found: Result<Examined> = writable.as_mut().unwrap_or(self).wait(async |c| {
            let mut transaction = c.begin().await?;
            let found = examine(&mut transaction, told).await;
            transaction.rollback().await?;
            found
        });
        found.map(|mut found| {
            found.faults.splice(0..0, altered.into_iter().map(Damage::Page));
            found
        })
    }

    /// The same database on a connection that could write, although nothing is written: SQLite skips CHECK constraints
    /// on a read-only connection. `None` if that fails, or if the file has another name, which may have its own log.
    fn writable(&self) -> Option<Self> {
        if self.path.metadata().ok()?.nlink() > 1 {
            return None;
        }
        let mut record = Self::connect(&self.path, options(&self.path)).ok()?;
        let ready = record.wait(async |c| {
            sqlx::query("PRAGMA query_only = ON").execute(&mut *c).await?;
            sqlx::query("SELECT count(*) FROM sqlite_schema").execute(c).await.map(|_| ())
        });
        ready.ok().map(|()| record)
    }

    /// SQLite's messages about damaged pages, indexes and constraints.
    pub fn damaged_pages(&mut self) -> Result<Vec<String>> {
        self.wait(async |c| pages(c, None).await)
    }

    /// Reads the whole record, recomputes damaged blocks from their sound steps, and deletes damaged verdicts, which
    /// are recomputed when their runs are next shown. Other processes can't write meanwhile.
    ///
    /// # Errors
    /// If it can't be read or written for a reason other than damage.
    pub fn repair(&mut self, told: Told) -> Result<Examined> {
        self.durable(async |c| {
            let mut found = examine(c, told).await?;
            if !found.is_repairable() {
                return Ok(found);
            }
            for fault in std::mem::take(&mut found.faults) {
                match fault {
                    Damage::Block { of, rebuilt: Rebuilt { trajectory, number, block }, .. } => {
                        blocks::put(c, TrajectoryRow(trajectory), number, &block).await?;
                        found.repaired.push(format!("summary of {of}"));
                    }
                    Damage::Verdict { run } => {
                        for forget in [
                            sql!("forget_findings"),
                            sql!("forget_evidence"),
                            sql!("forget_checks"),
                            sql!("forget_verdict"),
                        ] {
                            sqlx::query(forget).bind(run.0).execute(&mut *c).await?;
                        }
                        found.repaired.push(format!("verdict of {run}"));
                    }
                    other => found.faults.push(other),
                }
            }
            Ok(found)
        })
    }
}

impl Examined {
    /// Whether there is damage that can be recomputed from sound rows.
    pub fn is_repairable(&self) -> bool {
        let derived = |fault: &Damage| matches!(fault, Damage::Block { .. } | Damage::Verdict { .. });
        self.faults.iter().any(derived) && !self.faults.iter().any(|fault| matches!(fault, Damage::Page(_)))
    }
}

async fn examine(c: &mut SqliteConnection, told: Told) -> sqlx::Result<Examined> {
    let Told { pages: mut advance, steps: step } = told;
    let mut found = Examined::default();
    let (count, size): (i64, i64) =
        sqlx::query_as("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
            .fetch_one(&mut *c)
            .await?;
    let whole = count.unsigned_abs() * EACH_PAGE;
    let (mut done, mut shown) = (0u64, 0u64);
    c.lock_handle().await?.set_progress_handler(BETWEEN, move || {
        done += BETWEEN as u64;
        // If the estimate is too low, progress must not exceed the total.
        let now = done.min(whole) / EACH_PAGE * size.unsigned_abs();
        advance(now - shown);
        shown = now;
        true
    });
    let pages = pages(c, None).await;
    c.lock_handle().await?.remove_progress_handler();
    found.faults.extend(pages?.into_iter().map(Damage::Page));
    // Rows that can't be read because of a damaged page add a line about that page.
    let parts = [rows(c, &mut found).await, steps::compare(c, &mut found, step).await];
    for part in parts {
        match part {
            Err(error) if is_damage(&error) => found.faults.push(Damage::Page(error.to_string())),
            other => other?,
        }
    }
    // A damaged verdict is reported with its run instead.
    if found.faults.iter().any(|fault| matches!(fault, Damage::Verdict { .. })) {
        let of_verdicts = |text: &str| text.starts_with("CHECK constraint failed in verdict");
        found.faults.retain(|fault| !matches!(fault, Damage::Page(text) if of_verdicts(text)));
    }
    found.faults.dedup();
    Ok(found)
}

/// SQLite's messages about the pages, indexes and constraints of the database, or of an attached one.
pub(super) async fn pages(c: &mut SqliteConnection, attached: Option<&str>) -> sqlx::Result<Vec<String>> {
    let mut lines = Vec::new();
    let text = format!("PRAGMA {}.integrity_check({MOST_PAGES})", attached.unwrap_or("main"));
    let mut rows = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(text)).fetch(c);
    loop {
        match rows.try_next().await {
            Ok(Some(text)) => lines.extend(text.lines().filter(|line| !line.starts_with("***")).map(str::to_owned)),
            Ok(None) => break,
            Err(error) if is_damage(&error) => {
                lines.push(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    lines.retain(|line| line != "ok");
    Ok(lines)
}

async fn rows(c: &mut SqliteConnection, found: &mut Examined) -> sqlx::Result<()> {
    found.runs = sqlx::query_scalar("SELECT count(*) FROM runs").fetch_one(&mut *c).await?;
    let lost: Vec<(String, String, i64)> = sqlx::query_as(sql!("sound_references")).fetch_all(&mut *c).await?;
    found.faults.extend(lost.into_iter().map(|(table, parent, rows)| {
        let (s, refer) = if rows == 1 { ("", "refers") } else { ("s", "refer") };
        Damage::Row(format!("{rows} row{s} of {table} {refer} to a missing row of {parent}"))
    }));
    let odd: Vec<String> = sqlx::query_scalar(sql!("sound_rows")).fetch_all(&mut *c).await?;
    found.faults.extend(odd.into_iter().map(Damage::Row));
    let mut scores = sqlx::query_as::<_, (String, f64, Option<f64>)>(sql!("sound_scores")).fetch(&mut *c);
    while let Some((of, loss, perplexity)) = scores.try_next().await? {
        let expected = Some(loss.exp()).filter(|exp| exp.is_finite());
        // Math libraries differ in the last digit.
        let same = match (perplexity, expected) {
            (Some(is), Some(expected)) => (is - expected).abs() <= 1e-9 * expected,
            (is, expected) => is == expected,
        };
        if !same {
            found.faults.push(Damage::Row(format!("{of}: perplexity is not exp(loss)")));
        }
    }
    drop(scores);
    let mut keys = sqlx::query_as::<_, (String, String, String)>(sql!("sound_keys")).fetch(&mut *c);
    while let Some((of, key, fields)) = keys.try_next().await? {
        let own = Fields::from_json(&fields).map(|fields| fields.digest());
        if own != key.parse::<Digest>().ok() || own.is_none() {
            found.faults.push(Damage::Row(format!("{of}: fields do not match the key")));
        }
    }
    drop(keys);
    let verdicts: Vec<i64> = sqlx::query_scalar(sql!("sound_verdicts")).fetch_all(c).await?;
    found.faults.extend(verdicts.into_iter().map(|run| Damage::Verdict { run: RunId(run) }));
    Ok(())
}

/// Whether an error is about stored data: SQLite's codes for a damaged or foreign file and for a statement that does
/// not fit the schema (every statement here does unless the schema is damaged), and values of the wrong type.
fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0);
            matches!(code & 0xff, 1 | 11 | 26)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}
