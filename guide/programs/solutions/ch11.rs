//! A future that lets the other tasks go first.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use nio_guide::Executor;

#[derive(Default)]
struct YieldNow {
    has_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        context.waker().wake_by_ref(); // pending without this would be for ever
        Poll::Pending
    }
}

fn main() -> io::Result<()> {
    let mut executor = Executor::new()?;
    for name in ["A", "B"] {
        executor.spawn(async move {
            print!("{name}1 ");
            YieldNow::default().await;
            print!("{name}2 ");
        });
    }
    executor.run()?;
    println!();
    Ok(())
}
