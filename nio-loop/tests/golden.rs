//! The order of callbacks is that of NodeJS. Each program is a script in `golden`, beside the output of
//! Node 20 (`node turn.js >turn.txt`); here is the same program for nio.
//!
//! A promise's reaction is a task here. Node fixes the order of all these programs; it does not fix
//! that of zero timers and immediates of the main script, for example.

mod support;

use std::{
    any::Any,
    cell::Cell,
    future::Future,
    io::Read,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    time::Duration,
};

use nio_loop::{CallbackId, EventLoop, Handle, Interest};
use support::{Log, event_loop, ms, pair, readable, spin};

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

    /// What `socket.destroy` is to the scripts: `then` follows in the last phase.
    fn close_socket(&self, then: impl FnOnce(&Script) + 'static) {
        let script = self.clone();
        let (ours, _theirs) = pair();
        let never = |_: &Handle, _: &UnixStream, _| {};
        let socket = self.handle.watch(ours, Interest::READABLE, never).unwrap();
        self.handle.close(socket, move |_| then(&script));
    }

    fn set_interval(&self, interval: impl Fn(&Script, CallbackId) + 'static) -> CallbackId {
        let (script, own) = (self.clone(), Rc::new(Cell::new(None)));
        let id = Rc::clone(&own);
        let callback = move |_: &Handle, _| interval(&script, id.get().unwrap());
        own.set(Some(self.handle.set_interval(ms(1), callback)));
        own.get().unwrap()
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

/// The panic of a callback.
struct Thrown(String);

fn thrown(panic: Box<dyn Any + Send>) -> Thrown {
    match panic.downcast() {
        Ok(thrown) => *thrown,
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs a program, and compares its output with the recorded output of Node.
#[track_caller]
fn golden(transcript: &str, program: impl FnOnce(&Script)) {
    let mut event_loop: EventLoop = event_loop();
    let script = Script {
        log: Log::new(),
        handle: event_loop.handle(),
    };
    program(&script);
    loop {
        match catch_unwind(AssertUnwindSafe(|| event_loop.run())) {
            Ok(alive) => break assert!(!alive.unwrap()),
            // What `uncaughtException` is to the scripts.
            Err(panic) => script.say(&format!("caught {}", thrown(panic).0)),
        }
    }
    let lines: Vec<_> = transcript.lines().collect();
    assert_eq!(script.log.take(), lines);
}

#[test]
fn a_turn_is_that_of_node() {
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

/// A callback that queues a tick and a task.
fn callback(script: &Script, name: &str) {
    script.say(name);
    let text = format!("{name}: task");
    script.queue_task(move |script| script.say(&text));
    script
        .handle
        .next_tick(script.says(&format!("{name}: tick")));
}

#[test]
fn ticks_and_tasks_match_node() {
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
fn clearing_and_sleeping_match_node() {
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

#[test]
fn the_closing_phase_is_that_of_node() {
    fn close(script: &Script, name: &'static str) {
        script.close_socket(move |script| {
            callback(script, &format!("closed by {name}"));
            script.set_immediate(move |script| {
                callback(script, &format!("immediate of closed by {name}"));
            });
            script.set_timeout(Duration::ZERO, move |script| {
                callback(script, &format!("timeout of closed by {name}"));
            });
            spin(ms(5));
        });
    }

    golden(include_str!("golden/closing.txt"), |script| {
        script.set_immediate(|script| {
            callback(script, "immediate 1");
            close(script, "immediate 1");
            script.set_timeout(ms(200), |script| {
                callback(script, "timeout");
                close(script, "timeout");
                script.set_immediate(|script| {
                    callback(script, "immediate 2");
                    script.next_tick(|script| {
                        callback(script, "tick of immediate 2");
                        script.set_timeout(ms(200), |script| close(script, "last timeout"));
                    });
                });
            });
        });
    });
}

#[test]
fn ticks_and_tasks_of_each_phase_match_node() {
    fn program(script: &Script, name: &str) {
        script.say(name);
        script.next_tick(|script| {
            script.say("tick");
            script.queue_task(|script| {
                script.say("task of tick");
                script.next_tick(|script| {
                    script.say("tick of task of tick");
                    script.queue_task(|script| script.say("task of tick of task of tick"));
                });
            });
            script.next_tick(|script| {
                script.say("tick of tick");
                script.next_tick(|script| script.say("tick of tick of tick"));
            });
        });
        script.queue_task(|script| {
            script.say("task");
            script.queue_task(|script| {
                script.say("task of task");
                script.next_tick(|script| script.say("tick of task of task"));
            });
            script.next_tick(|script| script.say("tick of task"));
        });
    }

    golden(include_str!("golden/phases.txt"), |script| {
        script.on_io(|script| {
            program(script, "io");
            script.set_immediate(|script| {
                program(script, "immediate");
                script.close_socket(|script| {
                    program(script, "close");
                    script.set_timeout(ms(1), |script| program(script, "timeout"));
                });
            });
            script.set_immediate(|script| script.say("immediate 2"));
        });
    });
}

#[test]
fn intervals_and_unreferenced_timers_match_node() {
    fn unreferenced(script: &Script) {
        let handle = &script.handle;
        let unref = |delay, text| {
            let id = handle.set_timeout(ms(delay), script.says(text));
            assert!(handle.unref(id));
            id
        };
        unref(1, "kept alive by another");
        let back = unref(20, "referenced again");
        assert!(handle.reref(back));
        unref(60_000, "never");
        let never = handle.set_interval(ms(60_000), |_, _| panic!("never"));
        assert!(handle.unref(never));
        script.set_timeout(ms(40), |script| script.say("the last"));
    }

    golden(include_str!("golden/intervals.txt"), |script| {
        script.on_io(|script| {
            script.set_interval(|script, own| {
                script.say("cleared by its callback");
                script.handle.clear(own);
                script.next_tick(|script| script.say("tick of the first"));
            });
            script.set_interval(|script, own| {
                script.say("cleared by a tick");
                script.next_tick(move |script| {
                    script.handle.clear(own);
                });
            });
            script.set_interval(|script, own| {
                script.say("cleared by a task");
                script.queue_task(move |script| {
                    script.handle.clear(own);
                });
            });
            let victim = Rc::new(Cell::new(None));
            let target = Rc::clone(&victim);
            script.set_timeout(ms(1), move |script| {
                script.say("clears another");
                script.handle.clear(target.get().unwrap());
            });
            victim.set(Some(script.set_interval(|script, _| script.say("never"))));
            script.set_interval(|script, own| {
                script.say("outer");
                script.handle.clear(own);
                script.set_interval(|script, own| {
                    script.say("inner");
                    script.handle.clear(own);
                    unreferenced(script);
                });
            });
            spin(ms(5));
        });
    });
}

#[test]
fn errors_lose_no_more_than_in_node() {
    type Callback = Box<dyn FnOnce(&Script)>;

    fn three(kind: &'static str, set: impl Fn(Callback), then: impl FnOnce(&Script) + 'static) {
        let tick = move |script: &Script, n| {
            script.say(&format!("{kind} {n}"));
            let text = format!("tick of {kind} {n}");
            script.next_tick(move |script| script.say(&text));
        };
        set(Box::new(move |script| tick(script, 1)));
        set(Box::new(move |script| {
            script.say(&format!("{kind} 2"));
            resume_unwind(Box::new(Thrown(format!("{kind} 2"))));
        }));
        set(Box::new(move |script| {
            tick(script, 3);
            then(script);
        }));
    }

    golden(include_str!("golden/errors.txt"), |script| {
        script.on_io(|script| {
            let own = script.clone();
            let timeouts = move |callback| own.set_timeout(ms(1), callback);
            three("timeout", timeouts, |script| {
                script.set_timeout(ms(20), |script| {
                    let own = script.clone();
                    let immediates = move |callback| own.set_immediate(callback);
                    three("immediate", immediates, |script| {
                        script.set_timeout(ms(20), |script| {
                            let own = script.clone();
                            three("tick", move |callback| own.next_tick(callback), |_| {});
                        });
                    });
                });
            });
            spin(ms(5));
        });
    });
}
