//! EVFILT_SIGNAL: K82, K195–K210.
//!
//! Signals and their dispositions belong to a process, so each test runs in one of its own.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread;

use libc::{SIGCHLD, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH};
use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent};
use support::*;

fn signal(number: i32, flags: EventFlags) -> Kevent {
    Kevent::signal(number, flags).with_udata(5)
}

/// A queue that watches a signal without a default action.
fn watching(number: i32) -> (Queue, CaughtSignal) {
    let caught = CaughtSignal::new(number).unwrap();
    let queue = Queue::new();
    queue.make(signal(number, ADD));
    (queue, caught)
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

static CODE: AtomicI32 = AtomicI32::new(0);

extern "C" fn remember(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: a handler with SA_SIGINFO is given a valid siginfo.
    CODE.store(unsafe { (*info).si_signo }, Ordering::SeqCst);
}

fn address(handler: extern "C" fn(i32)) -> usize {
    handler as *const () as usize
}

#[test]
fn k195_a_signal_that_is_sent_is_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        queue.assert_silent();
        kill(SIGUSR1);
        let event = queue.one();
        assert_eq!(event.ident(), SIGUSR1 as usize);
        assert_eq!((event.filter(), event.udata()), (Filter::SIGNAL, 5));
        assert_eq!(event.data(), 1);
    });
}

#[test]
fn k82_a_signal_is_reported_once_without_being_asked_to_clear() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        for _ in 0..3 {
            kill(SIGUSR1);
            queue.one();
            queue.assert_silent();
        }
    });
}

#[test]
fn k196_the_handler_of_the_program_still_runs() {
    in_child(|| {
        handle(SIGUSR1, address(count), 0);
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        raise(SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
        queue.one();
    });
}

#[test]
fn k196_a_handler_with_siginfo_gets_the_siginfo() {
    in_child(|| {
        handle(SIGUSR1, remember as *const () as usize, libc::SA_SIGINFO);
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        raise(SIGUSR1);
        assert_eq!(CODE.load(Ordering::SeqCst), SIGUSR1);
        queue.one();
    });
}

#[test]
fn k196_a_handler_that_is_to_run_once_runs_once() {
    in_child(|| {
        let before = HANDLED.load(Ordering::SeqCst);
        handle(SIGWINCH, address(count), libc::SA_RESETHAND);
        let queue = Queue::new();
        queue.make(signal(SIGWINCH, ADD));
        for _ in 0..3 {
            raise(SIGWINCH);
        }
        assert_eq!(HANDLED.load(Ordering::SeqCst), before + 1);
        assert_eq!(queue.one().data(), 3);
        queue.make(signal(SIGWINCH, DELETE));
        assert_eq!(handle(SIGWINCH, libc::SIG_DFL, 0), libc::SIG_DFL);
    });
}

#[test]
fn k198_a_signal_kills_after_a_handler_that_is_to_run_once() {
    let (status, said) = child(|| {
        handle(SIGTERM, address(count), libc::SA_RESETHAND);
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        raise(SIGTERM);
        raise(SIGTERM);
    });
    assert!(libc::WIFSIGNALED(status), "{said}");
    assert_eq!(libc::WTERMSIG(status), SIGTERM);
}

#[test]
fn k197_an_ignored_signal_stays_ignored_with_any_flags() {
    in_child(|| {
        handle(SIGTERM, libc::SIG_IGN, libc::SA_RESETHAND);
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        raise(SIGTERM);
        raise(SIGTERM);
        queue.one();
    });
}

#[test]
fn k197_an_ignored_signal_is_reported_and_does_nothing() {
    in_child(|| {
        handle(SIGTERM, libc::SIG_IGN, 0);
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        kill(SIGTERM);
        queue.one();
    });
}

#[test]
fn k197_a_signal_that_does_nothing_by_default_is_reported() {
    in_child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGWINCH, ADD));
        raise(SIGWINCH);
        queue.one();
    });
}

#[test]
fn k197_watching_an_ignored_sigchld_leaves_children_reaped() {
    in_child(|| {
        handle(SIGCHLD, libc::SIG_IGN, 0);
        let queue = Queue::new();
        queue.make(signal(SIGCHLD, ADD));
        // SAFETY: the child does nothing but end; the parent waits until it has none.
        unsafe {
            if check(libc::fork()).unwrap() == 0 {
                libc::_exit(0);
            }
            let waited = check(libc::waitpid(-1, std::ptr::null_mut(), 0));
            assert_eq!(waited.unwrap_err().raw_os_error(), Some(libc::ECHILD));
        }
        queue.make(signal(SIGCHLD, DELETE));
    });
}

#[test]
fn k198_a_signal_that_is_watched_and_not_caught_still_kills() {
    let (status, _) = child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        kill(SIGTERM);
        queue.one();
    });
    assert!(libc::WIFSIGNALED(status), "{status:#x}");
    assert_eq!(libc::WTERMSIG(status), SIGTERM);
}

#[test]
fn k198_a_signal_kills_again_when_it_is_not_caught_any_more() {
    let (status, _) = child(|| {
        let (queue, caught) = watching(SIGTERM);
        kill(SIGTERM);
        queue.one();
        queue.make(signal(SIGTERM, DELETE));
        drop(caught);
        kill(SIGTERM);
    });
    assert!(libc::WIFSIGNALED(status), "{status:#x}");
}

/// Runs a function in a fork of this process, and continues the fork whenever it is stopped. Returns its
/// wait status.
fn child_that_goes_on(function: impl FnOnce()) -> i32 {
    // SAFETY: this process has no other thread that holds a lock; the child ends without returning.
    // The status lives until each call returns.
    unsafe {
        let pid = check(libc::fork()).unwrap();
        if pid == 0 {
            // Its parent is in another process group, so the default action is to stop.
            libc::setpgid(0, 0);
            libc::alarm(2 * LIMIT.as_secs() as u32);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(function));
            libc::_exit(result.is_err().into());
        }
        let mut status = 0;
        loop {
            assert_eq!(libc::waitpid(pid, &mut status, libc::WUNTRACED), pid);
            if !libc::WIFSTOPPED(status) {
                return status;
            }
            libc::kill(pid, libc::SIGCONT);
        }
    }
}

#[test]
fn k198_a_signal_that_stops_is_watched_when_the_process_goes_on() {
    in_child(|| {
        let status = child_that_goes_on(|| {
            let queue = Queue::new();
            queue.make(signal(SIGTSTP, ADD));
            for _ in 0..3 {
                raise(SIGTSTP);
                assert_eq!(queue.one().data(), 1);
            }
        });
        assert_eq!(status, 0);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k198_a_signal_that_stops_several_threads_is_watched_when_they_go_on() {
    in_child(|| {
        let status = child_that_goes_on(|| {
            let queue = Queue::new();
            queue.make(signal(SIGTSTP, ADD));
            for _ in 0..100 {
                thread::scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| raise(SIGTSTP));
                    }
                });
                queue.collect();
                raise(SIGTSTP);
                assert!(!queue.collect().is_empty());
            }
        });
        assert_eq!(status, 0);
    });
}

#[test]
fn k199_the_count_is_between_one_and_the_signals_sent() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        for _ in 0..3 {
            kill(SIGUSR1);
        }
        let mut sum = queue.one().data();
        sum += queue.collect().iter().map(Kevent::data).sum::<i64>();
        assert!((1..=3).contains(&sum), "{sum}");
    });
}

#[test]
fn k199_signals_raised_one_by_one_are_all_counted() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        for _ in 0..3 {
            raise(SIGUSR1);
        }
        assert_eq!(queue.one().data(), 3);
        queue.assert_silent();
        raise(SIGUSR1);
        assert_eq!(queue.one().data(), 1);
    });
}

#[test]
fn k200_a_blocked_signal_is_reported_when_it_is_unblocked_at_the_latest() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        // SAFETY: the set is initialised by sigemptyset before it is used.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, SIGUSR1);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            kill(SIGUSR1);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        }
        queue.one();
    });
}

#[test]
fn k201_a_signal_sent_by_another_thread_is_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        thread::spawn(|| kill(SIGUSR1)).join().unwrap();
        queue.one();
    });
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k201_a_signal_sent_to_a_thread_is_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        // SAFETY: the handle is that of the running thread.
        unsafe { libc::pthread_kill(libc::pthread_self(), SIGUSR1) };
        queue.one();
    });
}

#[test]
fn k202_a_signal_that_was_delivered_before_is_not_counted() {
    in_child(|| {
        let _caught = CaughtSignal::new(SIGUSR1).unwrap();
        raise(SIGUSR1);
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        queue.assert_silent_for(20);
        raise(SIGUSR1);
        assert_eq!(queue.one().data(), 1);
    });
}

#[test]
fn k202_a_signal_of_another_process_is_not_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // SAFETY: takes no pointers, and the process has not been waited for.
        check(unsafe { libc::kill(other.id() as i32, SIGUSR1) }).unwrap();
        assert_eq!(other.wait().unwrap().signal(), Some(SIGUSR1));
        queue.assert_silent_for(20);
    });
}

#[test]
fn k203_each_queue_has_its_own_count() {
    in_child(|| {
        let (first, _caught) = watching(SIGUSR1);
        let second = Queue::new();
        raise(SIGUSR1);
        second.make(signal(SIGUSR1, ADD));
        raise(SIGUSR1);
        assert_eq!(first.one().data(), 2);
        assert_eq!(second.one().data(), 1);
        first.make(signal(SIGUSR1, DELETE));
        raise(SIGUSR1);
        first.assert_silent();
        second.one();
    });
}

#[test]
fn k204_only_the_signal_that_was_sent_is_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        let _caught = CaughtSignal::new(SIGUSR2).unwrap();
        queue.make(signal(SIGUSR2, ADD));
        raise(SIGUSR2);
        assert_eq!(queue.one().ident(), SIGUSR2 as usize);
        raise(SIGUSR1);
        raise(SIGUSR2);
        assert_eq!(idents(&queue.collect()), idents_of(&[SIGUSR1, SIGUSR2]));
    });
}

fn idents_of(signals: &[i32]) -> Vec<usize> {
    let mut idents: Vec<usize> = signals.iter().map(|&signal| signal as usize).collect();
    idents.sort_unstable();
    idents
}

#[cfg(any(target_os = "openbsd", target_os = "linux", target_os = "android"))]
#[test]
fn k205_a_number_that_no_signal_has_is_refused() {
    in_child(|| {
        let queue = Queue::new();
        for number in [0, 9_999, -1] {
            assert_eq!(queue.refused(signal(number, ADD)), libc::EINVAL);
            assert_eq!(queue.refused(signal(number, DELETE)), libc::ENOENT);
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k205_a_signal_that_cannot_be_caught_is_refused() {
    in_child(|| {
        let queue = Queue::new();
        for number in [libc::SIGKILL, libc::SIGSTOP, 65] {
            assert_eq!(queue.refused(signal(number, ADD)), libc::EINVAL);
        }
    });
}

#[test]
fn k206_a_disabled_signal_goes_on_counting() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        raise(SIGUSR1);
        queue.make(signal(SIGUSR1, DISABLE));
        raise(SIGUSR1);
        queue.assert_silent();
        queue.make(signal(SIGUSR1, ENABLE));
        assert_eq!(queue.one().data(), 2);
    });
}

#[test]
fn k206_a_oneshot_signal_is_reported_once() {
    in_child(|| {
        let _caught = CaughtSignal::new(SIGUSR1).unwrap();
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD | ONESHOT));
        raise(SIGUSR1);
        queue.one();
        raise(SIGUSR1);
        queue.assert_silent();
        assert_eq!(queue.refused(signal(SIGUSR1, DELETE)), libc::ENOENT);
    });
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k206_a_dispatched_signal_waits_to_be_enabled() {
    in_child(|| {
        let _caught = CaughtSignal::new(SIGUSR1).unwrap();
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD | DISPATCH));
        raise(SIGUSR1);
        queue.one();
        raise(SIGUSR1);
        queue.assert_silent();
        queue.make(signal(SIGUSR1, ENABLE));
        queue.one();
    });
}

#[test]
fn k207_deleting_restores_the_disposition() {
    in_child(|| {
        for before in [address(count), libc::SIG_IGN, libc::SIG_DFL] {
            handle(SIGUSR1, before, 0);
            let (first, second) = (Queue::new(), Queue::new());
            first.make(signal(SIGUSR1, ADD));
            second.make(signal(SIGUSR1, ADD));
            first.make(signal(SIGUSR1, DELETE));
            drop(second);
            assert_eq!(handle(SIGUSR1, libc::SIG_DFL, 0), before);
        }
    });
}

#[test]
fn k207_deleting_leaves_a_handler_that_was_installed_since() {
    in_child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        handle(SIGUSR1, address(count), 0);
        queue.make(signal(SIGUSR1, DELETE));
        assert_eq!(handle(SIGUSR1, libc::SIG_DFL, 0), address(count));
    });
}

// On Linux the new handler replaces the handler that counts.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[test]
fn k208_a_handler_that_is_installed_later_does_not_disturb_the_knote() {
    in_child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        handle(SIGUSR1, address(count), 0);
        raise(SIGUSR1);
        assert_eq!(queue.one().data(), 1);
    });
}

#[test]
fn k66_a_deleted_signal_is_not_reported() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        raise(SIGUSR1);
        queue.make(signal(SIGUSR1, DELETE));
        queue.assert_silent();
        queue.make(signal(SIGUSR1, ADD));
        queue.assert_silent();
        raise(SIGUSR1);
        assert_eq!(queue.one().data(), 1);
    });
}

#[test]
fn k58_a_change_of_a_signal_overwrites_its_udata() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        queue.make(signal(SIGUSR1, ADD).with_udata(6));
        raise(SIGUSR1);
        assert_eq!(queue.one().udata(), 6);
    });
}

#[test]
fn k209_in_a_child_only_the_old_handler_runs() {
    in_child(|| {
        handle(SIGUSR1, address(count), 0);
        let queue = Queue::new();
        queue.make(signal(SIGUSR1, ADD));
        // SAFETY: the child raises a signal and ends; the parent waits for it.
        unsafe {
            let pid = check(libc::fork()).unwrap();
            if pid == 0 {
                raise(SIGUSR1);
                libc::_exit(HANDLED.load(Ordering::SeqCst) as i32);
            }
            let mut status = 0;
            while libc::waitpid(pid, &mut status, 0) != pid {}
            assert_eq!(libc::WEXITSTATUS(status), 1);
        }
        // Nor does a poll(2) of the queue see it.
        assert_eq!(poll_now(&queue, libc::POLLIN), 0);
        queue.assert_silent_for(20);
    });
}

#[test]
fn k209_a_child_watches_signals_in_a_queue_of_its_own() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        let (status, said) = child(|| {
            let own = Queue::new();
            own.make(signal(SIGUSR1, ADD));
            raise(SIGUSR1);
            assert_eq!(own.one().data(), 1);
        });
        assert_eq!(status, 0, "{said}");
        assert_eq!(poll_now(&queue, libc::POLLIN), 0);
        raise(SIGUSR1);
        assert_eq!(queue.one().data(), 1);
    });
}

#[test]
fn k210_a_signal_ends_a_wait_with_an_event() {
    in_child(|| {
        let (queue, _caught) = watching(SIGUSR1);
        for _ in 0..50 {
            thread::scope(|scope| {
                let waiter = scope.spawn(|| queue.one().data());
                kill(SIGUSR1);
                assert_eq!(waiter.join().unwrap(), 1);
            });
        }
    });
}

#[test]
fn a_signal_that_is_watched_already_can_be_caught() {
    in_child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        let caught = CaughtSignal::new(SIGTERM).unwrap();
        raise(SIGTERM);
        assert_eq!(queue.one().data(), 1);
        queue.make(signal(SIGTERM, DELETE));
        raise(SIGTERM);
        drop(caught);
        assert_eq!(handle(SIGTERM, libc::SIG_DFL, 0), libc::SIG_DFL);
    });
}

#[test]
fn a_watched_signal_has_its_default_action_when_it_is_not_caught_any_more() {
    let (status, said) = child(|| {
        let queue = Queue::new();
        queue.make(signal(SIGTERM, ADD));
        drop(CaughtSignal::new(SIGTERM).unwrap());
        raise(SIGTERM);
    });
    assert!(libc::WIFSIGNALED(status), "{said}");
}

#[test]
fn a_caught_signal_may_be_caught_twice() {
    in_child(|| {
        let first = CaughtSignal::new(SIGTERM).unwrap();
        let second = CaughtSignal::new(SIGTERM).unwrap();
        drop(first);
        raise(SIGTERM);
        drop(second);
        assert_eq!(handle(SIGTERM, libc::SIG_DFL, 0), libc::SIG_DFL);
    });
}

#[test]
fn catching_a_signal_leaves_the_programs_handler() {
    in_child(|| {
        handle(SIGTERM, address(count), 0);
        let caught = CaughtSignal::new(SIGTERM).unwrap();
        raise(SIGTERM);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
        drop(caught);
        assert_eq!(handle(SIGTERM, libc::SIG_DFL, 0), address(count));
    });
}

#[test]
fn a_signal_that_cannot_be_caught_is_refused() {
    for number in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 9_999] {
        let error = CaughtSignal::new(number).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
