//! Each server runs in a process of its own: this program again, told to serve. Its CPU time and memory are read from
//! outside, so that the start and the end are not in it.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader},
    mem::{size_of, zeroed},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::{Child, ChildStdout, Command, Stdio},
    thread::available_parallelism,
};

use crate::{
    run::Error,
    servers::{self, CORES, Serve, Server},
};

/// The first argument of a process that serves.
pub(crate) const SERVE: &str = "serve";

/// The last word of a server.
const DONE: &str = "done";

/// The backlog of the listener.
const BACKLOG: i32 = 4096;

/// A server that runs.
pub(crate) struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
    /// The address on which it listens.
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts a server for so many connections, under a tool if `wrapper` names one.
    pub(crate) fn start(
        wrapper: &[OsString],
        server: &Server,
        service: &str,
        connections: usize,
    ) -> Result<Process, Error> {
        let program = std::env::current_exe()?.into_os_string();
        let mut words = wrapper.iter().cloned().chain([program]);
        let mut command = Command::new(words.next().expect("there is the program at least"));
        command.args(words).args([SERVE, service, server.name]);
        command.arg(connections.to_string());
        // The output of a tool is not needed here.
        let stderr = match wrapper {
            [] => Stdio::inherit(),
            _ => Stdio::null(),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(stderr).spawn()?;
        let mut says = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        says.read_line(&mut line)?;
        let Ok(address) = line.trim().parse() else {
            let _ = child.kill();
            child.wait()?;
            return Err(format!("the server on {} did not start", server.name).into());
        };
        Ok(Process {
            child,
            says,
            address,
        })
    }

    /// The CPU time that it has used so far, in nanoseconds.
    pub(crate) fn cpu_time(&self) -> io::Result<f64> {
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

    /// The bytes of memory that it has written to and not given back.
    pub(crate) fn memory(&self) -> Result<f64, Error> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Private_Dirty:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("proc(5) has no such number")?.parse::<f64>()? * 1024.0)
    }

    /// Waits for its end, which comes when it has served all connections.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        self.child.wait()?;
        match line.trim() {
            DONE => Ok(()),
            other => Err(format!("a server has failed {other}").into()),
        }
    }
}

impl Drop for Process {
    /// Kills a server after a failed measurement. It may have ended already.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The main function of a server process: it prints its address, and serves until all its connections are closed.
pub(crate) fn serve(service: &str, server: &str, connections: usize) -> Result<(), Error> {
    if service != CORES {
        pin_to(0);
    }
    raise_descriptor_limit();
    let serve = servers::find(server, service).ok_or("no server of this name has the service")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: takes no pointers.
    unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) };
    println!("{}", listener.local_addr()?);
    match serve {
        Serve::Listener(serve) => {
            listener.set_nonblocking(true)?;
            serve(listener, connections)?;
        }
        Serve::Streams(serve) => serve(accept(&listener, connections)?)?,
    }
    println!("{DONE}");
    Ok(())
}

fn accept(listener: &TcpListener, connections: usize) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Raises the limit on open descriptors to the maximum.
pub(crate) fn raise_descriptor_limit() {
    // SAFETY: all zeroes is a valid limit, and the calls get a pointer to it.
    unsafe {
        let mut limit = zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// Keeps this thread away from the processor of the servers, until it is dropped.
pub(crate) struct Pinned(libc::cpu_set_t);

impl Pinned {
    pub(crate) fn new() -> Pinned {
        let count = available_parallelism().map_or(1, |count| count.get());
        // SAFETY: all zeroes is an empty set, and the size is the set's.
        let before = unsafe {
            let mut set = zeroed::<libc::cpu_set_t>();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            set
        };
        pin_to(usize::from(count > 1));
        Pinned(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the size is the set's.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
    }
}

/// Keeps this thread and the threads that it starts on one processor, if the system allows it.
fn pin_to(cpu: usize) {
    // SAFETY: all zeroes is an empty set, and the size is the set's.
    unsafe {
        let mut set = zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
