//! The programs of the workspace are this package's examples, one file each. Here is what they
//! share: a `println!` that may be talking to nobody.

use std::{
    fmt,
    io::{self, Write},
    process,
};

/// Prints a line as [`std::println!`] does, but ends the program when nobody listens any more, as
/// in `cargo run --example timers | head -1`, where the one of the standard library panics.
///
/// A program that lives on its own needs neither this nor the `use` that brings it.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => {
        $crate::print_line(::core::format_args!($($text)*))
    };
}

/// What a shell reports of a program that the system has ended for this, which it does to all but
/// those that ask it not to, as Rust's do: 128, and the number of SIGPIPE.
const NOBODY_LISTENS: i32 = 128 + 13;

#[doc(hidden)]
pub fn print_line(line: fmt::Arguments<'_>) {
    printed(writeln!(io::stdout(), "{line}"));
}

/// Ends the program if something could not be printed, with a word about it unless the reason is
/// that nobody listens any more.
pub fn printed(result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() == io::ErrorKind::BrokenPipe {
        process::exit(NOBODY_LISTENS);
    }
    eprintln!("standard output: {error}");
    process::exit(1);
}

/// The programs of the README, so that they are compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
