use std::{error::Error, io::Write, net::TcpListener};

use polling::{Event, Events, Poller};

fn main() -> Result<(), Box<dyn Error>> {
    let poller = Poller::new()?;
    let mut events = Events::new();
    let listener = TcpListener::bind("127.0.0.1:7070")?;
    listener.set_nonblocking(true)?;
    // SAFETY: the listener lives as long as the poller.
    unsafe { poller.add(&listener, Event::readable(0))? };
    loop {
        events.clear();
        poller.wait(&mut events, None)?;
        if let Ok((mut stream, _)) = listener.accept() {
            stream.write_all(b"hello\n")?;
        }
        poller.modify(&listener, Event::readable(0))?;
    }
}
