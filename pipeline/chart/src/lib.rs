//! Charts of curves and of parameters: the data to draw, as plain values, and the drawing as SVG or PNG.
//!
//! `pipeline plot` writes a drawing to a file. The report contains the same drawing, which is shown on paper and where
//! JavaScript is off.
//!
//! This crate does not read the record, parse arguments or know about terminals. Callers choose which runs a chart
//! shows, and in how many buckets. The program itself draws curves for the terminal, with the arithmetic of [`axis`]
//! and the formats of [`text`].

pub mod axis;
mod chart;
pub mod colours;
mod labels;
pub mod parallel;
pub mod png;
mod quantity;
mod range;
pub mod svg;
pub mod text;
mod thin;

pub use axis::Baseline;
pub use chart::{Chart, Curve};
pub use quantity::Quantity;
pub use range::Range;
pub use thin::thin;
