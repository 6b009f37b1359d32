//! The commands on values.

use crate::{
    commands::{Context, Fault, NOT_AN_INTEGER, SYNTAX, number, wrong_number},
    keys::{invalid_time, unix},
    protocol::ARGUMENT,
    store::{CountError, Deadline},
};

pub(crate) fn get(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let value = context.store.get(arguments[0]);
    context.answers.bulk_or_null(value);
    Ok(())
}

/// The expiry of a key that is set.
enum Expire {
    Never,
    AsBefore,
    At(Deadline),
}

/// The time after one of the options EX, PX, EXAT and PXAT.
fn at(unit: &[u8], time: &[u8], command: &str) -> Result<Expire, Fault> {
    let unix = unix(unit, time)?;
    let is_positive = number(time)? > 0;
    let unix = unix.filter(|_| is_positive);
    Ok(Expire::At(Deadline::at(
        unix.ok_or_else(|| invalid_time(command))?,
    )))
}

pub(crate) fn set(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let (key, value) = (arguments[0], arguments[1]);
    let (mut expire, mut only_if, mut gets) = (None, None, false);
    let mut options = arguments[2..].iter();
    while let Some(option) = options.next() {
        match &*option.to_ascii_uppercase() {
            b"NX" if only_if != Some(true) => only_if = Some(false),
            b"XX" if only_if != Some(false) => only_if = Some(true),
            b"GET" => gets = true,
            b"KEEPTTL" if expire.is_none() => expire = Some(Expire::AsBefore),
            unit @ (b"EX" | b"PX" | b"EXAT" | b"PXAT") if expire.is_none() => {
                let time = options.next().ok_or(SYNTAX)?;
                expire = Some(at(unit, time, "set")?);
            }
            _ => return Err(SYNTAX),
        }
    }
    let is_set = only_if.is_none_or(|exists| context.store.contains(key) == exists);
    match (gets, is_set) {
        (true, _) => context.answers.bulk_or_null(context.store.get(key)),
        (false, true) => context.answers.status("OK"),
        (false, false) => context.answers.null(),
    }
    if is_set {
        put(context, key, value, expire.unwrap_or(Expire::Never));
    }
    Ok(())
}

fn put(context: &mut Context<'_>, key: &[u8], value: &[u8], expire: Expire) {
    let keeps_expiry = matches!(expire, Expire::AsBefore);
    context.store.set(key, value.to_vec(), keeps_expiry);
    if let Expire::At(deadline) = expire {
        context.store.expire(key, deadline);
    }
}

pub(crate) fn setnx(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let is_new = !context.store.contains(arguments[0]);
    if is_new {
        put(context, arguments[0], arguments[1], Expire::Never);
    }
    context.answers.integer(is_new.into());
    Ok(())
}

pub(crate) fn setex(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_after(context, arguments, b"EX", "setex")
}

pub(crate) fn psetex(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    set_after(context, arguments, b"PX", "psetex")
}

fn set_after(
    context: &mut Context<'_>,
    arguments: &[&[u8]],
    unit: &[u8],
    command: &str,
) -> Result<(), Fault> {
    let expire = at(unit, arguments[1], command)?;
    put(context, arguments[0], arguments[2], expire);
    context.answers.status("OK");
    Ok(())
}

pub(crate) fn getset(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    get(context, arguments)?;
    put(context, arguments[0], arguments[1], Expire::Never);
    Ok(())
}

pub(crate) fn getdel(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let value = context.store.take(arguments[0]);
    context.answers.bulk_or_null(value.as_deref());
    Ok(())
}

pub(crate) fn getex(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let key = arguments[0];
    let option = arguments.get(1).map(|option| option.to_ascii_uppercase());
    let expire = match (option.as_deref(), arguments.get(2), arguments.len()) {
        (None, ..) => Expire::AsBefore,
        (Some(b"PERSIST"), None, _) => Expire::Never,
        (Some(unit @ (b"EX" | b"PX" | b"EXAT" | b"PXAT")), Some(time), 3) => {
            at(unit, time, "getex")?
        }
        _ => return Err(SYNTAX),
    };
    get(context, arguments)?;
    match expire {
        Expire::AsBefore => {}
        Expire::Never => drop(context.store.persist(key)),
        Expire::At(deadline) => drop(context.store.expire(key, deadline)),
    }
    Ok(())
}

pub(crate) fn mget(context: &mut Context<'_>, keys: &[&[u8]]) -> Result<(), Fault> {
    context.answers.array(keys.len());
    for key in keys {
        context.answers.bulk_or_null(context.store.get(key));
    }
    Ok(())
}

pub(crate) fn mset(context: &mut Context<'_>, pairs: &[&[u8]]) -> Result<(), Fault> {
    set_all(context, pairs, "mset")?;
    context.answers.status("OK");
    Ok(())
}

pub(crate) fn msetnx(context: &mut Context<'_>, pairs: &[&[u8]]) -> Result<(), Fault> {
    let mut keys = pairs.iter().step_by(2);
    let are_new = !keys.any(|key| context.store.contains(key));
    if are_new || pairs.len() % 2 != 0 {
        set_all(context, pairs, "msetnx")?;
    }
    context.answers.integer(are_new.into());
    Ok(())
}

fn set_all(context: &mut Context<'_>, pairs: &[&[u8]], command: &str) -> Result<(), Fault> {
    if pairs.len() % 2 != 0 {
        return Err(wrong_number(command));
    }
    for pair in pairs.chunks_exact(2) {
        put(context, pair[0], pair[1], Expire::Never);
    }
    Ok(())
}

pub(crate) fn append(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let (key, bytes) = (arguments[0], arguments[1]);
    let len = context.store.get(key).map_or(0, <[u8]>::len);
    if len + bytes.len() > ARGUMENT {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    let len = context.store.append(key, bytes);
    context.answers.integer(len as i64);
    Ok(())
}

pub(crate) fn strlen(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let len = context.store.get(arguments[0]).map_or(0, <[u8]>::len);
    context.answers.integer(len as i64);
    Ok(())
}

pub(crate) fn incr(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    add(context, arguments[0], 1)
}

pub(crate) fn decr(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    add(context, arguments[0], -1)
}

pub(crate) fn incrby(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    add(context, arguments[0], number(arguments[1])?)
}

pub(crate) fn decrby(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let by = number(arguments[1])?.checked_neg();
    add(
        context,
        arguments[0],
        by.ok_or("ERR decrement would overflow")?,
    )
}

fn add(context: &mut Context<'_>, key: &[u8], by: i64) -> Result<(), Fault> {
    let sum = context.store.add(key, by).map_err(|error| match error {
        CountError::NotANumber => NOT_AN_INTEGER,
        CountError::Overflow => "ERR increment or decrement would overflow".into(),
    })?;
    context.answers.integer(sum);
    Ok(())
}
