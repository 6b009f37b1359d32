//! The command line.

use std::{env, fs, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{
    compare,
    data::{Found, Part, Report},
    gate, machine,
    parts::{self, Info, ONCE},
    process::{self, SERVE},
    report,
    run::{Error, Run},
    timers::{self, REPLAY, REPLAY_ONCE},
};

/// Measures nio beside its peers, and writes a report under target/bench
#[derive(Parser)]
#[command(
    name = "nio-benches",
    after_help = "`gate` instead of parts checks instruction counts; see `gate --help`."
)]
struct Options {
    /// The parts to measure [default: all]
    parts: Vec<String>,
    /// Takes two minutes: fewer rounds and settings, and without the slow parts unless they are named
    #[arg(long)]
    quick: bool,
    /// Prints the changes since this report (target/bench/report.json of another run)
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Lists the parts, with the subject of each
    #[arg(long)]
    list: bool,
    /// Ends with an error if the machine is busy (by default it is noted in the report)
    #[arg(long)]
    strict: bool,
    /// Measures nothing: writes Markdown and HTML of this report again
    #[arg(long, value_name = "FILE")]
    render: Option<PathBuf>,
    /// Puts the tables into benches/README.md
    #[arg(long)]
    bless_readme: bool,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The first word can be one of a process that this program starts.
fn dispatch(arguments: &[String]) -> Result<ExitCode, Error> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [SERVE, service, server, connections] => {
            process::serve(service, server, connections.parse()?)?;
        }
        [REPLAY, pattern, timers] => timers::replay(pattern, timers.parse()?)?,
        [REPLAY_ONCE, peer, pattern, timers] => {
            timers::replay_once(peer, pattern, timers.parse()?)?;
        }
        [ONCE, group, contender, times] => {
            let group = parts::small_group(group).ok_or("no group has this name")?;
            group.once(contender, times.parse()?)?;
        }
        ["gate", ref rest @ ..] => return gate::main(rest),
        _ => run(&Options::parse())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run(options: &Options) -> Result<(), Error> {
    if options.list {
        for part in &parts::ALL {
            println!("{:14}{}", part.name, part.measured);
        }
        return Ok(());
    }
    let old = match &options.compare {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let new = match &options.render {
        Some(path) => read(path)?,
        None => measure(options)?,
    };
    let changes = old.map(|old| compare::changes(&old, &new));
    let folder = machine::target().join("bench");
    fs::create_dir_all(&folder)?;
    let markdown = report::markdown(&new, changes.as_deref());
    fs::write(
        folder.join("report.json"),
        serde_json::to_string_pretty(&new)?,
    )?;
    fs::write(folder.join("report.md"), &markdown)?;
    fs::write(
        folder.join("report.html"),
        report::html(&new, changes.as_deref()),
    )?;
    println!("{markdown}");
    if options.bless_readme {
        let path = machine::workspace().join("benches/README.md");
        let text = report::with_tables(&fs::read_to_string(&path)?, &new)?;
        fs::write(path, text)?;
    }
    println!(
        "The report, with plots: {}",
        folder.join("report.html").display()
    );
    Ok(())
}

fn read(path: &PathBuf) -> Result<Report, Error> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let report = serde_json::from_str(&text);
    Ok(report.map_err(|error| format!("{} is no report: {error}", path.display()))?)
}

/// The parts that the command line chooses.
fn chosen(options: &Options) -> Result<Vec<&'static Info>, Error> {
    for name in &options.parts {
        if !parts::ALL.iter().any(|part| part.name == name) {
            return Err(format!("there is no part {name}; --list names all").into());
        }
    }
    let is_chosen = |part: &&Info| match options.parts[..] {
        [] => !options.quick || part.is_quick(),
        ref names => names.iter().any(|name| name == part.name),
    };
    Ok(parts::ALL.iter().filter(is_chosen).collect())
}

fn measure(options: &Options) -> Result<Report, Error> {
    let chosen = chosen(options)?;
    if cfg!(debug_assertions) {
        return Err("this build is not optimised; run it with --release".into());
    }
    let mut warnings = machine::busy("before", true);
    if options.strict && !warnings.is_empty() {
        return Err(format!("the machine is busy: {}", warnings.join("; ")).into());
    }
    warnings.extend(machine::missing_libraries());
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let planned = chosen.iter().map(|part| part.planned(options.quick)).sum();
    let run = Run::new(options.quick, planned);
    let mut parts = Vec::new();
    for part in chosen {
        run.begin(part.name, part.planned(options.quick));
        let found = (part.measure)(&run).unwrap_or_else(|error| {
            eprintln!("error in {}: {error}", part.name);
            Found {
                notes: vec![format!("failed: {error}")],
                ..Found::default()
            }
        });
        parts.push(Part {
            name: part.name.into(),
            measured: part.measured.into(),
            reading: part.reading.into(),
            found,
        });
    }
    run.end();
    warnings.extend(machine::busy("after", false));
    let arguments: Vec<String> = env::args().skip(1).collect();
    Ok(Report {
        command: format!(
            "cargo run --release -p nio-benches -- {}",
            arguments.join(" ")
        ),
        machine: machine::describe(),
        warnings,
        parts,
    })
}
