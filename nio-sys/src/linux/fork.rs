//! Noticing that this process is a child, without a system call (K4).
//!
//! A kqueue is not inherited by fork(2); an epoll set is, and what a child does to it happens to its
//! parent. So a queue must know whether it is still in the process that made it. A page that the
//! kernel empties in every child (MADV_WIPEONFORK, Linux 4.14) holds a number: that of the process.
//! Where there is no such page, the process id does the same and costs a system call.

use std::{
    ptr::{self, NonNull},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many processes have made queues, counted along one line of ancestors: a child goes on where
/// its parent was when it forked. Never zero, which is what an emptied page says.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The number in the page, or none where the kernel is too old.
static PAGE: OnceLock<Option<&'static AtomicUsize>> = OnceLock::new();

/// Which process a queue belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    /// Where the number stands; none: it is the process id.
    page: Option<&'static AtomicUsize>,
    number: usize,
}

impl Home {
    /// The process that runs now.
    pub(super) fn new() -> Home {
        Home::with(*PAGE.get_or_init(page))
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
            // Another thread may be faster; then its number is this process's.
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
        number(self.page) == self.number
    }
}

/// The number of the process that runs, as far as it has queues of its own; another one than its parent
/// has. Async-signal-safe.
pub(super) fn current() -> usize {
    number(PAGE.get().copied().flatten())
}

#[inline]
fn number(page: Option<&'static AtomicUsize>) -> usize {
    match page {
        Some(cell) => cell.load(Ordering::Relaxed),
        None => process_id(),
    }
}

fn process_id() -> usize {
    std::process::id() as usize
}

/// A page that is empty in every child, for the rest of the process's life.
fn page() -> Option<&'static AtomicUsize> {
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
    // SAFETY: the range is the mapping just made.
    if unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: the mapping was just made, and nothing refers to it.
        unsafe { libc::munmap(page, size) };
        return None;
    }
    let cell = NonNull::new(page.cast::<AtomicUsize>())?;
    // SAFETY: the page is aligned and large enough for the number, zero is a valid one, it is never
    // unmapped, and it is only ever reached through this shared reference. That the kernel empties it
    // happens in a child before that runs.
    Some(unsafe { cell.as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a closure in a child process and returns what it says.
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
        check(Some(page().expect("a kernel from 4.14 on")));
    }

    #[test]
    fn k4_a_child_is_noticed_by_its_id_where_there_is_no_such_page() {
        check(None);
    }
}
