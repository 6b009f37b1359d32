//! The keys and their values.
//!
//! A key that expires has a timer of the loop, which removes it. It is gone at its deadline all the
//! same if somebody asks for it before the timer has had its turn.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    time::Duration,
};

use nio_loop::{CallbackGuard, Handle, Time};

pub(crate) struct Store {
    handle: Handle,
    entries: HashMap<Rc<[u8]>, Entry>,
    /// For the timers.
    this: Weak<RefCell<Store>>,
}

struct Entry {
    value: Vec<u8>,
    expiry: Option<Expiry>,
}

struct Expiry {
    at: Time,
    /// The timer is cleared with the entry, or with the expiry.
    _timer: CallbackGuard,
}

/// Why a key cannot be incremented.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IncrError {
    NotANumber,
    Overflow,
}

/// A number as it is written: "+1", "01" and "-0" are none for Redis, for they would not stay as they
/// are.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'1'..=b'9', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        b"0" if text == b"0" => Some(0),
        _ => None,
    }
}

impl Store {
    pub(crate) fn new(handle: &Handle) -> Rc<RefCell<Store>> {
        Rc::new_cyclic(|this| {
            RefCell::new(Store {
                handle: handle.clone(),
                entries: HashMap::new(),
                this: Weak::clone(this),
            })
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        Some(&self.entry(key)?.value)
    }

    pub(crate) fn contains(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    /// Sets a key, which does not expire unless it is said when.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], expire: Option<Duration>) {
        match self.entries.get_mut(key) {
            Some(entry) => {
                entry.value.clear();
                entry.value.extend_from_slice(value);
                entry.expiry = None;
            }
            None => {
                let (value, expiry) = (value.to_vec(), None);
                self.entries.insert(key.into(), Entry { value, expiry });
            }
        }
        if let Some(duration) = expire {
            self.expire(key, duration);
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some() && self.entries.remove(key).is_some()
    }

    pub(crate) fn incr(&mut self, key: &[u8]) -> Result<i64, IncrError> {
        let Some(entry) = self.entry(key) else {
            self.set(key, b"1", None);
            return Ok(1);
        };
        let number = integer(&entry.value).ok_or(IncrError::NotANumber)?;
        let number = number.checked_add(1).ok_or(IncrError::Overflow)?;
        entry.value = number.to_string().into_bytes();
        Ok(number)
    }

    /// Has a key expire after this long. Returns false if there is no such key.
    pub(crate) fn expire(&mut self, key: &[u8], after: Duration) -> bool {
        if self.entry(key).is_none() {
            return false;
        }
        let at = self.handle.now() + after;
        let Some((key, _)) = self.entries.get_key_value(key) else {
            return false;
        };
        let (store, name) = (Weak::clone(&self.this), Rc::clone(key));
        let timer = self.handle.set_timeout(after, move |_| {
            if let Some(store) = store.upgrade() {
                store.borrow_mut().entries.remove(&name);
            }
        });
        // Waiting for it is no reason for the server to stay.
        self.handle.unref(timer);
        let _timer = self.handle.guard(timer);
        if let Some(entry) = self.entries.get_mut(&*Rc::clone(key)) {
            entry.expiry = Some(Expiry { at, _timer });
        }
        true
    }

    /// Has a key not expire. Returns false if it would not have.
    pub(crate) fn persist(&mut self, key: &[u8]) -> bool {
        self.entry(key)
            .is_some_and(|entry| entry.expiry.take().is_some())
    }

    /// How long a key lives, if it expires, if it is there.
    pub(crate) fn time_to_live(&mut self, key: &[u8]) -> Option<Option<Duration>> {
        let now = self.handle.now();
        let entry = self.entry(key)?;
        Some(entry.expiry.as_ref().map(|expiry| expiry.at - now))
    }

    /// The entry of a key that has not expired.
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let entry = self.entries.get(key)?;
        if let Some(expiry) = &entry.expiry {
            if expiry.at <= self.handle.now() {
                self.entries.remove(key);
                return None;
            }
        }
        self.entries.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use nio_loop::{Clock, EventLoop};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn store() -> (EventLoop, Rc<RefCell<Store>>) {
        let event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
        let store = Store::new(&event_loop.handle());
        (event_loop, store)
    }

    #[test]
    fn a_key_is_gone_at_its_deadline_whether_the_timer_has_run_or_not() {
        for run in [false, true] {
            let (mut event_loop, store) = store();
            store.borrow_mut().set(b"key", b"value", Some(SECOND));
            let time = store.borrow_mut().time_to_live(b"key");
            assert_eq!(time, Some(Some(SECOND)));
            event_loop.handle().advance(SECOND).unwrap();
            if run {
                event_loop.run_nowait().unwrap();
                assert_eq!(store.borrow().len(), 0);
            }
            assert_eq!(store.borrow_mut().get(b"key"), None);
        }
    }

    #[test]
    fn setting_a_key_again_takes_its_expiry_away() {
        let (mut event_loop, store) = store();
        store.borrow_mut().set(b"key", b"one", Some(SECOND));
        store.borrow_mut().set(b"key", b"two", None);
        event_loop.handle().advance(SECOND).unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(store.borrow_mut().get(b"key"), Some(&b"two"[..]));
    }

    #[test]
    fn an_expiry_that_is_moved_has_one_timer() {
        let (mut event_loop, store) = store();
        store.borrow_mut().set(b"key", b"value", Some(SECOND));
        assert!(store.borrow_mut().expire(b"key", 3 * SECOND));
        assert_eq!(event_loop.handle().report().entries.len(), 1);
        event_loop.handle().advance(SECOND).unwrap();
        event_loop.run_nowait().unwrap();
        assert!(store.borrow_mut().contains(b"key"));
        assert!(store.borrow_mut().persist(b"key"));
        assert_eq!(event_loop.handle().report().entries.len(), 0);
        assert_eq!(store.borrow_mut().time_to_live(b"key"), Some(None));
    }

    #[test]
    fn numbers_are_counted_up_and_nothing_else_is() {
        let (_event_loop, store) = store();
        let mut store = store.borrow_mut();
        assert_eq!((store.incr(b"n"), store.incr(b"n")), (Ok(1), Ok(2)));
        store.set(b"n", b"9223372036854775807", None);
        assert_eq!(store.incr(b"n"), Err(IncrError::Overflow));
        for text in ["many", "", "-", "+5", "05", "-0", "-05", " 5", "5 "] {
            store.set(b"n", text.as_bytes(), None);
            assert_eq!(store.incr(b"n"), Err(IncrError::NotANumber), "{text:?}");
        }
        store.set(b"n", b"-1", None);
        assert_eq!((store.incr(b"n"), store.incr(b"n")), (Ok(0), Ok(1)));
    }
}
