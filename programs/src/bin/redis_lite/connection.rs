//! The commands on the connection itself.

use crate::{
    answers::Version,
    commands::{Context, Fault, SYNTAX, help, number, shown, unknown_subcommand, wrong_number},
};

/// The version that the server reports: its answers are those of this version of Redis.
pub(crate) const VERSION: &str = "7.0.15";

pub(crate) fn ping(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    match arguments {
        [] => context.answers.status("PONG"),
        [text] => context.answers.bulk(text),
        _ => return Err(wrong_number("ping")),
    }
    Ok(())
}

pub(crate) fn echo(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    context.answers.bulk(arguments[0]);
    Ok(())
}

pub(crate) fn quit(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    context.answers.status("OK");
    Ok(())
}

pub(crate) fn select(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    match number(arguments[0])? {
        0 => context.answers.status("OK"),
        _ => return Err("ERR DB index is out of range".into()),
    }
    Ok(())
}

pub(crate) fn reset(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    context.client.transaction.take();
    context.client.name.take();
    context.answers.version = Version::Resp2;
    context.answers.status("RESET");
    Ok(())
}

/// The user `default` has no password, so any password is accepted, as in Redis.
fn check_user(user: &[u8]) -> Result<(), Fault> {
    match user {
        b"default" => Ok(()),
        _ => Err("WRONGPASS invalid username-password pair or user is disabled.".into()),
    }
}

pub(crate) fn auth(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    match arguments {
        [_] => Err(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?"
                .into(),
        ),
        [user, _] => {
            check_user(user)?;
            context.answers.status("OK");
            Ok(())
        }
        _ => Err(SYNTAX),
    }
}

pub(crate) fn hello(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let version = match arguments.first() {
        None => context.answers.version,
        Some(version) => match number(version) {
            Ok(2) => Version::Resp2,
            Ok(3) => Version::Resp3,
            Ok(_) => return Err("NOPROTO unsupported protocol version".into()),
            Err(_) => {
                return Err("ERR Protocol version is not an integer or out of range".into());
            }
        },
    };
    let mut options = arguments.get(1..).unwrap_or_default();
    let mut name = None;
    loop {
        let option = options.first().map(|option| option.to_ascii_uppercase());
        options = match (option.as_deref(), options) {
            (Some(b"AUTH"), [_, user, _, rest @ ..]) => {
                check_user(user)?;
                rest
            }
            (Some(b"SETNAME"), [_, new, rest @ ..]) => {
                name = Some(word(new, "Client names")?);
                rest
            }
            (None, _) => break,
            (Some(option), _) => {
                let option = shown(option);
                return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
            }
        };
    }
    if let Some(name) = name {
        context.client.name.replace(name);
    }
    let answers = &mut *context.answers;
    answers.version = version;
    answers.map(7);
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        answers.bulk(name.as_bytes());
        answers.bulk(value.as_bytes());
    }
    answers.bulk(b"proto");
    answers.integer(version as i64);
    answers.bulk(b"id");
    answers.integer(context.client.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        answers.bulk(name.as_bytes());
        answers.bulk(value.as_bytes());
    }
    answers.bulk(b"modules");
    answers.array(0);
    Ok(())
}

/// The limit on the names that are kept for a client, in bytes.
const NAME: usize = 256;

/// Checks the name of a client or of its library. It must fit into a line of CLIENT LIST.
fn word(text: &[u8], what: &str) -> Result<String, Fault> {
    if text.len() > NAME {
        return Err(format!("ERR {what} cannot be longer than {NAME} bytes.").into());
    }
    match text.iter().all(u8::is_ascii_graphic) {
        true => Ok(String::from_utf8_lossy(text).into_owned()),
        false => {
            Err(format!("ERR {what} cannot contain spaces, newlines or special characters.").into())
        }
    }
}

pub(crate) fn client(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<(), Fault> {
    let client = context.client;
    match (&*arguments[0].to_ascii_uppercase(), &arguments[1..]) {
        (b"ID", []) => context.answers.integer(client.id as i64),
        (b"INFO", []) => context.answers.text(&client.line()),
        (b"LIST", options) => list(context, options)?,
        (b"GETNAME", []) => {
            let name = client.name.borrow();
            let name = (!name.is_empty()).then_some(name.as_bytes());
            context.answers.bulk_or_null(name);
        }
        (b"SETNAME", [name]) => {
            client.name.replace(word(name, "Client names")?);
            context.answers.status("OK");
        }
        (b"SETINFO", [option, value]) => {
            let (i, what) = match &*option.to_ascii_uppercase() {
                b"LIB-NAME" => (0, "lib-name"),
                b"LIB-VER" => (1, "lib-ver"),
                _ => return Err("ERR Unrecognized option for CLIENT SETINFO".into()),
            };
            client.library[i].replace(word(value, what)?);
            context.answers.status("OK");
        }
        // These have no effect: no key is evicted, and reading changes no key.
        (b"NO-EVICT" | b"NO-TOUCH", [switch]) => {
            match &*switch.to_ascii_uppercase() {
                b"ON" | b"OFF" => context.answers.status("OK"),
                _ => return Err(SYNTAX),
            };
        }
        (b"HELP", []) => {
            let lines = [
                "ID",
                "INFO",
                "LIST",
                "GETNAME",
                "SETNAME name",
                "SETINFO option value",
            ];
            help(context, "CLIENT", &lines);
        }
        (name @ (b"ID" | b"INFO" | b"GETNAME" | b"SETNAME" | b"SETINFO"), _) => {
            let name = String::from_utf8_lossy(name).to_lowercase();
            return Err(wrong_number(&format!("client|{name}")));
        }
        _ => return Err(unknown_subcommand("client", arguments[0])),
    }
    Ok(())
}

/// CLIENT LIST [TYPE type | ID id ...]
fn list(context: &mut Context<'_>, options: &[&[u8]]) -> Result<(), Fault> {
    let option = options.first().map(|option| option.to_ascii_uppercase());
    let lines = match (option.as_deref(), options.get(1..).unwrap_or_default()) {
        (None, _) => context.clients.lines(|_| true),
        (Some(b"TYPE"), [kind]) => {
            let is_normal = match &*kind.to_ascii_lowercase() {
                b"normal" => true,
                b"master" | b"replica" | b"pubsub" => false,
                kind => return Err(format!("ERR Unknown client type '{}'", shown(kind)).into()),
            };
            context.clients.lines(|_| is_normal)
        }
        (Some(b"ID"), ids @ [_, ..]) => {
            let ids: Result<Vec<i64>, _> = ids.iter().map(|id| number(id)).collect();
            let ids = ids.map_err(|_| "ERR Invalid client ID")?;
            context.clients.lines(|id| ids.contains(&(id as i64)))
        }
        _ => return Err(SYNTAX),
    };
    context.answers.text(&lines);
    Ok(())
}
