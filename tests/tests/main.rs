//! The whole program, tried as a user would try it.

#![expect(clippy::unwrap_used, reason = "a test may unwrap: its panic names the line")]

mod again;
mod compare;
mod ends;
mod exact;
mod first;
mod fork;
mod import;
mod input;
mod json;
mod killed;
mod laws;
mod looks;
mod lr_range;
mod names;
mod objects;
mod old;
mod older;
mod pictures;
mod readme;
mod replay;
mod reproduce;
mod screens;
mod system;
mod together;
mod trouble;
mod verdicts;
mod verify;
mod worker;
