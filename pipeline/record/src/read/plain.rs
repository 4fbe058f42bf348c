//! Reads rows into types of the crate `identity`.

use identity::verdict::{Confirmation, Evidence, Finding, Headline};
use identity::{Bucket, EvaluationRow, Hole, NgramLoss, SampleRow, StepRow, TraceRow};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, FromRow, Row as _, Sqlite, Type};

use super::nullable::Nullable;

/// A row read as a type of another crate, for which this crate can't implement `FromRow`.
#[derive(Debug)]
pub(crate) struct Row<T>(pub T);

/// The values of rows.
pub(crate) fn plain<T>(rows: Vec<Row<T>>) -> Vec<T> {
    rows.into_iter().map(|Row(value)| value).collect()
}

/// Implements `FromRow` as its derive does: each field is read from the column of the same name. `from` gives the type
/// that the record stores if it is not that of the field.
macro_rules! rows {
    ($($row:ident: $($field:ident $(from $stored:ty)?),+;)+) => {
        $(impl FromRow<'_, SqliteRow> for Row<$row> {
            fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
                Ok(Self($row { $($field: column!(row, $field $(, $stored)?)),+ }))
            }
        })+
    };
}

macro_rules! column {
    ($row:ident, $field:ident) => {
        $row.try_get(stringify!($field))?
    };
    ($row:ident, $field:ident, $stored:ty) => {
        converted::<$stored, _>($row, stringify!($field))?
    };
}

fn converted<S, T>(row: &SqliteRow, column: &str) -> sqlx::Result<T>
where
    S: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    T: TryFrom<S, Error: Into<BoxDynError>>,
{
    let wrong = |error: T::Error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() };
    T::try_from(row.try_get::<S, _>(column)?).map_err(wrong)
}

rows! {
    Bucket: first, steps, finite, minimum, maximum, sum, first_nonfinite;
    Hole: first, last, kind;
    StepRow:
        step, epoch, loss, loss_kind from Nullable<String>, learning_rate, grad_norm, clipped, update_ratio, overshoot,
        logit_max, entropy, sharpness, tokens, seconds, nonfinite;
    TraceRow: step, loss, learning_rate, grad_norm, clipped;
    EvaluationRow: step, split, loss, loss_kind from String, perplexity, tokens, seconds, source;
    NgramLoss: split, model, n, loss, perplexity, tokens;
    SampleRow:
        step, position, decode, prompt, text, tokens, distinct_1, distinct_2, seq_rep_4, loop_period, loop_onset,
        why_empty;
    Finding: finding from String, step, sentence;
    Headline: verdict from String, onset, recovered;
    Evidence: about from String, signal from String, value, value_kind from String, bound, step, sentence;
    Confirmation: trial from i64, cause from String, outcome from String, sentence;
}
