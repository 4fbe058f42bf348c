//! Curves over steps, reduced to a few buckets that still show every spike.

use identity::{BLOCK, Bucket};
use serde_json::Value;

use super::many::{Of, many, only};
use super::plain::plain;
use crate::{Record, Result, sql};

/// From this many steps on, curves are read from blocks: a thousandth of the rows, yet finer than a terminal can show.
const MANY_STEPS: i64 = 128 * BLOCK;

/// The most steps read at once, which limits the size of the text that contains their values.
const PORTION: i64 = 1 << 20;

/// Steps of a trajectory that are read together.
struct Part {
    /// The position of its trajectory in the request.
    place: usize,
    trajectory: i64,
    first: i64,
    end: i64,
    /// The width of a bucket.
    width: i64,
}

impl Part {
    /// Whether a text of values separated by spaces has one for each step number of the part: there are no gaps.
    fn is_whole(&self, column: &str) -> bool {
        column.bytes().filter(|byte| *byte == b' ').count() as i64 + 1 == self.end - self.first
    }
}

/// A list of parts in JSON, as the SQL statements expect it.
fn asked<'p>(parts: impl Iterator<Item = &'p Part>) -> String {
    Value::from_iter(parts.map(|part| vec![part.trajectory, part.first, part.end])).to_string()
}

/// The values, or the numbers, of the steps of a part, separated by spaces.
#[derive(sqlx::FromRow)]
struct StepTexts {
    text: String,
}

impl Record {
    /// The losses of the first `steps` steps of a trajectory, in about `rows` buckets or more that keep every extreme.
    pub fn losses(&mut self, trajectory: i64, steps: i64, rows: i64) -> Result<Vec<Bucket>> {
        Ok(only(self.curves(&[(Some(trajectory), steps)], "loss", rows)?))
    }

    /// Like [`Self::losses`], but for any column, and for several trajectories, each with its number of steps. Buckets
    /// in which the column was not measured are omitted.
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
                // Read whole buckets, although a single bucket may be as long as the run.
                let end = (first + (PORTION / width).max(1) * width).min(*steps);
                parts.push(Part { place, trajectory, first, end, width });
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
        let found: Vec<Of<StepTexts>> = self.wait(async |c| {
            let query = sqlx::query_as(sql!("read_curves")).bind(asked(parts.iter())).bind(column);
            many(query.fetch_all(c)).await
        })?;
        let found: Vec<(&Part, String)> = found.into_iter().map(|of| (&parts[of.run as usize], of.row.text)).collect();
        // If a part has gaps, the numbers of its steps are read too.
        let gappy: Vec<&Part> =
            found.iter().filter(|(part, text)| !part.is_whole(text)).map(|(part, _)| *part).collect();
        let mut numbers = self.step_numbers(&gappy)?.into_iter();
        for (part, text) in found {
            let words = text.split(' ');
            let of_part = match part.is_whole(&text) {
                true => buckets((part.first..part.end).zip(words), part.width),
                false => {
                    let steps = numbers.next().map(|of| of.row.text).unwrap_or_default();
                    buckets(steps.split(' ').filter_map(|step| step.parse().ok()).zip(words), part.width)
                }
            };
            all[part.place].extend(of_part);
        }
        Ok(())
    }

    /// The numbers of the steps of some parts, in the order of the parts.
    fn step_numbers(&mut self, parts: &[&Part]) -> Result<Vec<Of<StepTexts>>> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let list = asked(parts.iter().copied());
        self.wait(async |c| many(sqlx::query_as(sql!("read_curve_steps")).bind(list).fetch_all(c)).await)
    }

    /// The whole blocks among the first `steps` steps of a trajectory.
    pub fn blocks(&mut self, trajectory: i64, steps: i64) -> Result<Vec<Bucket>> {
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_blocks")).bind(trajectory).bind(steps).bind(BLOCK);
            query.fetch_all(connection).await.map(plain)
        })
    }
}

/// A bucket without steps.
fn empty(first: i64) -> Bucket {
    Bucket { first, steps: 0, finite: 0, minimum: None, maximum: None, sum: 0.0, first_nonfinite: None }
}

/// Whether a bucket contains a measured value.
fn is_measured(bucket: &Bucket) -> bool {
    bucket.finite > 0 || bucket.first_nonfinite.is_some()
}

/// Groups steps, each with its value as text, into buckets of `width` steps.
fn buckets<'w>(steps: impl Iterator<Item = (i64, &'w str)>, width: i64) -> Vec<Bucket> {
    let mut all: Vec<Bucket> = Vec::new();
    let mut bucket = empty(0);
    let mut end = 0;
    for (step, word) in steps {
        if step >= end {
            all.extend(Some(bucket).filter(is_measured));
            let first = step / width * width;
            (bucket, end) = (empty(first), first + width);
        }
        bucket.steps += 1;
        if word.is_empty() {
            continue;
        }
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
    all.extend(Some(bucket).filter(is_measured));
    all
}

/// Parses a number as `read_curves` writes it; `None` for `x`, a value that is not finite.
fn number(word: &str) -> Option<f64> {
    const WHOLE: f64 = (1u64 << 59) as f64;
    match word.contains('.') {
        true => word.parse().ok(),
        false => word.parse::<i64>().ok().map(|whole| whole as f64 / WHOLE),
    }
}

#[cfg(test)]
mod tests {
    use identity::RunId;

    use super::*;
    use fixture::Fixture;

    /// The expected buckets, computed by SQLite.
    fn naive(record: &mut Record, run: RunId, column: &str, width: i64) -> Vec<Bucket> {
        let RunId(run) = run;
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
        record.wait(async |c| sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(c).await.map(plain)).unwrap()
    }

    #[test]
    fn curves_equal_what_sqlite_computes() {
        let fixture = Fixture::new();
        // Floats of every size, each of which must be read back to the bit.
        for (step, bits) in (0..400).zip((1u64..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1)) {
            let value = f64::from_bits(bits);
            if (1e-100..1e100).contains(&value) {
                let change = "UPDATE steps SET grad_norm = ?2 WHERE trajectory_id = 1 AND step = ?1";
                fixture.change(change, serde_json::json!([step, value]));
            }
        }
        let mut record = Record::open(&fixture.db).unwrap();
        let runs: Vec<RunId> = record.run_numbers().unwrap();
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
                        // SQLite uses compensated summation.
                        assert!((wanted.sum - found.sum).abs() <= 1e-12 * wanted.sum.abs(), "{wanted:?} {found:?}");
                        wanted.sum = found.sum;
                        holes += usize::from(found.first_nonfinite.is_some());
                    }
                    assert_eq!(found, wanted, "{column} of {run} in {rows} rows");
                }
            }
        }
        assert!(holes > 0, "no value that is not finite was checked");
    }
}
