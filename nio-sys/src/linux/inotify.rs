//! The system calls about files: inotify(7), and the state of a file by its descriptor.

use std::{
    ffi::CString,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use libc::c_int;

use super::{epoll, watch::Watches};
use crate::owned::owned;

/// A watch descriptor: the number of a watched inode in an inotify descriptor.
pub(super) type Wd = c_int;

/// The bytes of one read: 256 notices without a name, and at least 15 with the longest name.
const READ_SIZE: usize = 4096;

/// The size of a notice without its name: wd, mask, cookie and length of the name, 4 bytes each.
const HEADER: usize = 16;

/// An event of inotify, about an inode that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) wd: Wd,
    pub(super) mask: u32,
    /// It is about an entry of the directory, not about the directory itself.
    pub(super) named: bool,
}

/// Which inode to watch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inode {
    /// That of the file that a descriptor names.
    Of(RawFd),
    /// That of the parent of the directory that a descriptor names.
    ParentOf(RawFd),
}

impl Inode {
    /// A path to the inode, which does not depend on the names of the file.
    fn path(self) -> CString {
        let path = match self {
            Inode::Of(fd) => format!("/proc/thread-self/fd/{fd}"),
            Inode::ParentOf(fd) => format!("/proc/thread-self/fd/{fd}/.."),
        };
        CString::new(path).expect("the path has no zero byte")
    }
}

/// A new inotify descriptor: close-on-exec, non-blocking.
pub(super) fn create() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })
}

/// Watches an inode; `mask` is added to the mask of a watch that exists. The same inode has the same watch
/// descriptor.
pub(super) fn watch(inotify: &OwnedFd, inode: Inode, mask: u32) -> io::Result<Wd> {
    let path = inode.path();
    // SAFETY: the path ends with a zero and lives until the call returns.
    let wd = unsafe {
        libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), mask | libc::IN_MASK_ADD)
    };
    if wd >= 0 {
        return Ok(wd);
    }
    let error = epoll::last_error();
    Err(match error.raw_os_error() {
        // The caller has seen that the file is open, so /proc is missing.
        Some(libc::ENOENT | libc::ENOTDIR) => io::Error::from_raw_os_error(libc::ENOTSUP),
        _ => error,
    })
}

/// Ends a watch. A watch that has ended with its inode is no error.
pub(super) fn unwatch(inotify: &OwnedFd, wd: Wd) {
    // SAFETY: takes no pointers.
    unsafe { libc::inotify_rm_watch(inotify.as_raw_fd(), wd as _) };
}

/// The number of bytes of notices that can be read.
pub(super) fn pending(inotify: &OwnedFd) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: FIONREAD writes one int, which lives until the call returns.
    unsafe { libc::ioctl(inotify.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    usize::try_from(bytes).unwrap_or(0)
}

/// Appends some of the notices, and returns the number of bytes that were read; 0 if there were none.
pub(super) fn read(inotify: &OwnedFd, notices: &mut Vec<Notice>) -> usize {
    let mut buffer = [0_u8; READ_SIZE];
    // SAFETY: the buffer has the length given and lives until the call returns.
    let read = unsafe {
        libc::read(
            inotify.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
        )
    };
    // EAGAIN: the buffer has room for any notice.
    let Ok(read @ 1..) = usize::try_from(read) else {
        return 0;
    };
    parse(&buffer[..read], notices);
    read
}

/// Parses notices. The kernel returns whole ones only.
fn parse(mut bytes: &[u8], notices: &mut Vec<Notice>) {
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let field = |at: usize| {
            let field = header[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(field)
        };
        let name = field(12) as usize;
        notices.push(Notice {
            wd: field(0) as Wd,
            mask: field(4),
            named: name > 0,
        });
        bytes = rest.get(name..).unwrap_or_default();
    }
}

/// Device and inode numbers that no file has.
const GONE: (libc::dev_t, libc::ino64_t) = (libc::dev_t::MAX, libc::ino64_t::MAX);

/// The state of a file at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    dev: libc::dev_t,
    inode: libc::ino64_t,
    mode: libc::mode_t,
    owner: (libc::uid_t, libc::gid_t),
    pub(super) links: libc::nlink_t,
    pub(super) size: i64,
}

impl FileState {
    /// The state of the file that a descriptor names. EBADF if it is closed.
    pub(super) fn of(fd: RawFd) -> io::Result<FileState> {
        let mut stat = MaybeUninit::<libc::stat64>::uninit();
        // SAFETY: fstat64 fills in the whole struct when it returns 0, and only then is it read.
        let stat = unsafe {
            if libc::fstat64(fd, stat.as_mut_ptr()) != 0 {
                let error = io::Error::last_os_error();
                return match error.raw_os_error() {
                    // The C library has no room for a time after 2038.
                    Some(libc::EOVERFLOW) => FileState::by_statx(fd).ok_or(error),
                    _ => Err(error),
                };
            }
            stat.assume_init()
        };
        Ok(FileState {
            dev: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
            links: stat.st_nlink,
            size: stat.st_size,
        })
    }

    /// The same by statx(2), whose fields have one width on all processors. `None` if the kernel or a seccomp
    /// filter refuses it, or the file.
    fn by_statx(fd: RawFd) -> Option<FileState> {
        let mut found = MaybeUninit::<libc::statx>::zeroed();
        // SAFETY: the name ends with a zero, and the struct lives until the call returns. It is valid also where
        // the call has left the zeroes.
        let (result, found) = unsafe {
            let (name, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            let (basic, to) = (libc::STATX_BASIC_STATS, found.as_mut_ptr());
            let result = libc::syscall(libc::SYS_statx, fd, name, flags, basic, to);
            (result, found.assume_init())
        };
        (result == 0).then_some(FileState {
            dev: libc::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            mode: found.stx_mode.into(),
            owner: (found.stx_uid, found.stx_gid),
            links: found.stx_nlink as _,
            size: i64::try_from(found.stx_size).unwrap_or(i64::MAX),
        })
    }

    /// Whether the number still names this file: false after it was closed, and if another file has the number
    /// (K98, K100). `wd` is the watch of the file, if it has one.
    pub(super) fn is_of(&self, fd: RawFd, wd: Option<Wd>, watches: &Watches) -> bool {
        FileState::of(fd).is_ok_and(|now| {
            (now.dev, now.inode) == (self.dev, self.inode)
                || !self.is_gone() && wd.is_some_and(|wd| watches.is_of(wd, fd))
        })
    }

    /// From now on no descriptor names this file.
    pub(super) fn forget(&mut self) {
        (self.dev, self.inode) = GONE;
    }

    fn is_gone(&self) -> bool {
        (self.dev, self.inode) == GONE
    }

    /// One of the `S_IF…` constants, or 0 for a descriptor without a type of file.
    pub(super) fn file_type(&self) -> libc::mode_t {
        self.mode & libc::S_IFMT
    }

    pub(super) fn is_directory(&self) -> bool {
        self.file_type() == libc::S_IFDIR
    }

    /// Whether mode and owner are the same.
    pub(super) fn has_attributes_of(&self, other: &FileState) -> bool {
        (self.mode, self.owner) == (other.mode, other.owner)
    }

    /// Copies the attributes whose changes IN_ATTRIB reports.
    pub(super) fn take_attributes(&mut self, now: &FileState) {
        (self.mode, self.owner, self.links) = (now.mode, now.owner, now.links);
    }
}

/// The offset of a descriptor in its file; 0 if it has none.
pub(super) fn offset(fd: RawFd) -> i64 {
    // SAFETY: takes no pointers, and does not move the offset.
    unsafe { libc::lseek64(fd, 0, libc::SEEK_CUR) }.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_after_2038_has_a_state() {
        let path = std::env::temp_dir().join(format!("nio-sys-2038-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let before = FileState::of(file.as_raw_fd()).unwrap();
        let late = std::time::Duration::from_secs(1 << 31);
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + late)
            .unwrap();
        assert_eq!(FileState::of(file.as_raw_fd()).unwrap(), before);
        if let Some(by_statx) = FileState::by_statx(file.as_raw_fd()) {
            assert_eq!(by_statx, before);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn notices_are_parsed_with_and_without_names() {
        let mut bytes = Vec::new();
        for (wd, mask, name) in [(1_i32, 2_u32, 0_u32), (3, 4, 16), (-1, 0x4000, 0)] {
            bytes.extend(wd.to_ne_bytes());
            bytes.extend(mask.to_ne_bytes());
            bytes.extend(7_u32.to_ne_bytes());
            bytes.extend(name.to_ne_bytes());
            bytes.extend(vec![b'n'; name as usize]);
        }
        let mut notices = Vec::new();
        parse(&bytes, &mut notices);
        let expected = [(1, 2, false), (3, 4, true), (-1, 0x4000, false)];
        let expected = expected.map(|(wd, mask, named)| Notice { wd, mask, named });
        assert_eq!(notices, expected);
    }
}
