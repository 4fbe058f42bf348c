//! stub
use crate::{Context, Outcome, StageError};
/// stub
/// # Errors
/// never
pub fn run(_: &crate::params::Vocab, _: &Context) -> Result<Outcome, StageError> {
    Ok(Outcome::default())
}
