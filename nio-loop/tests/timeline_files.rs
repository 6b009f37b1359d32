//! The files that a timeline is written to: `cargo test -p nio-loop --features timeline --test timeline_files`.

#![cfg(feature = "timeline")]

mod support;

use std::{collections::BTreeSet, io, thread, time::Duration};

use nio_loop::{Recorded, Timeline};
use serde_json::Value;
use support::{automatic_loop, ms};

/// A recording in which there is something of everything.
fn everything() -> Timeline {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    handle.advance(ms(3)).unwrap();
    let recording = handle.record(1000);
    handle.set_timeout(Duration::from_nanos(1_234_567), |handle| {
        handle.advance(ms(5)).unwrap()
    });
    drop(handle.spawn(async {}));
    let remote = handle.remote();
    let thread = thread::spawn(move || remote.post(|_| {}).unwrap());
    thread.join().unwrap();
    event_loop.run().unwrap();
    recording.stop()
}

#[test]
fn a_trace_is_json_with_complete_events_and_their_sites() {
    let timeline = everything();
    let mut text = Vec::new();
    timeline.write_trace(&mut text).unwrap();
    let trace: Value = serde_json::from_slice(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert_eq!(events.len(), 1 + timeline.entries.len()); // the first names the track
    let mut phases = BTreeSet::new();
    for event in events {
        phases.insert(event["ph"].as_str().unwrap());
        assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        assert_eq!(event["ph"] == "X", event["dur"].is_number(), "{event}");
    }
    assert_eq!(phases, BTreeSet::from(["M", "X", "i"]));
    let timeout = events.iter().find(|event| event["name"] == "timeout");
    let timeout = timeout.unwrap();
    assert_eq!(timeout["ts"], 4234.567);
    assert_eq!(timeout["dur"], 5000.0);
    let site = timeout["args"]["site"].as_str().unwrap();
    assert!(site.starts_with(&format!("{}:", file!())), "{site}");
}

#[test]
fn a_page_has_all_entries_and_nothing_from_elsewhere() {
    let timeline = everything();
    let mut text = Vec::new();
    timeline.write_html(&mut text).unwrap();
    let page = String::from_utf8(text).unwrap();
    let (_, data) = page.split_once(r#"id="data">"#).unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let entries = data["entries"].as_array().unwrap();
    assert_eq!(entries.len(), timeline.entries.len());
    let took = timeline.end - timeline.begin;
    assert_eq!(u128::from(data["took"].as_u64().unwrap()), took.as_nanos());
    for (row, entry) in entries.iter().zip(&timeline.entries) {
        let begin = (entry.begin - timeline.begin).as_nanos();
        assert_eq!(u128::from(row[2].as_u64().unwrap()), begin);
        assert_eq!(
            u128::from(row[3].as_u64().unwrap()),
            entry.took().as_nanos()
        );
        let site = row[4].as_i64().unwrap();
        if let Recorded::Callback { place, .. } = entry.what {
            let site = &data["sites"][usize::try_from(site).unwrap()];
            assert_eq!(*site, place.to_string());
        } else {
            assert_eq!(site, -1);
        }
    }
    for link in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(link), "{link}");
    }
}

#[test]
fn a_writer_that_fails_is_told() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let timeline = everything();
    let full = io::ErrorKind::StorageFull;
    assert_eq!(timeline.write_html(Full).unwrap_err().kind(), full);
    assert_eq!(timeline.write_trace(Full).unwrap_err().kind(), full);
}
