//! The engine: stage keys, the store, the state machine, the worker.
//!
//! It knows no stage by name, no flag and no terminal: the work comes as a plan, and progress is reported through a
//! trait.

mod conduct;
mod explain;
pub mod graph;
pub mod launch;
pub mod lock;
pub mod replay;
mod segment;
mod stat_cache;
pub mod stop;
pub mod store;
pub mod work;
pub mod worker;
