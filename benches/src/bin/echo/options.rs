//! What can be chosen on the command line.

use nio_benches::{
    options::Words,
    servers::{self, Server},
};

const USAGE: &str = "usage: echo [--table] [--connections N] [--size BYTES] [--messages N]
            [--rounds N] [--only SERVER,...] [--no-syscalls] [--callgrind]";

#[derive(Clone)]
pub(crate) struct Options {
    /// Run all of [`COUNTS`](crate::table::COUNTS) and [`SIZES`](crate::table::SIZES).
    pub(crate) table: bool,
    pub(crate) connections: usize,
    /// The size of a message in bytes.
    pub(crate) size: usize,
    /// How many messages one run echoes, all connections together.
    pub(crate) messages: usize,
    pub(crate) rounds: usize,
    /// The servers that take part; the first is what the others are compared with.
    pub(crate) servers: Vec<&'static Server>,
    pub(crate) syscalls: bool,
    pub(crate) callgrind: bool,
}

pub(crate) fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        table: false,
        connections: 64,
        size: 64,
        messages: 40_000,
        rounds: 15,
        servers: Vec::new(),
        syscalls: true,
        callgrind: false,
    };
    let mut words = Words::new(arguments);
    while let Some(option) = words.option() {
        match option {
            "--table" => options.table = true,
            "--connections" => options.connections = words.number()?,
            "--size" => options.size = words.number()?,
            "--messages" => options.messages = words.number()?,
            "--rounds" => options.rounds = words.number()?,
            "--only" => options.servers = words.servers()?,
            "--no-syscalls" => options.syscalls = false,
            "--callgrind" => options.callgrind = true,
            _ => return Err(USAGE.into()),
        }
    }
    if options.servers.is_empty() {
        options.servers = servers::installed();
    }
    Ok(options)
}
