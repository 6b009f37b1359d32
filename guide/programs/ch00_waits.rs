// ANCHOR: clients
//! A server that waits for one client at a time, and with `threads` one that has a thread for each.

use std::{
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

fn main() -> io::Result<()> {
    let threads = env::args().nth(1).as_deref() == Some("threads");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        if threads {
            one_thread_each(&listener)
        } else {
            one_by_one(&listener)
        }
    });

    let silent = TcpStream::connect(address)?;
    println!("client 1 connects, and says nothing");
    let mut asking = TcpStream::connect(address)?;
    asking.write_all(b"hello?")?;
    println!("client 2 asks");

    let mut answer = [0; 16];
    if !threads {
        asking.set_read_timeout(Some(Duration::from_millis(500)))?;
        if asking.read(&mut answer).is_err() {
            println!("client 2 has no answer after half a second");
        }
        drop(silent);
        println!("client 1 leaves");
        asking.set_read_timeout(None)?;
    }
    let n = asking.read(&mut answer)?;
    println!("client 2 reads {}", String::from_utf8_lossy(&answer[..n]));
    Ok(())
}
// ANCHOR_END: clients

// ANCHOR: answer
/// Sends back what a client says. `read` does not return before the client says something.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16];
    let n = stream.read(&mut bytes)?;
    stream.write_all(&bytes[..n])
}
// ANCHOR_END: answer

// ANCHOR: one_by_one
fn one_by_one(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let _ = answer(stream);
    }
}
// ANCHOR_END: one_by_one

// ANCHOR: threads
fn one_thread_each(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || answer(stream));
    }
}
// ANCHOR_END: threads
