//! RESP2, the protocol of Redis: requests out of bytes, answers into bytes.

use crate::store::integer;

/// How many arguments a command may have, and how long one may be. Redis allows a million and
/// 512 MB; a client of this server that says so is mistaken.
const ARGUMENTS: usize = 1024;
const ARGUMENT: usize = 8 << 20;
/// How long a whole command may be that is not complete: that much is kept for a client.
const REQUEST: usize = 2 * ARGUMENT;
/// How long a line may be: one that announces something, or a command as a person types it.
const LINE: usize = 64 * 1024;

/// A command and its arguments, and how many bytes it took.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) arguments: Vec<&'a [u8]>,
    pub(crate) len: usize,
}

/// Takes the first request out of bytes; none if more has to be read.
///
/// # Errors
///
/// What is wrong, for the client to be told: nothing behind it can be made sense of.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, &'static str> {
    match request(bytes)? {
        None if bytes.len() >= REQUEST => Err("too big a command"),
        request => Ok(request),
    }
}

fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, &'static str> {
    let Some((first, mut rest)) = line(bytes)? else {
        return Ok(None);
    };
    let mut arguments = Vec::new();
    let Some(count) = first.strip_prefix(b"*") else {
        // Typed by a person: words.
        arguments.extend(first.split(u8::is_ascii_whitespace));
        arguments.retain(|word| !word.is_empty());
        let len = bytes.len() - rest.len();
        return Ok(Some(Request { arguments, len }));
    };
    let count = number(count, ARGUMENTS).ok_or("invalid multibulk length")?;
    for _ in 0..count {
        let Some((head, after)) = line(rest)? else {
            return Ok(None);
        };
        let len = head.strip_prefix(b"$").ok_or("expected '$'")?;
        let len = number(len, ARGUMENT).ok_or("invalid bulk length")?;
        if after.len() < len + 2 {
            return Ok(None);
        }
        let (argument, after) = after.split_at(len);
        rest = after
            .strip_prefix(b"\r\n")
            .ok_or("expected CRLF after a bulk")?;
        arguments.push(argument);
    }
    let len = bytes.len() - rest.len();
    Ok(Some(Request { arguments, len }))
}

/// Bytes in two parts.
type Split<'a> = (&'a [u8], &'a [u8]);

/// A line without its end, and what comes behind it.
fn line(bytes: &[u8]) -> Result<Option<Split<'_>>, &'static str> {
    let head = &bytes[..bytes.len().min(LINE)];
    match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = &bytes[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            Ok(Some((line, &bytes[end + 1..])))
        }
        None if bytes.len() >= LINE => Err("too big inline request"),
        None => Ok(None),
    }
}

fn number(text: &[u8], limit: usize) -> Option<usize> {
    let number = usize::try_from(integer(text)?).ok()?;
    (number <= limit).then_some(number)
}

/// Answers, one after the other.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bytes: Vec<u8>,
}

impl Answers {
    /// A word that says how it went, such as OK.
    pub(crate) fn status(&mut self, text: &str) {
        self.line('+', text);
    }

    pub(crate) fn error(&mut self, text: &str) {
        self.line('-', text);
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.line(':', &number.to_string());
    }

    /// A value, or that there is none.
    pub(crate) fn bulk(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else {
            return self.line('$', "-1");
        };
        self.line('$', &value.len().to_string());
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Announces as many answers that belong together.
    pub(crate) fn array(&mut self, len: usize) {
        self.line('*', &len.to_string());
    }

    fn line(&mut self, kind: char, text: &str) {
        self.bytes.push(kind as u8);
        // What a client has sent and gets back in an error must not look like another answer.
        let printable = |byte: u8| if byte < b' ' { b'?' } else { byte };
        self.bytes.extend(text.bytes().map(printable));
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n";

    #[test]
    fn a_request_is_parsed_when_it_is_complete_and_not_before() {
        for end in 0..SET.len() {
            assert_eq!(parse(&SET[..end]), Ok(None), "{end} bytes");
        }
        let request = parse(SET).unwrap().unwrap();
        assert_eq!(request.arguments, [&b"SET"[..], b"a", b"\r\n\r\n"]);
        assert_eq!(request.len, SET.len());
    }

    #[test]
    fn what_comes_behind_a_request_is_left_there() {
        let bytes = [SET, b"PING\r\n"].concat();
        let request = parse(&bytes).unwrap().unwrap();
        assert_eq!(request.len, SET.len());
        let request = parse(&bytes[SET.len()..]).unwrap().unwrap();
        assert_eq!((request.arguments, request.len), (vec![&b"PING"[..]], 6));
    }

    #[test]
    fn people_may_type() {
        let request = parse(b"  set  a  b \nrest").unwrap().unwrap();
        assert_eq!(request.arguments, [&b"set"[..], b"a", b"b"]);
        assert_eq!(parse(b"\r\n").unwrap().unwrap().arguments.len(), 0);
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
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_command_is_not_collected_for_ever() {
        let mut bytes = b"*1000\r\n".to_vec();
        let argument = [
            format!("${ARGUMENT}\r\n").as_bytes(),
            &[b'x'; ARGUMENT],
            b"\r\n",
        ]
        .concat();
        bytes.extend_from_slice(&argument);
        assert_eq!(parse(&bytes), Ok(None));
        bytes.extend_from_slice(&argument);
        assert!(parse(&bytes).is_err());
    }

    #[test]
    fn an_error_is_one_line() {
        let mut answers = Answers::default();
        answers.error("ERR 'a\r\n+OK'");
        assert_eq!(answers.bytes, b"-ERR 'a??+OK'\r\n");
    }
}
