//! The runtimes of tasks that stay on their thread, each behind the same few operations.

use std::{future::Future, rc::Rc, time::Duration};

/// Runs futures.
pub(crate) trait Runtime: 'static {
    type Tasks: Tasks;

    fn new() -> Self;

    /// Runs the future that `main` makes.
    fn block_on<F: Future>(&mut self, main: impl FnOnce(Self::Tasks) -> F) -> F::Output;

    /// As `block_on`, as a task. In some runtimes the future of `block_on` is no task, and costs more.
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

/// The operations that a future may use of its runtime.
pub(crate) trait Tasks: Clone + 'static {
    fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T>;
    fn yield_now(&self) -> impl Future<Output = ()>;
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
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
}
