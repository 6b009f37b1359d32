//! What can be chosen on the command line.

use crate::servers::{self, BUFFER, Server};

const USAGE: &str = "usage: echo [--connections N] [--size BYTES] [--messages N] [--rounds N]
            [--only SERVER,...] [--no-syscalls] [--callgrind]";

pub(crate) struct Options {
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
        connections: 64,
        size: 64,
        messages: 40_000,
        rounds: 15,
        servers: servers::ALL.iter().collect(),
        syscalls: true,
        callgrind: false,
    };
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--connections" => options.connections = number(value()?)?,
            "--size" => options.size = number(value()?)?,
            "--messages" => options.messages = number(value()?)?,
            "--rounds" => options.rounds = number(value()?)?,
            "--only" => {
                let names = value()?.split(',');
                options.servers = names.map(servers::find).collect::<Result<_, _>>()?;
            }
            "--no-syscalls" => options.syscalls = false,
            "--callgrind" => options.callgrind = true,
            _ => return Err(USAGE.into()),
        }
    }
    if options.size >= BUFFER {
        return Err(format!("a message has to be smaller than {BUFFER} bytes"));
    }
    Ok(options)
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is not a number above 0")),
    }
}
