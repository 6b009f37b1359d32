//! System calls that fail, by a filter of the kernel. nio-poll uses this file too, by a symbolic link.

use super::check;

/// Makes a system call fail in this process from now on.
pub fn refuse(system_call: libc::c_long, errno: i32) {
    refuse_if(system_call, &[], errno);
}

/// Makes a system call fail if each argument (its index) is, or is not, a value.
pub fn refuse_if(system_call: libc::c_long, arguments: &[(u32, bool, u32)], errno: i32) {
    let statement = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = Vec::new();
    let mut require = |offset, is: bool, value| {
        filter.push(statement(load, 0, 0, offset));
        filter.push(statement(equal, u8::from(is), u8::from(!is), value));
        filter.push(statement(answer, 0, 0, libc::SECCOMP_RET_ALLOW));
    };
    // The data of the filter: the number of the system call, and from byte 16 on eight bytes for each argument.
    require(0, true, system_call as u32);
    for &(index, is, value) in arguments {
        require(16 + 8 * index, is, value);
    }
    let refusal = libc::SECCOMP_RET_ERRNO | errno as u32;
    filter.push(statement(answer, 0, 0, refusal));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which lives until the call returns.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).unwrap();
        let mode = libc::SECCOMP_MODE_FILTER;
        check(libc::prctl(libc::PR_SET_SECCOMP, mode, &program)).unwrap();
    }
}
