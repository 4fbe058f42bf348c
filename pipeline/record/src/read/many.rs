//! Queries about many runs at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use identity::text_as_json;
use serde::{Serialize, Serializer};
use serde_json::json;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

use super::plain::{Row, plain};

/// Serialises the record's JSON text as a value; null if there is none.
pub(super) fn as_json<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text_as_json(text.as_deref().unwrap_or("null"), serializer)
}

/// A list of ids in JSON, as the SQL statements expect it.
pub(crate) fn list<Id: Serialize>(ids: &[Id]) -> String {
    json!(ids).to_string()
}

/// A row, and the run or execution that it belongs to.
#[derive(sqlx::FromRow)]
pub(crate) struct Of<T> {
    pub run: i64,
    #[sqlx(flatten)]
    pub row: T,
}

/// The rows that a statement with a column `run` finds for each of the given runs, in the order of the runs. A single
/// statement serves all of them, because the fixed cost of one statement per run would dominate.
pub(crate) async fn each<T, Id: Copy + Eq + Hash + From<i64>>(
    c: &mut SqliteConnection,
    runs: &[Id],
    query: sqlx::query::QueryAs<'_, sqlx::Sqlite, Of<T>, SqliteArguments>,
) -> sqlx::Result<Vec<Vec<T>>>
where
    T: for<'r> sqlx::FromRow<'r, SqliteRow> + Send + Unpin,
{
    let places: HashMap<Id, usize> = runs.iter().zip(0..).map(|(run, place)| (*run, place)).collect();
    let mut found: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(runs.len()).collect();
    for Of { run, row } in many(query.fetch_all(c)).await? {
        if let Some(place) = places.get(&Id::from(run)) {
            found[*place].push(row);
        }
    }
    Ok(found)
}

/// Like [`each`], for rows whose types belong to another crate.
pub(crate) async fn each_plain<T, Id: Copy + Eq + Hash + From<i64>>(
    c: &mut SqliteConnection,
    runs: &[Id],
    query: sqlx::query::QueryAs<'_, sqlx::Sqlite, Of<Row<T>>, SqliteArguments>,
) -> sqlx::Result<Vec<Vec<T>>>
where
    Row<T>: for<'r> sqlx::FromRow<'r, SqliteRow> + Send + Unpin,
{
    Ok(each(c, runs, query).await?.into_iter().map(plain).collect())
}

/// Waits for a query with many rows. They come one by one from the driver's thread, and being woken for each costs more
/// than reading it, so this polls every tenth of a millisecond instead.
pub(crate) async fn many<T>(query: impl Future<Output = T>) -> T {
    let mut query = pin!(query);
    std::future::poll_fn(|_| {
        loop {
            if let Poll::Ready(rows) = query.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(rows);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    })
    .await
}

/// The rows of the only run that was asked for.
pub(super) fn only<T>(mut found: Vec<Vec<T>>) -> Vec<T> {
    found.pop().unwrap_or_default()
}
