//! Runs SQL that a user typed, on a read-only connection.

use std::ops::ControlFlow;

use futures_util::TryStreamExt as _;
use identity::Cell;
use sqlx::{Column as _, Executor as _, SqlSafeStr as _, SqliteConnection, Statement as _};

use super::cell::cells;
use crate::{Record, Result, sql};

/// Statements that only read.
pub const ASK: [&str; 5] = ["SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA"];

/// SQLite's other statements.
const WRITE: [&str; 19] = [
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "INSERT",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
];

/// The result of a query.
pub type QueryResult<T> = std::result::Result<T, QueryError>;

/// Why a query was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing but white space and comments.
    #[error("the query is empty")]
    Empty,
    /// SQLite ends a string at its first NUL, and sqlx would wait for the rest forever.
    #[error("the query contains a NUL character")]
    Nul,
    /// More than one statement.
    #[error("only one statement is allowed; another starts at `{0}`")]
    Several(String),
    /// A statement that writes.
    #[error("the database is opened read-only, so {0} is refused; allowed: SELECT, WITH, VALUES, EXPLAIN and PRAGMA")]
    Writes(String),
    /// Not an SQL statement.
    #[error("{0} is not a statement; allowed: SELECT, WITH, VALUES, EXPLAIN and PRAGMA")]
    Unknown(String),
    /// A parameter, for which no value can be given.
    #[error("{0} is a query parameter, and no value can be given for it")]
    Parameter(String),
    /// SQLite's own message.
    #[error("{0}")]
    Sqlite(String),
}

/// A view or a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub name: String,
    /// `view` or `table`.
    pub kind: String,
    /// Columns and their declared types; a view's column from an expression has none.
    pub columns: Vec<(String, String)>,
}

impl Record {
    /// Runs a query: passes the names of the columns to `columns`, then each row to `row` until that returns `Break`.
    pub fn ask(
        &mut self,
        query: &str,
        columns: &mut dyn FnMut(&[String]),
        row: &mut dyn FnMut(Vec<Cell>) -> ControlFlow<()>,
    ) -> Result<QueryResult<()>> {
        if let Err(refusal) = check(query) {
            return Ok(Err(refusal));
        }
        self.wait(async |connection| match ask(connection, query, columns, row).await {
            // An error in the query is not an error of the record.
            Err(sqlx::Error::Database(error)) if !is_damage(&*error) => {
                Ok(Err(QueryError::Sqlite(one_line(error.message()))))
            }
            Err(sqlx::Error::ColumnDecode { source, .. }) => Ok(Err(QueryError::Sqlite(source.to_string()))),
            other => other,
        })
    }

    /// Every view, then every table.
    pub fn relations(&mut self) -> Result<Vec<Relation>> {
        type Row = (String, String, String, String);
        let rows: Vec<Row> =
            self.wait(async |connection| sqlx::query_as(sql!("read_relations")).fetch_all(connection).await)?;
        let mut relations: Vec<Relation> = Vec::new();
        for (name, kind, column, of) in rows {
            match relations.last_mut().filter(|last| last.name == name) {
                Some(last) => last.columns.push((column, of)),
                None => relations.push(Relation { name, kind, columns: vec![(column, of)] }),
            }
        }
        Ok(relations)
    }
}

async fn ask(
    connection: &mut SqliteConnection,
    query: &str,
    columns: &mut dyn FnMut(&[String]),
    row: &mut dyn FnMut(Vec<Cell>) -> ControlFlow<()>,
) -> sqlx::Result<QueryResult<()>> {
    // The file is already open read-only; this also protects temporary tables and attached files.
    connection.execute("PRAGMA query_only = ON").await?;
    let text = sqlx::AssertSqlSafe(query.to_owned()).into_sql_str();
    let statement = connection.prepare(text).await?;
    // SQLite would take NULL for each parameter, and for some of them sqlx returns an error about its own API.
    if statement.parameters().is_some_and(|given| given.map_left(<[_]>::len).into_inner() > 0) {
        return Ok(Err(QueryError::Parameter(parameter(query).unwrap_or("?").to_owned())));
    }
    columns(&statement.columns().iter().map(|column| column.name().to_owned()).collect::<Vec<_>>());
    let mut rows = statement.query().fetch(connection);
    while let Some(next) = rows.try_next().await? {
        if row(cells(&next)?).is_break() {
            break;
        }
    }
    Ok(Ok(()))
}

fn is_damage(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0);
    matches!(code & 0xff, 10 | 11 | 26)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Refuses everything but a single statement that reads. SQLite would refuse most writes itself, but with a message
/// about a read-only database; and `VACUUM INTO` writes a file even on a read-only connection.
fn check(query: &str) -> QueryResult<()> {
    let first = skip(query);
    if first.is_empty() {
        return Err(QueryError::Empty);
    }
    if query.contains('\0') {
        return Err(QueryError::Nul);
    }
    let typed: String = first.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let word = typed.to_uppercase();
    if !ASK.contains(&word.as_str()) {
        if WRITE.contains(&word.as_str()) {
            return Err(QueryError::Writes(word));
        }
        let shown = if typed.is_empty() { first.chars().take(1).collect() } else { typed };
        return Err(QueryError::Unknown(shown));
    }
    // PRAGMA journal_mode = … would change the file's format, and SQLite's error blames the disk.
    if word == "PRAGMA"
        && first.contains(['=', '('])
        && !first.to_lowercase().contains("_info")
        && !first.to_lowercase().contains("_list")
    {
        return Err(QueryError::Writes("a PRAGMA that sets something".to_owned()));
    }
    match after_statement(first) {
        "" => Ok(()),
        rest => Err(QueryError::Several(one_line(&rest.chars().take(24).collect::<String>()))),
    }
}

/// The text without leading white space, comments and empty statements.
fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        text = if let Some(comment) = text.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = text.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return text;
        };
    }
}

/// The text after the first statement's semicolon.
fn after_statement(text: &str) -> &str {
    find(text, |rest| rest.strip_prefix(';')).map_or("", skip)
}

/// The first parameter of a statement: `?`, `?1`, `:a`, `@a`, `$a`.
fn parameter(text: &str) -> Option<&str> {
    find(text, |rest| {
        let name = rest.strip_prefix(['?', ':', '@', '$'])?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        (end > 0 || rest.starts_with('?')).then(|| &rest[..end + 1])
    })
}

/// The first match of `looked_for` in a text, outside quotes and comments.
fn find<'t>(text: &'t str, looked_for: impl Fn(&'t str) -> Option<&'t str>) -> Option<&'t str> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(found) = looked_for(rest) {
            return Some(found);
        }
        let after = &rest[c.len_utf8()..];
        rest = match c {
            // A doubled quote inside a quoted string closes it and opens the next, with the same result.
            '\'' | '"' | '`' => after.split_once(c).map_or("", |(_, rest)| rest),
            '[' => after.split_once(']').map_or("", |(_, rest)| rest),
            '-' if after.starts_with('-') => after.split_once('\n').map_or("", |(_, rest)| rest),
            '/' if after.starts_with('*') => after[1..].split_once("*/").map_or("", |(_, rest)| rest),
            _ => after,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_statement_that_reads_is_allowed() {
        for good in [
            "SELECT 1",
            "  -- a comment; with a semicolon\n select ';' ; -- and another",
            "WITH a AS (SELECT 1) SELECT * FROM a;;",
            "SELECT 'it''s; fine', \"a;b\", [c;d] /* ; */",
            "EXPLAIN QUERY PLAN SELECT 1",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(" -- nothing\n;"), Err(QueryError::Empty));
        assert_eq!(check("SELECT 1; DROP TABLE runs"), Err(QueryError::Several("DROP TABLE runs".into())));
        assert_eq!(check("delete from runs"), Err(QueryError::Writes("DELETE".into())));
        assert_eq!(check("VACUUM INTO 'copy.db'"), Err(QueryError::Writes("VACUUM".into())));
        assert_eq!(check("ATTACH 'x' AS x"), Err(QueryError::Writes("ATTACH".into())));
        assert_eq!(check("PRAGMA table_info(runs)"), Ok(()));
        assert_eq!(check("PRAGMA user_version"), Ok(()));
        assert!(check("pragma journal_mode=delete").is_err());
        assert_eq!(check("selct 1"), Err(QueryError::Unknown("selct".into())));
        assert_eq!(check("(SELECT 1)"), Err(QueryError::Unknown("(".into())));
    }

    #[test]
    fn a_parameter_is_found_outside_quotes_and_comments() {
        for (query, found) in [
            ("SELECT :a", Some(":a")),
            ("SELECT ':x', \"@y\", [$z], `?`, ?12 -- :b", Some("?12")),
            ("SELECT ? /* :c */", Some("?")),
            ("SELECT @learning_rate+1", Some("@learning_rate")),
            ("SELECT ':x' -- ?", None),
        ] {
            assert_eq!(parameter(query), found, "{query}");
        }
    }
}
