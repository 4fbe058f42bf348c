//! stub
use crate::{Context, Outcome, StageError};
/// stub
/// # Errors
/// never
pub fn run(_: &crate::params::Sample, _: &Context) -> Result<Outcome, StageError> {
    Ok(Outcome::default())
}
