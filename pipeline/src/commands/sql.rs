//! `pipeline sql`.

use std::io::Read as _;
use std::ops::ControlFlow;

use serde_json::json;

use crate::args::{RowFormat, SqlArgs};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use crate::ui::watch::Terminal;
use crate::ui::{self, format};
use experiment::nearest;
use identity::{Cell, RunId};
use record::read::{ASK, QueryError, QueryResult, Relation};
use record::{Record, Result as Recorded};
use session::failure::Failure;
use session::places::Paths;
use session::updated;

/// The hint when a query would write.
const READ_ONLY: &str = "`pipeline sql` only reads; to write, run sqlite3 on a copy of the database";

/// The hint when there is no query to correct.
const EXAMPLE: &str = "for example: pipeline sql 'SELECT * FROM run_summary'";

/// The most bytes of a query on standard input.
const LONGEST: u64 = 1 << 20;

/// Answers a query, or prints the schema.
pub fn sql(args: SqlArgs, paths: &Paths) -> Result<(), Failure> {
    let mut record = updated(Record::open(&paths.db)?, &mut Terminal);
    let Some(query) = args.query else {
        let relations = record.relations()?;
        ui::data(&schema(&relations, args.format, Look::stdout()));
        return Ok(());
    };
    let query = if query == "-" { standard_input()? } else { query };
    let mut out = ui::sink();
    answer(&mut record, &query, args.format, &mut out)
}

fn standard_input() -> Result<String, Failure> {
    let hint = "for example: echo 'SELECT * FROM run_summary' | pipeline sql -";
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::input(format!("standard input: {error}"), hint))?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("standard input: the query is longer than {} MiB", LONGEST >> 20);
        return Err(Failure::input(message, hint));
    }
    String::from_utf8(bytes).map_err(|_| Failure::input("standard input: the query is not UTF-8", hint))
}

/// Writes the answer. A closed pipe ends it early and is not an error.
fn answer(record: &mut Record, query: &str, format: RowFormat, out: &mut dyn std::io::Write) -> Result<(), Failure> {
    let asked = match format {
        RowFormat::Csv => csv(record, query, out)?,
        RowFormat::Json => json(record, query, out)?,
        RowFormat::Table => table(record, query, out)?,
    };
    match asked {
        Ok(()) => {
            let _ = out.flush();
            Ok(())
        }
        Err(error) => {
            let hint = match &error {
                QueryError::Empty | QueryError::Nul => EXAMPLE.to_owned(),
                QueryError::Several(_) => "run each separately: pipeline sql '…'; pipeline sql '…'".to_owned(),
                QueryError::Writes(_) => READ_ONLY.to_owned(),
                QueryError::Unknown(word) => match nearest(word, ASK.into_iter()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => EXAMPLE.to_owned(),
                },
                QueryError::Parameter(_) => {
                    "put the value in the query: pipeline sql 'SELECT * FROM run_steps WHERE run = 1'".to_owned()
                }
                QueryError::Sqlite(text) => hint(text, &record.relations()?),
            };
            Err(Failure::input(error.to_string(), hint))
        }
    }
}

fn csv(record: &mut Record, query: &str, out: &mut dyn std::io::Write) -> Recorded<QueryResult<()>> {
    // Both closures write to the same writer, but never at the same time.
    let writer = std::cell::RefCell::new(csv::Writer::from_writer(out));
    let write = |fields: Vec<String>| match writer.borrow_mut().write_record(fields) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let asked = record.ask(
        query,
        &mut |columns| {
            let _ = write(columns.to_vec());
        },
        &mut |row| write(row.iter().map(Cell::text).collect()),
    );
    let _ = writer.borrow_mut().flush();
    asked
}

/// Writes one object per row and one row per line, without keeping rows in memory. If columns share a name, a JSON
/// reader keeps the last.
fn json(record: &mut Record, query: &str, out: &mut dyn std::io::Write) -> Recorded<QueryResult<()>> {
    let names = std::cell::RefCell::new(Vec::new());
    let mut before = "[\n";
    let asked = record.ask(query, &mut |columns| *names.borrow_mut() = columns.to_vec(), &mut |row| {
        let names = names.borrow();
        let pairs = names.iter().zip(&row).map(|(name, cell)| {
            let cell = serde_json::to_string(cell).unwrap_or_else(|_| "null".to_owned());
            format!("{}: {cell}", json!(name))
        });
        let object = format!("{before}  {{{}}}", pairs.collect::<Vec<_>>().join(", "));
        before = ",\n";
        if out.write_all(object.as_bytes()).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if asked.is_ok() {
        let _ = out.write_all(if before == "[\n" { b"[]\n" } else { b"\n]\n" });
    }
    Ok(asked)
}

fn table(record: &mut Record, query: &str, out: &mut dyn std::io::Write) -> Recorded<QueryResult<()>> {
    let mut names = Vec::new();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let asked = record.ask(query, &mut |columns| names = columns.to_vec(), &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    if asked.is_ok() {
        let is_number = |column: usize| {
            rows.iter().any(|row| row[column].is_number())
                && rows.iter().all(|row| row[column].is_number() || row[column] == Cell::Null)
        };
        // SQLite names an unnamed column after its expression, which may contain control characters.
        let heads = names.iter().map(|name| format::line(name)).enumerate();
        let heads = heads.map(|(column, name)| if is_number(column) { right(&name) } else { left(&name) }).collect();
        let mut table = Table::new(heads);
        for row in &rows {
            table.plain(row.iter().map(|cell| format::line(&cell.text())).collect());
        }
        let _ = out.write_all(table.render(Look::stdout()).0.as_bytes());
    }
    Ok(asked)
}

/// A hint for SQLite's error message: the nearest known name if a name is unknown.
fn hint(message: &str, relations: &[Relation]) -> String {
    let unknown = |what: &str| message.strip_prefix(what).map(|name| name.trim().rsplit('.').next().unwrap_or(""));
    let near = if let Some(table) = unknown("no such table:") {
        nearest(table, relations.iter().map(|relation| relation.name.as_str()))
    } else if let Some(column) = unknown("no such column:") {
        if let Ok(RunId(run)) = column.parse() {
            return format!("in SQL a run is a number: run = {run}");
        }
        // Views come first, so a view's column wins over an equally near one of a table.
        let columns = relations.iter().flat_map(|relation| &relation.columns);
        nearest(column, columns.map(|(name, _)| name.as_str()))
    } else {
        return match message.contains("read-only") || message.contains("readonly") {
            true => READ_ONLY.to_owned(),
            false => String::new(),
        };
    };
    near.map_or("to list views and columns: pipeline sql --schema".to_owned(), |near| format!("did you mean {near}?"))
}

fn schema(relations: &[Relation], format: RowFormat, look: Look) -> String {
    match format {
        RowFormat::Json => {
            let column = |(name, of): &(String, String)| json!({"name": name, "type": of});
            let of = |relation: &Relation| {
                let columns: Vec<_> = relation.columns.iter().map(column).collect();
                json!({"name": relation.name, "kind": relation.kind, "columns": columns})
            };
            ui::json(&relations.iter().map(of).collect::<Vec<_>>())
        }
        RowFormat::Csv => {
            let mut text = String::from("relation,kind,column,type\n");
            for relation in relations {
                for (column, of) in &relation.columns {
                    text.push_str(&format!("{},{},{column},{of}\n", relation.name, relation.kind));
                }
            }
            text
        }
        RowFormat::Table => {
            let mut text = String::new();
            for (kind, title) in [("view", "views (the public interface: docs/sql.md)"), ("table", "tables")] {
                text.push_str(&format!("{}\n", look.heading(title)));
                for relation in relations.iter().filter(|relation| relation.kind == kind) {
                    let columns: Vec<&str> = relation.columns.iter().map(|(name, _)| name.as_str()).collect();
                    text.push_str(&format!("  {}\n", look.paint(Ink::Good, &relation.name)));
                    for line in format::wrap(&columns.join(", "), look.width - 4) {
                        text.push_str(&format!("    {line}\n"));
                    }
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests;
