//! The whole program, tried as a user would try it.

mod again;
mod first;
mod killed;
mod together;
