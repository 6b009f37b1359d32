// ANCHOR: head
//! One thread, many clients: a socket that has nothing to read says so, and the next one is asked.

use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let seconds = env::args()
        .nth(1)
        .map_or(Ok(1), |argument| argument.parse());
    let silence = Duration::from_secs(seconds.expect("a number of seconds"));
    let clients = thread::spawn(move || clients(address, silence));
    serve(&listener, 3)?;
    clients.join().expect("the clients do not panic")
}

/// Client 1 is silent; meanwhile, clients 2 and 3 ask.
fn clients(address: SocketAddr, silence: Duration) -> io::Result<()> {
    let silent = TcpStream::connect(address)?;
    println!("client 1 connects, and says nothing");
    for number in [2, 3] {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello?")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        println!("client {number} reads {answer}");
    }
    thread::sleep(silence);
    println!("client 1 leaves");
    drop(silent);
    Ok(())
}
// ANCHOR_END: head

// ANCHOR: serve
/// Serves so many clients.
fn serve(listener: &TcpListener, count: usize) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut clients: Vec<TcpStream> = Vec::new();
    let (mut accepted, mut questions) = (0, 0_u64);
    while accepted < count || !clients.is_empty() {
        questions += 1;
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                clients.push(client);
                accepted += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        questions += clients.len() as u64;
        clients.retain_mut(|client| is_waiting(client).unwrap_or(false));
    }
    println!("the server has asked {questions} times");
    Ok(())
}
// ANCHOR_END: serve

// ANCHOR: is_waiting
/// Asks a client, and answers it. Returns whether it has not said anything yet.
fn is_waiting(client: &mut TcpStream) -> io::Result<bool> {
    let mut bytes = [0; 16];
    match client.read(&mut bytes) {
        Ok(n) => client.write_all(&bytes[..n]).map(|()| false),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}
// ANCHOR_END: is_waiting
