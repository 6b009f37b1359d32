//! A loop without free descriptors. A binary of its own: the limit is the process's.

use std::{net::UdpSocket, time::Duration};

use nio_loop::{Error, EventLoop};

/// Opens descriptors until there are no more.
fn take_all() -> Vec<UdpSocket> {
    std::iter::from_fn(|| UdpSocket::bind("127.0.0.1:0").ok()).collect()
}

#[test]
fn a_loop_that_finds_no_descriptors_fails_and_keeps_none() {
    let limit = libc::rlimit {
        rlim_cur: 64,
        rlim_max: 64,
    };
    // SAFETY: the struct lives as long as the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);

    let mut taken = take_all();
    assert!(!taken.is_empty());
    // Free one descriptor after the other, until there are enough for a loop.
    let mut free = 0;
    let mut event_loop = loop {
        match EventLoop::new() {
            Ok(event_loop) => break event_loop,
            Err(error) => {
                assert!(matches!(&error, Error::Poll(_)), "{error}");
                assert!(error.to_string().starts_with("cannot create a "), "{error}");
                let code = libc::EMFILE;
                let expected = std::io::Error::from_raw_os_error(code);
                assert!(error.to_string().contains(&expected.to_string()), "{error}");
                assert_eq!(std::io::Error::from(error).kind(), expected.kind());
            }
        }
        let left = take_all();
        assert_eq!(left.len(), free, "it kept none");
        taken.extend(left);
        free += 1;
        drop(taken.drain(..free));
    };
    // It has its descriptors already, and works.
    let remote = event_loop.handle().remote();
    event_loop
        .handle()
        .set_interval(Duration::from_millis(1), move |_, _| remote.stop());
    assert!(event_loop.run().unwrap());
    drop(event_loop);
    assert_eq!(take_all().len(), free, "and gives it back");
}
