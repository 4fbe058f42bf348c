//! Pictures of curves and of parameters: what is drawn, as plain values, and their drawing as SVG or PNG.
//!
//! One drawing serves papers (`pipeline plot`) and the report, in which it stands where there is no JavaScript and in print.
//!
//! It draws what it is handed. It reads no record, parses no argument and knows no terminal: which runs a picture shows, and
//! in how many buckets, is its callers' choice, and curves in characters are drawn elsewhere. What these share with pictures
//! is here: the arithmetic of [`axis`] and the few characters of [`text`].

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
