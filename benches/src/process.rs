//! Each server runs in a process of its own: the benchmark's program again, told to serve. What it
//! uses is asked of the kernel from outside, so that the moments can be chosen: not the start, not
//! the end.

use std::{
    error::Error,
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader},
    mem::{size_of, zeroed},
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd,
    process::{Child, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use crate::servers::{self, Server};

/// The first argument of a process that serves.
const SERVE: &str = "serve";

/// As many connections as may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What a server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Echo, on so many connections.
    Echo,
    /// The same with as little memory as possible.
    Idle,
    /// Echo one message on each of so many connections and close it.
    Short,
    /// Answer requests of HTTP, on so many connections.
    Http,
}

impl Service {
    const ALL: [(&str, Service); 4] = [
        ("echo", Service::Echo),
        ("idle", Service::Idle),
        ("short", Service::Short),
        ("http", Service::Http),
    ];
}

/// A server that runs.
pub struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts a server for so many connections, under a tool if `wrapper` names one.
    pub fn start(
        wrapper: &[OsString],
        server: &Server,
        service: Service,
        connections: usize,
    ) -> Result<Process, Box<dyn Error>> {
        let program = std::env::current_exe()?.into_os_string();
        let mut words = wrapper.iter().cloned().chain([program]);
        let mut command = Command::new(words.next().expect("there is the program at least"));
        let (server_cpu, client_cpu) = cpus();
        let named = Service::ALL.iter().find(|(_, known)| *known == service);
        let (word, _) = named.expect("all of them have a name");
        command.args(words).args([SERVE, word, server.name]);
        command.args([server_cpu, connections].map(|number| number.to_string()));
        let quiet = !wrapper.is_empty();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if quiet {
                Stdio::null()
            } else {
                Stdio::inherit()
            })
            .spawn()?;
        pin(client_cpu);
        let mut says = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        says.read_line(&mut line)?;
        let address = line.trim().parse();
        Ok(Process {
            child,
            says,
            address: address.map_err(|_| format!("{} has ended early", server.name))?,
        })
    }

    /// The CPU time that it has used so far, in nanoseconds.
    pub fn cpu_time(&self) -> io::Result<f64> {
        // SAFETY: both calls only write to where the pointers point, and zeroes are a valid time.
        let (error, time) = unsafe {
            let (mut clock, mut time) = (0, zeroed::<libc::timespec>());
            let error = libc::clock_getcpuclockid(self.child.id() as libc::pid_t, &mut clock);
            (error | libc::clock_gettime(clock, &mut time), time)
        };
        match error {
            0 => Ok(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How often it has gone to sleep so far.
    pub fn sleeps(&self) -> Result<f64, Box<dyn Error>> {
        self.proc_number("status", "voluntary_ctxt_switches:")
    }

    /// How many bytes of memory it has written to and not given back.
    pub fn memory(&self) -> Result<f64, Box<dyn Error>> {
        Ok(self.proc_number("smaps_rollup", "Private_Dirty:")? * 1024.0)
    }

    /// A number of a file of proc(5).
    fn proc_number(&self, file: &str, label: &str) -> Result<f64, Box<dyn Error>> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("proc(5) has no such number")?.parse()?)
    }

    /// Waits for its end, which comes when it has served all connections.
    pub fn end(mut self) -> Result<(), Box<dyn Error>> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        self.child.wait()?;
        match line.trim() {
            DONE => Ok(()),
            other => Err(format!("a server has failed {other}").into()),
        }
    }
}

/// The last word of a server.
const DONE: &str = "done";

/// The life of a process that serves, if that is what the arguments say: it says where it listens,
/// and serves until all its connections are closed.
pub fn serve_if_told(arguments: &[String]) -> Option<Result<(), Box<dyn Error>>> {
    match arguments {
        [serve, service, name, cpu, connections] if serve == SERVE => {
            Some(serve_as_told(service, name, cpu, connections))
        }
        _ => None,
    }
}

fn serve_as_told(
    service: &str,
    name: &str,
    cpu: &str,
    connections: &str,
) -> Result<(), Box<dyn Error>> {
    pin(cpu.parse()?);
    raise_descriptor_limit();
    let connections = connections.parse()?;
    let server = servers::find(name)?;
    let known = Service::ALL.iter().find(|(word, _)| *word == service);
    let (_, service) = known.ok_or("no such service")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: takes no pointers.
    unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) };
    println!("{}", listener.local_addr()?);
    match service {
        Service::Short => {
            listener.set_nonblocking(true)?;
            let short = server.short.ok_or("it has no short connections")?;
            short(listener, connections)?;
        }
        Service::Echo => (server.echo)(accept(&listener, connections)?)?,
        Service::Idle => (server.idle)(accept(&listener, connections)?)?,
        Service::Http => {
            let http = server.http.ok_or("it has no HTTP")?;
            http(accept(&listener, connections)?)?;
        }
    }
    println!("{DONE}");
    Ok(())
}

fn accept(listener: &TcpListener, connections: usize) -> io::Result<Vec<std::net::TcpStream>> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Lets this process open as many descriptors as it may.
pub(crate) fn raise_descriptor_limit() {
    // SAFETY: all zeroes is a valid limit, and the calls get a pointer to it.
    unsafe {
        let mut limit = zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// The processors of the server and of the client: two, if there are two.
fn cpus() -> (usize, usize) {
    let count = || std::thread::available_parallelism().map_or(1, |count| count.get());
    // Once this process is pinned there is one processor left for it, so it is asked only once.
    static CPUS: OnceLock<(usize, usize)> = OnceLock::new();
    *CPUS.get_or_init(|| (0, usize::from(count() > 1)))
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
