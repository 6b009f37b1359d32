//! Random sequences of changes to user knotes, and of waits, against a model of them.
//!
//! The sequences use only behaviour that all systems share; on Linux also the udata and data of a trigger (K58, K59).

mod support;

use std::collections::BTreeMap;

use nio_sys::{Filter, Kevent, UserFlags};
use proptest::{prelude::*, test_runner::RngSeed};
use support::*;

const IDENTS: [usize; 6] = [0, 1, 30, 31, 63, 1000];

#[derive(Clone, Debug)]
enum Step {
    Add {
        ident: usize,
        clear: bool,
    },
    Delete(usize),
    Enable(usize),
    Disable(usize),
    Trigger {
        ident: usize,
        udata: usize,
        data: i64,
        alone: bool,
    },
    Wait {
        room: usize,
    },
}

/// The state of a knote in the model.
#[derive(Debug)]
struct Knote {
    clear: bool,
    enabled: bool,
    triggered: bool,
    udata: usize,
    data: i64,
}

#[derive(Default)]
struct Model(BTreeMap<usize, Knote>);

impl Model {
    fn due(&self) -> usize {
        let due = |knote: &&Knote| knote.enabled && knote.triggered;
        self.0.values().filter(due).count()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let ident = prop::sample::select(&IDENTS[..]);
    prop_oneof![
        3 => (ident.clone(), any::<bool>()).prop_map(|(ident, clear)| Step::Add { ident, clear }),
        1 => ident.clone().prop_map(Step::Delete),
        1 => ident.clone().prop_map(Step::Enable),
        1 => ident.clone().prop_map(Step::Disable),
        6 => (ident, 0..2_usize, 0..2_i64, any::<bool>()).prop_map(|(ident, udata, data, alone)| {
            let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
            let (udata, data) = if is_linux { (udata, data) } else { (0, 0) };
            Step::Trigger { ident, udata, data, alone }
        }),
        4 => (1..5_usize).prop_map(|room| Step::Wait { room }),
    ]
}

/// Makes a change, alone or together with another one, and returns whether it was accepted.
fn make(queue: &Queue, change: Kevent, alone: bool) -> bool {
    if alone {
        return queue.change(change).is_ok();
    }
    // Two changes in one call. The other one is always refused.
    let results = queue.results(&[Kevent::new(77_777, Filter::USER, DELETE), change]);
    results[1] == 0
}

fn run(queue: &Queue, model: &mut Model, step: &Step) {
    match *step {
        Step::Add { ident, clear } => {
            if model.0.contains_key(&ident) {
                return;
            }
            let flags = if clear { ADD | CLEAR } else { ADD };
            assert!(make(queue, Kevent::user(ident, flags), true));
            let knote = Knote {
                clear,
                enabled: true,
                triggered: false,
                udata: 0,
                data: 0,
            };
            model.0.insert(ident, knote);
        }
        Step::Delete(ident) => {
            let was_there = model.0.remove(&ident).is_some();
            assert_eq!(make(queue, Kevent::user(ident, DELETE), true), was_there);
        }
        Step::Enable(ident) | Step::Disable(ident) => {
            let enables = matches!(step, Step::Enable(_));
            let flags = if enables { ENABLE } else { DISABLE };
            let Some(knote) = model.0.get_mut(&ident) else {
                assert!(!make(queue, Kevent::user(ident, flags), true));
                return;
            };
            knote.enabled = enables;
            let change = Kevent::user(ident, flags).with_udata(knote.udata);
            assert!(make(queue, change.with_data(knote.data), true));
        }
        Step::Trigger {
            ident,
            udata,
            data,
            alone,
        } => {
            let change = Kevent::user(ident, LEVEL)
                .with_fflags(UserFlags::TRIGGER)
                .with_udata(udata)
                .with_data(data);
            let known = model.0.get_mut(&ident);
            assert_eq!(make(queue, change, alone), known.is_some());
            if let Some(knote) = known {
                knote.triggered = true;
                (knote.udata, knote.data) = (udata, data);
            }
        }
        Step::Wait { room } => {
            let is_readable = || poll_now(queue, libc::POLLIN) != 0;
            // The queue is readable if an event is pending, and is not after a call that returned nothing (K8).
            assert!(cfg!(target_vendor = "apple") || is_readable() || model.due() == 0);
            let events = queue.collect_at_most(room);
            assert!(cfg!(target_vendor = "apple") || !is_readable() || !events.is_empty());
            assert_eq!(events.len(), room.min(model.due()), "{events:?}");
            let mut seen = idents(&events);
            seen.dedup();
            assert_eq!(seen.len(), events.len(), "an event comes twice: {events:?}");
            for event in events {
                let knote = model
                    .0
                    .get_mut(&event.ident())
                    .expect("the knote was added");
                assert!(knote.enabled && knote.triggered, "{event:?}");
                assert_eq!((event.udata(), event.data()), (knote.udata, knote.data));
                assert_eq!(event.flags().contains(CLEAR), knote.clear);
                if knote.clear {
                    (knote.triggered, knote.data) = (false, 0);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        // The same cases in each run: a failure must come from the change under test, not by chance.
        rng_seed: RngSeed::Fixed(165),
        ..ProptestConfig::default()
    })]

    #[test]
    fn user_knotes_do_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let (queue, mut model) = (Queue::new(), Model::default());
        for step in &steps {
            run(&queue, &mut model, step);
        }
        run(&queue, &mut model, &Step::Wait { room: IDENTS.len() });
    }
}
