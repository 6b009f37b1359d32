//! What an idle connection takes of the server's memory.
//!
//! `cargo run --release -p nio-benches --bin idle` prints it for nio and its peers, with a task that
//! waits to read where the library has tasks.

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;

    use nio_benches::{
        client::Client,
        options::Words,
        process::{Process, Service, serve_if_told},
        servers::{self, Server},
    };

    /// What is needed for the first connections belongs to the start.
    const FEW: usize = 1000;

    pub(crate) fn main() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if let Some(served) = serve_if_told(&arguments) {
            return served;
        }
        let (mut connections, mut servers) = (19_000, Vec::new());
        let mut words = Words::new(&arguments);
        while let Some(option) = words.option() {
            match option {
                "--connections" => connections = words.number()?,
                "--only" => servers = words.servers()?,
                _ => return Err("usage: idle [--connections N] [--only SERVER,...]".into()),
            }
        }
        if servers.is_empty() {
            servers = servers::installed();
        }
        if connections <= FEW {
            return Err(format!("there have to be more than {FEW} connections").into());
        }
        println!("Bytes of user memory per idle connection, of {connections}\n");
        for server in servers {
            let (few, all) = (memory(server, FEW)?, memory(server, connections)?);
            let each = (all - few) / (connections - FEW) as f64;
            println!("{:10} {each:>8.0}", server.name);
        }
        Ok(())
    }

    /// The memory of a server when each connection has had a message and waits for another.
    fn memory(server: &Server, connections: usize) -> Result<f64, Box<dyn Error>> {
        let process = Process::start(&[], server, Service::Idle, connections)?;
        let mut client = Client::connect(process.address, connections, 1)?;
        client.ask(connections)?;
        let memory = process.memory()?;
        drop(client);
        process.end()?;
        Ok(memory)
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("idle compares with epoll, so it runs on Linux only");
}
