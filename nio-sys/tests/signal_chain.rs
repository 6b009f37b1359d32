//! Signal handlers that chain: K196, K198, K207 and K208 where other parts of the program install and
//! remove handlers of their own.
//!
//! Signals and their dispositions belong to a process, so each test runs in one of its own.

mod support;

use std::mem::{MaybeUninit, transmute};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::thread;

use libc::{SIGTERM, SIGUSR1, SIGWINCH, c_int, c_void, siginfo_t};
use nio_sys::{CaughtSignal, EventFlags, Kevent};
use support::*;

fn signal(number: i32, flags: EventFlags) -> Kevent {
    Kevent::signal(number, flags)
}

/// A queue that watches a signal.
fn watching(number: i32) -> Queue {
    let queue = Queue::new();
    queue.make(signal(number, ADD));
    queue
}

static BENEATH: AtomicUsize = AtomicUsize::new(0);

/// The program's handler, which is installed first.
extern "C" fn beneath(_: c_int) {
    BENEATH.fetch_add(1, Ordering::SeqCst);
}

/// A part of the program that installs a handler, which calls the handler that it found.
struct Component {
    ran: AtomicUsize,
    /// The address of the handler that it found; its flags are in the next field.
    found: AtomicUsize,
    found_flags: AtomicI32,
    is_linked: AtomicBool,
}

const COMPONENTS: usize = 4;

static COMPONENT: [Component; COMPONENTS] = [const {
    Component {
        ran: AtomicUsize::new(0),
        found: AtomicUsize::new(libc::SIG_DFL),
        found_flags: AtomicI32::new(0),
        is_linked: AtomicBool::new(false),
    }
}; COMPONENTS];

/// A handler that calls the found handler with the arguments that its flags ask for.
extern "C" fn careful<const N: usize>(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let component = &COMPONENT[N];
    component.ran.fetch_add(1, Ordering::SeqCst);
    let found = component.found.load(Ordering::SeqCst);
    if found == libc::SIG_DFL || found == libc::SIG_IGN {
        return;
    }
    // SAFETY: sigaction(2) has returned the address as that of a handler with these flags.
    unsafe {
        if component.found_flags.load(Ordering::SeqCst) & libc::SA_SIGINFO != 0 {
            let found: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = transmute(found);
            found(number, info, context);
        } else {
            let found: extern "C" fn(c_int) = transmute(found);
            found(number);
        }
    }
}

/// A handler that calls the found handler with the number alone, as after signal(3).
extern "C" fn plain<const N: usize>(number: c_int) {
    let component = &COMPONENT[N];
    component.ran.fetch_add(1, Ordering::SeqCst);
    let found = component.found.load(Ordering::SeqCst);
    if found != libc::SIG_DFL && found != libc::SIG_IGN {
        // SAFETY: C programs do the same; no handler of this file reads the other arguments.
        let found: extern "C" fn(c_int) = unsafe { transmute(found) };
        found(number);
    }
}

fn handler(component: usize) -> (usize, c_int) {
    match component {
        0 => (careful::<0> as *const () as usize, libc::SA_SIGINFO),
        1 => (plain::<1> as *const () as usize, 0),
        2 => (careful::<2> as *const () as usize, libc::SA_SIGINFO),
        _ => (plain::<3> as *const () as usize, 0),
    }
}

/// The disposition of a signal.
fn disposition(number: c_int) -> libc::sigaction {
    let mut action = MaybeUninit::uninit();
    // SAFETY: null only asks; the action is filled in when the call succeeds.
    unsafe {
        check(libc::sigaction(number, ptr::null(), action.as_mut_ptr())).unwrap();
        action.assume_init()
    }
}

fn install(component: usize, number: c_int) {
    let found = disposition(number);
    let state = &COMPONENT[component];
    state.found.store(found.sa_sigaction, Ordering::SeqCst);
    state.found_flags.store(found.sa_flags, Ordering::SeqCst);
    state.is_linked.store(true, Ordering::SeqCst);
    let (handler, flags) = self::handler(component);
    handle(number, handler, flags);
}

/// Puts back the disposition that a component found, if its handler is on top; otherwise the handler stays.
fn remove(component: usize, number: c_int) {
    if disposition(number).sa_sigaction == handler(component).0 {
        put_back(component, number);
        COMPONENT[component]
            .is_linked
            .store(false, Ordering::SeqCst);
    }
}

/// Puts back the disposition that a component found, over any handler.
fn put_back(component: usize, number: c_int) {
    let state = &COMPONENT[component];
    let found = state.found.load(Ordering::SeqCst);
    handle(number, found, state.found_flags.load(Ordering::SeqCst));
}

fn ran(component: usize) -> usize {
    COMPONENT[component].ran.swap(0, Ordering::SeqCst)
}

/// Raises a signal, which the queue reports once.
fn raise_and_collect(number: c_int, queue: &Queue) {
    raise(number);
    assert_eq!(queue.one().data(), 1);
    queue.assert_silent();
}

#[test]
fn k196_a_handler_that_calls_ours_and_that_ours_calls_runs_once() {
    in_child(|| {
        for component in 0..2 {
            in_fork(|| {
                handle(SIGUSR1, beneath as *const () as usize, 0);
                let queue = watching(SIGUSR1);
                install(component, SIGUSR1);
                for times in 1..4 {
                    queue.make(signal(SIGUSR1, DELETE));
                    queue.make(signal(SIGUSR1, ADD));
                    raise_and_collect(SIGUSR1, &queue);
                    assert_eq!(ran(component), 1);
                    assert_eq!(BENEATH.load(Ordering::SeqCst), times);
                }
            });
        }
    });
}

#[test]
fn k196_handlers_between_and_above_ours_run_once() {
    in_child(|| {
        handle(SIGUSR1, beneath as *const () as usize, 0);
        let queue = watching(SIGUSR1);
        for component in 0..COMPONENTS {
            install(component, SIGUSR1);
            queue.make(signal(SIGUSR1, ADD));
            raise_and_collect(SIGUSR1, &queue);
            queue.make(signal(SIGUSR1, DELETE));
            queue.make(signal(SIGUSR1, ADD));
            raise_and_collect(SIGUSR1, &queue);
            for below in 0..=component {
                assert_eq!(ran(below), 2);
            }
        }
        assert_eq!(BENEATH.load(Ordering::SeqCst), 2 * COMPONENTS);
    });
}

// Elsewhere it would find and call itself.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k196_a_handler_that_is_installed_above_ours_though_ours_calls_it_runs_once() {
    in_child(|| {
        for component in 0..2 {
            in_fork(|| {
                install(component, SIGUSR1);
                let queue = watching(SIGUSR1);
                // The component loses the disposition that it found first.
                install(component, SIGUSR1);
                raise_and_collect(SIGUSR1, &queue);
                assert_eq!(ran(component), 1);
                install(2, SIGUSR1);
                raise_and_collect(SIGUSR1, &queue);
                assert_eq!(ran(2), 1);
            });
        }
    });
}

#[test]
fn k196_a_handler_that_puts_back_ours_is_not_called_any_more() {
    in_child(|| {
        handle(SIGUSR1, beneath as *const () as usize, 0);
        let queue = watching(SIGUSR1);
        install(0, SIGUSR1);
        queue.make(signal(SIGUSR1, DELETE));
        queue.make(signal(SIGUSR1, ADD));
        put_back(0, SIGUSR1);
        raise_and_collect(SIGUSR1, &queue);
        assert_eq!(ran(0), 0);
        assert_eq!(BENEATH.load(Ordering::SeqCst), 1);
        queue.make(signal(SIGUSR1, DELETE));
        let was = handle(SIGUSR1, libc::SIG_DFL, 0);
        assert_eq!(was, beneath as *const () as usize);
    });
}

#[test]
fn k198_a_handler_above_ours_replaces_the_default_action() {
    in_child(|| {
        for component in 0..2 {
            in_fork(|| {
                let queue = watching(SIGTERM);
                install(component, SIGTERM);
                raise_and_collect(SIGTERM, &queue);
                queue.make(signal(SIGTERM, DELETE));
                raise(SIGTERM);
                queue.make(signal(SIGTERM, ADD));
                raise_and_collect(SIGTERM, &queue);
                assert_eq!(ran(component), 3);
            });
        }
    });
}

#[test]
fn k198_the_default_action_is_back_when_the_handler_above_is_gone() {
    let (status, said) = child(|| {
        let queue = watching(SIGTERM);
        install(0, SIGTERM);
        queue.make(signal(SIGTERM, DELETE));
        remove(0, SIGTERM);
        raise(SIGTERM);
    });
    assert!(libc::WIFSIGNALED(status), "{said}");
    assert_eq!(libc::WTERMSIG(status), SIGTERM);
}

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn k196_in_any_order_of_installing_and_removing_each_handler_runs_once() {
    for bottom in [beneath as *const () as usize, libc::SIG_IGN] {
        for seed in 1..30 {
            in_fork(|| {
                let mut random = Random(seed);
                handle(SIGUSR1, bottom, 0);
                let queues = [Queue::new(), Queue::new()];
                let mut watches = [false; 2];
                for _ in 0..200 {
                    let (what, which) = (random.below(3), random.below(COMPONENTS));
                    match what {
                        0 if !COMPONENT[which].is_linked.load(Ordering::SeqCst) => {
                            install(which, SIGUSR1);
                        }
                        1 if COMPONENT[which].is_linked.load(Ordering::SeqCst) => {
                            remove(which, SIGUSR1);
                        }
                        _ => {
                            let which = which % 2;
                            let flags = if watches[which] { DELETE } else { ADD };
                            queues[which].make(signal(SIGUSR1, flags));
                            watches[which] = !watches[which];
                        }
                    }
                    raise(SIGUSR1);
                    for (queue, watches) in queues.iter().zip(watches) {
                        let told: i64 = queue.collect().iter().map(Kevent::data).sum();
                        assert_eq!(told, i64::from(watches));
                    }
                    for (component, state) in COMPONENT.iter().enumerate() {
                        let is_linked = state.is_linked.load(Ordering::SeqCst);
                        assert_eq!(
                            ran(component),
                            usize::from(is_linked),
                            "component {component}"
                        );
                    }
                    if bottom != libc::SIG_IGN {
                        assert_eq!(BENEATH.swap(0, Ordering::SeqCst), 1);
                    }
                }
            });
        }
    }
}

#[test]
fn k208_adding_again_installs_the_handler_again() {
    in_child(|| {
        let queue = watching(SIGUSR1);
        handle(SIGUSR1, beneath as *const () as usize, 0);
        queue.make(signal(SIGUSR1, ADD));
        raise_and_collect(SIGUSR1, &queue);
        assert_eq!(BENEATH.load(Ordering::SeqCst), 1);
        queue.make(signal(SIGUSR1, DELETE));
        let was = handle(SIGUSR1, libc::SIG_DFL, 0);
        assert_eq!(was, beneath as *const () as usize);
    });
}

#[test]
fn k208_a_second_queue_reports_though_the_handler_was_replaced() {
    in_child(|| {
        let first = watching(SIGUSR1);
        handle(SIGUSR1, beneath as *const () as usize, 0);
        let second = watching(SIGUSR1);
        raise_and_collect(SIGUSR1, &second);
        first.one();
        assert_eq!(BENEATH.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn k208_a_signal_is_caught_again_after_the_default_action_was_put_back() {
    in_child(|| {
        let _first = CaughtSignal::new(SIGTERM).unwrap();
        let queue = watching(SIGTERM);
        handle(SIGTERM, libc::SIG_DFL, 0);
        let _second = CaughtSignal::new(SIGTERM).unwrap();
        queue.make(signal(SIGTERM, ADD));
        raise_and_collect(SIGTERM, &queue);
    });
}

#[test]
fn k209_a_child_that_resets_its_signals_can_watch_them() {
    in_child(|| {
        let _caught = CaughtSignal::new(SIGTERM).unwrap();
        let queue = watching(SIGTERM);
        in_fork(|| {
            handle(SIGTERM, libc::SIG_DFL, 0);
            let _caught = CaughtSignal::new(SIGTERM).unwrap();
            let own = watching(SIGTERM);
            raise_and_collect(SIGTERM, &own);
        });
        queue.assert_silent();
        raise_and_collect(SIGTERM, &queue);
    });
}

#[test]
fn k209_the_default_action_is_taken_in_a_child_that_watches_nothing() {
    in_child(|| {
        let _queue = watching(SIGTERM);
        let (status, said) = child(|| raise(SIGTERM));
        assert!(libc::WIFSIGNALED(status), "{said}");
    });
}

#[test]
fn k4_a_child_drops_values_that_its_parent_was_changing() {
    in_child(|| {
        let is_done = AtomicBool::new(false);
        let mut inherited = Some((watching(SIGUSR1), CaughtSignal::new(SIGTERM).unwrap()));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Acquire) {
                        let _caught = CaughtSignal::new(SIGUSR1).unwrap();
                        watching(SIGUSR1);
                        watching(SIGTERM);
                    }
                });
            }
            let mut statuses = Vec::new();
            for _ in 0..100 {
                let (status, _) = child(|| {
                    drop(inherited.take());
                    let _caught = CaughtSignal::new(SIGUSR1).unwrap();
                    raise_and_collect(SIGUSR1, &watching(SIGUSR1));
                });
                statuses.push(status);
            }
            is_done.store(true, Ordering::Release);
            assert!(statuses.iter().all(|&status| status == 0), "{statuses:?}");
        });
    });
}

static BAD: AtomicUsize = AtomicUsize::new(0);

/// A handler that must be given a siginfo.
extern "C" fn wants_siginfo(number: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // Not valid as the argument of a function with one argument.
    if (info as usize) < 4096 || (info as usize) % 4 != 0 {
        BAD.fetch_add(1, Ordering::SeqCst);
        return;
    }
    // SAFETY: a handler with SA_SIGINFO is given a valid siginfo.
    if unsafe { (*info).si_signo } != number {
        BAD.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn k196_a_handler_is_called_as_its_own_flags_say_while_it_is_being_changed() {
    in_child(|| {
        let handlers = [
            (wants_siginfo as *const () as usize, libc::SA_SIGINFO),
            (beneath as *const () as usize, 0),
        ];
        handle(SIGUSR1, handlers[1].0, handlers[1].1);
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    raise(SIGUSR1);
                }
            });
            for turn in 0..5_000 {
                let (handler, flags) = handlers[turn % 2];
                handle(SIGUSR1, handler, flags);
                watching(SIGUSR1);
            }
            is_done.store(true, Ordering::Release);
        });
        assert_eq!(BAD.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn k196_a_handler_runs_for_each_signal_while_it_is_watched_and_not_watched() {
    in_child(|| {
        const SIGNALS: usize = 20_000;
        handle(SIGUSR1, beneath as *const () as usize, 0);
        let queue = Queue::new();
        thread::scope(|scope| {
            let raising = scope.spawn(|| (0..SIGNALS).for_each(|_| raise(SIGUSR1)));
            while !raising.is_finished() {
                queue.make(signal(SIGUSR1, ADD));
                queue.make(signal(SIGUSR1, DELETE));
            }
        });
        assert_eq!(BENEATH.load(Ordering::SeqCst), SIGNALS);
    });
}

/// Waits until another thread has reached this turn.
fn meet(turns: &AtomicUsize, turn: usize) {
    turns.fetch_add(1, Ordering::AcqRel);
    for spins in 0.. {
        if turns.load(Ordering::Acquire) >= 2 * turn {
            return;
        }
        if spins > 100 {
            thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[test]
fn k207_a_handler_that_is_installed_while_the_signal_is_added_or_deleted_stays() {
    in_child(|| {
        const TURNS: usize = 300;
        let queue = Queue::new();
        let turns = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..TURNS {
                    meet(&turns, 3 * turn + 1);
                    for _ in 0..turn % 64 {
                        std::hint::spin_loop();
                    }
                    handle(SIGUSR1, beneath as *const () as usize, 0);
                    meet(&turns, 3 * turn + 2);
                    meet(&turns, 3 * turn + 3);
                }
            });
            for turn in 0..TURNS {
                handle(SIGUSR1, libc::SIG_IGN, 0);
                let [before, now] = if turn % 2 == 0 {
                    [DELETE, ADD]
                } else {
                    [ADD, DELETE]
                };
                let _ = queue.change(signal(SIGUSR1, before));
                meet(&turns, 3 * turn + 1);
                let _ = queue.change(signal(SIGUSR1, now));
                meet(&turns, 3 * turn + 2);
                raise(SIGUSR1);
                let ran = BENEATH.swap(0, Ordering::SeqCst);
                meet(&turns, 3 * turn + 3);
                assert_eq!(ran, 1, "turn {turn}");
            }
        });
    });
}

/// Whether a read with nothing to be read is interrupted by a signal whose handler has these flags.
fn is_interrupted(flags: c_int) -> bool {
    handle(SIGUSR1, beneath as *const () as usize, flags);
    let queue = watching(SIGUSR1);
    let (reader, writer) = pair();
    reader.set_nonblocking(false).unwrap();
    let interrupted = thread::scope(|scope| {
        let (tell, thread) = std::sync::mpsc::channel();
        let reading = scope.spawn(move || {
            // SAFETY: takes no pointers.
            tell.send(unsafe { libc::pthread_self() } as usize).unwrap();
            let mut byte = [0];
            // SAFETY: a byte, which lives until the call returns.
            let read = unsafe {
                let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
                libc::read(fd, byte.as_mut_ptr().cast(), 1)
            };
            read < 0
        });
        let thread = thread.recv().unwrap();
        // A signal that comes before the read does not interrupt it: they are sent until one does, or
        // until the read must have been restarted.
        let before = BENEATH.load(Ordering::SeqCst);
        while !reading.is_finished() && BENEATH.load(Ordering::SeqCst) < before + 200 {
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(thread as libc::pthread_t, SIGUSR1) };
            thread::sleep(std::time::Duration::from_millis(1));
        }
        drop(writer);
        reading.join().unwrap()
    });
    queue.make(signal(SIGUSR1, DELETE));
    interrupted
}

#[test]
fn k196_a_handler_that_does_not_restart_system_calls_interrupts_them() {
    in_child(|| {
        assert!(is_interrupted(0));
        assert!(!is_interrupted(libc::SA_RESTART));
    });
}

static FRAME: AtomicUsize = AtomicUsize::new(0);

extern "C" fn look_at_stack(_: c_int) {
    let local = 0_u8;
    FRAME.store(ptr::from_ref(&local) as usize, Ordering::SeqCst);
}

#[test]
fn k196_a_handler_runs_on_the_stack_that_it_asked_for() {
    static ALTERNATE: Mutex<[u8; 65_536]> = Mutex::new([0; 65_536]);
    in_child(|| {
        let mut memory = ALTERNATE.lock().unwrap();
        let range = memory.as_mut_ptr_range();
        let range = range.start as usize..range.end as usize;
        // SAFETY: the memory is a static's, and nothing else uses it.
        unsafe {
            let mut stack: libc::stack_t = std::mem::zeroed();
            stack.ss_sp = memory.as_mut_ptr().cast();
            stack.ss_size = memory.len();
            check(libc::sigaltstack(&stack, ptr::null_mut())).unwrap();
        }
        for flags in [0, libc::SA_ONSTACK] {
            handle(SIGUSR1, look_at_stack as *const () as usize, flags);
            let queue = watching(SIGUSR1);
            raise_and_collect(SIGUSR1, &queue);
            let is_alternate = range.contains(&FRAME.load(Ordering::SeqCst));
            assert_eq!(is_alternate, flags != 0);
        }
        // SAFETY: as the memory goes, so does the stack.
        unsafe {
            let mut stack: libc::stack_t = std::mem::zeroed();
            stack.ss_flags = libc::SS_DISABLE;
            stack.ss_size = 65_536;
            check(libc::sigaltstack(&stack, ptr::null_mut())).unwrap();
        }
    });
}

#[test]
fn k197_a_handler_that_is_removed_while_ours_is_above_leaves_the_rest_as_it_was() {
    in_child(|| {
        let before = disposition(SIGWINCH).sa_sigaction;
        install(0, SIGWINCH);
        let queue = watching(SIGWINCH);
        remove(0, SIGWINCH);
        raise_and_collect(SIGWINCH, &queue);
        queue.make(signal(SIGWINCH, DELETE));
        remove(0, SIGWINCH);
        assert_eq!(disposition(SIGWINCH).sa_sigaction, before);
    });
}
