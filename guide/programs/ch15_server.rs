// ANCHOR: main
//! A server for strings: `SET name value` and `GET name`, a line each. With `by-read`, a read is taken for a line.
//!
//! Arguments: the address, `by-line` or `by-read`, the idle limit in seconds. All may be left out.

use std::{cell::RefCell, collections::HashMap, env, io, rc::Rc, time::Duration};

use nio_net::{BufReader, Connection, ServeOptions, Server, TcpListener};

/// What clients can make grow, and how far.
const CONNECTIONS: usize = 100;
const LONGEST_LINE: usize = 1024; // in bytes
const MOST_VALUES: usize = 10_000;

type Values = Rc<RefCell<HashMap<String, String>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:6400".into());
    let by_read = arguments.next().as_deref() == Some("by-read");
    let idle = arguments.next().map_or(Ok(60), |it| it.parse())?;
    nio_loop::run(async |handle| {
        let listener = TcpListener::bind(&handle, address.as_str()).await?;
        println!("listening on {}", listener.local_addr()?);
        let options = ServeOptions::new()
            .connections(CONNECTIONS)
            .idle(Duration::from_secs(idle))
            .grace(Duration::from_secs(10));
        let server = Server::with(&handle, options).on_error(|error| println!("{error}"));
        let values = Values::default();
        let serving = server.serve(listener, async move |client| match by_read {
            true => converse_by_read(client, &values).await,
            false => converse(client, &values).await,
        });
        serving.await?;
        println!("all connections have ended");
        Ok(())
    })?
}
// ANCHOR_END: main

// ANCHOR: by_read
async fn converse_by_read(client: Connection<'_>, values: &Values) -> io::Result<()> {
    let mut bytes = [0; LONGEST_LINE];
    loop {
        let n = client.read(&mut bytes).await?;
        if n == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&bytes[..n]);
        client.write_all(answer(&line, values).as_bytes()).await?;
    }
}
// ANCHOR_END: by_read

// ANCHOR: converse
async fn converse(client: Connection<'_>, values: &Values) -> io::Result<()> {
    let mut lines = BufReader::new(Rc::clone(client.stream));
    while let Some(line) = client.unless_shutdown(lines.read_line(LONGEST_LINE)).await {
        let Some(line) = line? else { break }; // the client has ended its side
        client.write_all(answer(line, values).as_bytes()).await?;
    }
    Ok(())
}
// ANCHOR_END: converse

// ANCHOR: answer
fn answer(line: &str, values: &Values) -> String {
    let mut values = values.borrow_mut();
    let mut words = line.trim().splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("SET"), Some(name), Some(value)) => {
            if values.len() == MOST_VALUES && !values.contains_key(name) {
                return "ERROR no room for another name\n".into();
            }
            values.insert(name.into(), value.into());
            "OK\n".into()
        }
        (Some("GET"), Some(name), None) => match values.get(name) {
            Some(value) => format!("{value}\n"),
            None => "NONE\n".into(),
        },
        _ => "ERROR use SET name value, or GET name\n".into(),
    }
}
// ANCHOR_END: answer
