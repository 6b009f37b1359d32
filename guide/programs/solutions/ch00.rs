//! One thread that gives each client a tenth of a second.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let _ = answer(stream);
        }
    });

    let _silent = TcpStream::connect(address)?;
    let mut asking = TcpStream::connect(address)?;
    asking.write_all(b"hello?")?;
    let mut answer = String::new();
    asking.read_to_string(&mut answer)?;
    println!("client 2 reads {answer}");
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut bytes = [0; 16];
    let n = stream.read(&mut bytes)?;
    stream.write_all(&bytes[..n])
}
