//! The text of the guide: its code is that of the programs, and what it names exists.
//!
//! `GUIDE_BLESS=1 cargo test -p nio-guide --test book` fills the code blocks from the programs.

mod blocks;
mod links;
mod names;
mod pictures;
mod programs;
mod template;
mod text;
mod words;
