//! A server that answers hello, alone in a package: size, time to compile, crates.
//!
//! Each package is made under `target/bench/hello` with the lock file of this workspace, so that versions are the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    data::{Found, Table},
    machine::{target, workspace},
    run::{Error, Run},
};

/// The name, the dependencies and the code of a package. `NIO` stands for the workspace.
type Hello = (&'static str, &'static str, &'static str);

const HELLOS: [Hello; 6] = [
    (
        "nio",
        "nio-loop = { path = 'NIO/nio-loop' }\nnio-net = { path = 'NIO/nio-net' }",
        include_str!("../../hello/nio.rs"),
    ),
    (
        "mio",
        "mio = { version = '1', features = ['net', 'os-poll'] }",
        include_str!("../../hello/mio.rs"),
    ),
    (
        "polling",
        "polling = '3'",
        include_str!("../../hello/polling.rs"),
    ),
    (
        "tokio",
        "tokio = { version = '1', features = ['io-util', 'net', 'rt'] }",
        include_str!("../../hello/tokio.rs"),
    ),
    (
        "smol",
        "async-executor = '1'\nasync-io = '2'\nfutures-lite = { version = '2', default-features = false, features = ['std'] }",
        include_str!("../../hello/smol.rs"),
    ),
    (
        "calloop",
        "calloop = '0.14'",
        include_str!("../../hello/calloop.rs"),
    ),
];

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let mut packages = Vec::new();
    for hello in &HELLOS {
        packages.push((hello.0, write(hello)?));
    }
    let names: Vec<&str> = HELLOS.iter().map(|hello| hello.0).collect();
    let mut time =
        Table::new("Time to compile from nothing (release)", "s", &names).plots_figures();
    // Compiling takes long and varies little, so there are the fewest rounds that give quartiles.
    let rounds = run.rounds("compile", Duration::ZERO, &mut packages, |(_, package)| {
        compile(package).map(Some)
    })?;
    time.column("seconds", &rounds);
    let mut size = Table::new("Size of the stripped binary", "B", &names).plots_figures();
    let mut crates = Table::new("Crates to compile", "", &names).plots_figures();
    let (mut sizes, mut counts) = (Vec::new(), Vec::new());
    for (_, package) in &packages {
        let binary = package.join("target/release/hello");
        sizes.push(Some(fs::metadata(binary)?.len() as f64));
        counts.push(Some(count_crates(package)? as f64));
    }
    size.counted("bytes", sizes);
    crates.counted("crates", counts);
    Ok(Found {
        tables: vec![size, time, crates],
        ..Found::default()
    })
}

/// Writes a package, and returns its folder.
fn write((name, dependencies, code): &Hello) -> Result<PathBuf, Error> {
    let package = target().join("bench/hello").join(name);
    fs::create_dir_all(package.join("src"))?;
    let nio = workspace().display().to_string();
    let manifest = format!(
        "[package]\nname = 'hello'\nedition = '2024'\n\n[workspace]\n\n[profile.release]\nstrip = true\n\n[dependencies]\n{}\n",
        dependencies.replace("NIO", &nio),
    );
    fs::write(package.join("Cargo.toml"), manifest)?;
    fs::write(package.join("src/main.rs"), code)?;
    fs::copy(workspace().join("Cargo.lock"), package.join("Cargo.lock"))?;
    Ok(package)
}

fn cargo(package: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(package).args(arguments);
    cargo.env("CARGO_TARGET_DIR", package.join("target"));
    cargo.stdin(Stdio::null());
    cargo
}

/// Seconds to compile a package and all that it depends on.
fn compile(package: &Path) -> Result<f64, Error> {
    let target = package.join("target");
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    let start = Instant::now();
    let built = cargo(package, &["build", "--release", "--offline", "--quiet"]).status()?;
    match built.success() {
        true => Ok(start.elapsed().as_secs_f64()),
        false => Err(format!("{} cannot be compiled", package.display()).into()),
    }
}

/// The number of crates that are compiled, without the package itself.
fn count_crates(package: &Path) -> Result<usize, Error> {
    let arguments = [
        "tree",
        "--offline",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = cargo(package, &arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.collect::<BTreeSet<_>>().len() - 1)
}
