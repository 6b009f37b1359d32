//! The client, one and the same for all servers: it blocks, and goes from connection to connection.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// Has a server echo `messages` messages, with one under way on each connection at any time, and
/// closes the connections.
pub(crate) fn drive(
    address: SocketAddr,
    connections: usize,
    size: usize,
    messages: usize,
) -> io::Result<()> {
    let connect = |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let streams = (0..connections).map(connect);
    let mut streams = streams.collect::<io::Result<Vec<_>>>()?;
    let message = vec![b'.'; size];
    let mut answer = vec![0; size];
    let mut sent = 0;
    let mut echoed = 0;
    while echoed < messages {
        for (index, stream) in streams.iter_mut().enumerate() {
            // The first time around there is no answer yet, and the last time no question.
            let waits_for_answer = sent > index && echoed < messages;
            if waits_for_answer {
                stream.read_exact(&mut answer)?;
                assert_eq!(answer, message);
                echoed += 1;
            }
            if sent < messages {
                stream.write_all(&message)?;
                sent += 1;
            }
        }
    }
    Ok(())
}
