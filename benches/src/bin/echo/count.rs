//! System calls and instructions per message.

use std::{error::Error, ffi::OsString};

use nio_benches::{
    client::Client,
    count::Work,
    process::{Process, Service},
    servers::Server,
};

use crate::options::Options;

/// How many messages a connection echoes in the first run, and how many more in the second.
const FEW: usize = 20;
const MORE: usize = 100;

pub(crate) fn print_system_calls(options: &Options) {
    with_work(options, |work| work.print_system_calls(&options.servers));
}

pub(crate) fn print_instructions(options: &Options) {
    with_work(options, |work| work.print_instructions(&options.servers));
}

pub(crate) fn instructions(options: &Options, server: &Server) -> Result<f64, Box<dyn Error>> {
    with_work(options, |work| work.instructions(server))
}

fn with_work<R>(options: &Options, count: impl FnOnce(Work<'_>) -> R) -> R {
    let &Options {
        connections, size, ..
    } = options;
    let run = |wrapper: &[OsString], server: &Server, messages| {
        let process = Process::start(wrapper, server, Service::Echo, connections)?;
        Client::connect(process.address, connections, size)?.ask(messages)?;
        process.end()
    };
    count(Work {
        unit: "message",
        few: FEW * connections,
        more: MORE * connections,
        run: &run,
    })
}
