//! The commands on keys and their expiry.

use crate::{
    commands::{Context, Fault, SYNTAX, number, shown},
    glob::{PATTERN, matches},
    store::{Deadline, now},
};

pub(crate) fn del(context: &mut Context<'_>, keys: &[&[u8]]) -> Result<(), Fault> {
    let deleted = keys.iter().filter(|key| context.store.remove(key)).count();
    context.answers.integer(deleted as i64);
    Ok(())
}

pub(crate) fn exists(context: &mut Context<'_>, keys: &[&[u8]]) -> Result<(), Fault> {
    let found = keys.iter().filter(|key| context.store.contains(key));
    context.answers.integer(found.count() as i64);
    Ok(())
}

pub(crate) fn kind(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let kind = match context.store.contains(arguments[0]) {
        true => "string",
        false => "none",
    };
    context.answers.status(kind);
    Ok(())
}

/// Parses a time relative to now (EX, PX) or a Unix time (EXAT, PXAT), and returns a Unix time in milliseconds.
/// `None` if it is out of range.
pub(crate) fn unix(unit: &[u8], time: &[u8]) -> Result<Option<i64>, Fault> {
    let (factor, base) = match unit {
        b"EX" => (1000, now()),
        b"EXAT" => (1000, 0),
        b"PXAT" => (1, 0),
        _ => (1, now()),
    };
    let time = number(time)?.checked_mul(factor);
    Ok(time.and_then(|time| time.checked_add(base)))
}

pub(crate) fn invalid_time(command: &str) -> Fault {
    format!("ERR invalid expire time in '{command}' command").into()
}

pub(crate) fn expire(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_expiry(context, arguments, b"EX", "expire")
}

pub(crate) fn pexpire(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_expiry(context, arguments, b"PX", "pexpire")
}

pub(crate) fn expireat(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_expiry(context, arguments, b"EXAT", "expireat")
}

pub(crate) fn pexpireat(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_expiry(context, arguments, b"PXAT", "pexpireat")
}

fn set_expiry(
    context: &mut Context<'_>,
    arguments: &[&[u8]],
    unit: &[u8],
    command: &str,
) -> Result<(), Fault> {
    let unix = unix(unit, arguments[1])?.ok_or_else(|| invalid_time(command))?;
    let deadline = Deadline::at(unix);
    let conditions = Conditions::parse(&arguments[2..])?;
    let key = arguments[0];
    let earlier = context.store.deadline(key);
    let is_set = earlier.is_some_and(|earlier| conditions.allow(earlier, deadline));
    if is_set {
        // A key whose expiry is in the past is deleted.
        context.store.expire(key, deadline);
        context.store.contains(key);
    }
    context.answers.integer(is_set.into());
    Ok(())
}

/// The conditions of EXPIRE and similar commands.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(options: &[&[u8]]) -> Result<Conditions, Fault> {
        let mut conditions = Conditions::default();
        for option in options {
            match &*option.to_ascii_uppercase() {
                b"NX" => conditions.nx = true,
                b"XX" => conditions.xx = true,
                b"GT" => conditions.gt = true,
                b"LT" => conditions.lt = true,
                _ => {
                    return Err(format!("ERR Unsupported option {}", shown(option)).into());
                }
            }
        }
        let Conditions { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(
                "ERR NX and XX, GT or LT options at the same time are not compatible".into(),
            );
        }
        if gt && lt {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    /// Whether the expiry of a key, or none, may be changed.
    fn allow(&self, earlier: Option<Deadline>, new: Deadline) -> bool {
        let is_later = earlier.is_some_and(|earlier| new.unix > earlier.unix);
        let is_sooner = earlier.is_none_or(|earlier| new.unix < earlier.unix);
        (!self.nx || earlier.is_none())
            && (!self.xx || earlier.is_some())
            && (!self.gt || is_later)
            && (!self.lt || is_sooner)
    }
}

pub(crate) fn persist(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let expired = context.store.persist(arguments[0]);
    context.answers.integer(expired.into());
    Ok(())
}

pub(crate) fn ttl(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    time_of(context, arguments[0], |deadline| {
        seconds(milliseconds(deadline))
    })
}

pub(crate) fn pttl(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    time_of(context, arguments[0], milliseconds)
}

pub(crate) fn expiretime(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    time_of(context, arguments[0], |deadline| seconds(deadline.unix))
}

pub(crate) fn pexpiretime(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    time_of(context, arguments[0], |deadline| deadline.unix)
}

/// Rounds up: a key with a part of a millisecond left still exists.
fn milliseconds(deadline: Deadline) -> i64 {
    let milliseconds = deadline.left.as_nanos().div_ceil(1_000_000);
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

/// Rounds half a second up, as Redis does.
fn seconds(milliseconds: i64) -> i64 {
    milliseconds.saturating_add(500) / 1000
}

/// Answers -2 for a key that does not exist, and -1 for one that does not expire.
fn time_of(
    context: &mut Context<'_>,
    key: &[u8],
    answer: impl Fn(Deadline) -> i64,
) -> Result<(), Fault> {
    let time = match context.store.deadline(key) {
        None => -2,
        Some(deadline) => deadline.map_or(-1, answer),
    };
    context.answers.integer(time);
    Ok(())
}

fn pattern(pattern: &[u8]) -> Result<&[u8], Fault> {
    match pattern.len() {
        ..=PATTERN => Ok(pattern),
        _ => Err(format!("ERR a pattern has at most {PATTERN} bytes").into()),
    }
}

pub(crate) fn keys(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let pattern = pattern(arguments[0])?;
    let (mut keys, _) = context.store.scan(0, usize::MAX);
    keys.retain(|key| matches(pattern, key) && context.store.contains(key));
    context.answers.array(keys.len());
    for key in keys {
        context.answers.bulk(&key);
    }
    Ok(())
}

pub(crate) fn scan(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let cursor = std::str::from_utf8(arguments[0]).ok();
    let cursor = cursor.and_then(|cursor| cursor.parse().ok());
    let cursor: u64 = cursor.ok_or("ERR invalid cursor")?;
    let (mut only, mut count, mut is_type) = (&b"*"[..], 10, true);
    let mut options = arguments[1..].chunks_exact(2);
    for option in &mut options {
        match &*option[0].to_ascii_uppercase() {
            b"MATCH" => only = pattern(option[1])?,
            b"COUNT" => count = number(option[1])?,
            b"TYPE" => is_type = option[1].eq_ignore_ascii_case(b"string"),
            _ => return Err(SYNTAX),
        }
    }
    if !options.remainder().is_empty() || count < 1 {
        return Err(SYNTAX);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (mut keys, next) = context.store.scan(cursor, count);
    keys.retain(|key| is_type && matches(only, key) && context.store.contains(key));
    context.answers.array(2);
    // A scan begins and ends with the number 0, which no later key has.
    let next = next.unwrap_or(0).to_string();
    context.answers.bulk(next.as_bytes());
    context.answers.array(keys.len());
    for key in keys {
        context.answers.bulk(&key);
    }
    Ok(())
}
