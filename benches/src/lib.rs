//! nio beside its peers, in one run with one report. See `README.md`.
#![cfg(target_os = "linux")]

mod cli;
mod client;
mod clock;
mod compare;
mod count;
mod data;
mod gate;
mod group;
mod library;
mod loops;
mod machine;
mod parts;
mod polls;
mod process;
mod report;
mod run;
mod servers;
mod timers;

pub use cli::main;
