//! Lines for the standard output and the standard error output. Writing them never blocks the loop.
//!
//! The laws:
//!
//! 1. The caller only appends to a queue. Each output has a thread that writes; only that thread blocks.
//! 2. The queue is bounded. A message that does not fit is dropped and counted; the count is written in
//!    its place.
//! 3. [`exit`] and [`flush`] wait until the queue is written, but no longer than [`FLUSH`].
//! 4. A closed or broken output does not end the program.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    mem, process,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How many bytes the queue holds: as many as a pipe on Linux.
const QUEUE: usize = 64 * 1024;

/// How long the exit of the program waits for a reader of the output.
const FLUSH: Duration = Duration::from_secs(1);

static STDOUT: Log = Log::new(|| Box::new(io::stdout()));
static STDERR: Log = Log::new(|| Box::new(io::stderr()));

/// Writes a line to the standard output.
pub fn print_line(line: impl fmt::Display) {
    STDOUT.put(&format!("{line}\n"));
}

/// Writes a line to the standard error output; on a terminal, over the line of [`print_status`].
pub fn print_error(line: impl fmt::Display) {
    let clear = if io::stderr().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    STDERR.put(&format!("{clear}{line}\n"));
}

/// Writes text to the standard error output without a line break: the statistics line on a terminal.
pub fn print_status(text: &str) {
    STDERR.put(text);
}

/// Waits until all messages are written, at most one second for each output.
pub fn flush() {
    for log in [&STDOUT, &STDERR] {
        log.flush();
    }
}

/// Writes all messages, as [`flush`] does, and ends the process.
pub fn exit(code: i32) -> ! {
    flush();
    process::exit(code)
}

/// The messages for one output.
struct Log {
    output: fn() -> Box<dyn Write>,
    queue: Mutex<Queue>,
    /// Notified when a message is queued.
    filled: Condvar,
    /// Notified when the writer has written its messages.
    written: Condvar,
}

struct Queue {
    text: String,
    dropped: u64,
    has_writer: bool,
    /// The writer has taken messages that it has not written yet.
    is_writing: bool,
}

impl Log {
    const fn new(output: fn() -> Box<dyn Write>) -> Log {
        Log {
            output,
            queue: Mutex::new(Queue {
                text: String::new(),
                dropped: 0,
                has_writer: false,
                is_writing: false,
            }),
            filled: Condvar::new(),
            written: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&'static self, text: &str) {
        let mut queue = self.lock();
        if queue.text.len() + text.len() > QUEUE {
            queue.dropped += 1;
            return;
        }
        queue.text.push_str(text);
        if !queue.has_writer {
            let writer = thread::Builder::new().name("log".into());
            // If no thread can be made, the next message tries again.
            queue.has_writer = writer.spawn(|| self.write()).is_ok();
        }
        self.filled.notify_one();
    }

    /// The writer's thread.
    fn write(&self) {
        let mut output = (self.output)();
        let mut queue = self.lock();
        loop {
            queue.is_writing = false;
            self.written.notify_all();
            let is_empty = |queue: &mut Queue| queue.text.is_empty();
            let waited = self.filled.wait_while(queue, is_empty);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            let mut text = mem::take(&mut queue.text);
            // Messages are dropped only while the queue is full, so the count belongs behind its text.
            if let dropped @ 1.. = mem::take(&mut queue.dropped) {
                text +=
                    &format!("{dropped} messages dropped: the reader of this output is too slow\n");
            }
            queue.is_writing = true;
            drop(queue);
            // Law 4.
            let _ = output.write_all(text.as_bytes());
            let _ = output.flush();
            queue = self.lock();
        }
    }

    fn flush(&self) {
        let is_pending =
            |queue: &mut Queue| queue.has_writer && (queue.is_writing || !queue.text.is_empty());
        let waited = self
            .written
            .wait_timeout_while(self.lock(), FLUSH, is_pending);
        drop(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that the output has received.
    static GOT: Mutex<String> = Mutex::new(String::new());

    struct Output;

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *GOT.lock().unwrap() += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn messages_without_room_are_dropped_and_counted_in_their_place() {
        static LOG: Log = Log::new(|| Box::new(Output));
        let reader_is_away = GOT.lock().unwrap();
        LOG.put("first\n");
        while !LOG.lock().text.is_empty() {
            thread::yield_now(); // until the writer has taken it, and waits for the reader
        }
        let long = format!("{}\n", "x".repeat(QUEUE - 1));
        LOG.put(&long);
        LOG.put("no room\n");
        LOG.put("no room\n");
        drop(reader_is_away);
        while LOG.lock().text == long {
            thread::yield_now();
        }
        LOG.put("last\n");
        LOG.flush();
        let got = GOT.lock().unwrap();
        let mut lines = got.lines();
        assert_eq!(lines.next(), Some("first"));
        assert_eq!(lines.next(), long.strip_suffix('\n'));
        let dropped = "2 messages dropped: the reader of this output is too slow";
        assert_eq!(lines.collect::<Vec<_>>(), [dropped, "last"]);
    }
}
