//! The examples, each started as somebody would start it, and spoken to from outside.
//!
//! This needs nothing but the programs themselves (in a folder `examples` beside this one's, or in
//! it) and `sh`, to send signals and to set limits with.

mod blocking;
mod children;
mod echo;
mod embed;
mod kqueue_101;
mod mini_loop;
mod nobody_listens;
mod phases;
mod poll_echo;
mod program;
mod report;
mod signals;
mod tail;
mod timeline;
mod timers;
mod virtual_time;
