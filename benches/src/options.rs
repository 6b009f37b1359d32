//! What the command lines of the benchmarks have in common.

use std::slice;

use crate::servers::{self, Server};

/// The words of a command line, one after the other.
pub struct Words<'a>(slice::Iter<'a, String>);

impl<'a> Words<'a> {
    /// All of them.
    pub fn new(arguments: &'a [String]) -> Words<'a> {
        Words(arguments.iter())
    }

    /// The next word, if there is one.
    pub fn option(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    fn value(&mut self) -> Result<&'a str, String> {
        self.option().ok_or("an option needs a value".into())
    }

    /// The next word, which has to be a number above zero.
    pub fn number(&mut self) -> Result<usize, String> {
        let text = self.value()?;
        match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{text:?} is not a number above 0")),
        }
    }

    /// The next word, which has to be a list of servers.
    pub fn servers(&mut self) -> Result<Vec<&'static Server>, String> {
        self.value()?.split(',').map(servers::find).collect()
    }
}
