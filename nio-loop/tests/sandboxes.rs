//! A loop without the system calls that an old kernel or a container of Docker does not have: seccomp filters refuse
//! them in a child process.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    process::{Command, Stdio},
    rc::Rc,
};

use nio_loop::{Direction, FileChange, Handle, Interest, Signal, Source};
use support::{
    event_loop, in_child, ms, pair,
    seccomp::{DOCKER_2020, DOCKER_2025, LINUX_4_14, Profile, confine, refuse},
};

#[test]
fn without_the_calls_after_linux_4_14_a_loop_works_but_for_the_exits_of_children() {
    check_under(LINUX_4_14, false);
}

#[test]
fn in_a_container_of_2020_a_loop_works_but_for_the_exits_of_children() {
    check_under(DOCKER_2020, false);
}

#[test]
fn in_a_container_of_2025_a_loop_works() {
    check_under(DOCKER_2025, true);
}

#[test]
fn a_sandbox_that_lets_no_thread_start_is_named_in_the_error() {
    in_child(|| {
        refuse(libc::SYS_clone3, libc::EPERM);
        let mut event_loop = event_loop();
        match event_loop.handle().spawn_blocking(|| 7) {
            // A C library before 2021, and musl, make another call.
            Ok(job) => assert_eq!(event_loop.block_on(job).unwrap().unwrap(), 7),
            Err(refused) => {
                let text = refused.to_string();
                assert!(text.contains("the sandbox refuses clone3(2)"), "{text}");
            }
        }
    });
}

fn check_under(profile: &Profile, reports_exits: bool) {
    in_child(|| {
        // Before the filter: the C library may need a newer system call to start a program or a thread.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let path = std::env::temp_dir().join(format!("nio-loop-sandbox-{}", std::process::id()));
        fs::write(&path, "abc").unwrap();
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let thread = handle.spawn_blocking(|| ()).unwrap();
        confine(profile);

        event_loop
            .block_on(async {
                thread.await.unwrap();
                handle.sleep(ms(2)).await;
                descriptors(&handle).await;
                let mut changes = handle
                    .changes(File::open(&path).unwrap(), FileChange::EXTENDED)
                    .unwrap();
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"def").unwrap();
                assert_eq!(changes.next().await.unwrap(), FileChange::EXTENDED);
                let mut signals = handle.signals(Signal::WINDOW_CHANGE).unwrap();
                let remote = handle.remote();
                // On another thread: a job and the post of it.
                let job = handle.spawn_blocking(move || {
                    let raise = |_: &Handle| {
                        // SAFETY: takes no pointers.
                        assert_eq!(unsafe { libc::raise(libc::SIGWINCH) }, 0);
                    };
                    assert!(remote.post(raise).is_ok());
                });
                job.unwrap().await.unwrap();
                assert_eq!(signals.next().await.unwrap(), 1);
            })
            .unwrap();
        fs::remove_file(path).unwrap();

        let stdin = child.stdin.take();
        let status = Rc::new(Cell::new(None));
        let seen = Rc::clone(&status);
        match handle.on_exit(child, move |_, status| seen.set(Some(status))) {
            Ok(_) => {
                assert!(reports_exits);
                drop(stdin);
                event_loop.run().unwrap();
                assert!(status.get().unwrap().success());
            }
            Err(mut refused) => {
                assert!(!reports_exits, "{refused}");
                let text = refused.to_string();
                assert!(text.contains("lacks pidfd_open(2)"), "{text}");
                assert!(text.contains("on another thread"), "{text}");
                drop(stdin);
                assert!(refused.value.wait().unwrap().success());
            }
        }
    });
}

async fn descriptors(handle: &Handle) {
    let (ours, mut theirs) = pair();
    let source = Source::new(handle, ours).unwrap();
    let read = handle.spawn(async move {
        let mut byte = [0];
        let read = source.io(Direction::Read, |mut socket| socket.read(&mut byte));
        read.await.unwrap()
    });
    handle.yield_now().await;
    theirs.write_all(b"x").unwrap();
    assert_eq!(read.await.unwrap(), 1);

    let (watched, mut peer) = pair();
    let bytes = Rc::new(Cell::new(0));
    let seen = Rc::clone(&bytes);
    let watch = handle
        .watch(watched, Interest::READABLE, move |_, mut socket, _| {
            seen.set(socket.read(&mut [0]).unwrap());
        })
        .unwrap();
    peer.write_all(b"x").unwrap();
    while bytes.get() != 1 {
        handle.sleep(ms(1)).await;
    }
    assert!(handle.clear(watch));
}
