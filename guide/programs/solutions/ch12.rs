//! The first of two futures.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use nio_guide::Executor;

async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(
        |context: &mut Context<'_>| match one.as_mut().poll(context) {
            Poll::Pending => other.as_mut().poll(context), // both have the waker now
            ready => ready,
        },
    )
    .await
}

fn main() -> io::Result<()> {
    let mut executor = Executor::new()?;
    let sources = executor.sources();
    executor.spawn(async move {
        let sleep = async |time: u64| {
            sources.sleep(Duration::from_millis(time)).await;
            time
        };
        println!("{} ms", first(sleep(20), sleep(10)).await);
    });
    executor.run()?;
    Ok(())
}
