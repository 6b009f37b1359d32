use std::{error::Error, io::Write, net::TcpListener, time::Duration};

use calloop::{EventLoop, Interest, Mode, PostAction, generic::Generic};

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::<()>::try_new()?;
    let listener = TcpListener::bind("127.0.0.1:7070")?;
    listener.set_nonblocking(true)?;
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    event_loop
        .handle()
        .insert_source(source, |_, listener, _| {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(b"hello\n")?;
            Ok(PostAction::Continue)
        })?;
    event_loop.run(None::<Duration>, &mut (), |_| {})?;
    Ok(())
}
