//! A connection of a server that has neither tasks nor streams: the bytes it has read and not written yet.

use std::io::{self, ErrorKind, Read, Write};

pub(super) struct Connection<S> {
    pub(super) stream: S,
    rest: Vec<u8>,
    /// Whether the loop has been asked about room to write.
    pub(super) waits_for_room: bool,
}

/// The event that a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Bytes,
    Room,
    Nothing,
}

impl<S: Read + Write> Connection<S> {
    pub(super) fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            rest: Vec::new(),
            waits_for_room: false,
        }
    }

    /// Reads and writes once, or as long as `reads_again` says so of the number of bytes read.
    #[inline]
    pub(super) fn echo(
        &mut self,
        buffer: &mut [u8],
        reads_again: impl Fn(usize) -> bool,
    ) -> io::Result<Next> {
        if !self.rest.is_empty() && !self.write_rest()? {
            return Ok(Next::Room);
        }
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Ok(Next::Nothing),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Bytes),
                Err(error) => return Err(error),
            };
            let written = self.write(&buffer[..n])?;
            if written < n {
                self.rest.extend_from_slice(&buffer[written..n]);
                return Ok(Next::Room);
            }
            if !reads_again(n) {
                return Ok(Next::Bytes);
            }
        }
    }

    /// Returns whether there is nothing left.
    #[cold]
    fn write_rest(&mut self) -> io::Result<bool> {
        let rest = std::mem::take(&mut self.rest);
        let written = self.write(&rest)?;
        self.rest = rest;
        self.rest.drain(..written);
        Ok(self.rest.is_empty())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }
}
