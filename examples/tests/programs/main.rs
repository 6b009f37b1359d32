//! The examples, started as programs and tested from outside.
//!
//! The tests need the programs (in a folder `examples` beside that of this program, or in it), and `sh`
//! to send signals and to set limits.

mod blocking;
mod children;
mod closed_output;
mod echo;
mod embed;
mod kqueue_101;
mod mini_loop;
mod phases;
mod poll_echo;
mod program;
mod report;
mod signals;
mod tail;
mod timeline;
mod timers;
mod virtual_time;
