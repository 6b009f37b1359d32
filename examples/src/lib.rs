//! The example programs are this package's examples, one file each. They share this file: a `println!`
//! that ends the program quietly when its output is closed.

use std::{
    fmt,
    io::{self, Write},
    process,
};

/// Prints a line as [`std::println!`] does, but ends the program when its output is closed, as in
/// `cargo run --example timers | head -1`. The macro of the standard library panics there.
///
/// A copy of an example outside this workspace can use the standard macro: remove the `use` line.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => {
        $crate::print_line(::core::format_args!($($text)*))
    };
}

/// The exit status that a shell shows for a program that SIGPIPE has killed. Rust programs ignore
/// SIGPIPE, so it is returned here.
const OUTPUT_CLOSED: i32 = 128 + 13;

#[doc(hidden)]
pub fn print_line(line: fmt::Arguments<'_>) {
    printed(writeln!(io::stdout(), "{line}"));
}

/// Ends the program if printing has failed, with an error text unless the output is closed.
pub fn printed(result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() == io::ErrorKind::BrokenPipe {
        process::exit(OUTPUT_CLOSED);
    }
    eprintln!("standard output: {error}");
    process::exit(1);
}

/// The programs of the README, so that they are compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
