//! The events for the `tracing` crate: `cargo test -p nio-loop --features tracing --test tracing`.

#![cfg(feature = "tracing")]

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use nio_loop::{Clock, EventLoop};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Writes each event of nio-loop down as a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "nio_loop"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        unreachable!("there are no spans")
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn turns_callbacks_tasks_and_warnings_are_traced() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let mut event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
        let handle = event_loop.handle();
        handle.on_warning(Duration::from_secs(1), |_, _| {});
        handle.spawn(async {});
        handle.set_immediate(|handle| handle.advance(Duration::from_secs(2)).unwrap());
        event_loop.run().unwrap();
    });
    let lines = lines.0.lock().unwrap();
    let expected = [
        ("TRACE", "kind=task"),
        ("TRACE", "message=polled events=0"),
        ("TRACE", "kind=immediate"),
        ("WARN", "kept the loop for 2s"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (level, text)) in lines.iter().zip(expected) {
        assert!(line.starts_with(level) && line.contains(text), "{line}");
        assert_eq!(line.contains(file!()), !text.contains("events"), "{line}");
    }
}
