//! Small operations that contenders of one group do in turn, all in this process.

use std::time::Duration;

use crate::{
    clock::thread_time,
    data::Table,
    run::{Error, Run},
};

/// Does the operation a number of times, and returns the time that it took.
pub(crate) type Turn = Box<dyn FnMut(u32) -> Duration>;

/// Makes a contender; `None` where its library is not installed.
type Make = Box<dyn Fn() -> Option<Turn>>;

/// Ways to do one operation. The first is the baseline.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    title: &'static str,
    /// How often one turn of a contender does the operation.
    times: u32,
    contenders: Vec<(&'static str, Make)>,
}

impl Group {
    pub(crate) fn new(name: &'static str, title: &'static str, times: u32) -> Group {
        Group {
            name,
            title,
            times,
            contenders: Vec::new(),
        }
    }

    /// Adds a contender.
    pub(crate) fn with<T>(self, name: &'static str, make: impl Fn() -> T + 'static) -> Group
    where
        T: FnMut(u32) -> Duration + 'static,
    {
        self.with_installed(name, move || Some(make()))
    }

    /// Adds a contender whose library may not be installed.
    pub(crate) fn with_installed<T>(
        mut self,
        name: &'static str,
        make: impl Fn() -> Option<T> + 'static,
    ) -> Group
    where
        T: FnMut(u32) -> Duration + 'static,
    {
        let make = move || make().map(|turn| Box::new(turn) as Turn);
        self.contenders.push((name, Box::new(make)));
        self
    }

    pub(crate) fn contenders(&self) -> impl Iterator<Item = &'static str> {
        self.contenders.iter().map(|(name, _)| *name)
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn times(&self) -> u32 {
        self.times
    }

    /// The table of all contenders that are installed.
    pub(crate) fn measure(&self, run: &Run, time: Duration) -> Result<Table, Error> {
        let make = |(name, make): &(&'static str, Make)| Some((*name, make()?));
        let mut made: Vec<(&str, Turn)> = self.contenders.iter().filter_map(make).collect();
        // The first turn warms up: its allocations stay.
        for (_, turn) in &mut made {
            turn(self.times);
        }
        let rounds = run.rounds(self.name, time, &mut made, |(_, turn)| {
            let nanoseconds = turn(self.times).as_nanos() as f64;
            Ok(Some(nanoseconds / f64::from(self.times)))
        })?;
        let names: Vec<&str> = made.iter().map(|(name, _)| *name).collect();
        let mut table = Table::new(self.title, "ns", &names);
        table.column(self.name, &rounds);
        Ok(table)
    }

    /// One turn of one contender, for a profiler.
    pub(crate) fn once(&self, contender: &str, times: u32) -> Result<(), Error> {
        let found = self.contenders.iter().find(|(name, _)| *name == contender);
        let (_, make) = found.ok_or("no contender has this name")?;
        make().ok_or("its library is not installed")?(times);
        Ok(())
    }
}

/// Times an operation that this thread does a number of times: the processor time, system calls included.
pub(crate) fn time(times: u32, mut operation: impl FnMut()) -> Duration {
    let start = thread_time();
    for _ in 0..times {
        operation();
    }
    thread_time() - start
}
