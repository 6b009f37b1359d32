//! Changes that are all done, or none.

use std::{
    io::{self, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let queue = Kqueue::new()?;
    let (one, mut to_one) = UnixStream::pair()?;
    let (two, mut to_two) = UnixStream::pair()?;
    for stream in [&mut to_one, &mut to_two] {
        stream.write_all(b"word")?;
    }
    let wanted = [(&one, EventFlags::ADD), (&two, EventFlags::DELETE)];
    all_or_nothing(&queue, &wanted)?;

    let mut events = EventList::with_capacity(8);
    let count = queue.kevent(&[], &mut events, Some(Duration::ZERO))?;
    println!("{count} events");
    Ok(())
}

fn all_or_nothing(queue: &Kqueue, wanted: &[(&impl AsFd, EventFlags)]) -> io::Result<()> {
    let change = |(fd, flags): &(_, _)| Kevent::read(*fd, *flags);
    let mut changes: Vec<Kevent> = wanted.iter().map(change).collect();
    queue.apply(&mut changes)?;
    let is_done: Vec<bool> = changes.iter().map(|it| it.receipt().is_ok()).collect();
    if let Some(refused) = is_done.iter().position(|is_done| !is_done) {
        println!("socket {} is refused", refused + 1);
        let done = wanted.iter().zip(&is_done).filter(|(_, is_done)| **is_done);
        let mut undo: Vec<Kevent> = done
            .map(|((fd, _), _)| Kevent::read(*fd, EventFlags::DELETE))
            .collect();
        queue.apply(&mut undo)?;
    }
    Ok(())
}
