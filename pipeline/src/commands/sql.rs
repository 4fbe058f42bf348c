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

/// What can be done where nothing can be written.
const READ_ONLY: &str = "pipeline sql only asks; sqlite3 on a copy of the database can do anything";

/// The longest query that is read from standard input.
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
    let hint = "echo 'SELECT * FROM run_summary' | pipeline sql -";
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::input(format!("standard input: {error}"), hint))?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("standard input: longer than {} MiB, which no query is", LONGEST >> 20);
        return Err(Failure::input(message, hint));
    }
    String::from_utf8(bytes).map_err(|_| Failure::input("standard input: the query is not UTF-8", hint))
}

/// Writes the answer. A reader that went away ends it early and is no error.
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
                QueryError::Empty | QueryError::Nul => "pipeline sql 'SELECT * FROM run_summary'".to_owned(),
                QueryError::Several(_) => "a command for each: pipeline sql '…'; pipeline sql '…'".to_owned(),
                QueryError::Writes(_) => READ_ONLY.to_owned(),
                QueryError::Unknown(word) => match nearest(word, ASK.into_iter()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "pipeline sql 'SELECT * FROM run_summary'".to_owned(),
                },
                QueryError::Parameter(_) => {
                    "write the value itself: pipeline sql 'SELECT * FROM run_steps WHERE run = 1'".to_owned()
                }
                QueryError::Sqlite(text) => hint(text, &record.relations()?),
            };
            Err(Failure::input(error.to_string(), hint))
        }
    }
}

fn csv(record: &mut Record, query: &str, out: &mut dyn std::io::Write) -> Recorded<QueryResult<()>> {
    // Shared by the two visitors, which never run at once.
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

/// An object a row, one row a line, so that a long answer needs no memory. Of columns with the same name the last one
/// stands, as in any JSON.
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
        // A column without a name is called what was typed.
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

/// The nearest name, for SQLite's words about one that it doesn't know.
fn hint(message: &str, relations: &[Relation]) -> String {
    let unknown = |what: &str| message.strip_prefix(what).map(|name| name.trim().rsplit('.').next().unwrap_or(""));
    let near = if let Some(table) = unknown("no such table:") {
        nearest(table, relations.iter().map(|relation| relation.name.as_str()))
    } else if let Some(column) = unknown("no such column:") {
        if let Ok(RunId(run)) = column.parse() {
            return format!("runs are numbers here: run = {run}");
        }
        // Views come first, so that of equally near names a view's is taken.
        let columns = relations.iter().flat_map(|relation| &relation.columns);
        nearest(column, columns.map(|(name, _)| name.as_str()))
    } else {
        return match message.contains("read-only") || message.contains("readonly") {
            true => READ_ONLY.to_owned(),
            false => String::new(),
        };
    };
    near.map_or("pipeline sql --schema lists views and columns".to_owned(), |near| format!("did you mean {near}?"))
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
mod tests {
    use super::*;
    use crate::ui::watch::Terminal;
    use record::fixture::{Fixture, sparse_run};
    use session::{Reader, judge};

    fn said(query: &str, format: RowFormat) -> Result<String, String> {
        let fixture = Fixture::new();
        let mut out = Vec::new();
        answer(&mut fixture.record(), query, format, &mut out)
            .map_err(|failure| format!("{} | {}", failure.message, failure.hint))?;
        Ok(String::from_utf8(out).unwrap())
    }

    const VALUES: &str = "SELECT 1 AS a, 0.1 AS b, NULL AS c, x'00ff' AS d, 'a,\"b\"' AS e, 9e999 AS f, 2.0 AS g";

    #[test]
    fn values_in_each_format() {
        assert_eq!(
            said(VALUES, RowFormat::Table).unwrap(),
            "a    b  c  d     e        f    g\n1  0.1     00ff  a,\"b\"  inf  2.0\n"
        );
        assert_eq!(said(VALUES, RowFormat::Csv).unwrap(), "a,b,c,d,e,f,g\n1,0.1,,00ff,\"a,\"\"b\"\"\",inf,2.0\n");
        let json = "[\n  {\"a\": 1, \"b\": 0.1, \"c\": null, \"d\": \"00ff\", \"e\": \"a,\\\"b\\\"\", \"f\": \"inf\", \"g\": 2.0}\n]\n";
        assert_eq!(said(VALUES, RowFormat::Json).unwrap(), json);
        assert_eq!(said("SELECT run FROM run_summary WHERE run > 99", RowFormat::Json).unwrap(), "[]\n");
        assert_eq!(said("SELECT run, status FROM run_summary WHERE run > 99", RowFormat::Csv).unwrap(), "run,status\n");
        // A view's columns have no types of their own, and values of one column may differ in theirs.
        let mixed = "SELECT value FROM run_params WHERE run = 1 AND name IN ('train.tied', 'train.clip_norm', 'train.optimizer')";
        assert_eq!(said(mixed, RowFormat::Csv).unwrap(), "value\n1.25\nsgd\n0\n");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let wrong = |query: &str| said(query, RowFormat::Table).unwrap_err();
        assert_eq!(
            wrong("SELECT learning_rte FROM run_summary"),
            "no such column: learning_rte | did you mean learning_rate?"
        );
        assert_eq!(
            wrong("SELECT * FROM run_summary WHERE run = run1"),
            "no such column: run1 | runs are numbers here: run = 1"
        );
        assert_eq!(wrong("SELECT * FROM run_sumary"), "no such table: run_sumary | did you mean run_summary?");
        assert_eq!(
            wrong("SELEC 1"),
            "SELEC is not a statement; allowed: SELECT, WITH, VALUES, EXPLAIN and PRAGMA | did you mean SELECT?"
        );
        assert_eq!(
            wrong("delete from runs"),
            "the record is read-only here: DELETE is not SELECT, WITH, VALUES, EXPLAIN or PRAGMA | pipeline sql only asks; sqlite3 on a copy of the database can do anything"
        );
        assert_eq!(
            wrong("SELECT 1; SELECT 2"),
            "one statement at a time: another begins at `SELECT 2` | a command for each: pipeline sql '…'; pipeline sql '…'"
        );
        for name in [":a", "$a", "@a", "?", "?1"] {
            assert_eq!(
                wrong(&format!("SELECT ':x', {name}")),
                format!(
                    "{name} is a parameter, and parameters have no values here | write the value itself: pipeline sql 'SELECT * FROM run_steps WHERE run = 1'"
                )
            );
        }
        assert_eq!(said("SELECT ':x?' AS \"@a\" -- $b", RowFormat::Csv).unwrap(), "@a\n:x?\n");
        assert!(wrong("SELECT 1\0 + 1").starts_with("the query holds a NUL character"));
        assert_eq!(wrong("SELECT (1"), "incomplete input | ");
        assert!(
            wrong("WITH a AS (SELECT 1) DELETE FROM runs").contains("readonly"),
            "{}",
            wrong("WITH a AS (SELECT 1) DELETE FROM runs")
        );
    }

    /// Queries that were made up to be in the way, which `tests/properties` asks too.
    #[test]
    fn every_format_is_what_it_says_whatever_is_asked() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sql");
        let fixture = Fixture::new();
        let mut record = fixture.record();
        let mut answered = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(query) = std::fs::read_to_string(&path) else { continue };
            // It never ends, which a user can make it do.
            if path.ends_with("recursive.sql") {
                continue;
            }
            let mut said = |format| {
                let mut out = Vec::new();
                answer(&mut record, &query, format, &mut out).ok().map(|()| String::from_utf8(out).unwrap())
            };
            let [table, csv, json] = [RowFormat::Table, RowFormat::Csv, RowFormat::Json].map(&mut said);
            let (Some(table), Some(csv), Some(json)) = (&table, &csv, &json) else {
                assert_eq!((table, csv, json), (None, None, None), "{}", path.display());
                continue;
            };
            let rows: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
            let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(csv.as_bytes());
            assert_eq!(reader.records().map(Result::unwrap).count(), rows.len(), "{}", path.display());
            assert!(!table.chars().any(|c| c != '\n' && stages::plain::acts(c)), "{}: {table:?}", path.display());
            answered += 1;
        }
        assert!(answered > 40);
    }

    /// docs/sql.md, which every release ships.
    const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sql.md"));

    #[test]
    fn every_documented_query_is_answered() {
        let fixture = Fixture::new();
        sparse_run(&mut Record::create(&fixture.db).unwrap(), 9, 200);
        let paths = Paths { db: fixture.db.clone(), named: true, store: None };
        judge::refresh(&mut Reader::open(&paths, Terminal).unwrap(), None).unwrap();
        let mut record = fixture.record();
        let queries: Vec<&str> = DOCS.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert_eq!(queries.len(), 27);
        for query in queries {
            let mut out = Vec::new();
            answer(&mut record, query, RowFormat::Csv, &mut out).unwrap_or_else(|failure| panic!("{query}{failure}"));
            let rows = String::from_utf8(out).unwrap().lines().count() - 1;
            assert!(rows > 0, "no rows: {query}");
        }
    }

    #[test]
    fn every_view_and_its_columns_are_documented() {
        let relations = Fixture::new().record().relations().unwrap();
        for view in relations.iter().filter(|relation| relation.kind == "view") {
            let (_, part) =
                DOCS.split_once(&format!("### `{}`\n", view.name)).unwrap_or_else(|| panic!("{}", view.name));
            let part = part.split("\n#").next().unwrap();
            let columns = part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
            let wanted: Vec<&str> = view.columns.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(columns.collect::<Vec<_>>(), wanted, "{}", view.name);
        }
        for table in relations.iter().filter(|relation| relation.kind == "table") {
            assert!(DOCS.contains(&format!("`{}`", table.name)), "{} is not documented", table.name);
        }
    }

    #[test]
    fn the_schema_names_every_view() {
        let text = schema(&Fixture::new().record().relations().unwrap(), RowFormat::Table, Look::PLAIN);
        for view in ["run_summary", "run_steps", "run_params", "run_lineage", "study_by_learning_rate"] {
            assert!(text.contains(&format!("\n  {view}\n")), "{text}");
        }
    }
}
