//! The keys and their values.
//!
//! The laws:
//!
//! 1. A key that expires has a timer of the loop, which removes it. A command does not find it after its
//!    deadline, even if the timer has not run yet.
//! 2. Keys are numbered in the order of their insertion, and a scan follows the numbers. It returns each key
//!    that exists from its beginning to its end exactly once.
//! 3. All entries are charged to the memory, with their overhead.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::{Rc, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nio_loop::{CallbackGuard, Handle, Time};

use crate::memory::Memory;

pub(crate) struct Store {
    handle: Handle,
    memory: Rc<Memory>,
    entries: HashMap<Rc<[u8]>, Entry>,
    /// The keys by their numbers.
    order: BTreeMap<u64, Rc<[u8]>>,
    next: u64,
    /// This store, for the timers.
    this: Weak<RefCell<Store>>,
}

struct Entry {
    value: Vec<u8>,
    number: u64,
    expiry: Option<Expiry>,
}

/// The approximate overhead of an entry: in both tables, and its timer.
const ENTRY: usize = 256;

impl Entry {
    fn cost(&self, key: &[u8]) -> usize {
        ENTRY + key.len() + self.value.capacity()
    }
}

/// When a key expires, as a duration from now and as a Unix time in milliseconds. The duration sets the timer;
/// clients get the Unix time back as they have set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) left: Duration,
    pub(crate) unix: i64,
}

impl Deadline {
    /// From a Unix time in milliseconds.
    pub(crate) fn at(unix: i64) -> Deadline {
        let left = u64::try_from(unix.saturating_sub(now())).unwrap_or(0);
        let left = Duration::from_millis(left);
        Deadline { left, unix }
    }
}

/// The Unix time in milliseconds.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

struct Expiry {
    since: Time,
    deadline: Deadline,
    /// The timer; cleared with the entry or its expiry.
    _timer: CallbackGuard,
}

impl Expiry {
    /// The time left until the deadline.
    fn from(&self, now: Time) -> Deadline {
        let left = self.deadline.left.saturating_sub(now - self.since);
        let unix = self.deadline.unix;
        Deadline { left, unix }
    }
}

/// The error of adding to a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CountError {
    NotANumber,
    Overflow,
}

/// Parses a number in its only valid form: Redis does not accept "+1", "01" and "-0".
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'1'..=b'9', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        b"0" if text == b"0" => Some(0),
        _ => None,
    }
}

impl Store {
    pub(crate) fn new(handle: &Handle, memory: &Rc<Memory>) -> Rc<RefCell<Store>> {
        Rc::new_cyclic(|this| {
            RefCell::new(Store {
                handle: handle.clone(),
                memory: Rc::clone(memory),
                entries: HashMap::new(),
                order: BTreeMap::new(),
                next: 0,
                this: Weak::clone(this),
            })
        })
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of keys that expire.
    pub(crate) fn expiring(&self) -> usize {
        let expires = |entry: &&Entry| entry.expiry.is_some();
        self.entries.values().filter(expires).count()
    }

    pub(crate) fn clear(&mut self) {
        let costs = self.entries.iter().map(|(key, entry)| entry.cost(key));
        self.memory.change(costs.sum(), 0);
        self.entries.clear();
        self.order.clear();
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        Some(&self.entry(key)?.value)
    }

    pub(crate) fn contains(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    /// Sets a key, and keeps its expiry or removes it.
    pub(crate) fn set(&mut self, key: &[u8], value: Vec<u8>, keeps_expiry: bool) {
        let memory = Rc::clone(&self.memory);
        if let Some(entry) = self.entry(key) {
            memory.change(entry.value.capacity(), value.capacity());
            entry.value = value;
            entry.expiry = entry.expiry.take().filter(|_| keeps_expiry);
            return;
        }
        let (number, expiry) = (self.next, None);
        self.next += 1;
        let (key, entry) = (
            Rc::<[u8]>::from(key),
            Entry {
                value,
                number,
                expiry,
            },
        );
        memory.change(0, entry.cost(&key));
        self.order.insert(number, Rc::clone(&key));
        self.entries.insert(key, entry);
    }

    /// Appends bytes to the value, and returns its new length.
    pub(crate) fn append(&mut self, key: &[u8], bytes: &[u8]) -> usize {
        let memory = Rc::clone(&self.memory);
        let Some(entry) = self.entry(key) else {
            self.set(key, bytes.to_vec(), false);
            return bytes.len();
        };
        let before = entry.value.capacity();
        entry.value.extend_from_slice(bytes);
        memory.change(before, entry.value.capacity());
        entry.value.len()
    }

    /// Removes a key, and returns its value.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.entry(key)?;
        self.drop_entry(key)
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).is_some()
    }

    /// Adds to a number. A key that does not exist counts as 0.
    pub(crate) fn add(&mut self, key: &[u8], by: i64) -> Result<i64, CountError> {
        let number = match self.entry(key) {
            Some(entry) => integer(&entry.value).ok_or(CountError::NotANumber)?,
            None => 0,
        };
        let number = number.checked_add(by).ok_or(CountError::Overflow)?;
        self.set(key, number.to_string().into_bytes(), true);
        Ok(number)
    }

    /// At most `count` keys from a number on, and the number to continue from if there are more.
    pub(crate) fn scan(&self, from: u64, count: usize) -> (Vec<Rc<[u8]>>, Option<u64>) {
        let mut order = self.order.range(from..);
        let keys = order.by_ref().take(count);
        let keys = keys.map(|(_, key)| Rc::clone(key)).collect();
        (keys, order.next().map(|(number, _)| *number))
    }

    /// Sets the expiry of a key. Returns false if the key does not exist.
    pub(crate) fn expire(&mut self, key: &[u8], deadline: Deadline) -> bool {
        if self.entry(key).is_none() {
            return false;
        }
        let Some((key, _)) = self.entries.get_key_value(key) else {
            return false;
        };
        let (store, name) = (Weak::clone(&self.this), Rc::clone(key));
        let timer = self.handle.set_timeout(deadline.left, move |_| {
            if let Some(store) = store.upgrade() {
                store.borrow_mut().drop_entry(&name);
            }
        });
        // The timer must not keep the loop alive.
        self.handle.unref(timer);
        let _timer = self.handle.guard(timer);
        if let Some(entry) = self.entries.get_mut(&*Rc::clone(key)) {
            entry.expiry = Some(Expiry {
                since: self.handle.now(),
                deadline,
                _timer,
            });
        }
        true
    }

    /// Removes the expiry of a key. Returns false if it had none.
    pub(crate) fn persist(&mut self, key: &[u8]) -> bool {
        self.entry(key)
            .is_some_and(|entry| entry.expiry.take().is_some())
    }

    /// The expiry of a key: the outer `None` if the key does not exist, the inner if it does not expire.
    pub(crate) fn deadline(&mut self, key: &[u8]) -> Option<Option<Deadline>> {
        let now = self.handle.now();
        let entry = self.entry(key)?;
        Some(entry.expiry.as_ref().map(|expiry| expiry.from(now)))
    }

    /// The entry of a key that has not expired.
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now = self.handle.now();
        let expiry = &self.entries.get(key)?.expiry;
        if expiry
            .as_ref()
            .is_some_and(|expiry| expiry.from(now).left.is_zero())
        {
            self.drop_entry(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    fn drop_entry(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.memory.change(entry.cost(&key), 0);
        self.order.remove(&entry.number);
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use nio_loop::{Clock, EventLoop};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const AFTER_SECOND: Deadline = Deadline {
        left: SECOND,
        unix: 0,
    };

    fn store() -> (EventLoop, Rc<RefCell<Store>>) {
        let event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
        let store = Store::new(&event_loop.handle(), &Memory::new(usize::MAX));
        (event_loop, store)
    }

    #[test]
    fn a_key_is_gone_at_its_deadline_whether_the_timer_has_run_or_not() {
        for run in [false, true] {
            let (mut event_loop, store) = store();
            store.borrow_mut().set(b"key", b"value".to_vec(), false);
            assert!(store.borrow_mut().expire(b"key", AFTER_SECOND));
            let time = store.borrow_mut().deadline(b"key");
            assert_eq!(time, Some(Some(AFTER_SECOND)));
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
        store.borrow_mut().set(b"key", b"one".to_vec(), false);
        assert!(store.borrow_mut().expire(b"key", AFTER_SECOND));
        store.borrow_mut().set(b"key", b"two".to_vec(), false);
        event_loop.handle().advance(SECOND).unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(store.borrow_mut().get(b"key"), Some(&b"two"[..]));
    }

    #[test]
    fn an_expiry_that_is_moved_has_one_timer() {
        let (mut event_loop, store) = store();
        store.borrow_mut().set(b"key", b"value".to_vec(), false);
        assert!(store.borrow_mut().expire(b"key", AFTER_SECOND));
        let later = Deadline {
            left: 3 * SECOND,
            ..AFTER_SECOND
        };
        assert!(store.borrow_mut().expire(b"key", later));
        assert_eq!(event_loop.handle().report().entries.len(), 1);
        event_loop.handle().advance(SECOND).unwrap();
        event_loop.run_nowait().unwrap();
        assert!(store.borrow_mut().contains(b"key"));
        assert!(store.borrow_mut().persist(b"key"));
        assert_eq!(event_loop.handle().report().entries.len(), 0);
        assert_eq!(store.borrow_mut().deadline(b"key"), Some(None));
    }

    #[test]
    fn numbers_are_counted_and_nothing_else_is() {
        let (_event_loop, store) = store();
        let mut store = store.borrow_mut();
        assert_eq!((store.add(b"n", 1), store.add(b"n", 4)), (Ok(1), Ok(5)));
        assert_eq!(store.add(b"n", -7), Ok(-2));
        store.set(b"n", b"9223372036854775807".to_vec(), false);
        assert_eq!(store.add(b"n", 1), Err(CountError::Overflow));
        for text in ["many", "", "-", "+5", "05", "-0", "-05", " 5", "5 "] {
            store.set(b"n", text.into(), false);
            assert_eq!(store.add(b"n", 1), Err(CountError::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn a_scan_sees_each_key_once_whatever_else_comes_and_goes() {
        let (_event_loop, store) = store();
        let mut store = store.borrow_mut();
        for i in 0..100 {
            store.set(format!("stays {i}").as_bytes(), vec![], false);
            store.set(format!("goes {i}").as_bytes(), vec![], false);
        }
        let (mut seen, mut next) = (Vec::new(), Some(0));
        for i in 0.. {
            let Some(from) = next else { break };
            let (keys, behind) = store.scan(from, 7);
            seen.extend(keys.into_iter().filter(|key| key.starts_with(b"stays")));
            next = behind;
            for i in 10 * i..10 * (i + 1) {
                store.remove(format!("goes {i}").as_bytes());
                store.set(format!("stays {}", i % 100).as_bytes(), vec![1], false);
            }
        }
        assert_eq!(seen.len(), 100);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn what_is_removed_costs_nothing() {
        let (mut event_loop, store) = store();
        let used = || store.borrow().memory.used();
        let empty = used();
        store.borrow_mut().set(b"a", vec![0; 1000], false);
        store.borrow_mut().append(b"a", &[0; 5000]);
        store.borrow_mut().append(b"b", &[0; 100]);
        assert!(used() >= empty + 6100 + 2 * ENTRY);
        store.borrow_mut().set(b"a", vec![0; 10], false);
        assert!(used() < 1000);
        assert!(store.borrow_mut().remove(b"a"));
        store.borrow_mut().expire(b"b", AFTER_SECOND);
        event_loop.handle().advance(SECOND).unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(used(), empty);
        store.borrow_mut().set(b"c", vec![0; 10], false);
        store.borrow_mut().clear();
        assert_eq!(used(), empty);
        assert!(store.borrow().order.is_empty());
    }
}
