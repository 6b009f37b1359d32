//! Files, directories and devices under READ and WRITE: K145–K155.
//!
//! Some tests depend on the number of the next descriptor, so each runs in a process of its own.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use nio_sys::Filter;
use nio_sys::{Kevent, VnodeFlags};
use support::*;

/// Devices that a descriptor can always read and write.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/urandom"];

/// A device that this system lets a queue watch, open to read and write.
fn device() -> Option<File> {
    DEVICES.into_iter().find_map(|path| {
        let mut options = OpenOptions::new();
        let device = options.read(true).write(true).open(path).ok()?;
        Queue::new().change(on(&device, READ, ADD)).ok()?;
        Some(device)
    })
}

/// The `data` of the one pending event.
#[track_caller]
fn data(queue: &Queue) -> i64 {
    let events = queue.collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(!events[0].is_eof() && !events[0].is_error());
    assert_eq!(events[0].filter(), READ);
    events[0].data()
}

fn read(mut file: &File, count: usize) {
    file.read_exact(&mut vec![0; count]).unwrap();
}

#[test]
fn k145_a_file_is_ready_until_its_end_and_reports_the_remaining_bytes() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        assert_eq!(data(&queue), 3);
        assert_eq!(data(&queue), 3);
        read(&file, 1);
        assert_eq!(data(&queue), 2);
        read(&file, 2);
        queue.assert_silent();
        queue.assert_silent_for(20);
    });
}

#[test]
fn k145_going_back_makes_it_ready_again_once_it_is_added_again() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, mut file) = scratch.file("file", "abc");
        let queue = Queue::new();
        read(&file, 3);
        queue.add(&file, READ, LEVEL, 1);
        queue.assert_silent();
        file.seek(SeekFrom::Start(1)).unwrap();
        queue.add(&file, READ, LEVEL, 2);
        assert_eq!(data(&queue), 2);
    });
}

#[test]
fn k145_a_file_that_was_truncated_to_less_than_the_offset_is_ready() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        read(&file, 3);
        let writer = OpenOptions::new().write(true).open(path).unwrap();
        writer.set_len(1).unwrap();
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        assert_eq!(data(&queue), -2);
    });
}

#[test]
fn k145_the_offset_belongs_to_the_open_file() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, first) = scratch.file("file", "abc");
        let second = File::open(path).unwrap();
        read(&first, 3);
        let queue = Queue::new();
        queue.add(&first, READ, LEVEL, 1);
        queue.add(&second, READ, LEVEL, 2);
        assert_eq!(queue.one().udata(), 2);
        read(&second, 3);
        queue.assert_silent();
    });
}

#[test]
fn k146_growth_makes_a_file_ready_that_was_at_its_end() {
    in_child(|| {
        for flags in [LEVEL, CLEAR, DISPATCH, ONESHOT] {
            let scratch = Scratch::new();
            let (path, file) = scratch.file("file", "abc");
            read(&file, 3);
            let queue = Queue::new();
            queue.add(&file, READ, flags, 1);
            queue.assert_silent();
            append(&path, "de");
            assert_eq!(data(&queue), 2);
            read(&file, 2);
            queue.assert_silent();
        }
    });
}

#[test]
fn k146_growth_wakes_a_waiting_thread() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.one());
            append(&path, "d");
            assert_eq!(waiter.join().unwrap().data(), 1);
        });
    });
}

#[test]
fn k147_with_clear_each_growth_is_reported_once() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, CLEAR, 1);
        assert_eq!(data(&queue), 3);
        queue.assert_silent();
        append(&path, "d");
        append(&path, "e");
        assert_eq!(data(&queue), 5);
        queue.assert_silent();
        // A change evaluates the condition again (K61).
        queue.add(&file, READ, LEVEL, 1);
        assert_eq!(data(&queue), 5);
        queue.assert_silent();
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k147_with_clear_a_file_is_not_reported_again_for_a_notice_that_another_knote_asked_for() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, CLEAR, 1);
        let other = File::open(&path).unwrap();
        let attributes = VnodeFlags::ATTRIB;
        queue.make(Kevent::vnode(&other, ADD | CLEAR).with_fflags(attributes));
        assert_eq!(data(&queue), 3);
        for mode in [0o600, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(queue.one().filter(), Filter::VNODE);
            queue.assert_silent();
        }
        append(&path, "d");
        assert_eq!(data(&queue), 4);
    });
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k148_a_file_can_always_be_written_to() {
    in_child(|| {
        let scratch = Scratch::new();
        let path = scratch.join("file");
        let file = File::create(path).unwrap();
        let queue = Queue::new();
        queue.add(&file, WRITE, LEVEL, 1);
        for _ in 0..3 {
            let event = queue.one();
            assert_eq!((event.filter(), event.udata()), (WRITE, 1));
            if !cfg!(target_vendor = "apple") {
                assert_eq!(event.data(), 0);
            }
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[test]
fn k149_a_directory_cannot_be_read() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, directory) = scratch.directory("directory");
        let queue = Queue::new();
        assert_eq!(queue.refused(on(&directory, READ, ADD)), libc::EINVAL);
        assert_eq!(queue.refused(on(&directory, READ, DELETE)), libc::ENOENT);
    });
}

#[test]
fn k150_devices_are_always_ready() {
    in_child(|| {
        for path in DEVICES {
            let mut options = OpenOptions::new();
            let Ok(device) = options.read(true).write(true).open(path) else {
                continue;
            };
            for filter in [READ, WRITE] {
                let queue = Queue::new();
                match queue.change(on(&device, filter, ADD)) {
                    Ok(()) => {}
                    Err(error) if cfg!(any(target_os = "linux", target_os = "android")) => {
                        panic!("{path}: {error}")
                    }
                    Err(_) => continue,
                }
                for _ in 0..3 {
                    let event = queue.one();
                    assert_eq!((event.ident(), event.filter()), (number(&device), filter));
                    if cfg!(any(target_os = "linux", target_os = "android")) {
                        assert_eq!(event.data(), 0);
                    }
                }
                queue.delete(&device, filter);
                queue.assert_silent();
            }
        }
    });
}

#[test]
fn k151_a_file_that_is_always_ready_does_not_starve_others() {
    in_child(|| {
        let Some(device) = device() else { return };
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let (reader, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        let queue = Queue::new();
        queue.add(&device, READ, LEVEL, 1);
        queue.add(&file, READ, LEVEL, 2);
        queue.add(&reader, READ, LEVEL, 3);
        queue.add_user(4, LEVEL);
        queue.trigger(4);
        let mut counts = [0; 5];
        for _ in 0..24 {
            let events = queue.collect_at_most(1);
            counts[events[0].udata()] += 1;
        }
        assert!(counts[1..].iter().all(|&count| count >= 4), "{counts:?}");
        // One entry each in a call that has room.
        let events = queue.collect();
        let mut seen: Vec<usize> = events.iter().map(Kevent::udata).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4]);
    });
}

#[test]
fn k152_no_call_waits_with_a_file_that_is_always_ready() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let (socket, _peer) = pair();
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        queue.add(&socket, READ, LEVEL, 2);
        for _ in 0..100 {
            let events = queue.call(&[], 8, None).unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].udata(), 1);
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k153_flags_that_a_file_cannot_honour_are_refused() {
    use nio_sys::{Filter, ReadWriteFlags};
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        for filter in [READ, WRITE] {
            for fflags in [1_u32, 2, 4] {
                let change = on(&file, filter, ADD).with_fflags(fflags);
                assert_eq!(queue.refused(change), libc::ENOTSUP);
                assert_eq!(queue.refused(on(&file, filter, DELETE)), libc::ENOENT);
            }
        }
        let except = on(&file, Filter::EXCEPT, ADD).with_fflags(ReadWriteFlags::OOB);
        assert_eq!(queue.refused(except), libc::ENOTSUP);
        // A refused modification leaves it as it was.
        queue.add(&file, READ, LEVEL, 1);
        let change = on(&file, READ, ADD).with_fflags(1_u32).with_udata(2);
        assert_eq!(queue.refused(change), libc::ENOTSUP);
        assert_eq!(queue.one().udata(), 1);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k154_descriptors_that_only_linux_has_can_be_read() {
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::os::unix::fs::OpenOptionsExt;
    in_child(|| {
        // SAFETY: takes no pointers, and returns a descriptor that nothing else owns.
        let event = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(1, 0)).unwrap()) };
        let queue = Queue::new();
        queue.add(&event, READ, LEVEL, 1);
        assert_eq!(queue.one().udata(), 1);
        queue.delete(&event, READ);

        let name = c"nio";
        // SAFETY: the name lives until the call returns, which makes a descriptor that nothing else owns.
        let memory = unsafe {
            let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
            OwnedFd::from_raw_fd(check(fd).unwrap())
        };
        let mut memory = File::from(memory);
        memory.write_all(b"abc").unwrap();
        memory.rewind().unwrap();
        queue.add(&memory, READ, LEVEL, 2);
        assert_eq!(data(&queue), 3);
        read(&memory, 3);
        queue.assert_silent();

        let scratch = Scratch::new();
        let (path, _) = scratch.file("file", "abc");
        let mut options = OpenOptions::new();
        let place = options.read(true).custom_flags(libc::O_PATH).open(path);
        let change = on(&place.unwrap(), READ, ADD);
        assert_eq!(queue.refused(change), libc::EBADF);
    });
}

#[test]
fn k155_nothing_is_reported_after_a_close() {
    in_child(|| {
        for flags in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
            for content in ["", "abc"] {
                let scratch = Scratch::new();
                let (path, file) = scratch.file("file", content);
                let queue = Queue::new();
                queue.add(&file, READ, flags, 1);
                let closed = number(&file);
                drop(file);
                queue.assert_silent();
                append(&path, "d");
                queue.assert_silent_for(20);
                let errno = queue.refused(Kevent::new(closed, READ, DELETE));
                assert!([libc::EBADF, libc::ENOENT].contains(&errno), "{errno}");
            }
        }
    });
}

#[test]
fn k155_a_new_file_of_the_same_number_has_no_knote() {
    in_child(|| {
        for change in [DELETE, ENABLE, DISABLE, LEVEL] {
            let scratch = Scratch::new();
            let (path, file) = scratch.file("file", "abc");
            let (new_path, _) = scratch.file("new", "abc");
            let queue = Queue::new();
            queue.add(&file, READ, CLEAR, 1);
            let new = reuse(file, || File::open(&new_path).unwrap());
            queue.assert_silent();
            append(&path, "d");
            append(&new_path, "d");
            queue.assert_silent();
            assert_eq!(queue.refused(on(&new, READ, change)), libc::ENOENT);
            queue.add(&new, READ, LEVEL, 2);
            assert_eq!(queue.one().udata(), 2);
            assert_eq!(queue.one().udata(), 2);
        }
    });
}

#[test]
fn k155_a_socket_of_the_same_number_has_its_own_knote() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        let (socket, mut peer) = reuse_by_pair(file);
        queue.add(&socket, READ, LEVEL, 2);
        append(&path, "d");
        queue.assert_silent();
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 2);
        queue.delete(&socket, READ);
        assert_eq!(queue.refused(on(&socket, READ, DELETE)), libc::ENOENT);
        queue.assert_silent();
    });
}

#[test]
fn k155_a_file_of_the_same_number_as_a_socket_has_a_new_knote() {
    in_child(|| {
        for change in [DELETE, ENABLE, DISABLE, LEVEL] {
            let scratch = Scratch::new();
            let (path, first) = scratch.file("file", "abc");
            drop(first);
            let queue = Queue::new();
            let (socket, mut peer) = pair();
            queue.add(&socket, READ, CLEAR, 1);
            queue.add(&socket, WRITE, CLEAR, 1);
            peer.write_all(b"x").unwrap();
            // One of the two events does not fit, and is carried over.
            queue.collect_at_most(1);
            let file = reuse(socket, || File::open(&path).unwrap());
            assert_eq!(queue.refused(on(&file, READ, change)), libc::ENOENT);
            queue.assert_silent();
            queue.add(&file, READ, LEVEL, 2);
            assert_eq!(queue.one().udata(), 2);
            assert_eq!(queue.one().udata(), 2);
        }
    });
}

#[test]
fn k101_dup2_onto_a_watched_file_closes_it_first() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let (_, other) = scratch.file("other", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        // SAFETY: both are open, and `file` goes on owning its number.
        check(unsafe { libc::dup2(other.as_raw_fd(), file.as_raw_fd()) }).unwrap();
        queue.assert_silent();
        assert_eq!(queue.refused(on(&file, READ, DELETE)), libc::ENOENT);
    });
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k36_read_and_write_of_a_file_are_two_knotes() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, _) = scratch.file("file", "abc");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path).unwrap();
        let queue = Queue::new();
        let both = |flags| {
            let change = |filter, udata| on(&file, filter, flags).with_udata(udata);
            [change(READ, 1), change(WRITE, 2)]
        };
        assert_eq!(queue.results(&both(ADD)), [0, 0]);
        assert_eq!(filters(&queue.collect()), [READ, WRITE]);
        read(&file, 3);
        assert_eq!(queue.one().udata(), 2);
        assert_eq!(queue.results(&both(ADD)), [0, 0]);
        assert_eq!(queue.results(&both(DELETE)), [0, 0]);
        queue.assert_silent();
        assert_eq!(queue.results(&both(DELETE)), [libc::ENOENT; 2]);
        // Deleting one leaves the other.
        queue.results(&both(ADD));
        queue.delete(&file, READ);
        assert_eq!(queue.one().udata(), 2);
    });
}

#[test]
fn k58_the_udata_of_a_file_is_that_of_the_last_change() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        queue.add(&file, READ, CLEAR, 2);
        for _ in 0..2 {
            // CLEAR in a modification has no effect (K60).
            assert_eq!(queue.one().udata(), 2);
        }
    });
}

#[test]
fn k62_a_file_that_is_disabled_is_silent_until_it_is_enabled() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        queue.disable(&file, READ, 1);
        queue.assert_silent();
        append(&path, "d");
        queue.assert_silent();
        queue.add(&file, READ, LEVEL, 1);
        queue.assert_silent();
        queue.enable(&file, READ, 1);
        assert_eq!(data(&queue), 4);
        queue.delete(&file, READ);
        queue.assert_silent();
        queue.add(&file, READ, DISABLE, 1);
        queue.assert_silent();
        queue.enable(&file, READ, 1);
        assert_eq!(data(&queue), 4);
    });
}

#[test]
fn k67_a_oneshot_file_is_gone_after_its_event() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, ONESHOT, 1);
        assert_eq!(data(&queue), 3);
        append(&path, "d");
        queue.assert_silent();
        assert_eq!(queue.refused(on(&file, READ, DELETE)), libc::ENOENT);
        queue.add(&file, READ, ONESHOT, 1);
        assert_eq!(data(&queue), 4);
    });
}

#[test]
fn k76_a_dispatched_file_waits_for_being_enabled() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, DISPATCH, 1);
        assert_eq!(data(&queue), 3);
        append(&path, "d");
        queue.assert_silent();
        queue.enable(&file, READ, 1);
        assert_eq!(data(&queue), 4);
        queue.assert_silent();
        queue.delete(&file, READ);
    });
}

#[test]
fn k74_a_file_that_was_read_in_between_is_not_reported() {
    in_child(|| {
        for flags in [LEVEL, CLEAR] {
            let scratch = Scratch::new();
            let (_, file) = scratch.file("file", "abc");
            let queue = Queue::new();
            queue.add(&file, READ, flags, 1);
            read(&file, 3);
            queue.assert_silent();
        }
    });
}

#[test]
fn k8_the_queue_is_readable_while_a_file_is_ready() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (queue, outer) = (Queue::new(), Queue::new());
        outer.add(&queue, READ, LEVEL, 1);
        queue.add(&file, READ, LEVEL, 1);
        outer.one();
        queue.one();
        outer.one();
        read(&file, 3);
        queue.assert_silent();
        outer.assert_silent();
        append(&path, "d");
        outer.one();
    });
}

#[test]
fn k8_the_queue_is_not_readable_for_a_file_that_is_no_longer_watched() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let (queue, outer) = (Queue::new(), Queue::new());
        outer.add(&queue, READ, LEVEL, 1);
        queue.add(&file, READ, LEVEL, 1);
        queue.delete(&file, READ);
        outer.assert_silent();
    });
}

#[test]
fn k20_a_wait_for_growth_lasts_as_long_as_was_asked_for() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        queue.one();
        read(&file, 3);
        // The file is still in the list of active knotes, which wakes the wait at once without an event.
        let timeout = Duration::from_millis(30);
        let start = std::time::Instant::now();
        assert!(queue.call(&[], 4, Some(timeout)).unwrap().is_empty());
        assert!(start.elapsed() >= timeout);
    });
}

#[test]
fn k146_a_file_is_watched_on_after_its_name_was_removed() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        read(&file, 3);
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        fs::remove_file(path).unwrap();
        writer.write_all(b"d").unwrap();
        assert_eq!(data(&queue), 1);
    });
}

#[test]
fn k84_a_knote_comes_once_in_a_call_for_several_causes() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let (other_path, other) = scratch.file("other", "abc");
        read(&other, 3);
        let queue = Queue::new();
        queue.add(&file, READ, LEVEL, 1);
        queue.add(&other, READ, LEVEL, 2);
        queue.add_user(3, LEVEL);
        queue.trigger(3);
        // Now both the list of active knotes and inotify have an edge.
        append(&other_path, "d");
        append(&path, "d");
        let mut seen: Vec<usize> = queue.collect().iter().map(Kevent::udata).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
    });
}

#[test]
fn k100_events_of_the_old_socket_with_a_duplicate_are_not_reported_for_the_file() {
    in_child(|| {
        for flags in [LEVEL, CLEAR] {
            let scratch = Scratch::new();
            let (path, first) = scratch.file("file", "");
            drop(first);
            let queue = Queue::new();
            let (socket, mut peer) = pair();
            queue.add(&socket, READ, flags, 1);
            let _duplicate = socket.try_clone().unwrap();
            let file = reuse(socket, || File::open(&path).unwrap());
            queue.add(&file, READ, LEVEL, 2);
            peer.write_all(b"x").unwrap();
            queue.assert_silent_for(20);
            append(&path, "d");
            assert_eq!(queue.one().udata(), 2);
        }
    });
}

#[test]
fn k147_growth_before_the_knote_was_added_is_not_reported_twice() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        let queue = Queue::new();
        // The first event in the queue's batch.
        queue.add_user(9, CLEAR);
        queue.trigger(9);
        let other = File::open(&path).unwrap();
        let write = VnodeFlags::WRITE;
        queue.make(Kevent::vnode(&other, ADD | CLEAR).with_fflags(write));
        append(&path, "d");
        queue.add(&file, READ, CLEAR, 1);
        assert_eq!(queue.collect().len(), 3);
        queue.assert_silent();
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn files_are_still_watched_after_the_queue_has_made_its_epoll_set_again() {
    in_child(|| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "");
        let queue = Queue::new();
        queue.add(&file, READ, CLEAR, 1);
        let (socket, mut peer) = pair();
        queue.add(&socket, READ, LEVEL, 2);
        // An entry of epoll that no call can name any more, and that is always ready.
        let _duplicate = socket.try_clone().unwrap();
        let (socket, _peer) = {
            let (new, peer) = reuse_by_pair(socket);
            (new, peer)
        };
        queue.add(&socket, READ, LEVEL, 3);
        peer.write_all(b"x").unwrap();
        queue.assert_silent_for(20);
        append(&path, "d");
        assert_eq!(queue.one().udata(), 1);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k155_a_new_file_that_has_the_number_and_the_inode_of_a_deleted_one_has_no_knote() {
    use std::os::unix::fs::MetadataExt;

    in_child(|| {
        let scratch = Scratch::new();
        let queue = Queue::new();
        let (path, old) = scratch.file("old", "");
        let inode = old.metadata().unwrap().ino();
        queue.add(&old, READ, LEVEL, 1);
        queue.assert_silent();
        fs::remove_file(&path).unwrap();
        let path = scratch.join("new");
        let open = || {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .append(true)
                .create(true)
                .open(&path)
                .unwrap()
        };
        let new = reuse(old, open);
        if new.metadata().unwrap().ino() != inode {
            // Not all file systems reuse an inode at once.
            return;
        }
        append(&path, "x");
        queue.assert_silent();
        assert_eq!(queue.refused(on(&new, READ, ENABLE)), libc::ENOENT);
        queue.add(&new, READ, LEVEL, 2);
        assert_eq!(queue.one().udata(), 2);
        drain(&new);
        queue.assert_silent();
        append(&path, "y");
        assert_eq!(queue.one().udata(), 2);
    });
}

#[test]
fn k146_growth_of_a_file_without_a_name_is_reported() {
    let scratch = Scratch::new();
    let queue = Queue::new();
    let (path, file) = scratch.file("first", "");
    let second = scratch.join("second");
    fs::hard_link(&path, &second).unwrap();
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    queue.add(&file, READ, LEVEL, 1);
    queue.assert_silent();
    fs::remove_file(&path).unwrap();
    fs::remove_file(&second).unwrap();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    assert_eq!(queue.one().udata(), 1);
}
