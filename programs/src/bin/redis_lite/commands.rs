//! The commands.

use std::time::Duration;

use crate::{
    protocol::Answers,
    store::{IncrError, Store, integer},
};

const SYNTAX: &str = "ERR syntax error";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

/// What becomes of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Close,
}

/// Executes a command and answers it.
pub(crate) fn execute(store: &mut Store, request: &[&[u8]], answers: &mut Answers) -> Then {
    let Some((name, arguments)) = request.split_first() else {
        return Then::GoOn; // an empty line
    };
    match (&*name.to_ascii_uppercase(), arguments) {
        (b"GET", [key]) => answers.bulk(store.get(key)),
        (b"SET", [key, value, options @ ..]) => set(store, key, value, options, answers),
        (b"DEL", [_, ..]) => answers.integer(count(arguments, |key| store.remove(key))),
        (b"EXISTS", [_, ..]) => answers.integer(count(arguments, |key| store.contains(key))),
        (b"INCR", [key]) => match store.incr(key) {
            Ok(number) => answers.integer(number),
            Err(IncrError::NotANumber) => answers.error(NOT_AN_INTEGER),
            Err(IncrError::Overflow) => answers.error("ERR increment would overflow"),
        },
        (b"EXPIRE", [key, time]) => expire(store, key, time, 1000, answers),
        (b"PEXPIRE", [key, time]) => expire(store, key, time, 1, answers),
        (b"PERSIST", [key]) => answers.integer(store.persist(key).into()),
        // Half a second and more is a second left, as with Redis.
        (b"TTL", [key]) => answers.integer(time_to_live(store, key, |time| {
            (time.as_millis() + 500) / 1000
        })),
        (b"PTTL", [key]) => {
            answers.integer(time_to_live(store, key, |time| time.as_millis()));
        }
        (b"PING", []) => answers.status("PONG"),
        (b"PING" | b"ECHO", [text]) => answers.bulk(Some(text)),
        (b"DBSIZE", []) => answers.integer(store.len() as i64),
        (b"FLUSHALL", []) => {
            store.clear();
            answers.status("OK");
        }
        (b"QUIT", _) => {
            answers.status("OK");
            return Then::Close;
        }
        // What redis-cli and redis-benchmark ask about the server: there is nothing to say.
        (b"COMMAND", _) => answers.array(0),
        (b"CONFIG", [_, name]) => {
            answers.array(2);
            answers.bulk(Some(name));
            answers.bulk(Some(b""));
        }
        (
            b"GET" | b"SET" | b"DEL" | b"EXISTS" | b"INCR" | b"EXPIRE" | b"PEXPIRE" | b"PERSIST"
            | b"TTL" | b"PTTL" | b"PING" | b"ECHO" | b"DBSIZE" | b"FLUSHALL",
            _,
        ) => {
            let name = String::from_utf8_lossy(name).to_lowercase();
            answers.error(&format!(
                "ERR wrong number of arguments for '{name}' command"
            ));
        }
        _ => {
            let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
            answers.error(&format!("ERR unknown command '{name}'"));
        }
    }
    Then::GoOn
}

fn count(keys: &[&[u8]], mut found: impl FnMut(&[u8]) -> bool) -> i64 {
    keys.iter().filter(|key| found(key)).count() as i64
}

/// SET key value [EX seconds | PX milliseconds] [NX | XX]
fn set(store: &mut Store, key: &[u8], value: &[u8], options: &[&[u8]], answers: &mut Answers) {
    let (mut expire, mut only_if) = (None, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match &*option.to_ascii_uppercase() {
            b"NX" if only_if.is_none() => only_if = Some(false),
            b"XX" if only_if.is_none() => only_if = Some(true),
            unit @ (b"EX" | b"PX") if expire.is_none() => {
                let Some(time) = options.next() else {
                    return answers.error(SYNTAX);
                };
                let Some(number) = integer(time) else {
                    return answers.error(NOT_AN_INTEGER);
                };
                let unit = if unit == b"EX" { 1000 } else { 1 };
                match u64::try_from(number).ok().filter(|number| *number > 0) {
                    Some(number) => expire = Some(milliseconds(number, unit)),
                    None => return answers.error("ERR invalid expire time in 'set' command"),
                }
            }
            _ => return answers.error(SYNTAX),
        }
    }
    if only_if.is_some_and(|exists| store.contains(key) != exists) {
        return answers.bulk(None);
    }
    store.set(key, value, expire);
    answers.status("OK");
}

/// A time that is over already deletes the key.
fn expire(store: &mut Store, key: &[u8], time: &[u8], unit: u64, answers: &mut Answers) {
    let Some(number) = integer(time) else {
        return answers.error(NOT_AN_INTEGER);
    };
    let found = match u64::try_from(number) {
        Ok(number @ 1..) => store.expire(key, milliseconds(number, unit)),
        _ => store.remove(key),
    };
    answers.integer(found.into());
}

fn milliseconds(number: u64, unit: u64) -> Duration {
    Duration::from_millis(number.saturating_mul(unit))
}

/// -2 for a key that is not there, -1 for one that does not expire.
fn time_to_live(store: &mut Store, key: &[u8], unit: impl Fn(Duration) -> u128) -> i64 {
    match store.time_to_live(key) {
        None => -2,
        Some(None) => -1,
        Some(Some(time)) => i64::try_from(unit(time)).unwrap_or(i64::MAX),
    }
}
