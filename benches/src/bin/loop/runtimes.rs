//! The runtimes of tasks that stay on their thread, each behind the same few operations.

use std::{
    future::Future,
    io::{Read, Write},
    net,
    rc::Rc,
    time::Duration,
};

/// Runs futures.
pub(crate) trait Runtime: 'static {
    type Tasks: Tasks;

    fn new() -> Self;

    /// Runs the future that `main` makes.
    fn block_on<F: Future>(&mut self, main: impl FnOnce(Self::Tasks) -> F) -> F::Output;

    /// As `block_on`, as a task. For some runtimes the future of `block_on` is none, and dearer.
    fn block_on_task<F>(&mut self, main: impl FnOnce(Self::Tasks) -> F + 'static) -> F::Output
    where
        F: Future<Output: 'static> + 'static,
    {
        self.block_on(|tasks| async move {
            let main = main(tasks.clone());
            tasks.spawn(main).await
        })
    }
}

/// What a future has of its runtime.
pub(crate) trait Tasks: Clone + 'static {
    type Stream: Stream;

    fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T>;
    fn yield_now(&self) -> impl Future<Output = ()>;
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
    fn stream(&self, stream: net::TcpStream) -> Self::Stream;
}

/// A connection.
pub(crate) trait Stream: 'static {
    async fn read(&mut self, buffer: &mut [u8]) -> usize;
    async fn write_all(&mut self, bytes: &[u8]);
}

pub(crate) struct Nio(pub(crate) nio_loop::EventLoop);

impl Runtime for Nio {
    type Tasks = nio_loop::Handle;

    fn new() -> Nio {
        Nio(nio_loop::EventLoop::new().expect("there are descriptors"))
    }

    fn block_on<F: Future>(&mut self, main: impl FnOnce(Self::Tasks) -> F) -> F::Output {
        let main = main(self.0.handle());
        self.0.block_on(main).expect("it can wait")
    }
}

impl Tasks for nio_loop::Handle {
    type Stream = nio_net::TcpStream;

    fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> {
        let task = self.spawn(future);
        async { task.await.expect("it does not panic") }
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        self.yield_now()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.sleep(duration)
    }

    fn stream(&self, stream: net::TcpStream) -> nio_net::TcpStream {
        nio_net::TcpStream::from_std(self, stream).expect("the loop is there")
    }
}

impl Stream for nio_net::TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        nio_net::TcpStream::read(self, buffer)
            .await
            .expect("it is connected")
    }

    async fn write_all(&mut self, bytes: &[u8]) {
        nio_net::TcpStream::write_all(self, bytes)
            .await
            .expect("it is connected");
    }
}

/// tokio's runtime of one thread, and its set of tasks that are not `Send`.
pub(crate) struct Tokio {
    pub(crate) runtime: tokio::runtime::Runtime,
    set: tokio::task::LocalSet,
}

#[derive(Clone)]
pub(crate) struct TokioTasks;

impl Runtime for Tokio {
    type Tasks = TokioTasks;

    fn new() -> Tokio {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        Tokio {
            runtime: builder.enable_all().build().expect("there are descriptors"),
            set: tokio::task::LocalSet::new(),
        }
    }

    fn block_on<F: Future>(&mut self, main: impl FnOnce(TokioTasks) -> F) -> F::Output {
        self.set.block_on(&self.runtime, main(TokioTasks))
    }
}

impl Tasks for TokioTasks {
    type Stream = tokio::net::TcpStream;

    fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> {
        let task = tokio::task::spawn_local(future);
        async { task.await.expect("it does not panic") }
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(duration)
    }

    fn stream(&self, stream: net::TcpStream) -> tokio::net::TcpStream {
        tokio::net::TcpStream::from_std(stream).expect("it can be registered")
    }
}

impl Stream for tokio::net::TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let read = tokio::io::AsyncReadExt::read(self, buffer);
        read.await.expect("it is connected")
    }

    async fn write_all(&mut self, bytes: &[u8]) {
        let write = tokio::io::AsyncWriteExt::write_all(self, bytes);
        write.await.expect("it is connected");
    }
}

/// smol's executor of one thread, and its reactor.
pub(crate) struct Smol(SmolTasks);

pub(crate) type SmolTasks = Rc<async_executor::LocalExecutor<'static>>;

impl Runtime for Smol {
    type Tasks = SmolTasks;

    fn new() -> Smol {
        Smol(Rc::default())
    }

    fn block_on<F: Future>(&mut self, main: impl FnOnce(SmolTasks) -> F) -> F::Output {
        let main = main(Rc::clone(&self.0));
        async_io::block_on(self.0.run(main))
    }
}

impl Tasks for SmolTasks {
    type Stream = async_io::Async<net::TcpStream>;

    fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> {
        async_executor::LocalExecutor::spawn(self, future)
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }

    async fn sleep(&self, duration: Duration) {
        async_io::Timer::after(duration).await;
    }

    fn stream(&self, stream: net::TcpStream) -> Self::Stream {
        async_io::Async::new_nonblocking(stream).expect("it can be registered")
    }
}

impl Stream for async_io::Async<net::TcpStream> {
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let read = self.read_with(|mut stream| stream.read(buffer));
        read.await.expect("it is connected")
    }

    async fn write_all(&mut self, bytes: &[u8]) {
        let write = self.write_with(|mut stream| stream.write_all(bytes));
        write.await.expect("it is connected");
    }
}
