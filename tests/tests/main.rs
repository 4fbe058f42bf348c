//! The whole program, tried as a user would try it.

mod again;
mod first;
mod input;
mod killed;
mod laws;
mod objects;
mod together;
mod trouble;
