//! The three answers of a non-blocking socket.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
};

fn main() -> io::Result<()> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    ask(&mut ours)?;
    theirs.write_all(b"!")?;
    ask(&mut ours)?;
    drop(theirs);
    ask(&mut ours)
}

fn ask(stream: &mut UnixStream) -> io::Result<()> {
    match stream.read(&mut [0; 16]) {
        Ok(0) => println!("the end"),
        Ok(n) => println!("{n} byte"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => println!("would block"),
        Err(error) => return Err(error),
    }
    Ok(())
}
