//! Pipes, FIFOs and terminals: K131–K143.

mod support;

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use support::*;

#[test]
fn k131_a_pipe_with_bytes_is_readable() {
    let queue = Queue::new();
    let (mut reader, mut writer) = pipe();
    queue.add(&reader, READ, LEVEL, 1);
    queue.assert_silent();
    writer.write_all(&[0; 11]).unwrap();
    let event = queue.one();
    assert!(!event.is_eof());
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    assert_eq!(event.data(), 11);
    reader.read_exact(&mut [0; 11]).unwrap();
    queue.assert_silent();
}

#[test]
fn k132_the_end_comes_with_unread_data_and_stays() {
    let queue = Queue::new();
    let (mut reader, mut writer) = pipe();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"rest").unwrap();
    drop(writer);
    assert!(queue.one().is_eof());
    reader.read_exact(&mut [0; 4]).unwrap();
    for _ in 0..3 {
        assert!(queue.one().is_eof());
    }
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn k132_the_end_comes_when_the_last_of_two_writers_closes() {
    let queue = Queue::new();
    let (reader, writer) = pipe();
    let second = writer.try_clone().unwrap();
    queue.add(&reader, READ, LEVEL, 1);
    drop(writer);
    queue.assert_silent();
    drop(second);
    assert!(queue.one().is_eof());
}

#[test]
fn k132_an_edge_reports_the_end() {
    let queue = Queue::new();
    let (reader, writer) = pipe();
    queue.add(&reader, READ, CLEAR, 1);
    drop(writer);
    assert!(queue.one().is_eof());
    queue.assert_silent();
}

#[test]
fn k133_a_pipe_is_writable_while_there_is_room() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (reader, writer) = pipe();
        queue.add(&writer, WRITE, mode, 1);
        assert!(!queue.one().is_eof());
        fill(&writer);
        queue.collect();
        queue.assert_silent();
        drain(&reader);
        assert!(!queue.one().is_eof());
    }
}

#[test]
fn k133_a_reader_that_closes_is_the_end_of_writing() {
    for mode in [LEVEL, CLEAR] {
        for full in [false, true] {
            let queue = Queue::new();
            let (reader, writer) = pipe();
            queue.add(&writer, WRITE, mode, 1);
            if full {
                fill(&writer);
            }
            queue.collect();
            drop(reader);
            let event = queue.one();
            assert!(event.is_eof());
            assert_eq!(event.fflags(), 0);
        }
    }
}

#[test]
fn k134_adding_after_the_reader_is_gone_is_refused_or_is_the_end() {
    let queue = Queue::new();
    let (reader, writer) = pipe();
    drop(reader);
    match queue.change(on(&writer, WRITE, ADD)) {
        Ok(()) => assert!(queue.one().is_eof()),
        Err(error) => {
            let errno = error.raw_os_error().unwrap();
            assert!([libc::EPIPE, libc::EBADF].contains(&errno), "{errno}");
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    queue.delete(&writer, WRITE);
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k135_the_end_for_writing_is_not_readable() {
    let queue = Queue::new();
    let (reader, mut writer) = pipe();
    queue.add(&writer, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    queue.assert_silent();
    drop(reader);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    assert!(queue.one().is_eof());
}

/// A FIFO with a unique name, which is removed when it is dropped.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Fifo {
        let name = format!("nio-sys-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let c_path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the string is terminated and lives until the call returns.
        check(unsafe { libc::mkfifo(c_path.as_ptr(), 0o600) }).unwrap();
        Fifo(path)
    }

    fn reader(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        options.open(&self.0).unwrap()
    }

    fn writer(&self) -> File {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        options.open(&self.0).unwrap()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn k136_a_fifo_that_never_had_a_writer_is_silent() {
    let queue = Queue::new();
    let fifo = Fifo::new("k136");
    let reader = fifo.reader();
    queue.add(&reader, READ, LEVEL, 1);
    queue.assert_silent();
    let mut writer = fifo.writer();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    assert!(!queue.one().is_eof());
}

// macOS does not report the end of a FIFO; NetBSD and OpenBSD end it in another way.
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k137_a_new_writer_ends_the_end_of_a_fifo() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let fifo = Fifo::new(&format!("k137-{mode:?}"));
        let reader = fifo.reader();
        queue.add(&reader, READ, mode, 1);
        drop(fifo.writer());
        assert!(queue.one().is_eof());
        let mut writer = fifo.writer();
        queue.assert_silent();
        writer.write_all(b"x").unwrap();
        assert!(!queue.one().is_eof());
    }
}

#[test]
fn k138_every_write_to_a_pipe_fires_an_edge() {
    let queue = Queue::new();
    let (reader, mut writer) = pipe();
    queue.add(&reader, READ, CLEAR, 1);
    for _ in 0..3 {
        writer.write_all(b"x").unwrap();
        queue.one();
        queue.assert_silent();
    }
}

#[test]
fn k139_a_terminal_is_readable_at_the_end_of_a_line() {
    let queue = Queue::new();
    let (mut master, mut slave) = pty();
    queue.add(&slave, READ, LEVEL, 1);
    master.write_all(b"hel").unwrap();
    queue.assert_silent_for(20);
    master.write_all(b"\n").unwrap();
    let event = queue.one();
    assert!(!event.is_eof());
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    assert_eq!(event.data(), 4);
    slave.read_exact(&mut [0; 4]).unwrap();
    queue.assert_silent();
}

#[test]
fn k140_the_last_close_of_a_slave_is_the_end_for_its_master() {
    let queue = Queue::new();
    let (mut master, slave) = pty();
    queue.add(&master, READ, LEVEL, 1);
    queue.assert_silent();
    drop(slave);
    assert!(queue.one().is_eof());
    let read = master.read(&mut [0]).map_err(|error| error.raw_os_error());
    assert!([Ok(0), Err(Some(libc::EIO))].contains(&read), "{read:?}");
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k141_opening_a_slave_again_ends_the_end() {
    use std::os::fd::AsRawFd;
    let queue = Queue::new();
    let (master, slave) = pty();
    let path = std::fs::read_link(format!("/proc/self/fd/{}", slave.as_raw_fd())).unwrap();
    queue.add(&master, READ, LEVEL, 1);
    drop(slave);
    assert!(queue.one().is_eof());
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let mut slave = options.open(path).unwrap();
    queue.assert_silent();
    slave.write_all(b"x").unwrap();
    assert!(!queue.one().is_eof());
}

#[test]
fn k142_a_master_that_closes_is_the_end_for_its_slave() {
    let queue = Queue::new();
    let (master, slave) = pty();
    queue.add(&slave, READ, LEVEL, 1);
    drop(master);
    assert!(queue.one().is_eof());
}

#[test]
fn k143_a_terminal_is_writable_while_there_is_room() {
    let queue = Queue::new();
    let (_master, slave) = pty();
    queue.add(&slave, WRITE, LEVEL, 1);
    assert!(!queue.one().is_eof());
}
