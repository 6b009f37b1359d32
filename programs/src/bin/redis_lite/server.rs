//! The commands on the whole server.

use std::fmt::Write;

use crate::{
    answers::Answers,
    commands::{
        COMMANDS, Command, Context, Fault, SYNTAX, find, help, unknown_subcommand, wrong_number,
    },
    connection::VERSION,
    glob::matches,
    store::now,
};

pub(crate) fn dbsize(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    context.answers.integer(context.store.len() as i64);
    Ok(())
}

/// FLUSHALL [ASYNC | SYNC]
pub(crate) fn flush(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let option = arguments.first().map(|option| option.to_ascii_uppercase());
    match (option.as_deref(), arguments.len()) {
        (None | Some(b"ASYNC" | b"SYNC"), 0 | 1) => {
            context.store.clear();
            context.answers.status("OK");
            Ok(())
        }
        _ => Err(SYNTAX),
    }
}

pub(crate) fn time(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    let milliseconds = now();
    context.answers.array(2);
    let parts = [milliseconds / 1000, milliseconds % 1000 * 1000];
    for part in parts {
        context.answers.bulk(part.to_string().as_bytes());
    }
    Ok(())
}

pub(crate) fn info(context: &mut Context<'_>, names: &[&[u8]]) -> Result<(), Fault> {
    let is_meant = |section: &str| {
        let is_it = |name: &&[u8]| name.eq_ignore_ascii_case(section.as_bytes());
        let all = [&b"default"[..], b"all", b"everything"];
        let is_all = |name: &&[u8]| all.iter().any(|all| name.eq_ignore_ascii_case(all));
        names.is_empty() || names.iter().any(|name| is_it(name) || is_all(name))
    };
    let mut text = String::new();
    for (section, lines) in sections(context) {
        if is_meant(section) {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            let _ = write!(text, "{gap}# {section}\r\n");
            for (name, value) in lines {
                let _ = write!(text, "{name}:{value}\r\n");
            }
        }
    }
    context.answers.text(&text);
    Ok(())
}

/// A section of INFO: its name, and names and values.
type Section = (&'static str, Vec<(&'static str, String)>);

fn sections(context: &Context<'_>) -> [Section; 7] {
    let Context {
        store,
        clients,
        server,
        ..
    } = context;
    let seconds = server.started.elapsed().as_secs();
    let (used, limit) = (store.memory().used(), store.memory().limit());
    let mut keyspace = Vec::new();
    if store.len() > 0 {
        let (keys, expires) = (store.len(), store.expiring());
        keyspace.push(("db0", format!("keys={keys},expires={expires},avg_ttl=0")));
    }
    [
        (
            "Server",
            vec![
                ("redis_version", VERSION.into()),
                ("redis_mode", "standalone".into()),
                ("server_name", "nio redis_lite".into()),
                ("os", std::env::consts::OS.into()),
                ("process_id", std::process::id().to_string()),
                ("tcp_port", server.port.get().to_string()),
                ("uptime_in_seconds", seconds.to_string()),
                ("uptime_in_days", (seconds / 86_400).to_string()),
            ],
        ),
        (
            "Clients",
            vec![
                ("connected_clients", clients.len().to_string()),
                ("maxclients", server.connections.to_string()),
            ],
        ),
        (
            "Memory",
            vec![
                ("used_memory", used.to_string()),
                ("mem_clients_normal", server.buffers.used().to_string()),
                ("maxmemory", limit.to_string()),
                ("maxmemory_policy", "noeviction".into()),
            ],
        ),
        (
            "Persistence",
            vec![("loading", "0".into()), ("aof_enabled", "0".into())],
        ),
        (
            "Stats",
            vec![
                (
                    "total_connections_received",
                    clients.connections.get().to_string(),
                ),
                (
                    "total_commands_processed",
                    clients.commands.get().to_string(),
                ),
            ],
        ),
        (
            "Replication",
            vec![("role", "master".into()), ("connected_slaves", "0".into())],
        ),
        ("Keyspace", keyspace),
    ]
}

pub(crate) fn config(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let patterns = match (&*arguments[0].to_ascii_uppercase(), &arguments[1..]) {
        (b"GET", patterns @ [_, ..]) => patterns,
        (b"GET", []) => return Err(wrong_number("config|get")),
        (b"RESETSTAT", []) => {
            context.clients.connections.set(0);
            context.clients.commands.set(0);
            context.answers.status("OK");
            return Ok(());
        }
        (b"HELP", []) => {
            help(
                context,
                "CONFIG",
                &["GET pattern [pattern ...]", "RESETSTAT"],
            );
            return Ok(());
        }
        (b"SET", _) => {
            return Err("ERR the configuration is set by the options of redis_lite".into());
        }
        _ => return Err(unknown_subcommand("config", arguments[0])),
    };
    let settings = [
        ("appendonly", "no".into()),
        ("databases", "1".into()),
        ("maxclients", context.server.connections.to_string()),
        ("maxmemory", context.store.memory().limit().to_string()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", context.server.port.get().to_string()),
        ("save", String::new()),
    ];
    let is_meant = |name: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let meant: Vec<_> = settings.iter().filter(|(name, _)| is_meant(name)).collect();
    context.answers.map(meant.len());
    for (name, value) in meant {
        context.answers.bulk(name.as_bytes());
        context.answers.bulk(value.as_bytes());
    }
    Ok(())
}

pub(crate) fn command(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let Some((name, arguments)) = arguments.split_first() else {
        describe_all(context, &[]);
        return Ok(());
    };
    match (&*name.to_ascii_uppercase(), arguments) {
        (b"COUNT", []) => context.answers.integer(COMMANDS.len() as i64),
        (b"LIST", []) => {
            context.answers.array(COMMANDS.len());
            for command in COMMANDS {
                context.answers.bulk(command.name.as_bytes());
            }
        }
        (b"INFO", names) => describe_all(context, names),
        (b"HELP", []) => {
            let lines = ["COUNT", "LIST", "INFO [name ...]", "DOCS [name ...]"];
            help(context, "COMMAND", &lines);
        }
        (b"DOCS", names) => {
            let commands: Vec<_> = match names {
                [] => COMMANDS.iter().collect(),
                names => names.iter().filter_map(|name| find(name)).collect(),
            };
            context.answers.map(commands.len());
            for command in commands {
                document(context.answers, command);
            }
        }
        (b"COUNT" | b"LIST", _) => {
            let name = String::from_utf8_lossy(name).to_lowercase();
            return Err(wrong_number(&format!("command|{name}")));
        }
        _ => return Err(unknown_subcommand("command", name)),
    }
    Ok(())
}

/// Describes the commands of these names, or all; null for an unknown name.
fn describe_all(context: &mut Context<'_>, names: &[&[u8]]) {
    let commands: Vec<_> = match names {
        [] => COMMANDS.iter().map(Some).collect(),
        names => names.iter().map(|name| find(name)).collect(),
    };
    context.answers.array(commands.len());
    for command in commands {
        match command {
            Some(command) => describe(context.answers, command),
            None => context.answers.null(),
        }
    }
}

/// An element of the answer to COMMAND: categories, tips, specifications of keys and subcommands are left
/// empty.
fn describe(answers: &mut Answers, command: &Command) {
    answers.array(10);
    answers.bulk(command.name.as_bytes());
    answers.integer(command.arity);
    answers.set(command.flags.len());
    for flag in command.flags {
        answers.status(flag);
    }
    for number in command.keys {
        answers.integer(number);
    }
    answers.set(0);
    for _ in 0..3 {
        answers.array(0);
    }
}

fn document(answers: &mut Answers, command: &Command) {
    answers.bulk(command.name.as_bytes());
    answers.map(2);
    for (name, value) in [("summary", command.summary), ("group", command.group)] {
        answers.bulk(name.as_bytes());
        answers.bulk(value.as_bytes());
    }
}
