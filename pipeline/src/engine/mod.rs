//! The engine: keys, the store, the state machine, the worker. It knows no stage by name, no flag and no terminal.

pub mod digest;
pub mod key;
pub mod lock;
pub mod stat_cache;
pub mod store;
