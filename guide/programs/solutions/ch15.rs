//! Five tasks, two permits.

use std::{cell::Cell, rc::Rc, time::Duration};

use nio_net::Semaphore;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    nio_loop::run(async |handle| {
        let semaphore = Semaphore::new(2);
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut tasks = handle.join_set();
        for _ in 0..5 {
            let (handle, semaphore) = (handle.clone(), semaphore.clone());
            let (running, most) = (Rc::clone(&running), Rc::clone(&most));
            tasks.spawn(async move {
                let _permit = semaphore.acquire().await;
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                handle.sleep(Duration::from_millis(10)).await;
                running.set(running.get() - 1);
            });
        }
        while tasks.join_next().await.is_some() {}
        println!("{} at once", most.get());
        Ok(())
    })?
}
