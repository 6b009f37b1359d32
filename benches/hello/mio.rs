use std::{
    error::Error,
    io::{ErrorKind, Write},
};

use mio::{Events, Interest, Poll, Token, net::TcpListener};

fn main() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind("127.0.0.1:7070".parse()?)?;
    poll.registry()
        .register(&mut listener, Token(0), Interest::READABLE)?;
    loop {
        poll.poll(&mut events, None)?;
        loop {
            match listener.accept() {
                Ok((mut stream, _)) => stream.write_all(b"hello\n")?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
