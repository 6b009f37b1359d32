//! The file that a descriptor names, in the hard cases of Linux: threads with their own tables of descriptors, a
//! process whose first thread has ended, and file systems that change a file's inode number.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::mpsc;
use std::thread;

use nio_sys::{Filter, Kevent, VnodeFlags};
use support::*;

fn append(path: &Path) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"x").unwrap();
}

fn written(file: &File) -> Kevent {
    on(file, Filter::VNODE, ADD | CLEAR).with_fflags(VnodeFlags::WRITE)
}

/// Watches a file that is open in this thread only, and a file that was read to its end.
fn watch_files_of_this_thread() {
    let scratch = Scratch::new();
    let (path, file) = scratch.file("file", "");
    let queue = Queue::new();
    queue.make(written(&file).with_udata(1));
    queue.add(&file, READ, CLEAR, 2);
    queue.assert_silent();
    append(&path);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(queue.wait().iter().map(Kevent::udata));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

#[test]
fn k235_the_file_is_that_of_the_table_of_the_thread_that_registers_it() {
    in_child(|| {
        let scratch = Scratch::new();
        thread::spawn(move || {
            // SAFETY: takes no pointers; from here on this thread has a table of its own.
            check(unsafe { libc::unshare(libc::CLONE_FILES) }).unwrap();
            let (path, file) = scratch.file("file", "");
            let (number, (ready, other)) = (file.as_raw_fd(), mpsc::channel());
            // In the table of the other threads, another file has the number.
            let others = scratch.join("other");
            fs::write(&others, "").unwrap();
            let name = others.clone();
            let holder = thread::spawn(move || {
                // SAFETY: as above, and the number is free in this new table or becomes this file's.
                unsafe {
                    check(libc::unshare(libc::CLONE_FILES)).unwrap();
                    let file = File::open(name).unwrap();
                    check(libc::dup2(file.as_raw_fd(), number)).unwrap();
                }
                ready.send(()).unwrap();
            });
            other.recv().unwrap();
            let queue = Queue::new();
            queue.make(written(&file));
            append(&others);
            queue.assert_silent();
            append(&path);
            assert_eq!(queue.one().ident(), number as usize);
            holder.join().unwrap();
            watch_files_of_this_thread();
        })
        .join()
        .unwrap();
    });
}

#[test]
fn k235_files_are_watched_after_the_first_thread_has_ended() {
    in_child(|| {
        let (status, said) = child(|| {
            let first = std::process::id();
            thread::spawn(move || {
                // The first thread is a zombie when its state says so.
                let stat = format!("/proc/self/task/{first}/stat");
                while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                    thread::yield_now();
                }
                let passed = std::panic::catch_unwind(watch_files_of_this_thread).is_ok();
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!passed)) };
            });
            // SAFETY: ends this thread alone; nothing that it owns is used afterwards.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
        assert_eq!(status, 0, "{said}");
    });
}

/// Mounts an overlay of `lower` and `upper` at `merged`, in a mount namespace of this process. Returns whether
/// that is allowed here.
fn mount_overlay(lower: &Path, upper: &Path, work: &Path, merged: &Path) -> bool {
    let c = |text: &str| std::ffi::CString::new(text).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let (kind, target, options) = (c("overlay"), c(merged.to_str().unwrap()), c(&options));
    // SAFETY: the strings live until the calls return.
    unsafe {
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS;
        let has_namespace = libc::unshare(libc::CLONE_NEWNS) == 0 || libc::unshare(flags) == 0;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        has_namespace
            && libc::mount(
                ptr::null(),
                c("/").as_ptr(),
                ptr::null(),
                private,
                ptr::null(),
            ) == 0
            && libc::mount(
                kind.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                0,
                options.as_ptr().cast(),
            ) == 0
    }
}

#[test]
fn k235_a_file_with_two_names_is_watched_when_an_overlay_copies_it_up() {
    in_child(|| {
        let scratch = Scratch::new();
        let [lower, upper, work, merged] =
            ["lower", "upper", "work", "merged"].map(|name| scratch.directory(name).0);
        fs::write(lower.join("file"), "abc").unwrap();
        fs::hard_link(lower.join("file"), lower.join("name")).unwrap();
        if !mount_overlay(&lower, &upper, &work, &merged) {
            eprintln!("not run: no overlay can be mounted here");
            return;
        }
        let path = merged.join("file");
        let file = File::open(&path).unwrap();
        let queue = Queue::new();
        queue.make(written(&file));
        append(&path);
        assert_eq!(queue.one().ident(), number(&file));
        append(&path);
        assert_eq!(queue.one().ident(), number(&file));
        queue.delete(&file, Filter::VNODE);
    });
}
