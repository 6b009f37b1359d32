//! EVFILT_PROC and EVFILT_PROCDESC: K211–K226, and rules of all filters for the knotes of processes.
//!
//! Children and signals belong to a process, so each test runs in one of its own.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nio_sys::{EventFlags, Filter, Kevent, ProcFlags};
use support::*;

/// The flags that ask for an exit and its status; Apple's systems have a flag for the status.
#[cfg(target_vendor = "apple")]
const EXIT: ProcFlags = ProcFlags::EXIT.union(ProcFlags::EXITSTATUS);
#[cfg(not(target_vendor = "apple"))]
const EXIT: ProcFlags = ProcFlags::EXIT;

/// A change that asks for the exit of a process. Its udata is the process id.
fn exit_of(pid: u32, flags: EventFlags) -> Kevent {
    let change = Kevent::process(pid, flags).with_udata(pid as usize);
    change.with_fflags(EXIT)
}

/// A change that asks for no event of a process.
fn nothing_of(pid: u32, flags: EventFlags) -> Kevent {
    exit_of(pid, flags).with_fflags(0_u32)
}

/// A child that runs until the end of its input, then runs the shell command `end`.
fn shell(end: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; {end}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A child that runs until [`let_go`] or a signal ends it, or until the test fails and its input ends.
fn cat() -> Child {
    let cat = Command::new("cat").stdin(Stdio::piped()).spawn();
    cat.unwrap()
}

/// Lets a child end.
fn let_go(child: &mut Child) {
    drop(child.stdin.take());
}

/// Waits until a child has exited, and leaves it a zombie.
fn until_zombie(child: &Child) {
    // SAFETY: zero is a valid siginfo, which lives until the call returns.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOWAIT;
        check(libc::waitid(
            libc::P_PID,
            child.id() as libc::id_t,
            &mut info,
            options,
        ))
        .unwrap();
    }
}

/// Checks the event of an exit and returns the wait(2) status in it.
fn status_in(event: &Kevent, pid: u32) -> i32 {
    assert_eq!(
        (event.filter(), event.ident()),
        (Filter::PROC, pid as usize)
    );
    assert_eq!(event.udata(), pid as usize);
    let fflags = ProcFlags::from_bits_retain(event.fflags());
    assert!(fflags.contains(ProcFlags::EXIT), "{event:?}");
    assert!(event.is_eof());
    event.data() as i32
}

/// The wait(2) status, as a type of the standard library.
fn raw(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::into_raw(status)
}

#[test]
fn k211_an_exit_is_reported_once_and_the_knote_is_gone() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        queue.assert_silent_for(20);
        child.kill().unwrap();
        status_in(&queue.one(), child.id());
        queue.assert_silent();
        assert_eq!(queue.refused(exit_of(child.id(), DELETE)), libc::ENOENT);
        child.wait().unwrap();
    });
}

#[test]
fn k212_the_data_is_the_status_of_a_child_that_exited() {
    in_child(|| {
        let queue = Queue::new();
        for code in [0, 1, 64, 255] {
            let mut child = shell(&format!("exit {code}"));
            queue.make(exit_of(child.id(), ADD));
            let_go(&mut child);
            let status = status_in(&queue.one(), child.id());
            assert!(libc::WIFEXITED(status), "{status:#x}");
            assert_eq!(libc::WEXITSTATUS(status), code);
            child.wait().unwrap();
        }
    });
}

#[test]
fn k212_the_data_is_the_status_of_a_child_that_was_killed() {
    in_child(|| {
        let queue = Queue::new();
        for signal in [libc::SIGKILL, libc::SIGTERM] {
            let mut child = cat();
            queue.make(exit_of(child.id(), ADD));
            // SAFETY: takes no pointers; the child has not been waited for.
            check(unsafe { libc::kill(child.id() as i32, signal) }).unwrap();
            let status = status_in(&queue.one(), child.id());
            assert!(libc::WIFSIGNALED(status), "{status:#x}");
            assert_eq!(libc::WTERMSIG(status), signal);
            child.wait().unwrap();
        }
    });
}

#[test]
fn k213_the_child_can_be_waited_for_afterwards() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = shell("exit 7");
        queue.make(exit_of(child.id(), ADD));
        let_go(&mut child);
        let status = status_in(&queue.one(), child.id());
        assert_eq!(raw(child.wait().unwrap()), status);
    });
}

#[test]
fn k214_the_exit_of_another_process_is_reported() {
    in_child(|| {
        let queue = Queue::new();
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 >&- & echo $!"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        shell.wait().unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        // Apple's systems refuse EXITSTATUS for a process that is not a child.
        queue.make(exit_of(pid, ADD).with_fflags(ProcFlags::EXIT));
        // SAFETY: takes no pointers.
        check(unsafe { libc::kill(pid as i32, libc::SIGKILL) }).unwrap();
        let status = status_in(&queue.one(), pid);
        assert!([0, libc::SIGKILL].contains(&status), "{status:#x}");
    });
}

#[test]
fn k215_a_process_that_does_not_exist_is_esrch() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in [child.id(), i32::MAX as u32] {
            assert_eq!(queue.refused(exit_of(pid, ADD)), libc::ESRCH);
            assert_eq!(queue.refused(exit_of(pid, DELETE)), libc::ENOENT);
        }
    });
}

// The other systems cut the ident to a pid_t.
#[cfg(all(
    target_pointer_width = "64",
    any(target_os = "openbsd", target_os = "linux", target_os = "android")
))]
#[test]
fn k215_a_process_id_is_not_cut_to_32_bits() {
    in_child(|| {
        let queue = Queue::new();
        let ident = std::process::id() as usize | 1 << 32;
        let change = Kevent::new(ident, Filter::PROC, ADD).with_fflags(EXIT);
        assert_eq!(queue.refused(change), libc::ESRCH);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k215_an_ident_that_is_no_process_is_esrch() {
    in_child(|| {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        let thread = thread::spawn(move || {
            // SAFETY: takes no pointers.
            let id = unsafe { libc::gettid() };
            std::io::Write::write_all(&mut writer, &id.to_ne_bytes()).unwrap();
            // Blocks until the other end is closed.
            writer.set_nonblocking(false).unwrap();
            drain(&writer);
        });
        reader.set_nonblocking(false).unwrap();
        let mut id = [0; 4];
        std::io::Read::read_exact(&mut &reader, &mut id).unwrap();
        let thread_id = i32::from_ne_bytes(id) as usize;
        for ident in [0, usize::MAX, -1_i32 as u32 as usize, thread_id] {
            let change = Kevent::new(ident, Filter::PROC, ADD).with_fflags(EXIT);
            assert_eq!(queue.refused(change), libc::ESRCH, "{change:?}");
        }
        drop(reader);
        thread.join().unwrap();
    });
}

#[test]
fn k216_a_child_that_has_exited_is_reported_at_once_or_is_esrch() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = Command::new("false").spawn().unwrap();
        until_zombie(&child);
        match queue.change(exit_of(child.id(), ADD)) {
            Ok(()) => {
                let status = status_in(&queue.one(), child.id());
                assert_eq!(libc::WEXITSTATUS(status), 1);
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
                #[cfg(any(target_os = "linux", target_os = "android"))]
                panic!("Linux reports a zombie");
            }
        }
        assert_eq!(child.wait().unwrap().code(), Some(1));
    });
}

#[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
#[test]
fn k218_an_exit_that_was_not_asked_for_ends_the_knote_silently() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(nothing_of(child.id(), ADD));
        child.kill().unwrap();
        until_zombie(&child);
        queue.assert_silent_for(20);
        assert_eq!(queue.refused(exit_of(child.id(), DELETE)), libc::ENOENT);
        child.wait().unwrap();
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k219_forks_and_executions_are_refused() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        for note in [ProcFlags::FORK, ProcFlags::EXEC, ProcFlags::TRACK] {
            for fflags in [note, note | ProcFlags::EXIT] {
                let change = exit_of(child.id(), ADD).with_fflags(fflags);
                assert_eq!(queue.refused(change), libc::ENOTSUP, "{change:?}");
            }
        }
        assert_eq!(queue.refused(exit_of(child.id(), DELETE)), libc::ENOENT);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[test]
fn k219_forks_are_reported() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = shell("sleep 0; exit 0");
        let asked = ProcFlags::FORK | EXIT;
        queue.make(exit_of(child.id(), ADD).with_fflags(asked));
        let_go(&mut child);
        let mut seen = ProcFlags::empty();
        while !seen.contains(ProcFlags::EXIT) {
            for event in queue.wait() {
                seen |= ProcFlags::from_bits_retain(event.fflags());
            }
        }
        assert!(seen.contains(ProcFlags::FORK), "{seen:?}");
        child.wait().unwrap();
    });
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[test]
fn k219_executions_are_reported() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = shell("exec sleep 0");
        let asked = ProcFlags::EXEC | EXIT;
        queue.make(exit_of(child.id(), ADD).with_fflags(asked));
        let_go(&mut child);
        let mut seen = ProcFlags::empty();
        while !seen.contains(ProcFlags::EXIT) {
            for event in queue.wait() {
                seen |= ProcFlags::from_bits_retain(event.fflags());
            }
        }
        assert!(seen.contains(ProcFlags::EXEC), "{seen:?}");
        child.wait().unwrap();
    });
}

#[test]
fn k220_a_knote_that_asks_for_nothing_can_be_armed() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(nothing_of(child.id(), ADD));
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        status_in(&queue.one(), child.id());
        child.wait().unwrap();
    });
}

// Some systems report the end of a process with any flags (K218).
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k220_a_knote_can_be_disarmed() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        queue.make(nothing_of(child.id(), ADD));
        child.kill().unwrap();
        until_zombie(&child);
        queue.assert_silent_for(20);
        child.wait().unwrap();
    });
}

#[test]
fn k222_an_exit_while_disabled_is_reported_when_enabled() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = shell("exit 3");
        queue.make(exit_of(child.id(), ADD));
        queue.make(exit_of(child.id(), DISABLE));
        let_go(&mut child);
        until_zombie(&child);
        queue.assert_silent_for(20);
        queue.make(exit_of(child.id(), ENABLE));
        let status = status_in(&queue.one(), child.id());
        assert_eq!(libc::WEXITSTATUS(status), 3);
        child.wait().unwrap();
    });
}

#[test]
fn k62_disabling_silences_an_exit_that_is_pending() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        until_zombie(&child);
        queue.make(exit_of(child.id(), DISABLE));
        queue.assert_silent_for(20);
        queue.make(exit_of(child.id(), ENABLE));
        status_in(&queue.one(), child.id());
        child.wait().unwrap();
    });
}

#[test]
fn k223_two_queues_may_watch_one_process() {
    in_child(|| {
        let (first, second) = (Queue::new(), Queue::new());
        let mut child = shell("exit 9");
        first.make(exit_of(child.id(), ADD));
        second.make(exit_of(child.id(), ADD));
        let_go(&mut child);
        let status = status_in(&first.one(), child.id());
        assert_eq!(status_in(&second.one(), child.id()), status);
        assert_eq!(libc::WEXITSTATUS(status), 9);
        child.wait().unwrap();
    });
}

#[test]
fn k224_many_exits_are_all_reported() {
    in_child(|| {
        let queue = Queue::new();
        let mut children: Vec<Child> = (0..100).map(|_| cat()).collect();
        for child in &children {
            queue.make(exit_of(child.id(), ADD));
        }
        for child in &mut children {
            let_go(child);
        }
        let mut seen = BTreeSet::new();
        while seen.len() < children.len() {
            for event in queue.take(7, Some(LIMIT)) {
                assert_eq!(event.data(), 0);
                assert!(seen.insert(event.ident()), "{event:?} came twice");
            }
        }
        let pids: BTreeSet<usize> = children.iter().map(|child| child.id() as usize).collect();
        assert_eq!(seen, pids);
        queue.assert_silent();
        for mut child in children {
            child.wait().unwrap();
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k224_without_descriptors_a_process_is_refused() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        limit_descriptors(next_number());
        assert_eq!(queue.refused(exit_of(child.id(), ADD)), libc::EMFILE);
        limit_descriptors(1_000);
        assert_eq!(queue.refused(exit_of(child.id(), DELETE)), libc::ENOENT);
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        status_in(&queue.one(), child.id());
        child.wait().unwrap();
    });
}

#[test]
fn k225_a_child_that_is_reaped_by_itself_is_reported() {
    in_child(|| {
        handle(libc::SIGCHLD, libc::SIG_IGN, 0);
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        status_in(&queue.one(), child.id());
        // No child is left to wait for.
        assert!(child.wait().is_err());
    });
}

#[test]
fn k213_a_child_that_was_waited_for_first_is_still_reported() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        child.wait().unwrap();
        status_in(&queue.one(), child.id());
    });
}

#[test]
fn k56_adding_twice_makes_one_knote_with_the_last_udata() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD).with_udata(1));
        queue.make(exit_of(child.id(), ADD).with_udata(2));
        child.kill().unwrap();
        assert_eq!(queue.one().udata(), 2);
        queue.assert_silent();
        child.wait().unwrap();
    });
}

#[test]
fn k57_adding_again_does_not_lose_an_exit() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD).with_udata(1));
        child.kill().unwrap();
        until_zombie(&child);
        match queue.change(exit_of(child.id(), ADD)) {
            Ok(()) => drop(status_in(&queue.one(), child.id())),
            // Systems that do not find a process that has exited.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ESRCH)),
        }
        child.wait().unwrap();
    });
}

#[test]
fn k49_a_change_of_a_process_that_is_not_watched_is_enoent() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        for flags in [DELETE, ENABLE, DISABLE, LEVEL] {
            assert_eq!(queue.refused(exit_of(child.id(), flags)), libc::ENOENT);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn k66_a_deleted_process_is_not_reported_though_it_has_exited() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        until_zombie(&child);
        queue.make(exit_of(child.id(), DELETE));
        queue.assert_silent_for(20);
        child.wait().unwrap();
    });
}

#[test]
fn k85_exits_that_do_not_fit_come_with_the_next_calls() {
    in_child(|| {
        let queue = Queue::new();
        let mut children: Vec<Child> = (0..5).map(|_| cat()).collect();
        for child in &mut children {
            queue.make(exit_of(child.id(), ADD));
            child.kill().unwrap();
        }
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            let events = queue.take(1, Some(LIMIT));
            seen.extend(idents(&events));
        }
        assert_eq!(seen.len(), 5);
        queue.assert_silent();
        for mut child in children {
            child.wait().unwrap();
        }
    });
}

#[test]
fn k89_an_exit_wakes_a_waiter() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD));
        wakes(&queue, || child.kill().unwrap());
        child.wait().unwrap();
    });
}

#[test]
fn k89_enabling_a_process_that_has_exited_wakes_a_waiter() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        queue.make(exit_of(child.id(), ADD | DISABLE));
        child.kill().unwrap();
        until_zombie(&child);
        wakes(&queue, || queue.make(exit_of(child.id(), ENABLE)));
        child.wait().unwrap();
    });
}

#[test]
fn k90_one_exit_goes_to_one_of_several_waiters() {
    in_child(|| {
        for _ in 0..4 {
            let queue = Queue::new();
            let mut child = cat();
            queue.make(exit_of(child.id(), ADD));
            assert_eq!(share(&queue, || child.kill().unwrap()), 1);
            child.wait().unwrap();
        }
    });
}

#[test]
fn k95_changes_of_a_process_from_many_threads_leave_the_queue_consistent() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        let pid = child.id();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let queue = &queue;
                    scope.spawn(move || {
                        for round in 0..500 {
                            let flags = [ADD, DELETE, DISABLE, ENABLE][(thread + round) % 4];
                            if let Err(error) = queue.change(exit_of(pid, flags)) {
                                assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
                            }
                        }
                    })
                })
                .collect();
            let collector = scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    queue.assert_silent();
                }
            });
            for thread in threads {
                thread.join().unwrap();
            }
            done.store(true, Ordering::Release);
            collector.join().unwrap();
        });
        queue.make(exit_of(pid, ADD | ENABLE));
        child.kill().unwrap();
        status_in(&queue.one(), pid);
        assert_eq!(queue.refused(exit_of(pid, DELETE)), libc::ENOENT);
        child.wait().unwrap();
    });
}

#[test]
fn k5_closing_a_queue_closes_the_descriptors_of_its_timers_and_processes() {
    in_child(|| {
        let mut child = cat();
        let free = next_number();
        for _ in 0..50 {
            let queue = Queue::new();
            queue.make(exit_of(child.id(), ADD));
            let timer = Kevent::timer(1, ADD).with_data(60_000);
            queue.make(timer);
            drop(queue);
            assert_eq!(next_number(), free);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn k211_an_exit_leaves_no_descriptor_open() {
    in_child(|| {
        let queue = Queue::new();
        let mut child = cat();
        let free = next_number();
        queue.make(exit_of(child.id(), ADD));
        queue.make(exit_of(child.id(), DELETE));
        assert_eq!(next_number(), free);
        queue.make(exit_of(child.id(), ADD));
        child.kill().unwrap();
        queue.one();
        assert_eq!(next_number(), free);
        child.wait().unwrap();
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k3_the_descriptors_of_timers_and_processes_are_close_on_exec() {
    use nio_sys::{TimerFlags, TimerUnit};
    let open = || -> BTreeSet<i32> {
        // SAFETY: reads flags, of descriptors that may not exist.
        let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
        (0..1_024).filter(is_open).collect()
    };
    in_child(|| {
        let mut child = cat();
        let before = open();
        let queue = Queue::new();
        queue.make(exit_of(child.id(), ADD));
        let timer = Kevent::timer(1, ADD).with_time(60, TimerUnit::Seconds);
        queue.make(timer);
        let absolute = timer.fflags() | u32::from(TimerFlags::ABSOLUTE);
        queue.make(Kevent::timer(2, ADD).with_fflags(absolute));
        let new: Vec<i32> = open().difference(&before).copied().collect();
        // The queue itself, its eventfd, the pidfd, and a timerfd for each clock.
        assert_eq!(new.len(), 5, "{new:?}");
        for fd in new {
            // SAFETY: reads flags.
            let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).unwrap();
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "{fd}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

/// EVFILT_PROCDESC.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod descriptor {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd};
    use std::time::{Duration, Instant};

    use super::*;

    fn pidfd(child: &Child) -> File {
        // SAFETY: takes no pointers, and the number has no other owner.
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, child.id() as libc::c_long, 0);
            File::from_raw_fd(check(fd as i32).unwrap())
        }
    }

    fn exit_by(fd: &impl AsFd, flags: EventFlags) -> Kevent {
        on(fd, Filter::PROCDESC, flags)
            .with_fflags(ProcFlags::EXIT)
            .with_udata(5)
    }

    #[test]
    fn k226_the_process_of_a_descriptor_is_reported_and_the_descriptor_stays_open() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = shell("exit 64");
            let pidfd = pidfd(&child);
            queue.make(exit_by(&pidfd, ADD));
            queue.assert_silent_for(20);
            let_go(&mut child);
            let event = queue.one();
            assert_eq!(event.filter(), Filter::PROCDESC);
            assert_eq!((event.ident(), event.udata()), (number(&pidfd), 5));
            assert_eq!(event.fflags(), ProcFlags::EXIT.bits());
            assert_eq!(libc::WEXITSTATUS(event.data() as i32), 64);
            assert!(event.is_eof());
            assert_eq!(queue.refused(exit_by(&pidfd, DELETE)), libc::ENOENT);
            // SAFETY: reads flags.
            check(unsafe { libc::fcntl(pidfd.as_raw_fd(), libc::F_GETFD) }).unwrap();
            child.wait().unwrap();
        });
    }

    #[test]
    fn k226_an_exit_is_reported_while_another_thread_reaps_the_process() {
        in_child(|| {
            for round in 0..200_u64 {
                let queue = Queue::new();
                let mut child = shell("exit 0");
                let pidfd = pidfd(&child);
                queue.make(exit_by(&pidfd, ADD));
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let_go(&mut child);
                        while poll_now(&pidfd, libc::POLLIN) == 0 {}
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_micros(round % 100) {}
                        child.wait().unwrap();
                    });
                    assert_eq!(queue.one().ident(), number(&pidfd));
                });
            }
        });
    }

    #[test]
    fn k226_a_descriptor_that_is_no_process_descriptor_is_refused() {
        in_child(|| {
            let queue = Queue::new();
            let (socket, _peer) = pair();
            assert_eq!(queue.refused(exit_by(&socket, ADD)), libc::EINVAL);
            for ident in [CLOSED, usize::MAX] {
                let change = Kevent::new(ident, Filter::PROCDESC, ADD);
                let change = change.with_fflags(ProcFlags::EXIT);
                assert_eq!(queue.refused(change), libc::EBADF);
            }
        });
    }

    #[test]
    fn k226_deleting_leaves_the_descriptor_usable() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = cat();
            let pidfd = pidfd(&child);
            queue.make(exit_by(&pidfd, ADD));
            queue.make(exit_by(&pidfd, DELETE));
            child.kill().unwrap();
            until_zombie(&child);
            queue.assert_silent_for(20);
            queue.make(exit_by(&pidfd, ADD));
            queue.one();
            child.wait().unwrap();
        });
    }

    #[test]
    fn k226_a_process_may_be_watched_by_its_number_as_well() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = cat();
            let pidfd = pidfd(&child);
            queue.make(exit_by(&pidfd, ADD));
            queue.make(exit_of(child.id(), ADD));
            child.kill().unwrap();
            let mut events = queue.wait();
            while events.len() < 2 {
                events.extend(queue.wait());
            }
            assert_ne!(events[0].filter(), events[1].filter());
            child.wait().unwrap();
        });
    }

    #[test]
    fn k36_a_process_descriptor_may_be_readable_as_well() {
        in_child(|| {
            for first in [READ, Filter::PROCDESC] {
                let queue = Queue::new();
                let mut child = cat();
                let pidfd = pidfd(&child);
                let changes = [on(&pidfd, READ, ADD), exit_by(&pidfd, ADD)];
                let (a, b) = if first == READ { (0, 1) } else { (1, 0) };
                queue.make(changes[a]);
                queue.make(changes[b]);
                child.kill().unwrap();
                until_zombie(&child);
                let mut seen = BTreeSet::new();
                while seen.len() < 2 {
                    seen.extend(queue.wait().iter().map(|event| event.filter() == READ));
                }
                child.wait().unwrap();
            }
        });
    }

    #[test]
    fn k98_nothing_is_reported_of_a_closed_process_descriptor() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = cat();
            let closed = pidfd(&child);
            let change = exit_by(&closed, DELETE);
            queue.make(exit_by(&closed, ADD));
            drop(closed);
            child.kill().unwrap();
            until_zombie(&child);
            queue.assert_silent_for(20);
            let _ = queue.change(change);
            child.wait().unwrap();
        });
    }

    #[test]
    fn k98_a_process_descriptor_of_a_number_used_before_is_another_knote() {
        in_child(|| {
            let queue = Queue::new();
            let mut children = [cat(), cat()];
            let closed = pidfd(&children[0]);
            queue.make(exit_by(&closed, ADD | DISABLE));
            let second = reuse(closed, || pidfd(&children[1]));
            assert_eq!(queue.refused(exit_by(&second, ENABLE)), libc::ENOENT);
            queue.make(exit_by(&second, ADD));
            children[0].kill().unwrap();
            until_zombie(&children[0]);
            queue.assert_silent_for(20);
            let_go(&mut children[1]);
            assert_eq!(queue.one().data(), 0);
            for child in &mut children {
                child.wait().unwrap();
            }
        });
    }

    #[test]
    fn k100_the_exit_of_a_closed_process_descriptor_is_not_that_of_its_successor() {
        in_child(|| {
            let queue = Queue::new();
            let mut children = [cat(), cat()];
            let closed = pidfd(&children[0]);
            queue.make(exit_by(&closed, ADD));
            let _second = reuse(closed, || pidfd(&children[1]));
            for child in &mut children {
                child.kill().unwrap();
                until_zombie(child);
            }
            queue.assert_silent_for(20);
            for child in &mut children {
                child.wait().unwrap();
            }
        });
    }

    #[test]
    fn k56_adding_a_process_descriptor_again_changes_its_knote() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = cat();
            let pidfd = pidfd(&child);
            queue.make(exit_by(&pidfd, ADD | DISABLE));
            queue.make(exit_by(&pidfd, ADD).with_udata(6));
            child.kill().unwrap();
            until_zombie(&child);
            queue.assert_silent_for(20);
            queue.make(exit_by(&pidfd, ENABLE).with_udata(7));
            assert_eq!(queue.one().udata(), 7);
            child.wait().unwrap();
        });
    }

    #[test]
    fn k100_deleting_a_closed_process_descriptor_leaves_a_new_file_of_its_number() {
        in_child(|| {
            let queue = Queue::new();
            let mut child = cat();
            let closed = pidfd(&child);
            let delete = exit_by(&closed, DELETE);
            queue.make(exit_by(&closed, ADD));
            let (socket, _peer) = reuse_by_pair(closed);
            queue.add(&socket, WRITE, LEVEL, 1);
            let _ = queue.change(delete);
            assert_eq!(queue.one().filter(), WRITE);
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }

    #[test]
    fn k100_the_exit_of_a_process_is_not_that_of_the_next_of_its_number() {
        in_child(|| {
            let queue = Queue::new();
            let mut alive = cat();
            let living = pidfd(&alive);
            let (over, wrong) = (AtomicBool::new(false), AtomicBool::new(false));
            let wait = || {
                while !over.load(Ordering::Relaxed) {
                    let events = queue.take(4, Some(Duration::from_millis(5)));
                    if events.iter().any(|event| event.udata() == 6) {
                        wrong.store(true, Ordering::Relaxed);
                    }
                }
            };
            thread::scope(|scope| {
                scope.spawn(wait);
                scope.spawn(wait);
                for _ in 0..200 {
                    let mut child = cat();
                    let watched = pidfd(&child);
                    queue.make(exit_by(&watched, ADD));
                    child.kill().unwrap();
                    while poll_now(&watched, libc::POLLIN) == 0 {}
                    let _ = queue.change(exit_by(&watched, DELETE));
                    // SAFETY: both are open, and `watched` goes on owning its number.
                    check(unsafe { libc::dup2(living.as_raw_fd(), watched.as_raw_fd()) }).unwrap();
                    queue.make(exit_by(&watched, ADD).with_udata(6));
                    thread::sleep(Duration::from_micros(300));
                    let _ = queue.change(exit_by(&watched, DELETE));
                    child.wait().unwrap();
                }
                over.store(true, Ordering::Relaxed);
            });
            assert!(!wrong.into_inner());
            // The knote of that process still reports.
            queue.make(exit_by(&living, ADD));
            alive.kill().unwrap();
            assert_eq!(queue.one().ident(), number(&living));
            alive.wait().unwrap();
        });
    }
}
