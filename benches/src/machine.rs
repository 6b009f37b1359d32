//! The machine that measures: names and versions for the report, whether it is busy, and where sources are.

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{
    clock::thread_time,
    data::Spread,
    library::{self, Library},
    run::Error,
};

/// The crates whose versions are part of the report.
const CRATES: [&str; 8] = [
    "mio",
    "polling",
    "tokio",
    "tokio-util",
    "async-io",
    "async-executor",
    "calloop",
    "hyper",
];

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    benches.parent().expect("benches are in the workspace")
}

/// The folder of compiled programs.
pub(crate) fn target() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(folder)
}

/// The names and values of everything that the figures depend on.
pub(crate) fn describe() -> Vec<(String, String)> {
    let proc = |file: &str, label: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(label));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".into(), |(_, value)| value.trim().to_string())
    };
    let cores = available_parallelism().map_or(1, |count| count.get());
    let mut machine = vec![
        ("date", says("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        (
            "processor",
            format!("{}, {cores} cores", proc("/proc/cpuinfo", "model name")),
        ),
        ("memory", proc("/proc/meminfo", "MemTotal")),
        ("kernel", says("uname", &["-sr"])),
        ("compiler", compiler()),
        (
            "commit",
            says(
                "git",
                &[
                    "-C",
                    &workspace().display().to_string(),
                    "describe",
                    "--always",
                    "--dirty",
                ],
            ),
        ),
    ];
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap_or_default();
    for name in CRATES {
        machine.push((name, locked_version(&lock, name)));
    }
    let mut machine: Vec<(String, String)> = machine
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    for (_, package) in library::ALL {
        machine.push((
            package.to_string(),
            says("dpkg-query", &["-W", "-f", "${Version}", package]),
        ));
    }
    machine
}

/// The C libraries that are not installed.
pub(crate) fn missing_libraries() -> Vec<String> {
    let missing = library::ALL
        .into_iter()
        .filter(|(name, _)| Library::load(name).is_none());
    missing
        .map(|(_, package)| {
            format!("skipped: {package} is not installed (apt-get install {package})")
        })
        .collect()
}

pub(crate) fn compiler() -> String {
    says("rustc", &["--version"])
}

/// The first line that a program prints.
fn says(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_string()
}

fn locked_version(lock: &str, name: &str) -> String {
    let after = lock
        .split(&format!("name = \"{name}\"\nversion = \""))
        .nth(1);
    let version = after.and_then(|text| text.split('"').next());
    version.unwrap_or("unknown").to_string()
}

/// Reasons to think that other programs use the processors now.
pub(crate) fn busy(moment: &str, is_start: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    let cores = available_parallelism().map_or(1, |count| count.get()) as f64;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split(' ')
        .next()
        .and_then(|load| load.parse::<f64>().ok());
    // Afterwards the load is that of the benchmarks.
    if let Some(load) = load.filter(|load| is_start && *load > cores / 4.0) {
        reasons.push(format!(
            "{moment}: the load average is {load} on {cores} cores"
        ));
    }
    let calibration = calibrate();
    if calibration.lost > 0.05 {
        let percent = calibration.lost * 100.0;
        reasons.push(format!(
            "{moment}: other programs took {percent:.0} % of a calibration loop"
        ));
    }
    if calibration.spread > 0.1 {
        let percent = calibration.spread * 100.0;
        reasons.push(format!(
            "{moment}: the same calibration loop varied by {percent:.0} % (quartiles)"
        ));
    }
    reasons
}

struct Calibration {
    /// The part of the time in which the loop did not run.
    lost: f64,
    /// The distance of the quartiles of its processor time, by the median.
    spread: f64,
}

/// Runs the same loop over and over for 300 ms.
fn calibrate() -> Calibration {
    let start = Instant::now();
    let (mut wall, mut used, mut times) = (Duration::ZERO, Duration::ZERO, Vec::new());
    while start.elapsed() < Duration::from_millis(300) {
        let (begun, before) = (Instant::now(), thread_time());
        black_box((0..2_000_000_u64).fold(1, |product: u64, factor| {
            black_box(product.wrapping_mul(factor | 1))
        }));
        let time = thread_time() - before;
        wall += begun.elapsed();
        used += time;
        times.push(time.as_secs_f64());
    }
    let spread = Spread::of(times).expect("it has run at least once");
    Calibration {
        lost: 1.0 - used.as_secs_f64() / wall.as_secs_f64(),
        spread: (spread.high - spread.low) / spread.median,
    }
}

/// The folders of the crates that the workspace depends on.
pub(crate) struct Sources(BTreeMap<String, PathBuf>);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl Sources {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Sources, Error> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let host = says("rustc", &["--print", "host-tuple"]);
        let output = Command::new(cargo)
            .current_dir(workspace())
            .args(["metadata", "--offline", "--format-version", "1"])
            .args(["--filter-platform", &host])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        let folder =
            |package: Package| Some((package.name, package.manifest_path.parent()?.to_path_buf()));
        Ok(Sources(
            metadata.packages.into_iter().filter_map(folder).collect(),
        ))
    }

    pub(crate) fn of(&self, name: &str) -> Result<&Path, Error> {
        let found = self.0.get(name).map(PathBuf::as_path);
        Ok(found.ok_or_else(|| format!("cargo knows no crate {name}"))?)
    }
}
