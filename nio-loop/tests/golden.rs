//! The order of things is that of NodeJS. Each program stands in `golden` as a script, beside what
//! Node 20 prints when it runs it (`node turn.js >turn.txt`); here is the same for nio.
//!
//! A promise's reaction is a task here. Only programs whose order Node fixes are among them: that of
//! zero timers and immediates of the main script, for one, it leaves to the clock.

mod support;

use std::{
    cell::Cell, future::Future, io::Read, os::unix::net::UnixStream, rc::Rc, time::Duration,
};

use nio_loop::{EventLoop, Handle, Interest};
use support::{Log, event_loop, ms, readable, spin};

/// A log with the verbs of the scripts.
#[derive(Clone)]
struct Script {
    log: Log,
    handle: Handle,
}

impl Script {
    fn say(&self, text: &str) {
        self.log.push(text);
    }

    fn says(&self, text: &str) -> impl FnOnce(&Handle) + 'static {
        self.log.says(text)
    }

    fn queue_task(&self, task: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        self.handle.spawn(async move { task(&script) });
    }

    fn next_tick(&self, tick: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        self.handle.next_tick(move |_| tick(&script));
    }

    fn set_timeout(&self, delay: Duration, timeout: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        self.handle.set_timeout(delay, move |_| timeout(&script));
    }

    fn set_immediate(&self, immediate: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        self.handle.set_immediate(move |_| immediate(&script));
    }

    /// What `fs.stat` is to the scripts: a callback of I/O.
    fn on_io(&self, io: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        let (ours, theirs) = readable();
        let own = Rc::new(Cell::new(None));
        let (id, mut io) = (Rc::clone(&own), Some(io));
        let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
            let _held = &theirs;
            let _ = stream.read(&mut [0; 8]);
            handle.clear(id.get().unwrap());
            io.take().unwrap()(&script);
        };
        let id = self.handle.watch(ours, Interest::READABLE, watch).unwrap();
        own.set(Some(id));
    }
}

/// Runs a program, and compares what it says with what Node said.
#[track_caller]
fn golden(transcript: &str, program: impl FnOnce(&Script)) {
    let mut event_loop: EventLoop = event_loop();
    let script = Script {
        log: Log::new(),
        handle: event_loop.handle().clone(),
    };
    program(&script);
    assert!(!event_loop.run().unwrap());
    let lines: Vec<_> = transcript.lines().collect();
    assert_eq!(script.log.take(), lines);
}

#[test]
fn a_turn_is_that_of_node() {
    fn callback(script: &Script, name: &str) {
        script.say(name);
        let text = format!("{name}: task");
        script.queue_task(move |script| script.say(&text));
        script
            .handle
            .next_tick(script.says(&format!("{name}: tick")));
    }

    golden(include_str!("golden/turn.txt"), |script| {
        script.on_io(|script| {
            callback(script, "io");
            script.set_timeout(Duration::ZERO, |script| {
                callback(script, "timeout 1");
                script.set_immediate(|script| callback(script, "immediate of timeout 1"));
                script.set_timeout(ms(40), |script| callback(script, "timeout of timeout 1"));
            });
            script.set_timeout(Duration::ZERO, |script| callback(script, "timeout 2"));
            script.set_immediate(|script| {
                callback(script, "immediate 1");
                script.set_immediate(|script| callback(script, "immediate of immediate 1"));
            });
            script.set_immediate(|script| callback(script, "immediate 2"));
            spin(ms(5));
        });
    });
}

#[test]
fn ticks_and_tasks_are_those_of_node() {
    fn program(script: &Script, name: &str) {
        script.say(name);
        script.queue_task(|script| {
            script.say("task 1");
            script.next_tick(|script| {
                script.say("tick of task 1");
                script.queue_task(|script| script.say("task of tick of task 1"));
                script.next_tick(|script| script.say("tick of tick of task 1"));
            });
            script.queue_task(|script| {
                script.say("task of task 1");
                script.queue_task(|script| script.say("task of task of task 1"));
            });
        });
        script.next_tick(|script| {
            script.say("tick 1");
            script.next_tick(|script| script.say("tick of tick 1"));
            script.queue_task(|script| script.say("task of tick 1"));
        });
        script.queue_task(|script| script.say("task 2"));
        script.next_tick(|script| script.say("tick 2"));
    }

    golden(include_str!("golden/ticks.txt"), |script| {
        program(script, "main");
        script.set_timeout(ms(1), |script| {
            program(script, "timer");
            script.set_immediate(|script| script.say("immediate"));
        });
    });
}

#[test]
fn clearing_and_sleeping_are_those_of_node() {
    fn worker(
        script: &Script,
        name: &'static str,
        delay: u64,
    ) -> impl Future<Output = &'static str> + use<> {
        let script = script.clone();
        async move {
            script.say(&format!("{name} begins"));
            script.handle.sleep(ms(delay)).await;
            script.say(&format!("{name} ends"));
            name
        }
    }

    fn workers(script: &Script) {
        let own = script.clone();
        script.handle.spawn(async move {
            let tasks = [("slow", 120), ("fast", 20)]
                .map(|(name, delay)| own.handle.spawn(worker(&own, name, delay)));
            let mut names = Vec::new();
            for task in tasks {
                names.push(task.await.unwrap());
            }
            own.say(&names.join(" and "));
        });
    }

    golden(include_str!("golden/cancel.txt"), |script| {
        script.on_io(|script| {
            let timeout = Rc::new(Cell::new(None));
            let target = Rc::clone(&timeout);
            script.set_timeout(ms(1), move |script| {
                script.say("timeout 1");
                script.handle.clear(target.get().unwrap());
            });
            timeout.set(Some(
                script.handle.set_timeout(ms(1), script.says("timeout 2")),
            ));
            script.set_timeout(ms(1), |script| script.say("timeout 3"));

            let immediate = Rc::new(Cell::new(None));
            let target = Rc::clone(&immediate);
            script.set_immediate(move |script| {
                script.say("immediate 1");
                script.handle.clear(target.get().unwrap());
            });
            immediate.set(Some(
                script.handle.set_immediate(script.says("immediate 2")),
            ));
            script.set_immediate(|script| script.say("immediate 3"));

            script.set_timeout(ms(20), |script| {
                let (own, interval) = (script.clone(), Rc::new(Cell::new(None)));
                let (id, mut count) = (Rc::clone(&interval), 0);
                interval.set(Some(script.handle.set_interval(ms(2), move |handle, _| {
                    count += 1;
                    own.say(&format!("interval {count}"));
                    if count == 3 {
                        handle.clear(id.get().unwrap());
                        workers(&own);
                    }
                })));
            });
            spin(ms(5));
        });
    });
}
