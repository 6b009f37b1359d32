//! The table of commands, and how a command is called.

use std::{borrow::Cow, cell::Cell, rc::Rc, time::Instant};

use crate::{
    answers::Answers,
    clients::{Client, Clients},
    connection, keys,
    memory::Memory,
    server,
    store::{Store, integer},
    strings, transaction,
};

/// The error of a command: the text of its answer.
pub(crate) type Fault = Cow<'static, str>;

pub(crate) const SYNTAX: Fault = Cow::Borrowed("ERR syntax error");
pub(crate) const NOT_AN_INTEGER: Fault =
    Cow::Borrowed("ERR value is not an integer or out of range");
const FULL: Fault = Cow::Borrowed("OOM command not allowed when used memory > 'maxmemory'.");

/// The state that a command may use.
pub(crate) struct Context<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) clients: &'a Clients,
    pub(crate) client: &'a Client,
    pub(crate) answers: &'a mut Answers,
    pub(crate) server: &'a Server,
}

/// The facts about the server for INFO and CONFIG.
pub(crate) struct Server {
    pub(crate) port: Rc<Cell<u16>>,
    pub(crate) connections: usize,
    pub(crate) started: Instant,
    /// The memory of the buffers and transactions of all connections.
    pub(crate) buffers: Rc<Memory>,
}

/// A command. Its name is in lower case; the arity counts the name, and is negative where there may be more
/// arguments.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) arity: i64,
    pub(crate) flags: &'static [&'static str],
    /// The indexes of the first and the last key, and the step between keys.
    pub(crate) keys: [i64; 3],
    pub(crate) group: &'static str,
    pub(crate) summary: &'static str,
    run: fn(&mut Context<'_>, &[&[u8]]) -> Result<(), Fault>,
}

const READS: &[&str] = &["readonly"];
const WRITES: &[&str] = &["write"];
/// It may need memory.
const GROWS: &[&str] = &["write", GROWTH];
const GROWTH: &str = "denyoom";
const ABOUT: &[&str] = &["loading", "stale"];
const NONE: [i64; 3] = [0, 0, 0];
const ONE: [i64; 3] = [1, 1, 1];
const ALL: [i64; 3] = [1, -1, 1];
const PAIRS: [i64; 3] = [1, -1, 2];

macro_rules! commands {
    ($($group:literal { $($name:literal $arity:literal $flags:ident $keys:ident $run:path, $summary:literal;)* })*) => {
        /// All commands.
        pub(crate) static COMMANDS: &[Command] = &[$($(Command {
            name: $name,
            arity: $arity,
            flags: $flags,
            keys: $keys,
            group: $group,
            summary: $summary,
            run: $run,
        },)*)*];
    };
}

commands! {
    "string" {
        "get" 2 READS ONE strings::get, "Returns the value of a key.";
        "set" -3 GROWS ONE strings::set, "Sets a key to a value: [NX|XX] [GET] [EX|PX|EXAT|PXAT time|KEEPTTL].";
        "setnx" 3 GROWS ONE strings::setnx, "Sets a key that does not exist.";
        "setex" 4 GROWS ONE strings::setex, "Sets a key that expires after some seconds.";
        "psetex" 4 GROWS ONE strings::psetex, "Sets a key that expires after some milliseconds.";
        "getset" 3 GROWS ONE strings::getset, "Sets a key, and returns its value from before.";
        "getdel" 2 WRITES ONE strings::getdel, "Deletes a key, and returns its value.";
        "getex" -2 WRITES ONE strings::getex, "Returns a value, and sets when its key expires.";
        "mget" -2 READS ALL strings::mget, "Returns the values of keys.";
        "mset" -3 GROWS PAIRS strings::mset, "Sets keys to values.";
        "msetnx" -3 GROWS PAIRS strings::msetnx, "Sets keys to values if none of the keys exists.";
        "append" 3 GROWS ONE strings::append, "Appends to the value of a key.";
        "strlen" 2 READS ONE strings::strlen, "Returns how long a value is.";
        "incr" 2 GROWS ONE strings::incr, "Adds one to a number.";
        "decr" 2 GROWS ONE strings::decr, "Subtracts one from a number.";
        "incrby" 3 GROWS ONE strings::incrby, "Adds to a number.";
        "decrby" 3 GROWS ONE strings::decrby, "Subtracts from a number.";
    }
    "generic" {
        "del" -2 WRITES ALL keys::del, "Deletes keys.";
        "unlink" -2 WRITES ALL keys::del, "Deletes keys.";
        "exists" -2 READS ALL keys::exists, "Counts the keys that exist.";
        "type" 2 READS ONE keys::kind, "Returns the type of a value: string, or none.";
        "expire" -3 WRITES ONE keys::expire, "Makes a key expire after some seconds: [NX|XX|GT|LT].";
        "pexpire" -3 WRITES ONE keys::pexpire, "Makes a key expire after some milliseconds: [NX|XX|GT|LT].";
        "expireat" -3 WRITES ONE keys::expireat, "Makes a key expire at a Unix time in seconds: [NX|XX|GT|LT].";
        "pexpireat" -3 WRITES ONE keys::pexpireat, "Makes a key expire at a Unix time in milliseconds: [NX|XX|GT|LT].";
        "persist" 2 WRITES ONE keys::persist, "Removes the expiry of a key.";
        "ttl" 2 READS ONE keys::ttl, "Returns after how many seconds a key expires.";
        "pttl" 2 READS ONE keys::pttl, "Returns after how many milliseconds a key expires.";
        "expiretime" 2 READS ONE keys::expiretime, "Returns the Unix time in seconds at which a key expires.";
        "pexpiretime" 2 READS ONE keys::pexpiretime, "Returns the Unix time in milliseconds at which a key expires.";
        "keys" 2 READS NONE keys::keys, "Returns the keys that match a pattern.";
        "scan" -2 READS NONE keys::scan, "Returns some keys, and where to go on: [MATCH pattern] [COUNT count] [TYPE type].";
    }
    "connection" {
        "ping" -1 ABOUT NONE connection::ping, "Returns PONG, or its argument.";
        "echo" 2 ABOUT NONE connection::echo, "Returns its argument.";
        "hello" -1 ABOUT NONE connection::hello, "Chooses RESP2 or RESP3: [2|3 [AUTH user password] [SETNAME name]].";
        "auth" -2 ABOUT NONE connection::auth, "Accepts the user default, which has no password.";
        "select" 2 ABOUT NONE connection::select, "Selects the database 0, the only one.";
        "client" -2 ABOUT NONE connection::client, "Describes clients: ID, INFO, LIST, SETNAME, GETNAME, SETINFO.";
        "reset" 1 ABOUT NONE connection::reset, "Resets the state of the connection.";
        "quit" -1 ABOUT NONE connection::quit, "Closes the connection.";
    }
    "server" {
        "dbsize" 1 READS NONE server::dbsize, "Counts the keys.";
        "flushdb" -1 WRITES NONE server::flush, "Deletes all keys.";
        "flushall" -1 WRITES NONE server::flush, "Deletes all keys.";
        "info" -1 ABOUT NONE server::info, "Describes the server: [section ...].";
        "config" -2 ABOUT NONE server::config, "Returns the configuration: GET pattern ....";
        "command" -1 ABOUT NONE server::command, "Describes commands: COUNT, LIST, INFO, DOCS.";
        "time" 1 ABOUT NONE server::time, "Returns the Unix time, as seconds and microseconds.";
    }
    "transactions" {
        "multi" 1 ABOUT NONE transaction::multi, "Begins a transaction: queues commands until EXEC.";
        "exec" 1 ABOUT NONE transaction::exec, "Executes the queued commands.";
        "discard" 1 ABOUT NONE transaction::discard, "Discards the queued commands.";
    }
}

pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

/// What to do with the connection next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Close,
    /// The client does not speak RESP; nothing more of it is executed.
    Refuse,
}

/// Executes a request, or queues it for EXEC, and answers it.
pub(crate) fn execute(context: &mut Context<'_>, request: &[&[u8]]) -> Then {
    let Some(name) = request.first() else {
        return Then::GoOn; // an empty line
    };
    // A web page can make a browser send HTTP to any address, with commands in its body.
    if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
        return Then::Refuse;
    }
    context
        .clients
        .commands
        .set(context.clients.commands.get() + 1);
    context.answers.begin();
    let waits = context.client.transaction.borrow().is_some() && !acts_at_once(name);
    if waits {
        queue(context, request);
    } else {
        call(context, request);
    }
    context.answers.end();
    match name.eq_ignore_ascii_case(b"quit") {
        true => Then::Close,
        false => Then::GoOn,
    }
}

/// Whether a command is executed at once within a transaction.
fn acts_at_once(name: &[u8]) -> bool {
    ["multi", "exec", "discard", "reset", "quit"]
        .iter()
        .any(|command| command.as_bytes().eq_ignore_ascii_case(name))
}

fn queue(context: &mut Context<'_>, request: &[&[u8]]) {
    let mut transaction = context.client.transaction.borrow_mut();
    let Some(transaction) = &mut *transaction else {
        return;
    };
    match check(context.store, request).and_then(|_| transaction.queue(request)) {
        Ok(()) => context.answers.status("QUEUED"),
        Err(fault) => {
            transaction.refuse();
            context.answers.error(&fault);
        }
    }
}

/// Calls a command, and answers with its error if it fails.
pub(crate) fn call(context: &mut Context<'_>, request: &[&[u8]]) {
    let called = check(context.store, request).and_then(|command| {
        context.client.sends(command.name);
        (command.run)(context, &request[1..])
    });
    if let Err(fault) = called {
        context.answers.error(&fault);
    }
}

/// Finds the command of a request, and checks the number of arguments.
fn check(store: &Store, request: &[&[u8]]) -> Result<&'static Command, Fault> {
    let Some((command, len)) = find(request[0]).zip(i64::try_from(request.len()).ok()) else {
        return Err(unknown(request[0]));
    };
    let fits = match command.arity {
        arity @ ..0 => len >= -arity,
        arity => len == arity,
    };
    if !fits {
        return Err(wrong_number(command.name));
    }
    if command.flags.contains(&GROWTH) && store.memory().is_full() {
        return Err(FULL);
    }
    Ok(command)
}

pub(crate) fn wrong_number(name: &str) -> Fault {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

fn unknown(name: &[u8]) -> Fault {
    format!("ERR unknown command '{}'", shown(name)).into()
}

/// The beginning of an argument, for an error about it.
pub(crate) fn shown(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&text[..text.len().min(128)])
}

pub(crate) fn unknown_subcommand(command: &str, name: &[u8]) -> Fault {
    let name = shown(name);
    let help = command.to_uppercase();
    format!("ERR unknown subcommand '{name}'. Try {help} HELP.").into()
}

/// Answers HELP with the subcommands of a command.
pub(crate) fn help(context: &mut Context<'_>, command: &str, subcommands: &[&str]) {
    context.answers.array(subcommands.len());
    for subcommand in subcommands {
        context.answers.status(&format!("{command} {subcommand}"));
    }
}

pub(crate) fn number(text: &[u8]) -> Result<i64, Fault> {
    integer(text).ok_or(NOT_AN_INTEGER)
}
