//! Code that the programs share: listening, serving, graceful shutdown, log lines and option values.

#![forbid(unsafe_code)]

mod connect;
mod log;
mod serve;
#[cfg(feature = "http")]
pub mod web;

use std::{error::Error, fmt, net::SocketAddr, process::ExitCode, time::Duration};

use nio_loop::Handle;

pub use connect::connect;
pub use log::{exit, flush, print_error, print_line, print_status};
pub use serve::{Serving, at_least_one, raise_limit, reset, serve, with_log};

/// The error that ends a program: its message says what failed and what to do.
pub struct Failure(pub String);

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs a program on a loop of its own. Its error goes to the standard error output.
pub fn run(program: impl AsyncFnOnce(Handle) -> Result<(), Failure>) -> ExitCode {
    finish(nio_loop::run(program).unwrap_or_else(|error| Err(error.into())))
}

/// The exit code of a program. Its error goes to the standard error output.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            print_error(format_args!("error: {text}"));
            ExitCode::FAILURE
        }
    };
    flush();
    code
}

/// The message of an error, followed by the messages of its sources that are not part of it already.
pub fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        next = source.source();
    }
    text
}

/// The longest time that an option accepts: more than a century. Much longer times overflow when a library
/// adds them to the time of a clock.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Parses the value of an option that is a time in seconds.
///
/// # Errors
///
/// The reason, if it is not one.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration > LONGEST => Err(format!(
            "longer than {} seconds; try a shorter time",
            LONGEST.as_secs()
        )),
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a positive number of seconds; try 10 or 0.5".into()),
    }
}

/// Parses an argument that is an address to listen on.
///
/// # Errors
///
/// The reason, if it is not one.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let fail = |_| "not of the form ADDRESS:PORT; try 127.0.0.1:7070, or 127.0.0.1:0".into();
    text.parse().map_err(fail)
}

/// A number of bytes, with a unit that people read easily: `12.3 kB`.
pub struct Bytes(pub f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut units) = (self.0, ["B", "kB", "MB", "GB"].iter());
        let mut unit = units.next().unwrap_or(&"");
        while number >= 999.5 {
            let Some(next) = units.next() else { break };
            (number, unit) = (number / 1000.0, next);
        }
        let digits = usize::from(number < 99.95 && *unit != "B");
        write!(f, "{number:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::Ipv4Addr};

    use super::*;

    #[test]
    fn a_source_that_is_part_of_the_message_is_printed_once() {
        let (address, source) = (
            (Ipv4Addr::LOCALHOST, 1).into(),
            io::ErrorKind::TimedOut.into(),
        );
        let error = nio_net::Error::Connect { address, source };
        assert_eq!(describe(&error), error.to_string());
        assert_eq!(
            describe(&io::Error::from(error)),
            format!("cannot connect to {address}: timed out")
        );
    }

    #[test]
    fn a_source_that_is_not_part_of_the_message_follows_it() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = io::Error::other(Outer(io::Error::other(Outer(io::Error::other("inner")))));
        assert_eq!(describe(&error), "outer: inner");
    }

    #[test]
    fn numbers_of_bytes_have_a_unit() {
        let texts = [0.0, 999.0, 999.6, 12_345.0, 999_499_999.0, 5e12];
        let texts = texts.map(|bytes| Bytes(bytes).to_string());
        assert_eq!(
            texts,
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "999 MB", "5000 GB"]
        );
    }

    #[test]
    fn times_that_are_not_positive_or_too_long_are_refused() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "soon", "NaN", "1.8e19", "1e30"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
