//! Rows whose columns are not known in advance.

use identity::Cell;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};

/// The values of a row. The column of an expression has no type, so each value is read by its own type.
pub(super) fn cells(row: &SqliteRow) -> sqlx::Result<Vec<Cell>> {
    (0..row.len()).map(|column| cell(row, column)).collect()
}

fn cell(row: &SqliteRow, column: usize) -> sqlx::Result<Cell> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    Ok(match value.type_info().name() {
        "INTEGER" => Cell::Integer(row.try_get_unchecked(column)?),
        "REAL" => Cell::Real(row.try_get_unchecked(column)?),
        "TEXT" => Cell::Text(row.try_get_unchecked(column)?),
        _ => Cell::Blob(row.try_get_unchecked(column)?),
    })
}
