//! Two tasks on an executor of our own. With `forgetful`, a third one waits without leaving its waker.

use std::{env, future::poll_fn, io, task::Poll, time::Duration};

use nio_guide::Executor;

fn main() -> io::Result<()> {
    let mut executor = Executor::new()?;
    for (name, pause) in [("A", 30), ("B", 20)] {
        let sources = executor.sources();
        executor.spawn(async move {
            for step in ["one", "two", "three"] {
                println!("{name}: {step}");
                sources.sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    if env::args().nth(1).as_deref() == Some("forgetful") {
        let sources = executor.sources();
        executor.spawn(async move {
            println!("C: waits for something that was forgotten");
            poll_fn::<(), _>(|_context| Poll::Pending).await;
            sources.sleep(Duration::ZERO).await;
            println!("C: never comes here");
        });
    }
    match executor.run()? {
        0 => println!("all tasks have finished"),
        left => println!("not finished, and nothing will wake them: {left}"),
    }
    Ok(())
}
