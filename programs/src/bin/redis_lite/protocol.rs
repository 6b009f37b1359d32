//! Parses requests: arrays of RESP, as programs send them, and inline commands, as people type them.
//!
//! The laws:
//!
//! 1. No byte is parsed twice, however the bytes are split; only an incomplete line is searched again.
//! 2. An announced length allocates nothing.
//! 3. The bytes that are kept of an incomplete request are limited, and [`Requests::capacity`] counts all memory.

use std::{mem, ops::Range};

use crate::store::integer;

/// The limits on the number of arguments of a command, and on the bytes of one. Redis allows a million, and
/// 512 MB.
const ARGUMENTS: usize = 64 * 1024;
pub(crate) const ARGUMENT: usize = 8 << 20;
/// The limit on the bytes that are kept of an incomplete command.
pub(crate) const REQUEST: usize = 2 * ARGUMENT;
/// The limit on a line, of RESP or of an inline command.
const LINE: usize = 64 * 1024;

/// The bytes of a connection, and the requests in them.
#[derive(Default)]
pub(crate) struct Requests {
    /// The bytes that were read; new ones are appended.
    pub(crate) bytes: Vec<u8>,
    /// The bytes before this index are parsed.
    position: usize,
    /// The number of arguments of the incomplete request, and those that have arrived.
    expected: Option<usize>,
    arguments: Vec<Range<usize>>,
    /// The words of an inline command, without a gap.
    words: Vec<u8>,
}

impl Requests {
    /// Makes room for `more` bytes. Removes the requests that were taken.
    pub(crate) fn make_room(&mut self, more: usize, keep: usize) {
        let start = self
            .arguments
            .first()
            .map_or(self.position, |first| first.start);
        self.bytes.drain(..start);
        self.position -= start;
        for argument in &mut self.arguments {
            *argument = argument.start - start..argument.end - start;
        }
        if self.bytes.is_empty() {
            // Shrink the buffer after a large value.
            self.bytes.shrink_to(keep);
        }
        self.bytes.reserve(more);
    }

    /// The memory in use, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        let arguments = self.arguments.capacity() * size_of::<Range<usize>>();
        self.bytes.capacity() + self.words.capacity() + arguments
    }

    /// Takes the next request, as its name and its arguments; `None` if it is incomplete. A request may be
    /// empty.
    ///
    /// # Errors
    ///
    /// The text for the client. The bytes after it cannot be parsed.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<&[u8]>>, &'static str> {
        let expected = match self.expected {
            Some(expected) => expected,
            None => {
                let Some(line) = self.line()? else {
                    return Ok(None);
                };
                let Some(count) = self.bytes[line.clone()].strip_prefix(b"*") else {
                    self.words.clear();
                    let words = split(&self.bytes[line], &mut self.words);
                    let words = words.ok_or("unbalanced quotes in request")?.into_iter();
                    return Ok(Some(words.map(|range| &self.words[range]).collect()));
                };
                let count = number(count, ARGUMENTS).ok_or("invalid multibulk length")?;
                *self.expected.insert(count)
            }
        };
        while self.arguments.len() < expected {
            match self.argument()? {
                Some(argument) => self.arguments.push(argument),
                None if self.pending() >= REQUEST => return Err("too big a command"),
                None => return Ok(None),
            }
        }
        self.expected = None;
        let arguments = mem::take(&mut self.arguments).into_iter();
        Ok(Some(arguments.map(|range| &self.bytes[range]).collect()))
    }

    /// The bytes of the incomplete request.
    fn pending(&self) -> usize {
        let start = self
            .arguments
            .first()
            .map_or(self.position, |first| first.start);
        self.bytes.len() - start
    }

    /// Takes the next argument if it is complete.
    fn argument(&mut self) -> Result<Option<Range<usize>>, &'static str> {
        let before = self.position;
        let Some(head) = self.line()? else {
            return Ok(None);
        };
        let len = self.bytes[head].strip_prefix(b"$").ok_or("expected '$'")?;
        let len = number(len, ARGUMENT).ok_or("invalid bulk length")?;
        let argument = self.position..self.position + len;
        let Some(end) = self.bytes.get(argument.end..argument.end + 2) else {
            self.position = before;
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err("expected CRLF after a bulk");
        }
        self.position = argument.end + 2;
        Ok(Some(argument))
    }

    /// Takes a line, and returns its range without the line end.
    fn line(&mut self) -> Result<Option<Range<usize>>, &'static str> {
        let bytes = &self.bytes[self.position..];
        let head = &bytes[..bytes.len().min(LINE)];
        let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
            return match bytes.len() >= LINE {
                true => Err("too big inline request"),
                false => Ok(None),
            };
        };
        let line = head[..end].strip_suffix(b"\r").unwrap_or(&head[..end]);
        let line = self.position..self.position + line.len();
        self.position += end + 1;
        Ok(Some(line))
    }
}

fn number(text: &[u8], limit: usize) -> Option<usize> {
    let number = usize::try_from(integer(text)?).ok()?;
    (number <= limit).then_some(number)
}

/// Appends the words of a line, and returns their ranges. Words in quotes may have spaces in them. Double quotes
/// have escapes, single quotes only that of the quote itself. `None` if a quote has no end, or is not followed by
/// a space.
fn split(line: &[u8], words: &mut Vec<u8>) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut line = line.trim_ascii_start();
    while !line.is_empty() {
        let start = words.len();
        loop {
            match line {
                [b'"', rest @ ..] => break line = double_quoted(rest, words)?,
                [b'\'', rest @ ..] => break line = single_quoted(rest, words)?,
                [byte, rest @ ..] if !byte.is_ascii_whitespace() => {
                    words.push(*byte);
                    line = rest;
                }
                _ => break,
            }
        }
        if line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return None;
        }
        ranges.push(start..words.len());
        line = line.trim_ascii_start();
    }
    Some(ranges)
}

/// Both return the bytes after the quote.
fn double_quoted<'a>(mut line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let byte;
        (byte, line) = match line {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'x', high, low, rest @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) << 4 | hex(*low), rest)
            }
            [b'\\', b'n', rest @ ..] => (b'\n', rest),
            [b'\\', b'r', rest @ ..] => (b'\r', rest),
            [b'\\', b't', rest @ ..] => (b'\t', rest),
            [b'\\', b'b', rest @ ..] => (8, rest),
            [b'\\', b'a', rest @ ..] => (7, rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        word.push(byte);
    }
}

fn single_quoted<'a>(mut line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let byte;
        (byte, line) = match line {
            [b'\'', rest @ ..] => return Some(rest),
            [b'\\', b'\'', rest @ ..] => (b'\'', rest),
            [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        word.push(byte);
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n";

    fn requests(bytes: &[u8]) -> Requests {
        let mut requests = Requests::default();
        requests.bytes.extend_from_slice(bytes);
        requests
    }

    #[test]
    fn a_request_is_there_when_it_is_complete_and_not_before() {
        let mut requests = Requests::default();
        for _ in 0..3 {
            for (i, byte) in SET.iter().enumerate() {
                assert_eq!(requests.next(), Ok(None), "{i} bytes");
                requests.make_room(1, 0);
                requests.bytes.push(*byte);
            }
            let request = requests.next().unwrap().unwrap();
            assert_eq!(request, [&b"SET"[..], b"a", b"\r\n\r\n"]);
        }
        assert_eq!(requests.next(), Ok(None));
        requests.make_room(0, 0);
        assert_eq!(requests.bytes.len(), 0);
    }

    #[test]
    fn requests_come_one_after_the_other() {
        let mut requests = requests(&[SET, b"PING\r\n\r\n*0\r\n", SET, b"*1\r\n"].concat());
        let lens = [3, 1, 0, 0, 3];
        for len in lens {
            assert_eq!(requests.next().unwrap().unwrap().len(), len);
        }
        assert_eq!(requests.next(), Ok(None));
        requests.make_room(0, 0);
        requests.bytes.extend_from_slice(b"$4\r\nPING\r\n");
        assert_eq!(requests.next(), Ok(Some(vec![&b"PING"[..]])));
    }

    #[test]
    fn people_may_type_and_quote() {
        for (line, words) in [
            ("  set  a  b ", &["set", "a", "b"][..]),
            (r#"set "a b" 'c d'"#, &["set", "a b", "c d"]),
            (r#"set a "\x41\n\"\q\x4""#, &["set", "a", "A\n\"qx4"]),
            (r#"set a 'it\'s \n'"#, &["set", "a", "it's \\n"]),
            (r#"set a """#, &["set", "a", ""]),
            (r#"set pre"a b""#, &["set", "prea b"]),
            ("", &[]),
        ] {
            let mut requests = requests(format!("{line}\r\nrest").as_bytes());
            let expected: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(requests.next(), Ok(Some(expected)), "{line}");
        }
        for line in [
            r#"set "a"#,
            "set 'a",
            r#"set "a"b"#,
            "set 'a'b",
            r#"set "a\""#,
        ] {
            let mut requests = requests(format!("{line}\r\n").as_bytes());
            assert_eq!(requests.next(), Err("unbalanced quotes in request"));
        }
    }

    #[test]
    fn rubbish_is_refused_before_memory_is_made_for_it() {
        for bytes in [
            &b"*-1\r\n"[..],
            b"*x\r\n",
            b"*+1\r\n",
            b"*1\r\n$01\r\n",
            b"*99999999\r\n",
            b"*1\r\n:5\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$999999999999999999999\r\n",
            b"*1\r\n$100000000\r\n",
            b"*1\r\n$1\r\nabc",
            &[b'x'; LINE],
        ] {
            assert!(requests(bytes).next().is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_command_is_not_collected_for_ever() {
        let argument = [
            format!("${ARGUMENT}\r\n").as_bytes(),
            &[b'x'; ARGUMENT],
            b"\r\n",
        ]
        .concat();
        let mut requests = requests(&[b"*1000\r\n", &argument[..]].concat());
        assert_eq!(requests.next(), Ok(None));
        requests.make_room(0, 0);
        requests.bytes.extend_from_slice(&argument);
        assert!(requests.next().is_err());
    }

    #[test]
    fn the_capacity_counts_all_memory() {
        let mut requests = requests(&b"w ".repeat(LINE / 2 - 1));
        requests.bytes.extend_from_slice(b"\r\n");
        let before = requests.capacity();
        assert_eq!(requests.next().unwrap().unwrap().len(), LINE / 2 - 1);
        assert!((LINE / 2 - 1..=LINE).contains(&(requests.capacity() - before)));
        requests.bytes.extend_from_slice(b"*1000\r\n");
        let before = requests.capacity();
        for _ in 0..999 {
            requests.bytes.extend_from_slice(b"$0\r\n\r\n");
        }
        assert_eq!(requests.next(), Ok(None));
        assert!(requests.capacity() >= before + 999 * 16);
    }
}
