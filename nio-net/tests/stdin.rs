//! The standard input: of each kind, in a process of its own.

mod support;

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use nio_loop::Handle;
use nio_net::{Stdin, stdin};
use support::{Counted, Place, a_terminal, either, pattern, poll_once, run};

/// Set in the process whose standard input is tested.
const INNER: &str = "NIO_TEST_STDIN";

/// The text that the inner process writes when it waits for input.
const WAITING: &str = "it waits";

/// Runs `inner` in a new process with the standard input that `outer` makes. Then `outer` goes on with the
/// process, whose stdout is a pipe.
fn with_stdin(
    outer: impl FnOnce(&mut dyn FnMut(Stdio) -> Child) -> Child,
    inner: impl AsyncFnOnce(Handle, Stdin),
) {
    if env::var_os(INNER).is_some() {
        return run(async |handle: Handle| {
            let stdin = stdin(&handle).unwrap();
            inner(handle, stdin).await;
        });
    }
    let child = outer(&mut |input| inner_process().stdin(input).spawn().unwrap());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

fn inner_process() -> Command {
    let thread = thread::current();
    let name = thread.name().unwrap();
    let mut program = Command::new(env::current_exe().unwrap());
    program.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    program.env(INNER, "1");
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

/// Until the inner process says that it waits.
fn until_it_waits(child: &mut Child) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains(WAITING)),
        "it ended"
    );
}

/// Says that this process waits for input, in the inner process.
fn say_it_waits() {
    println!("\n{WAITING}");
}

fn is_nonblocking(descriptor: &impl AsFd) -> bool {
    // SAFETY: the command takes no argument.
    let flags = unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK != 0
}

async fn read_all(stdin: &Stdin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let n = stdin.read_to_end(&mut bytes, usize::MAX).await.unwrap();
    assert_eq!(n, bytes.len());
    bytes
}

/// A file with some bytes, to be read from its beginning.
fn a_file(name: &str, bytes: &[u8]) -> File {
    let place = Place::new(name);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&place.0)
        .unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

const MUCH: usize = 1 << 20;

#[test]
fn a_file_is_read_to_its_end() {
    with_stdin(
        |start| start(a_file("stdin", &pattern(MUCH)).into()),
        async |_, stdin| {
            assert!(read_all(&stdin).await == pattern(MUCH));
            assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
        },
    );
}

#[test]
fn a_pipe_is_read_to_its_end() {
    with_stdin(
        |start| {
            let mut child = start(Stdio::piped());
            let mut input = child.stdin.take().unwrap();
            until_it_waits(&mut child);
            input.write_all(&pattern(MUCH)).unwrap();
            child
        },
        async |_, stdin| {
            say_it_waits();
            assert!(read_all(&stdin).await == pattern(MUCH));
            assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
        },
    );
}

#[test]
fn a_socket_is_read_to_its_end() {
    with_stdin(
        |start| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let mut child = start(OwnedFd::from(theirs).into());
            until_it_waits(&mut child);
            ours.write_all(&pattern(MUCH)).unwrap();
            child
        },
        async |_, stdin| {
            say_it_waits();
            assert!(read_all(&stdin).await == pattern(MUCH));
        },
    );
}

#[test]
fn the_null_device_is_at_its_end() {
    with_stdin(
        |start| start(Stdio::null()),
        async |_, stdin| assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0),
    );
}

#[test]
fn a_standard_input_that_was_closed_before_the_start_is_at_its_end() {
    with_stdin(
        |_| {
            let mut program = inner_process();
            // SAFETY: close(2) is async-signal-safe, and nothing of this process uses the copy.
            unsafe {
                program.pre_exec(|| {
                    libc::close(0);
                    Ok(())
                });
            }
            program.spawn().unwrap()
        },
        async |_, stdin| assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0),
    );
}

#[test]
fn a_standard_input_that_this_process_has_closed_is_at_its_end() {
    with_stdin(
        |start| start(Stdio::piped()),
        async |handle, first| {
            drop(first);
            // SAFETY: nothing of this process uses the standard input.
            assert_eq!(unsafe { libc::close(0) }, 0);
            let stdin = stdin(&handle).unwrap();
            assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
        },
    );
}

#[test]
fn l103_a_terminal_is_read_by_lines_until_ctrl_d_and_left_in_its_mode() {
    with_stdin(
        |start| {
            let (mut user, program, _) = a_terminal();
            let mut child = start(program.try_clone().unwrap().into());
            until_it_waits(&mut child);
            // The same open file description as the child's.
            assert!(!is_nonblocking(&program));
            user.write_all(b"hel").unwrap();
            user.write_all(b"lo\nagain\n").unwrap();
            user.write_all(b"\x04").unwrap();
            until_it_waits(&mut child);
            user.write_all(b"more\n").unwrap();
            assert!(child.wait().unwrap().success());
            assert!(!is_nonblocking(&program));
            child
        },
        async |handle, stdin| {
            let mut line = String::new();
            // The loop goes on while it waits.
            let read = async { Some(stdin.read_line(&mut line, 100).await.unwrap()) };
            let sleep = async {
                handle.sleep(Duration::from_millis(2)).await;
                None
            };
            assert_eq!(either(read, sleep).await, None);
            assert!(!is_nonblocking(&io::stdin()));
            say_it_waits();
            assert_eq!(stdin.read_line(&mut line, 100).await.unwrap(), 6);
            assert_eq!(stdin.read_line(&mut line, 100).await.unwrap(), 6);
            assert_eq!(line, "hello\nagain\n");
            assert_eq!(stdin.read_line(&mut line, 100).await.unwrap(), 0);
            say_it_waits();
            line.clear();
            assert_eq!(stdin.read_line(&mut line, 100).await.unwrap(), 5);
            assert_eq!(line, "more\n");
        },
    );
}

#[test]
fn l103_a_pipe_is_left_in_its_mode_while_it_is_read_and_after_that() {
    with_stdin(
        |start| {
            let mut child = start(Stdio::piped());
            until_it_waits(&mut child);
            drop(child.stdin.take());
            child
        },
        async |_, stdin| {
            assert!(poll_once(stdin.read(&mut [0])).is_pending());
            assert!(!is_nonblocking(&io::stdin()));
            say_it_waits();
            assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
            assert!(!is_nonblocking(&io::stdin()));
        },
    );
}

#[test]
fn l96_a_read_that_is_dropped_leaves_no_waker_and_takes_no_byte_from_other_processes() {
    with_stdin(
        |start| {
            let mut child = start(Stdio::piped());
            until_it_waits(&mut child);
            child.stdin.take().unwrap().write_all(b"for cat\n").unwrap();
            child
        },
        async |handle, stdin| {
            let counted = Arc::new(Counted::default());
            let mut byte = [0];
            let mut read = Box::pin(stdin.read(&mut byte));
            assert!(counted.poll(read.as_mut()).is_pending());
            assert!(counted.kept() > 0);
            // A thread that read already would have had time to begin.
            handle.sleep(Duration::from_millis(2)).await;
            drop(read);
            assert_eq!(counted.kept(), 0);
            say_it_waits();
            let mut cat = Command::new("cat");
            let cat = cat.stdin(Stdio::inherit()).output().unwrap();
            assert_eq!(cat.stdout, b"for cat\n");
            assert_eq!(stdin.read(&mut byte).await.unwrap(), 0);
        },
    );
}

#[test]
fn lines_are_read_with_a_limit_and_the_last_may_be_without_an_end() {
    with_stdin(
        |start| start(a_file("lines", b"one\nfour\n\n\xff\nlast").into()),
        async |_, stdin| {
            let mut line = String::from("> ");
            assert_eq!(stdin.read_line(&mut line, 4).await.unwrap(), 4);
            assert_eq!(line, "> one\n");
            let error = stdin.read_line(&mut line, 4).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            assert_eq!(line, "> one\n");
            assert_eq!(stdin.read_line(&mut line, 5).await.unwrap(), 5);
            assert_eq!(stdin.read_line(&mut line, 1).await.unwrap(), 1);
            assert_eq!(line, "> one\nfour\n\n");
            let error = stdin.read_line(&mut line, 4).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let inner = error.into_inner().unwrap();
            let inner = inner.downcast::<std::string::FromUtf8Error>().unwrap();
            assert_eq!(inner.as_bytes(), b"\xff\n");
            assert_eq!(stdin.read_line(&mut line, 4).await.unwrap(), 4);
            assert_eq!(line, "> one\nfour\n\nlast");
            assert_eq!(stdin.read_line(&mut line, 4).await.unwrap(), 0);
        },
    );
}

#[test]
fn bytes_beyond_the_limit_can_still_be_read() {
    with_stdin(
        |start| start(a_file("limit", b"123456").into()),
        async |_, stdin| {
            let mut bytes = Vec::new();
            let error = stdin.read_to_end(&mut bytes, 4).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            assert_eq!(bytes, b"1234");
            assert_eq!(stdin.read_to_end(&mut bytes, 2).await.unwrap(), 2);
            assert_eq!(bytes, b"123456");
        },
    );
}

#[test]
fn a_process_that_does_not_read_leaves_the_file_where_it_is() {
    let mut file = a_file("offset", b"12");
    with_stdin(
        |start| {
            let child = start(file.try_clone().unwrap().into());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let mut left = String::new();
            file.read_to_string(&mut left).unwrap();
            assert_eq!(left, "12");
            Command::new("true").spawn().unwrap()
        },
        async |handle, _stdin| handle.sleep(Duration::from_millis(2)).await,
    );
}
