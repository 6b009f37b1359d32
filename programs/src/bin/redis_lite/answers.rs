//! Encodes answers in RESP2 or RESP3.
//!
//! The laws:
//!
//! 1. A client gets RESP2 until it asks for RESP3 by HELLO. RESP3 adds maps, sets, texts and a null.
//! 2. The answer to one command has at most [`ANSWER`] bytes; a longer one is replaced by an error.

/// The limit on the answer to one command, in bytes: much more than the longest value.
const ANSWER: usize = 64 << 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    Resp2 = 2,
    Resp3 = 3,
}

/// Answers, one after the other.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: Version,
    /// The index at which the answer to the current command begins.
    start: usize,
    is_too_long: bool,
}

impl Answers {
    /// Begins the answer to a command.
    pub(crate) fn begin(&mut self) {
        self.start = self.bytes.len();
        self.is_too_long = false;
    }

    /// Empties the buffer when all answers have been sent, and shrinks it after a long one.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.start = 0;
    }

    /// Ends the answer to a command. One that is too long becomes an error.
    pub(crate) fn end(&mut self) {
        if self.is_too_long {
            self.replace(&format!("ERR the answer is longer than {ANSWER} bytes"));
        }
    }

    /// Replaces the answer to the last command by an error.
    pub(crate) fn replace(&mut self, error: &str) {
        self.bytes.truncate(self.start);
        self.bytes.shrink_to_fit();
        self.is_too_long = false;
        self.error(error);
    }

    /// A status such as OK.
    pub(crate) fn status(&mut self, text: &str) {
        self.line('+', text);
    }

    pub(crate) fn error(&mut self, text: &str) {
        self.line('-', text);
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.line(':', &number.to_string());
    }

    pub(crate) fn bulk(&mut self, value: &[u8]) {
        self.line('$', &value.len().to_string());
        self.put(value);
        self.put(b"\r\n");
    }

    /// The null, for no value.
    pub(crate) fn null(&mut self) {
        match self.version {
            Version::Resp2 => self.line('$', "-1"),
            Version::Resp3 => self.line('_', ""),
        }
    }

    pub(crate) fn bulk_or_null(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.bulk(value),
            None => self.null(),
        }
    }

    /// Begins an array of `len` answers.
    pub(crate) fn array(&mut self, len: usize) {
        self.line('*', &len.to_string());
    }

    /// Begins a map of `len` pairs of answers.
    pub(crate) fn map(&mut self, len: usize) {
        match self.version {
            Version::Resp2 => self.array(2 * len),
            Version::Resp3 => self.line('%', &len.to_string()),
        }
    }

    /// Begins a set of `len` answers.
    pub(crate) fn set(&mut self, len: usize) {
        match self.version {
            Version::Resp2 => self.array(len),
            Version::Resp3 => self.line('~', &len.to_string()),
        }
    }

    /// Text for people.
    pub(crate) fn text(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.line('=', &(text.len() + "txt:".len()).to_string());
                self.put(b"txt:");
                self.put(text.as_bytes());
                self.put(b"\r\n");
            }
        }
    }

    fn line(&mut self, kind: char, text: &str) {
        self.put(&[kind as u8]);
        // A part of the request that is repeated in an error must not look like another answer.
        match text.bytes().all(|byte| byte >= b' ') {
            true => self.put(text.as_bytes()),
            false => {
                let printable = |byte: u8| if byte < b' ' { b' ' } else { byte };
                self.put(&text.bytes().map(printable).collect::<Vec<_>>());
            }
        }
        self.put(b"\r\n");
    }

    fn put(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len() - self.start + bytes.len() > ANSWER;
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let mut answers = Answers::default();
        answers.error("ERR 'a\r\n+OK'");
        assert_eq!(answers.bytes, b"-ERR 'a  +OK'\r\n");
    }

    #[test]
    fn an_answer_that_is_too_long_is_an_error_and_takes_no_memory() {
        let mut answers = Answers::default();
        answers.status("before");
        answers.begin();
        let value = vec![b'x'; ANSWER / 4];
        for _ in 0..100 {
            answers.bulk(&value);
        }
        answers.end();
        answers.begin();
        answers.status("behind");
        answers.end();
        let expected = "+before\r\n-ERR the answer is longer than 67108864 bytes\r\n+behind\r\n";
        assert_eq!(answers.bytes, expected.as_bytes());
        assert!(answers.bytes.capacity() <= 2 * ANSWER);
    }

    #[test]
    fn each_version_has_its_own_forms() {
        let mut answers = Answers::default();
        let all = |answers: &mut Answers| {
            answers.bytes.clear();
            answers.null();
            answers.map(1);
            answers.set(3);
            answers.text("hi");
            String::from_utf8(answers.bytes.clone()).unwrap()
        };
        assert_eq!(all(&mut answers), "$-1\r\n*2\r\n*3\r\n$2\r\nhi\r\n");
        answers.version = Version::Resp3;
        assert_eq!(all(&mut answers), "_\r\n%1\r\n~3\r\n=6\r\ntxt:hi\r\n");
    }
}
