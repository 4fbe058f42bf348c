//! The engine: keys, the store, the state machine, the worker. It knows no stage by name, no flag and no terminal.

mod conduct;
mod explain;
pub mod graph;
pub mod lock;
pub mod replay;
pub mod segment;
pub mod stat_cache;
pub mod store;
pub mod task;
pub mod work;
pub mod worker;
