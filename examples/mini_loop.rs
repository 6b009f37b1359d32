//! A whole event loop on one page: kqueue for I/O, a heap for timers. [`Loop::run`] is one turn in five steps.
//!
//! ```text
//! cargo run --example mini_loop [ADDRESS]
//! curl http://127.0.0.1:8080/
//! ```
//!
//! A line typed here becomes the new answer: another thread reads it and wakes the loop. Ctrl-C ends it.
//!
//! The law: nothing of the loop is borrowed while a callback runs. A callback gets `&mut Loop`, so it
//! is taken out of its table first, and put back afterwards unless it was removed meanwhile.

use std::{
    collections::{HashMap, VecDeque},
    env,
    error::Error,
    io::{self, ErrorKind, Read, Write},
    mem,
    net::{TcpListener, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use nio_examples::println;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};
use nio_timer::TimerHeap;

type Callback = Box<dyn FnMut(&mut Loop)>;

/// A timeout, or an interval if it has a period.
struct Timer(Option<Callback>, Option<Duration>);

struct Loop {
    queue: Kqueue,
    watches: HashMap<usize, Option<Callback>>, // by id, which is the udata of their events
    next_id: usize, // ids are not used twice: a stale event finds nothing
    timers: TimerHeap<Instant, Timer>,
    ticks: VecDeque<Callback>,
    immediates: VecDeque<Callback>,
    answer: String, // the server's own state
    answered: u32,
}

impl Loop {
    /// Runs until nothing is left to wait for.
    fn run(&mut self) -> io::Result<()> {
        let mut events = EventList::with_capacity(64);
        self.run_ticks();
        loop {
            // 1. Timers: those that are due, in the order of their deadlines.
            self.run_timers(Instant::now());

            // 2. How long to sleep: not at all for immediates, or until the next deadline, or until I/O.
            let until = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
            let timeout = match self.timers.next_deadline().map(until) {
                _ if !self.immediates.is_empty() => Some(Duration::ZERO),
                None if self.watches.is_empty() => return Ok(()),
                timeout => timeout,
            };

            // 3. Poll: the one place where the thread sleeps.
            self.queue.wait(&mut events, timeout)?;

            // 4. I/O: the callback of each event, unless an earlier callback has removed it.
            for event in &events {
                let watch = self.watches.get_mut(&event.udata());
                if let Some(mut callback) = watch.and_then(Option::take) {
                    self.call(&mut callback);
                    let watch = self.watches.get_mut(&event.udata());
                    let _ = watch.map(|watch| *watch = Some(callback));
                }
            }

            // 5. Immediates. The ones that they set run in the next turn.
            for mut callback in mem::take(&mut self.immediates) {
                self.call(&mut callback);
            }
        }
    }

    fn run_timers(&mut self, now: Instant) {
        self.timers.begin_drain(now); // timers set by these callbacks wait for the next turn
        while let Some((key, deadline, Timer(callback, period))) = self.timers.peek_drained() {
            let callback = callback.take();
            match *period {
                Some(period) => drop(self.timers.reschedule(key, now.max(deadline + period))),
                None => drop(self.timers.cancel(key)),
            }
            if let Some(mut callback) = callback {
                self.call(&mut callback);
                let timer = self.timers.get_mut(key); // an interval that was not cleared
                let _ = timer.map(|timer| timer.0 = Some(callback));
            }
        }
    }

    /// Runs a callback, and then the ticks, before anything else.
    fn call(&mut self, callback: &mut Callback) {
        callback(self);
        self.run_ticks();
    }

    fn run_ticks(&mut self) {
        while let Some(mut tick) = self.ticks.pop_front() {
            tick(self);
        }
    }

    /// Calls back in each turn in which the source can be read (level-triggered). The callback owns
    /// the source: `watches.remove(&id)` drops both, and closing it ends its registration.
    fn watch<F: AsFd + 'static>(
        &mut self,
        source: F,
        mut callback: impl FnMut(&mut Loop, &F) + 'static,
    ) -> io::Result<()> {
        let id = self.next_id;
        self.next_id += 1; // also if this fails: the caller may have used the id
        let mut changes = [Kevent::read(&source, EventFlags::ADD).with_udata(id)];
        self.queue.apply(&mut changes)?;
        changes[0].receipt()?;
        self.watches
            .insert(id, Some(Box::new(move |this| callback(this, &source))));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    println!("listening on {address}; try: curl http://{address}/");
    let mut this = Loop {
        queue: Kqueue::new()?,
        watches: HashMap::new(),
        next_id: 0,
        timers: TimerHeap::new(),
        ticks: VecDeque::new(),
        immediates: VecDeque::new(),
        answer: "hello from the loop\n".into(),
        answered: 0,
    };
    this.watch(listener, |this, listener| {
        if let Ok((stream, _)) = listener.accept() {
            let _ = serve(this, stream); // if that fails, the connection is closed
        } // without free descriptors, this is tried in each turn; nio-net pauses
    })?;
    let second = Duration::from_secs(1);
    let report = Box::new(|this: &mut Loop| println!("answered {} requests", this.answered));
    let interval = Timer(Some(report), Some(second));
    this.timers.insert(Instant::now() + second, interval);

    // Reading the terminal blocks, so another thread does it. It puts a line into the channel, and then
    // a byte into the socket, whose other end becomes readable: the loop wakes up.
    let (sender, lines) = channel();
    let (mut waker, wakes) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let _ = sender.send(line).map(|()| waker.write_all(b"!"));
        }
        mem::forget(waker); // if it were closed, the other end would stay readable
    });
    this.watch(wakes, move |this, mut wakes| {
        let _ = wakes.read(&mut [0; 64]); // before the channel: a later line wakes the loop again
        lines.try_iter().for_each(|line| this.answer = line + "\n");
    })?;
    Ok(this.run()?)
}

/// Serves a connection: it has five seconds for its request, and is closed after the answer.
fn serve(this: &mut Loop, stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let id = this.next_id;
    let close = Box::new(move |this: &mut Loop| drop(this.watches.remove(&id)));
    let deadline = Instant::now() + Duration::from_secs(5);
    let timeout = Timer(Some(close.clone()), None);
    let timeout = this.timers.insert(deadline, timeout);
    let mut request = Vec::new();
    this.watch(stream, move |this, mut stream| {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(n @ 1..) => request.extend_from_slice(&bytes[..n]),
            _ => request.clear(), // the end, or an error
        }
        if request.ends_with(b"\r\n\r\n") {
            let (body, length) = (&this.answer, this.answer.len());
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all((head + body).as_bytes()); // the socket's buffer is empty
            this.ticks.push_back(Box::new(|this| this.answered += 1));
        } else if (1..8192).contains(&request.len()) {
            return; // more is to come
        }
        this.timers.cancel(timeout);
        this.immediates.push_back(close.clone());
    })
}
