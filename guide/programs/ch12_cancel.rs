// ANCHOR: head
//! Five bytes come in two parts, and the first attempt to read them is given up in between.

use std::{
    env,
    io::{self, ErrorKind, Write},
    os::unix::net::UnixStream,
    rc::Rc,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use nio_guide::{Executor, Sources};

/// The second part comes when the first attempt was given up.
fn talk(mut stream: UnixStream, gave_up: &Receiver<()>) -> io::Result<()> {
    let _ = gave_up.recv();
    stream.write_all(b"llo")
}

/// Appends to `got` until it has 5 bytes.
async fn read_five(sources: &Sources, stream: &UnixStream, got: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 16];
    while got.len() < 5 {
        match sources.read(stream, &mut bytes).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => got.extend_from_slice(&bytes[..n]),
        }
    }
    Ok(())
}
// ANCHOR_END: head

// ANCHOR: attempts
/// Its buffer is a part of the future, and goes with it.
async fn read_five_alone(sources: &Sources, stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut got = Vec::new();
    read_five(sources, stream, &mut got).await?;
    Ok(got)
}

async fn attempts(sources: Rc<Sources>, stream: UnixStream, give_up: impl Fn(), safe: bool) {
    const LIMIT: Duration = Duration::from_millis(50);
    let mut kept = Vec::new();
    if safe {
        let first = sources
            .timeout(LIMIT, read_five(&sources, &stream, &mut kept))
            .await;
        assert!(first.is_none());
    } else {
        let first = sources
            .timeout(LIMIT, read_five_alone(&sources, &stream))
            .await;
        assert!(first.is_none());
    }
    println!(
        "attempt 1 is given up; kept: {:?}",
        String::from_utf8_lossy(&kept)
    );
    give_up();
    match read_five(&sources, &stream, &mut kept).await {
        Ok(()) => println!("attempt 2 has {:?}", String::from_utf8_lossy(&kept)),
        Err(error) => println!(
            "attempt 2 has {:?}, and then {error}",
            String::from_utf8_lossy(&kept)
        ),
    }
}
// ANCHOR_END: attempts

// ANCHOR: main
fn main() -> io::Result<()> {
    let safe = env::args().nth(1).as_deref() != Some("lossy");
    let (ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.write_all(b"he")?;
    let (sender, gave_up) = channel();
    thread::spawn(move || talk(theirs, &gave_up));
    let mut executor = Executor::new()?;
    let sources = executor.sources();
    let give_up = move || sender.send(()).expect("the other side listens");
    executor.spawn(attempts(sources, ours, give_up, safe));
    executor.run()?;
    Ok(())
}
// ANCHOR_END: main
