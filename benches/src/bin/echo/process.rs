//! Each server runs in a process of its own: this program again, told to [`serve`].

use std::{
    error::Error,
    ffi::OsString,
    io::{self, BufRead, BufReader},
    mem::{size_of, zeroed},
    net::TcpListener,
    process::{Command, Stdio},
};

use crate::{client, options::Options, servers};

/// The first argument of a process that serves.
pub(crate) const SERVE: &str = "serve";

/// What a server has used while it served.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) user_ns: f64,
    pub(crate) system_ns: f64,
    /// How often it went to sleep.
    pub(crate) sleeps: f64,
}

/// Runs one server in its process, under a tool if `wrapper` names one, and drives it.
pub(crate) fn run(
    wrapper: &[OsString],
    name: &str,
    messages: usize,
    options: &Options,
) -> Result<Usage, Box<dyn Error>> {
    let program = std::env::current_exe()?.into_os_string();
    let mut words = wrapper.iter().cloned().chain([program]);
    let mut command = Command::new(words.next().expect("there is the program at least"));
    command.args(words);
    let (server_cpu, client_cpu) = cpus();
    command.args([SERVE, name]);
    command.args([server_cpu, options.connections].map(|number| number.to_string()));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if wrapper.is_empty() {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()?;
    pin(client_cpu);
    let mut says = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut says = || says.next().ok_or(format!("{name} has ended early"));

    let address = says()??.parse()?;
    client::drive(address, options.connections, options.size, messages)?;
    let numbers = says()??;
    child.wait()?;
    let numbers = numbers.split(' ').map(str::parse);
    match numbers.collect::<Result<Vec<f64>, _>>()?[..] {
        [user_ns, system_ns, sleeps] => Ok(Usage {
            user_ns,
            system_ns,
            sleeps,
        }),
        _ => Err(format!("{name} said something else").into()),
    }
}

/// The life of a process that serves: it says where it listens, takes all connections, serves them
/// until they are closed, and says what that has taken.
pub(crate) fn serve(name: &str, cpu: usize, connections: usize) -> Result<(), Box<dyn Error>> {
    pin(cpu);
    let server = servers::find(name)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let accept = |_| {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let streams = (0..connections).map(accept);
    let streams = streams.collect::<io::Result<Vec<_>>>()?;

    let before = usage();
    (server.serve)(streams)?;
    let after = usage();
    println!(
        "{} {} {}",
        after.user_ns - before.user_ns,
        after.system_ns - before.system_ns,
        after.sleeps - before.sleeps
    );
    Ok(())
}

/// What this process has used so far.
fn usage() -> Usage {
    // SAFETY: all zeroes is a valid rusage, and the call only writes to it.
    let usage = unsafe {
        let mut usage = zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let ns = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    Usage {
        user_ns: ns(usage.ru_utime),
        system_ns: ns(usage.ru_stime),
        sleeps: usage.ru_nvcsw as f64,
    }
}

/// The processors of the server and of the client: two, if there are two.
fn cpus() -> (usize, usize) {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    // Once this process is pinned there is one processor left for it, so it is asked only once.
    static CPUS: std::sync::OnceLock<(usize, usize)> = std::sync::OnceLock::new();
    *CPUS.get_or_init(|| (0, usize::from(count > 1)))
}

/// Keeps this process on one processor, if the system lets it.
fn pin(cpu: usize) {
    // SAFETY: all zeroes is an empty set, and the size is the set's.
    unsafe {
        let mut set = zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
