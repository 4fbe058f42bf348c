//! The files that stages pass to one another.
//!
//! - *types* (outputs `types` of `tokenize` and `vocab` of `vocab`): a header that says how text was cut, then the
//!   distinct tokens in the order of their ids, each with its count in train. [`Types`].
//! - *ids* (outputs `train`, `valid`, `test` of both): one token after another, each an unsigned 32-bit little-endian
//!   integer, nothing else; `numpy.fromfile(path, "<u4")` reads it. [`Ids`].

mod ids;
mod tensors;
mod types;

pub use ids::Ids;
pub use tensors::{f64s_of, first_tensor_that_differs, whole_tensors};
pub use types::{Cut, Types, UNKNOWN, count_types};
