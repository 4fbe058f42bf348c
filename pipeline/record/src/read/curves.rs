//! What was measured at each step, in as few buckets as show every spike.

use identity::Bucket;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Of, many, only};
use crate::{Record, Result, sql};

/// From this many steps on, curves are drawn from blocks: finer than any terminal's columns, and a thousandth of the rows.
const MANY_STEPS: i64 = 128 * BLOCK;

/// Steps of a block.
const BLOCK: i64 = 1024;

/// Steps that are read at once, so that their text stays small.
const PORTION: i64 = 1 << 20;

/// Steps of a trajectory that are read together.
struct Part {
    /// Of its trajectory among those that were asked for.
    place: usize,
    trajectory: i64,
    first: i64,
    end: i64,
    /// Those of the whole curve.
    steps: i64,
    /// Of a bucket.
    width: i64,
}

/// A column of a run's steps, as `read_curves` writes them.
#[derive(sqlx::FromRow)]
struct Column {
    text: String,
}

impl Record {
    /// The losses of the first `steps` steps of a trajectory, in about `rows` buckets or more that lose no extreme.
    pub fn losses(&mut self, trajectory: i64, steps: i64, rows: i64) -> Result<Vec<Bucket>> {
        Ok(only(self.curves(&[(Some(trajectory), steps)], "loss", rows)?))
    }

    /// A column of several trajectories, each with its number of steps, in the same way. Buckets in which it was not measured
    /// are left out.
    pub fn curves(&mut self, of: &[(Option<i64>, i64)], column: &str, rows: i64) -> Result<Vec<Vec<Bucket>>> {
        let mut all = vec![Vec::new(); of.len()];
        let (mut parts, mut pending) = (Vec::new(), 0);
        for (place, (trajectory, steps)) in of.iter().enumerate() {
            let Some(trajectory) = *trajectory else { continue };
            let (mut first, mut width) = (0, (steps / rows.max(1)).max(1));
            if column == "loss" && *steps >= MANY_STEPS {
                (first, width) = (steps / BLOCK * BLOCK, BLOCK);
                all[place] = self.blocks(trajectory, first)?;
            }
            while first < *steps {
                // Whole buckets, though one of them may be as long as the run.
                let end = (first + (PORTION / width).max(1) * width).min(*steps);
                parts.push(Part { place, trajectory, first, end, steps: *steps, width });
                (first, pending) = (end, pending + end - first);
                if pending >= PORTION {
                    self.read_parts(&std::mem::take(&mut parts), column, &mut all)?;
                    pending = 0;
                }
            }
        }
        self.read_parts(&parts, column, &mut all)?;
        Ok(all)
    }

    fn read_parts(&mut self, parts: &[Part], column: &str, all: &mut [Vec<Bucket>]) -> Result<()> {
        let asked: Vec<_> = parts.iter().map(|part| (part.trajectory, part.first, part.end)).collect();
        let list = serde_json::json!(asked).to_string();
        let found: Vec<Of<Column>> =
            self.wait(async |c| many(sqlx::query_as(sql!("read_curves")).bind(list).bind(column).fetch_all(c)).await)?;
        for Of { run: at, row } in found {
            let part = &parts[at as usize];
            all[part.place].extend(buckets(&row.text, part));
        }
        Ok(())
    }

    /// The whole blocks among the first `steps` steps of a trajectory.
    pub fn blocks(&mut self, trajectory: i64, steps: i64) -> Result<Vec<Bucket>> {
        self.wait(async |connection| {
            let query = sqlx::query(sql!("read_blocks")).bind(trajectory).bind(steps);
            query.try_map(bucket).fetch_all(connection).await
        })
    }
}

/// A row as a bucket.
fn bucket(row: SqliteRow) -> sqlx::Result<Bucket> {
    Ok(Bucket {
        first: row.try_get("first")?,
        steps: row.try_get("steps")?,
        finite: row.try_get("finite")?,
        minimum: row.try_get("minimum")?,
        maximum: row.try_get("maximum")?,
        sum: row.try_get("sum")?,
        first_nonfinite: row.try_get("first_nonfinite")?,
    })
}

/// Buckets of a part's width, from the numbers of its steps.
fn buckets(text: &str, part: &Part) -> Vec<Bucket> {
    let Part { first, end, steps: whole, width, .. } = *part;
    let mut all: Vec<Bucket> = Vec::new();
    for (word, step) in text.split(' ').zip(first..end).filter(|(word, _)| !word.is_empty()) {
        let start = step / width * width;
        if all.last().is_none_or(|bucket| bucket.first != start) {
            let steps = width.min(whole - start);
            all.push(Bucket {
                first: start,
                steps,
                finite: 0,
                minimum: None,
                maximum: None,
                sum: 0.0,
                first_nonfinite: None,
            });
        }
        let Some(bucket) = all.last_mut() else { continue };
        match number(word) {
            Some(value) => {
                bucket.finite += 1;
                bucket.sum += value;
                bucket.minimum = Some(bucket.minimum.map_or(value, |least| least.min(value)));
                bucket.maximum = Some(bucket.maximum.map_or(value, |most| most.max(value)));
            }
            None => bucket.first_nonfinite = bucket.first_nonfinite.or(Some(step)),
        }
    }
    all
}

/// A number as `read_curves` writes it; none for `x`.
fn number(word: &str) -> Option<f64> {
    const WHOLE: f64 = (1u64 << 59) as f64;
    match word.contains('.') {
        true => word.parse().ok(),
        false => word.parse::<i64>().ok().map(|whole| whole as f64 / WHOLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    /// The same, asked of SQLite bucket by bucket.
    fn naive(record: &mut Record, run: i64, column: &str, width: i64) -> Vec<Bucket> {
        let text = format!(
            "SELECT step / {width} * {width} AS first,
                    min({width}, (SELECT steps FROM run_extent WHERE run = {run}) - step / {width} * {width}) AS steps,
                    count({column}) AS finite, min({column}) AS minimum, max({column}) AS maximum,
                    coalesce(sum({column}), 0.0) AS sum,
                    min(CASE WHEN instr(coalesce(nonfinite, '') || iif(loss IS NULL, 'loss:', ''), '{column}:') > 0
                        THEN step END) AS first_nonfinite
             FROM run_steps WHERE run = {run} GROUP BY 1
             HAVING finite > 0 OR first_nonfinite IS NOT NULL ORDER BY 1"
        );
        record.wait(async |c| sqlx::query(sqlx::AssertSqlSafe(text)).try_map(bucket).fetch_all(c).await).unwrap()
    }

    #[test]
    fn curves_are_what_sqlite_makes_of_their_steps() {
        let fixture = Fixture::new();
        // Floats of every size, each of which 17 digits must bring back to the bit.
        for (step, bits) in (0..400).zip((1u64..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1)) {
            let value = f64::from_bits(bits);
            if (1e-100..1e100).contains(&value) {
                let change = "UPDATE steps SET grad_norm = ?2 WHERE trajectory_id = 1 AND step = ?1";
                fixture.change(change, serde_json::json!([step, value]));
            }
        }
        let mut record = fixture.record();
        let runs: Vec<i64> = record.run_numbers().unwrap();
        let details = record.details(&runs).unwrap();
        let summaries = record.summaries(Some(&runs)).unwrap();
        let of: Vec<_> = details.iter().zip(&summaries).map(|(run, it)| (run.trajectory_id, it.steps)).collect();
        let mut holes = 0;
        for column in ["loss", "grad_norm", "overshoot", "entropy", "learning_rate"] {
            for rows in [1, 7, 40, 10_000] {
                let found = record.curves(&of, column, rows).unwrap();
                for ((run, (_, steps)), found) in runs.iter().zip(&of).zip(found) {
                    let mut wanted = naive(&mut record, *run, column, (steps / rows).max(1));
                    for (wanted, found) in wanted.iter_mut().zip(&found) {
                        // SQLite adds with a correction.
                        assert!((wanted.sum - found.sum).abs() <= 1e-12 * wanted.sum.abs(), "{wanted:?} {found:?}");
                        wanted.sum = found.sum;
                        holes += usize::from(found.first_nonfinite.is_some());
                    }
                    assert_eq!(found, wanted, "{column} of run{run} in {rows} rows");
                }
            }
        }
        assert!(holes > 0, "nothing was checked that is not finite");
    }
}
