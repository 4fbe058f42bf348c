//! Reads columns that may be NULL into types such as a run id or a kind of loss.

use identity::verdict::Kind;
use identity::{LossKind, NoWord, RunId, Word};

/// A column as it is stored. `#[sqlx(try_from = "Nullable<String>")]` reads it as an `Option` of the parsed type;
/// `try_from` alone can't, because neither `Option` nor the types in it belong to this crate.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub struct Nullable<T>(Option<T>);

impl From<Nullable<i64>> for Option<RunId> {
    fn from(column: Nullable<i64>) -> Self {
        column.0.map(RunId)
    }
}

impl From<Nullable<String>> for Option<Word<Kind>> {
    fn from(column: Nullable<String>) -> Self {
        column.0.map(Word::from)
    }
}

impl TryFrom<Nullable<String>> for Option<LossKind> {
    type Error = NoWord;

    fn try_from(column: Nullable<String>) -> Result<Self, NoWord> {
        column.0.map(|text| text.parse()).transpose()
    }
}
