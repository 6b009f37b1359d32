//! Changes to files and directories: K227–K240, and the life of their knotes.
//!
//! Some tests depend on the number of the next descriptor, so each runs in a process of its own.

mod support;

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use nio_sys::{EventFlags, Filter, Kevent, VnodeFlags};
use support::*;

const VNODE: Filter = Filter::VNODE;

/// The flags that all systems have.
const ALL: VnodeFlags = VnodeFlags::DELETE
    .union(VnodeFlags::WRITE)
    .union(VnodeFlags::EXTEND)
    .union(VnodeFlags::ATTRIB)
    .union(VnodeFlags::LINK)
    .union(VnodeFlags::RENAME);

fn vnode(file: &File, flags: EventFlags, asked: VnodeFlags) -> Kevent {
    Kevent::vnode(file, flags).with_fflags(asked)
}

/// A queue that watches one file, with EV_CLEAR.
fn watching(file: &File, asked: VnodeFlags) -> Queue {
    let queue = Queue::new();
    queue.make(vnode(file, ADD | CLEAR, asked));
    queue
}

/// The flags of an event that were asked for: some systems add more (K227).
fn happened(event: &Kevent, asked: VnodeFlags) -> VnodeFlags {
    assert_eq!(event.filter(), VNODE);
    VnodeFlags::from_bits_retain(event.fflags()) & asked
}

/// The flags of the one pending event.
#[track_caller]
fn seen(queue: &Queue, asked: VnodeFlags) -> VnodeFlags {
    let events = queue.collect();
    assert_eq!(events.len(), 1, "{events:?}");
    happened(&events[0], asked)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn k227_all_changes_since_the_last_delivery_come_in_one_event() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::WRITE | VnodeFlags::ATTRIB;
        let queue = Queue::new();
        queue.make(vnode(&file, ADD | CLEAR, asked).with_udata(7));
        queue.assert_silent();
        append(&path, "d");
        chmod(&path, 0o600);
        append(&path, "e");
        let event = queue.one();
        assert_eq!(happened(&event, asked), asked);
        assert_eq!(event.ident(), number(&file));
        assert_eq!((event.data(), event.udata()), (0, 7));
        assert!(!event.is_eof() && !event.is_error());
        queue.assert_silent();
    });
}

#[test]
fn k227_changes_that_were_not_asked_for_are_not_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        chmod(&path, 0o600);
        fs::rename(&path, scratch.join("other")).unwrap();
        queue.assert_silent();
        let queue = watching(&file, VnodeFlags::RENAME);
        append(&scratch.join("other"), "d");
        queue.assert_silent();
    });
}

#[test]
fn k227_without_clear_the_event_repeats() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.make(vnode(&file, ADD, VnodeFlags::WRITE));
        append(&path, "d");
        for _ in 0..3 {
            assert_eq!(seen(&queue, VnodeFlags::WRITE), VnodeFlags::WRITE);
        }
        queue.delete(&file, VNODE);
        queue.assert_silent();
    });
}

#[test]
fn k227_a_knote_may_ask_for_no_changes() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::empty());
        append(&path, "d");
        queue.assert_silent();
        queue.delete(&file, VNODE);
    });
}

#[test]
fn k72_after_a_delivery_the_flags_start_from_0() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::WRITE | VnodeFlags::ATTRIB;
        let queue = watching(&file, asked);
        for _ in 0..3 {
            overwrite(&path, "x");
        }
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        chmod(&path, 0o600);
        assert_eq!(seen(&queue, asked), VnodeFlags::ATTRIB);
        queue.assert_silent();
    });
}

#[test]
fn k228_a_write_through_another_descriptor_is_a_write() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        overwrite(&path, "x");
        assert_eq!(seen(&queue, VnodeFlags::WRITE), VnodeFlags::WRITE);
    });
}

#[test]
fn k228_a_write_of_0_bytes_is_not_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE | VnodeFlags::EXTEND);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(writer.write(b"").unwrap(), 0);
        queue.assert_silent();
    });
}

#[test]
fn k229_only_a_write_that_makes_it_longer_extends() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::WRITE | VnodeFlags::EXTEND;
        let queue = watching(&file, asked);
        append(&path, "d");
        assert_eq!(seen(&queue, asked), asked);
        overwrite(&path, "xyz");
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        append(&path, "e");
        assert_eq!(seen(&queue, asked), asked);
        // EXTEND without WRITE.
        let queue = watching(&file, VnodeFlags::EXTEND);
        overwrite(&path, "abc");
        if !cfg!(target_os = "freebsd") {
            queue.assert_silent();
        }
        append(&path, "f");
        assert_eq!(seen(&queue, VnodeFlags::EXTEND), VnodeFlags::EXTEND);
    });
}

#[test]
fn k229_a_truncation_is_a_change() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        let queue = watching(&file, ALL);
        writer.set_len(1).unwrap();
        let bits = seen(&queue, ALL);
        assert!(!bits.is_empty() && !bits.contains(VnodeFlags::EXTEND));
        // A truncated file can be extended again.
        append(&path, "d");
        assert!(seen(&queue, ALL).contains(VnodeFlags::WRITE | VnodeFlags::EXTEND));
        writer.set_len(100).unwrap();
        let bits = seen(&queue, ALL);
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(bits, VnodeFlags::WRITE | VnodeFlags::EXTEND);
        }
    });
}

#[test]
fn k230_mode_and_times_are_attributes() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, ALL);
        chmod(&path, 0o640);
        assert_eq!(seen(&queue, ALL), VnodeFlags::ATTRIB);
        let owned = OpenOptions::new().write(true).open(&path).unwrap();
        let past = SystemTime::UNIX_EPOCH;
        let times = FileTimes::new().set_accessed(past).set_modified(past);
        owned.set_times(times).unwrap();
        assert_eq!(seen(&queue, ALL), VnodeFlags::ATTRIB);
    });
}

#[test]
fn k230_a_directory_has_attributes_and_its_entries_have_their_own() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let entry = path.join("entry");
        fs::write(&entry, "abc").unwrap();
        let queue = watching(&directory, ALL);
        chmod(&entry, 0o600);
        queue.assert_silent();
        chmod(&path, 0o700);
        assert_eq!(seen(&queue, ALL), VnodeFlags::ATTRIB);
    });
}

#[test]
fn k230_another_name_is_a_link() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::LINK | VnodeFlags::ATTRIB);
        fs::hard_link(&path, scratch.join("second")).unwrap();
        let bits = seen(&queue, VnodeFlags::LINK);
        assert_eq!(bits, VnodeFlags::LINK);
        let asked = VnodeFlags::LINK | VnodeFlags::DELETE;
        queue.make(vnode(&file, ADD, asked));
        fs::remove_file(scratch.join("second")).unwrap();
        // FreeBSD calls the removal of any name a deletion.
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(seen(&queue, asked), VnodeFlags::LINK);
        }
    });
}

#[test]
fn k230_a_link_and_a_mode_together_are_both_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::LINK | VnodeFlags::ATTRIB;
        let queue = watching(&file, asked);
        chmod(&path, 0o640);
        fs::hard_link(&path, scratch.join("second")).unwrap();
        assert_eq!(seen(&queue, asked), asked);
    });
}

#[test]
fn k230_a_subdirectory_is_a_link_to_its_directory() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let asked = VnodeFlags::LINK | VnodeFlags::WRITE;
        let queue = watching(&directory, asked);
        fs::create_dir(path.join("inner")).unwrap();
        assert_eq!(seen(&queue, asked), asked);
        fs::write(path.join("file"), "").unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        fs::remove_dir(path.join("inner")).unwrap();
        assert_eq!(seen(&queue, asked), asked);
        // The number of links is the same as before.
        fs::create_dir(path.join("inner")).unwrap();
        fs::remove_dir(path.join("inner")).unwrap();
        assert_eq!(seen(&queue, asked), asked);
    });
}

#[test]
fn k231_the_removal_of_a_file_is_reported_while_it_is_open() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::DELETE);
        queue.assert_silent();
        fs::remove_file(&path).unwrap();
        assert_eq!(seen(&queue, VnodeFlags::DELETE), VnodeFlags::DELETE);
        queue.assert_silent();
    });
}

#[test]
fn k231_a_file_that_another_is_renamed_over_is_deleted() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (new, _) = scratch.file("new", "def");
        let asked = VnodeFlags::DELETE | VnodeFlags::RENAME;
        let queue = watching(&file, asked);
        fs::rename(new, path).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::DELETE);
    });
}

#[test]
fn k231_the_removal_of_a_directory_is_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let (_other, _) = scratch.directory("other");
        let queue = watching(&directory, VnodeFlags::DELETE);
        fs::remove_dir(scratch.join("other")).unwrap();
        fs::write(path.join("file"), "").unwrap();
        queue.assert_silent();
        fs::remove_file(path.join("file")).unwrap();
        fs::remove_dir(&path).unwrap();
        assert_eq!(seen(&queue, VnodeFlags::DELETE), VnodeFlags::DELETE);
        queue.assert_silent();
    });
}

#[test]
fn k231_the_removal_of_a_directory_is_reported_beside_that_of_its_entries() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        fs::write(path.join("file"), "").unwrap();
        let asked = VnodeFlags::DELETE | VnodeFlags::WRITE;
        let queue = watching(&directory, asked);
        fs::remove_file(path.join("file")).unwrap();
        fs::remove_dir(&path).unwrap();
        assert_eq!(seen(&queue, asked), asked);
    });
}

#[test]
fn k231_a_directory_that_another_is_renamed_over_is_deleted() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let (new, _) = scratch.directory("new");
        let queue = watching(&directory, VnodeFlags::DELETE);
        fs::rename(new, path).unwrap();
        assert_eq!(seen(&queue, VnodeFlags::DELETE), VnodeFlags::DELETE);
    });
}

#[test]
fn k231_the_removal_of_a_directory_that_was_moved_is_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let (elsewhere, _) = scratch.directory("elsewhere");
        let queue = watching(&directory, VnodeFlags::DELETE);
        let moved = elsewhere.join("moved");
        fs::rename(path, &moved).unwrap();
        queue.assert_silent();
        fs::remove_dir(moved).unwrap();
        assert_eq!(seen(&queue, VnodeFlags::DELETE), VnodeFlags::DELETE);
    });
}

#[test]
fn k232_a_rename_is_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (inner, directory) = scratch.directory("directory");
        for (path, open) in [(path, file), (inner, directory)] {
            let queue = watching(&open, VnodeFlags::RENAME);
            fs::rename(path, scratch.join("renamed")).unwrap();
            assert_eq!(seen(&queue, VnodeFlags::RENAME), VnodeFlags::RENAME);
            let _ = fs::remove_file(scratch.join("renamed"));
            queue.collect();
        }
    });
}

#[test]
fn k232_a_directory_is_written_to_when_an_entry_comes_goes_or_is_renamed() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, directory) = scratch.directory("directory");
        let asked = VnodeFlags::WRITE | VnodeFlags::RENAME;
        let queue = watching(&directory, asked);
        let (entry, renamed) = (path.join("entry"), path.join("renamed"));
        fs::write(&entry, "abc").unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        fs::rename(&entry, &renamed).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        append(&renamed, "d");
        queue.assert_silent();
        fs::rename(&renamed, scratch.join("out")).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        fs::rename(scratch.join("out"), &entry).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
        fs::remove_file(&entry).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::WRITE);
    });
}

#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k233_opening_reading_and_closing_are_reported() {
    use std::io::Read;
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::OPEN | VnodeFlags::CLOSE | VnodeFlags::CLOSE_WRITE;
        let asked = asked | VnodeFlags::READ;
        let queue = watching(&file, asked);
        let mut reader = File::open(&path).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::OPEN);
        reader.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::READ);
        drop(reader);
        assert_eq!(seen(&queue, asked), VnodeFlags::CLOSE);
        let writer = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(seen(&queue, asked), VnodeFlags::OPEN);
        drop(writer);
        assert_eq!(seen(&queue, asked), VnodeFlags::CLOSE_WRITE);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k233_changes_that_cannot_be_reported_are_refused_when_asked_for() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        for bit in (0..32).map(|bit| 1 << bit) {
            let change = Kevent::vnode(&file, ADD | CLEAR).with_fflags(bit | 2);
            if bit <= VnodeFlags::READ.bits() {
                queue.make(change);
                queue.delete(&file, VNODE);
            } else {
                assert_eq!(queue.refused(change), libc::ENOTSUP);
                assert_eq!(queue.refused(on(&file, VNODE, DELETE)), libc::ENOENT);
            }
        }
        // A refused modification leaves it as it was.
        queue.make(vnode(&file, ADD | CLEAR, VnodeFlags::WRITE).with_udata(1));
        let change = Kevent::vnode(&file, ADD).with_fflags(0x800_u32);
        assert_eq!(queue.refused(change.with_udata(2)), libc::ENOTSUP);
        append(&path, "d");
        assert_eq!(queue.one().udata(), 1);
    });
}

#[test]
fn k234_a_descriptor_that_is_not_a_file_is_refused() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        let (reader, writer) = pipe();
        let write = VnodeFlags::WRITE;
        let refused = |change: Kevent| {
            let errno = queue.refused(change.with_fflags(write));
            assert!(queue.change(change.with_flags(DELETE)).is_err());
            errno
        };
        assert_eq!(refused(Kevent::vnode(&socket, ADD)), libc::EINVAL);
        assert_eq!(refused(Kevent::vnode(&reader, ADD)), libc::EINVAL);
        assert_eq!(refused(Kevent::vnode(&writer, ADD)), libc::EINVAL);
        let errno = refused(Kevent::vnode(&Queue::new(), ADD));
        assert!([libc::EINVAL, libc::EOPNOTSUPP].contains(&errno));
        if cfg!(any(target_os = "linux", target_os = "android")) {
            let device = File::open("/dev/null").unwrap();
            assert_eq!(refused(Kevent::vnode(&device, ADD)), libc::EINVAL);
        }
    });
}

#[test]
fn k235_the_file_is_watched_and_not_its_name() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        let write = VnodeFlags::WRITE;
        let queue = watching(&file, write);
        fs::rename(&path, scratch.join("renamed")).unwrap();
        fs::write(&path, "another file").unwrap();
        queue.assert_silent();
        writer.write_all(b"d").unwrap();
        assert_eq!(seen(&queue, write), write);
        fs::remove_file(scratch.join("renamed")).unwrap();
        queue.assert_silent();
        writer.write_all(b"e").unwrap();
        assert_eq!(seen(&queue, write), write);
        // A file without a name can be added, too.
        let queue = watching(&file, write);
        writer.write_all(b"f").unwrap();
        assert_eq!(seen(&queue, write), write);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k236_a_file_that_may_not_be_read_cannot_be_watched() {
    use std::os::unix::fs::OpenOptionsExt;
    in_child(|| {
        let scratch = Scratch::new();
        chmod(scratch.path(), 0o777);
        // SAFETY: takes no pointers. The administrator may read everything, and no other user may
        // change its user id.
        unsafe { libc::setuid(65_534) };
        let path = scratch.join("file");
        fs::write(&path, "abc").unwrap();
        let place = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(&path)
            .unwrap();
        let queue = watching(&place, VnodeFlags::ATTRIB);
        chmod(&path, 0o200);
        assert_eq!(seen(&queue, VnodeFlags::ATTRIB), VnodeFlags::ATTRIB);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let change = vnode(&file, ADD, VnodeFlags::WRITE);
        assert_eq!(queue.refused(change), libc::EACCES);
        assert_eq!(queue.refused(change.with_flags(DELETE)), libc::ENOENT);
        fs::remove_file(&path).unwrap();
    });
}

#[test]
fn k237_nothing_is_reported_after_a_close() {
    in_child(|| {
        for flags in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
            let scratch = Scratch::new();
            let (path, file) = scratch.file("file", "abc");
            let other = File::open(&path).unwrap();
            let queue = Queue::new();
            queue.make(vnode(&file, ADD | flags, VnodeFlags::WRITE));
            queue.make(vnode(&other, ADD | flags, VnodeFlags::WRITE));
            append(&path, "d");
            drop(file);
            let events = queue.collect();
            assert_eq!(idents(&events), [number(&other)]);
            append(&path, "e");
            let events = queue.collect();
            assert!(!idents(&events).iter().any(|&ident| ident != number(&other)));
        }
    });
}

#[test]
fn k237_a_new_file_of_the_same_number_has_no_knote() {
    in_child(|| {
        for change in [DELETE, ENABLE, DISABLE, LEVEL] {
            let scratch = Scratch::new();
            let (path, file) = scratch.file("file", "abc");
            let (new_path, _) = scratch.file("new", "abc");
            let queue = watching(&file, ALL);
            let freed = number(&file);
            append(&path, "d");
            drop(file);
            let new = File::open(&new_path).unwrap();
            assert_eq!(number(&new), freed);
            queue.assert_silent();
            append(&path, "e");
            append(&new_path, "e");
            queue.assert_silent();
            assert_eq!(queue.refused(vnode(&new, change, ALL)), libc::ENOENT);
            queue.make(vnode(&new, ADD, ALL).with_udata(2));
            queue.assert_silent();
            append(&new_path, "f");
            assert_eq!(queue.one().udata(), 2);
            // A new knote, without EV_CLEAR.
            queue.one();
        }
    });
}

#[test]
fn k237_a_close_is_noticed_though_the_file_is_left_alone() {
    in_child(|| {
        for change in [DELETE, ENABLE, DISABLE, LEVEL] {
            let scratch = Scratch::new();
            let (path, file) = scratch.file("file", "abc");
            let (new_path, _) = scratch.file("new", "abc");
            let queue = Queue::new();
            queue.make(vnode(&file, ADD, ALL));
            append(&path, "d");
            queue.one();
            // The knote is level-triggered, so its event would come again.
            let freed = number(&file);
            drop(file);
            queue.assert_silent();

            let file = File::open(&path).unwrap();
            assert_eq!(number(&file), freed);
            queue.make(vnode(&file, ADD, ALL));
            drop(file);
            let new = File::open(&new_path).unwrap();
            assert_eq!(number(&new), freed);
            assert_eq!(queue.refused(vnode(&new, change, ALL)), libc::ENOENT);
        }
    });
}

#[test]
fn k237_a_closed_number_is_no_file() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let queue = watching(&file, ALL);
        let closed = number(&file);
        drop(file);
        for flags in [DELETE, ENABLE, DISABLE] {
            let errno = queue.refused(Kevent::new(closed, VNODE, flags));
            assert!([libc::EBADF, libc::ENOENT].contains(&errno), "{errno}");
        }
        let change = Kevent::new(closed, VNODE, ADD);
        assert_eq!(queue.refused(change), libc::EBADF);
        #[cfg(target_pointer_width = "64")]
        {
            let (_, file) = scratch.file("file", "abc");
            let change = Kevent::new(1 << 32 | number(&file), VNODE, ADD);
            assert_eq!(queue.refused(change), libc::EBADF);
        }
    });
}

/// How many watches the descriptors of this process have.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn watches() -> usize {
    let numbers = fs::read_dir("/proc/self/fdinfo").unwrap();
    let infos = numbers.filter_map(|number| fs::read_to_string(number.unwrap().path()).ok());
    infos.map(|info| info.matches("inotify wd:").count()).sum()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k237_the_watch_is_removed_with_the_last_knote() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (inner, directory) = scratch.directory("directory");
        let before = watches();
        let queue = watching(&file, ALL);
        queue.add(&file, READ, CLEAR, 1);
        let second = File::open(&path).unwrap();
        queue.make(vnode(&second, ADD | ONESHOT, ALL));
        assert_eq!(watches(), before + 1);
        queue.make(vnode(&directory, ADD | CLEAR, ALL));
        assert_eq!(watches(), before + 3);

        queue.delete(&file, VNODE);
        queue.delete(&file, READ);
        assert_eq!(watches(), before + 3);
        chmod(&path, 0o600);
        queue.one();
        assert_eq!(watches(), before + 2);

        // The directory's knote is removed when its descriptor is found to be closed.
        drop(directory);
        chmod(&inner, 0o700);
        queue.assert_silent();
        assert_eq!(watches(), before);

        // A refused knote leaves no watch.
        queue.refused(Kevent::vnode(&file, ADD).with_fflags(0x800_u32));
        assert_eq!(watches(), before);
        queue.make(vnode(&file, ADD, ALL));
        drop(queue);
        assert_eq!(watches(), before);
    });
}

#[test]
fn k238_each_queue_reports() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queues = [1, 2].map(|_| watching(&file, VnodeFlags::WRITE));
        append(&path, "d");
        for queue in &queues {
            assert_eq!(seen(queue, VnodeFlags::WRITE), VnodeFlags::WRITE);
        }
    });
}

#[test]
fn k238_each_descriptor_of_a_file_has_a_knote_of_its_own() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, first) = scratch.file("file", "abc");
        let second = File::open(&path).unwrap();
        let third = second.try_clone().unwrap();
        let queue = watching(&third, ALL);
        queue.make(vnode(&first, ADD | CLEAR, VnodeFlags::WRITE));
        queue.make(vnode(&second, ADD | CLEAR, VnodeFlags::ATTRIB));
        append(&path, "d");
        let mut both = vec![number(&first), number(&third)];
        both.sort_unstable();
        assert_eq!(idents(&queue.collect()), both);
        chmod(&path, 0o600);
        let mut both = vec![number(&second), number(&third)];
        both.sort_unstable();
        assert_eq!(idents(&queue.collect()), both);

        // Deleting one leaves the others.
        queue.delete(&third, VNODE);
        chmod(&path, 0o640);
        assert_eq!(idents(&queue.collect()), [number(&second)]);
        queue.delete(&second, VNODE);
        chmod(&path, 0o600);
        queue.assert_silent();
        append(&path, "e");
        assert_eq!(idents(&queue.collect()), [number(&first)]);
    });
}

#[test]
fn k238_a_directory_and_its_subdirectory_are_watched_independently() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, outer) = scratch.directory("outer");
        let inner_path = path.join("inner");
        fs::create_dir(&inner_path).unwrap();
        let inner = File::open(&inner_path).unwrap();
        let asked = VnodeFlags::DELETE | VnodeFlags::WRITE;
        let queue = watching(&outer, asked);
        queue.make(vnode(&inner, ADD | CLEAR, asked));
        fs::write(inner_path.join("file"), "").unwrap();
        assert_eq!(idents(&queue.collect()), [number(&inner)]);
        fs::remove_file(inner_path.join("file")).unwrap();
        queue.collect();
        queue.delete(&outer, VNODE);
        fs::remove_dir(&inner_path).unwrap();
        assert!(seen(&queue, asked).contains(VnodeFlags::DELETE));
    });
}

#[test]
fn k239_a_burst_loses_nothing() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (gone, deleted) = scratch.file("deleted", "abc");
        let (inner, directory) = scratch.directory("directory");
        let (tail_path, tail) = scratch.file("tail", "");
        let noisy = ["a", "b"].map(|name| scratch.file(name, ""));
        let queue = watching(&file, ALL);
        for other in [&deleted, &directory, &noisy[0].1, &noisy[1].1] {
            queue.make(vnode(other, ADD | CLEAR, ALL));
        }
        queue.add(&tail, READ, CLEAR, 1);
        queue.assert_silent();
        // One notice for each change, until no more fit.
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").ok();
        let limit = limit
            .and_then(|limit| limit.trim().parse().ok())
            .unwrap_or(100);
        for i in 0..limit + 10 {
            noisy[i % 2]
                .1
                .set_permissions(Permissions::from_mode(0o600))
                .unwrap();
        }
        append(&path, "d");
        append(&tail_path, "d");
        fs::remove_file(gone).unwrap();
        fs::write(inner.join("file"), "").unwrap();

        let events = queue.collect();
        let of = |file: &File| {
            let found = events.iter().find(|event| event.ident() == number(file));
            *found.unwrap_or_else(|| panic!("{events:?}"))
        };
        let grown = VnodeFlags::WRITE | VnodeFlags::EXTEND;
        assert_eq!(happened(&of(&file), grown), grown);
        assert_eq!(
            happened(&of(&deleted), VnodeFlags::DELETE),
            VnodeFlags::DELETE
        );
        assert_eq!(
            happened(&of(&directory), VnodeFlags::WRITE),
            VnodeFlags::WRITE
        );
        assert_eq!(of(&tail).data(), 1);
        assert_eq!(events.len(), 6);
        queue.assert_silent();
        append(&path, "e");
        assert_eq!(seen(&queue, grown), grown);
    });
}

#[test]
fn k240_a_new_mask_replaces_the_old_one() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        queue.make(vnode(&file, ADD, VnodeFlags::ATTRIB));
        append(&path, "d");
        queue.assert_silent();
        chmod(&path, 0o600);
        assert_eq!(seen(&queue, VnodeFlags::ATTRIB), VnodeFlags::ATTRIB);
        chmod(&path, 0o640);
        queue.make(vnode(&file, ADD, VnodeFlags::WRITE));
        if !cfg!(target_os = "freebsd") {
            queue.assert_silent();
        }
    });
}

#[test]
fn k240_a_wider_mask_reports_each_change_once() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let asked = VnodeFlags::LINK | VnodeFlags::ATTRIB;
        let queue = watching(&file, VnodeFlags::WRITE);
        queue.make(vnode(&file, ADD, asked));
        fs::hard_link(&path, scratch.join("second")).unwrap();
        let bits = seen(&queue, asked);
        assert!(bits.contains(VnodeFlags::LINK));
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(bits, VnodeFlags::LINK);
        }
        queue.assert_silent();
    });
}

#[test]
fn k240_changes_before_they_are_asked_for_are_not_reported() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        // Both knotes are of one inode, so its notices come in any case.
        let other = File::open(&path).unwrap();
        queue.make(vnode(&other, ADD | DISABLE, ALL));
        chmod(&path, 0o600);
        queue.make(vnode(&file, ADD, VnodeFlags::ATTRIB));
        let third = File::open(&path).unwrap();
        queue.make(vnode(&third, ADD, ALL));
        queue.assert_silent();
    });
}

#[test]
fn k240_changes_while_it_is_disabled_are_reported_afterwards() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, ALL);
        append(&path, "d");
        queue.make(vnode(&file, DISABLE, ALL));
        queue.assert_silent();
        chmod(&path, 0o600);
        queue.assert_silent();
        queue.make(vnode(&file, ENABLE, ALL));
        let asked = VnodeFlags::WRITE | VnodeFlags::ATTRIB;
        assert_eq!(seen(&queue, asked), asked);
        queue.assert_silent();
    });
}

#[test]
fn k58_the_udata_is_that_of_the_last_change() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, ALL);
        append(&path, "d");
        queue.make(vnode(&file, ADD, ALL).with_udata(9));
        assert_eq!(queue.one().udata(), 9);
        queue.assert_silent();
    });
}

#[test]
fn k63_adding_does_not_enable() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.make(vnode(&file, ADD | CLEAR | DISABLE, ALL));
        append(&path, "d");
        queue.make(vnode(&file, ADD, ALL));
        queue.assert_silent();
        queue.make(vnode(&file, ENABLE, ALL));
        queue.one();
    });
}

#[test]
fn k66_deleting_a_knote_removes_its_event() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, ALL);
        append(&path, "d");
        queue.delete(&file, VNODE);
        queue.assert_silent();
        assert_eq!(queue.refused(on(&file, VNODE, DELETE)), libc::ENOENT);
        queue.make(vnode(&file, ADD | CLEAR, ALL));
        queue.assert_silent();
    });
}

#[test]
fn k67_a_oneshot_is_gone_after_its_event() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.make(vnode(&file, ADD | ONESHOT, ALL));
        append(&path, "d");
        queue.one();
        append(&path, "e");
        queue.assert_silent();
        assert_eq!(queue.refused(on(&file, VNODE, DELETE)), libc::ENOENT);
    });
}

#[test]
fn k76_a_dispatched_knote_waits_for_being_enabled() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.make(vnode(&file, ADD | DISPATCH, ALL));
        append(&path, "d");
        queue.one();
        append(&path, "e");
        queue.assert_silent();
        queue.make(vnode(&file, ENABLE, ALL));
        queue.one();
        queue.assert_silent();
        queue.delete(&file, VNODE);
    });
}

#[test]
fn k89_a_waiting_thread_is_woken() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.one());
            append(&path, "d");
            let event = waiter.join().unwrap();
            assert_eq!(event.ident(), number(&file));
        });
    });
}

#[test]
fn k8_the_queue_is_readable_while_a_change_of_a_file_is_pending() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        let outer = Queue::new();
        outer.add(&queue, READ, LEVEL, 1);
        outer.assert_silent();
        append(&path, "d");
        assert_eq!(outer.one().ident(), queue.as_raw_fd() as usize);
        queue.one();
        outer.assert_silent();
    });
}

#[test]
fn k8_the_queue_is_not_readable_for_a_file_that_is_no_longer_watched() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = watching(&file, VnodeFlags::WRITE);
        append(&path, "d");
        queue.delete(&file, Filter::VNODE);
        let outer = Queue::new();
        outer.add(&queue, READ, LEVEL, 1);
        outer.assert_silent();
    });
}

#[test]
fn k85_events_that_do_not_fit_come_with_the_next_call() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, _file) = scratch.file("file", "abc");
        let files = [1, 2, 3].map(|_| File::open(&path).unwrap());
        let queue = Queue::new();
        for file in &files {
            queue.make(vnode(file, ADD | CLEAR, VnodeFlags::WRITE));
        }
        append(&path, "d");
        let mut events = Vec::new();
        for _ in 0..3 {
            let event = queue.collect_at_most(1);
            assert_eq!(event.len(), 1);
            events.extend(event);
        }
        queue.assert_silent();
        let mut expected: Vec<_> = files.iter().map(number).collect();
        expected.sort_unstable();
        assert_eq!(idents(&events), expected);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k100_a_new_file_that_has_the_number_and_the_inode_of_a_deleted_one_has_no_knote() {
    use std::os::unix::fs::MetadataExt;

    in_child(|| {
        let scratch = Scratch::new();
        for bits in [VnodeFlags::WRITE, VnodeFlags::WRITE | VnodeFlags::ATTRIB] {
            let queue = Queue::new();
            let (path, old) = scratch.file("old", "");
            let inode = old.metadata().unwrap().ino();
            queue.make(on(&old, Filter::VNODE, ADD | CLEAR).with_fflags(bits));
            fs::remove_file(&path).unwrap();
            let path = scratch.join("new");
            let new = reuse(old, || File::create(&path).unwrap());
            if new.metadata().unwrap().ino() != inode {
                // Not all file systems reuse an inode at once.
                return;
            }
            queue.assert_silent();
            let enable = on(&new, Filter::VNODE, ENABLE).with_fflags(bits);
            assert_eq!(queue.refused(enable), libc::ENOENT);
            queue.make(on(&new, Filter::VNODE, ADD | CLEAR).with_fflags(bits));
            append(&path, "x");
            assert!(queue.one().fflags() & u32::from(VnodeFlags::WRITE) != 0);
            fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn k235_a_file_is_reported_until_its_last_name_is_removed_in_any_order() {
    for last in ["first", "second"] {
        let scratch = Scratch::new();
        let queue = Queue::new();
        let (path, file) = scratch.file("first", "");
        let second = scratch.join("second");
        fs::hard_link(&path, &second).unwrap();
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        let bits = VnodeFlags::WRITE | VnodeFlags::DELETE;
        queue.make(on(&file, Filter::VNODE, ADD | CLEAR).with_fflags(bits));
        if last == "second" {
            fs::remove_file(&path).unwrap();
            fs::remove_file(&second).unwrap();
        } else {
            fs::remove_file(&second).unwrap();
            fs::remove_file(&path).unwrap();
        }
        let report = queue.one().fflags();
        assert!(report & u32::from(VnodeFlags::DELETE) != 0, "{report:#x}");
        for _ in 0..2 {
            writer.write_all(b"x").unwrap();
            let report = queue.one().fflags();
            assert!(report & u32::from(VnodeFlags::WRITE) != 0, "{report:#x}");
        }
    }
}
