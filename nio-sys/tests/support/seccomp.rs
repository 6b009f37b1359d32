//! System calls that fail, by a filter of the kernel. nio-poll and nio-loop use this file too, by a symbolic link.

use std::io;

/// Ranges of the numbers of system calls, first and last, each with the errno of its calls.
///
/// A sandbox allows what its list has. The calls that it lacks are those that are newer than it, and the numbers from
/// 403 on were given in the order of time, the same on all processors (but Alpha's and MIPS's). So what is refused is
/// shorter than what is allowed, and is the same to a program without privileges that does no more than the tests do.
pub(crate) type Profile = [(u32, u32, i32)];

/// Linux 4.14, which has none of the calls that came later. The first of them are those for 64-bit time on 32-bit
/// processors.
pub(crate) const LINUX_4_14: &Profile = &[(403, u32::MAX, libc::ENOSYS)];

/// profiles/seccomp/default.json of moby, as of Docker 19.03 (in 2020). It has statx, and the three calls of io_uring.
/// All other calls are refused by an errno that says nothing about the kernel: also clone3, without which the C
/// library of Debian 12 starts no thread and no program (later versions of Docker answer ENOSYS).
pub(crate) const DOCKER_2020: &Profile = &[(403, 424, libc::EPERM), (428, u32::MAX, libc::EPERM)];

/// The same file in 2025 (Docker 28): the calls of io_uring are gone; clone3 is left out because its flags cannot be
/// examined; pidfd_getfd needs CAP_SYS_PTRACE. Calls that are newer than the list have ENOSYS from runc.
pub(crate) const DOCKER_2025: &Profile = &[
    (425, 427, libc::EPERM),
    (435, 435, libc::ENOSYS),
    (438, 438, libc::EPERM),
    (463, u32::MAX, libc::ENOSYS),
];

/// Runs this process under a profile from now on.
pub(crate) fn confine(profile: &Profile) {
    for &(first, last, errno) in profile {
        install(&[
            statement(LOAD, 0, 0, NUMBER),
            statement(NOT_BELOW, 0, 1, first),
            statement(ABOVE, 0, 1, last),
            statement(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
            statement(ANSWER, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        ]);
    }
}

/// Makes a system call fail in this process from now on.
pub(crate) fn refuse(system_call: libc::c_long, errno: i32) {
    refuse_if(system_call, &[], errno);
}

/// Makes a system call fail if each argument (its index) is, or is not, a value.
pub(crate) fn refuse_if(system_call: libc::c_long, arguments: &[(u32, bool, u32)], errno: i32) {
    let mut filter = Vec::new();
    let mut require = |offset, is: bool, value| {
        filter.push(statement(LOAD, 0, 0, offset));
        filter.push(statement(EQUAL, u8::from(is), u8::from(!is), value));
        filter.push(statement(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW));
    };
    require(NUMBER, true, system_call as u32);
    for &(index, is, value) in arguments {
        require(ARGUMENTS + 8 * index, is, value);
    }
    let refusal = libc::SECCOMP_RET_ERRNO | errno as u32;
    filter.push(statement(ANSWER, 0, 0, refusal));
    install(&filter);
}

/// The data of a filter: the number of the system call, and eight bytes for each argument.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

/// The codes of linux/bpf_common.h, which the libc crate does not have for Android.
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const ABOVE: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const NOT_BELOW: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ANSWER: u16 = 0x06; // BPF_RET | BPF_K

fn statement(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Adds a filter to those of this process.
fn install(filter: &[libc::sock_filter]) {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which lives until the call returns.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
