//! A file that is read by a thread of the loop's pool.

use std::error::Error;

use nio_loop::EventLoop;

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let path = std::env::current_exe()?;
    let length = event_loop.block_on(async {
        let reading =
            handle.spawn_blocking(move || std::fs::read(path).map(|bytes| bytes.len()))?;
        Ok::<usize, Box<dyn Error>>(reading.await??)
    })??;
    if length > 1000 {
        println!("more than 1000 bytes");
    }
    Ok(())
}
