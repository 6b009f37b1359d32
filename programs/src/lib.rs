//! What the programs share: how a server listens, serves, and ends.

#![forbid(unsafe_code)]

mod log;
mod resolve;
mod serve;
#[cfg(feature = "http")]
pub mod web;

use std::{error::Error, fmt, net::SocketAddr, process::ExitCode, time::Duration};

use nio_loop::Handle;

pub use log::{complain, exit, flush, say, show};
pub use resolve::{connect, host_and_port};
pub use serve::{
    Serving, at_least_one, explain, raise_limit, reset, serve, talkative, unless_idle,
};

/// What a program ends with when it cannot go on: one line that says what to do about it.
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

/// Runs a program on a loop of its own. What fails is said on the standard error output.
pub fn run(program: impl AsyncFnOnce(Handle) -> Result<(), Failure>) -> ExitCode {
    let code = match nio_loop::run(program).unwrap_or_else(|error| Err(error.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            complain(format_args!("error: {text}"));
            ExitCode::FAILURE
        }
    };
    flush();
    code
}

/// What an error says, and what it says is behind that.
pub fn why(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The longest time that an option may name: more than a century. What is much longer cannot be added
/// to the time of a system's clock, which libraries do.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// A time in seconds, as an option of a program.
///
/// # Errors
///
/// What is wrong with it.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration > LONGEST => Err(format!(
            "longer than {} seconds; try a shorter time",
            LONGEST.as_secs()
        )),
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a time that can pass; try 10 or 0.5".into()),
    }
}

/// An address to listen on, as an argument of a program.
///
/// # Errors
///
/// What is wrong with it.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let fail = |_| "not of the form ADDRESS:PORT; try 127.0.0.1:7000, or 127.0.0.1:0".into();
    text.parse().map_err(fail)
}

/// A number of bytes, to be read.
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
    use super::*;

    #[test]
    fn numbers_of_bytes_are_short() {
        let texts = [0.0, 999.0, 999.6, 12_345.0, 999_499_999.0, 5e12];
        let texts = texts.map(|bytes| Bytes(bytes).to_string());
        assert_eq!(
            texts,
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "999 MB", "5000 GB"]
        );
    }

    #[test]
    fn times_that_cannot_pass_are_refused() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "soon", "NaN", "1.8e19", "1e30"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
