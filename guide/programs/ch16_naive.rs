//! Five experiments with kqueue over epoll: the simple way, and nio-sys.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this program is for Linux; here the kernel has a kqueue");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    println!("{:<34} {:<22} nio-sys", "", "naive");
    for (name, run) in linux::EXPERIMENTS {
        let mut queues = [linux::Queue::naive()?, linux::Queue::real()?];
        let outputs = queues.each_mut().map(run);
        let [one, other] = outputs.map(|it| it.unwrap_or_else(|error| error.kind().to_string()));
        println!("{name:<34} {one:<22} {other}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs::File, io, io::Write, os::fd::*, os::unix::net::UnixStream, time::Duration};

    use nio_guide::{apply, naive::Naive};
    use nio_sys::{EventFlags as Flags, EventList, Filter, Kevent, Kqueue};

    pub(crate) enum Queue {
        Naive(Naive),
        Real(Box<Kqueue>),
    }

    impl Queue {
        pub(crate) fn naive() -> io::Result<Queue> {
            Ok(Queue::Naive(Naive::new()?))
        }

        pub(crate) fn real() -> io::Result<Queue> {
            Ok(Queue::Real(Box::new(Kqueue::new()?)))
        }

        fn add(
            &mut self,
            fd: &impl AsFd,
            filter: Filter,
            flags: Flags,
            udata: usize,
        ) -> io::Result<()> {
            match self {
                Queue::Naive(queue) => queue.add(fd.as_fd(), filter, flags, udata),
                Queue::Real(queue) => {
                    let ident = fd.as_fd().as_raw_fd() as usize;
                    let change = Kevent::new(ident, filter, Flags::ADD | flags);
                    apply(queue, &[change.with_udata(udata)])
                }
            }
        }

        fn look(&self) -> io::Result<Vec<usize>> {
            let queue = match self {
                Queue::Naive(queue) => return queue.look(),
                Queue::Real(queue) => queue,
            };
            let mut events = EventList::with_capacity(8);
            queue.wait(&mut events, Some(Duration::ZERO))?;
            let mut found: Vec<usize> = events.iter().map(Kevent::udata).collect();
            found.sort();
            Ok(found)
        }
    }

    type Experiment = fn(&mut Queue) -> io::Result<String>;

    pub(crate) const EXPERIMENTS: [(&str, Experiment); 5] = [
        ("both directions", |queue| {
            two_looks(queue, Flags::empty(), Flags::empty())
        }),
        ("READ by edge, WRITE by level", |queue| {
            two_looks(queue, Flags::CLEAR, Flags::empty())
        }),
        ("READ by level, WRITE once", |queue| {
            two_looks(queue, Flags::empty(), Flags::ONESHOT)
        }),
        ("a file", |queue| {
            let file = File::open("/proc/self/exe")?;
            queue.add(&file, Filter::READ, Flags::empty(), 1)?;
            Ok(format!("{:?}", queue.look()?))
        }),
        ("a number that is used again", |queue| {
            let (first, _peer) = UnixStream::pair()?;
            queue.add(&first, Filter::READ, Flags::empty(), 1)?;
            drop(first);
            let (second, mut peer) = UnixStream::pair()?;
            queue.add(&second, Filter::READ, Flags::empty(), 2)?;
            peer.write_all(b"!")?;
            Ok(format!("{:?}", queue.look()?))
        }),
    ];

    /// Looks twice at a socket that has bytes and room: READ is 1, WRITE is 2.
    fn two_looks(queue: &mut Queue, read: Flags, write: Flags) -> io::Result<String> {
        let (ours, mut theirs) = UnixStream::pair()?;
        theirs.write_all(b"!")?;
        queue.add(&ours, Filter::READ, read, 1)?;
        queue.add(&ours, Filter::WRITE, write, 2)?;
        Ok(format!("{:?}, then {:?}", queue.look()?, queue.look()?))
    }
}
