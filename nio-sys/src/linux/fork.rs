//! Tells whether this process is a child of the one that made a queue, without a system call (K4).
//!
//! A kqueue is not inherited by fork(2); an epoll set is, and a change that a child makes to it changes
//! its parent's. So a queue must know whether it is still in the process that made it. A page that the
//! kernel empties in every child (MADV_WIPEONFORK, Linux 4.14) holds a number: that of the process.
//! Without the page, the process id does the same and costs a system call.

use std::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

/// The number of the next process that makes a queue. A child counts on from its parent's value, so no
/// process has the number of an ancestor. Never zero: that is the number in an emptied page.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The page: null until it is first needed, [`NO_PAGE`] if the kernel has none. It is not a `OnceLock`: a
/// child that is made while another thread maps the page would wait for that thread without end.
static PAGE: AtomicPtr<AtomicUsize> = AtomicPtr::new(ptr::null_mut());

/// In [`PAGE`]: there is no page.
static NO_PAGE: AtomicUsize = AtomicUsize::new(0);

/// Which process a queue belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    /// The page; without one, the number is the process id.
    page: Option<&'static AtomicUsize>,
    number: usize,
}

impl Home {
    /// The process that runs now.
    pub(super) fn new() -> Home {
        Home::with(page())
    }

    fn with(page: Option<&'static AtomicUsize>) -> Home {
        let Some(cell) = page else {
            return Home {
                page,
                number: process_id(),
            };
        };
        if cell.load(Ordering::Relaxed) == 0 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            // If another thread was faster, its number is the process's.
            let _ = cell.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        }
        Home {
            page,
            number: cell.load(Ordering::Relaxed),
        }
    }

    /// Whether it is still the process that runs.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        let current = match self.page {
            Some(cell) => cell.load(Ordering::Relaxed),
            None => process_id(),
        };
        current == self.number
    }
}

/// A number that identifies this process; its parent has another. Async-signal-safe after the first call in
/// this process or a parent of it.
pub(crate) fn this_process() -> usize {
    Home::new().number
}

fn process_id() -> usize {
    std::process::id() as usize
}

/// The page of this process and its children.
fn page() -> Option<&'static AtomicUsize> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let made = map().unwrap_or(ptr::from_ref(&NO_PAGE).cast_mut());
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        // The thread that loses the race leaves its page unused.
        page = match PAGE.compare_exchange(ptr::null_mut(), made, success, failure) {
            Ok(_) => made,
            Err(other) => other,
        };
    }
    if ptr::eq(page, &NO_PAGE) {
        return None;
    }
    // SAFETY: the page is aligned and large enough for the number, zero is a valid one, it is never
    // unmapped, and it is only ever reached through shared references. The kernel empties it in a child
    // before that runs.
    Some(unsafe { &*page })
}

/// Maps a page that is empty in every child, for the rest of the process's life.
fn map() -> Option<*mut AtomicUsize> {
    // SAFETY: sysconf takes no pointers.
    let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping just made, and nothing refers to it.
    let advise = |advice| unsafe { libc::madvise(page, size, advice) } == 0;
    // An emulator or a seccomp filter may answer 0 to any advice and do nothing.
    let accepts_anything = advise(NONSENSE);
    if accepts_anything || !advise(libc::MADV_WIPEONFORK) {
        // SAFETY: as above.
        unsafe { libc::munmap(page, size) };
        return None;
    }
    Some(page.cast())
}

/// An advice that no kernel knows: EINVAL.
const NONSENSE: libc::c_int = -1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a closure in a child process and returns its result.
    fn in_a_child(closure: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child runs the closure, which takes no lock, and ends.
        unsafe {
            let pid = libc::fork();
            assert!(pid >= 0, "fork failed");
            if pid == 0 {
                libc::_exit(i32::from(!closure()));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
        }
    }

    fn check(page: Option<&'static AtomicUsize>) {
        let home = Home::with(page);
        assert!(home.is_here());
        assert!(in_a_child(|| {
            let left = !home.is_here();
            let new = Home::with(page);
            left && new.is_here() && !home.is_here() && new.number != home.number
        }));
        assert!(home.is_here());
    }

    #[test]
    fn k4_a_child_is_noticed_by_the_page() {
        let page = map().expect("a kernel from 4.14 on");
        // SAFETY: a page of the test's own, which is never unmapped.
        check(Some(unsafe { &*page }));
    }

    #[test]
    fn k4_a_child_is_noticed_by_its_id_on_a_kernel_without_the_page() {
        check(None);
    }
}
