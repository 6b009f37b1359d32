//! nio-timer.
#![no_std]
#![forbid(unsafe_code)]
