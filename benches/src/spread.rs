//! Where the numbers of several rounds lie.

use std::{error::Error, fmt};

use crate::servers::Server;

/// The least, the median and the greatest of some numbers. Shown as `median (least-greatest)`, with
/// the precision that the format asks for.
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub most: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(numbers: impl Iterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        Spread {
            least: sorted[0],
            median: sorted[sorted.len() / 2],
            most: sorted[sorted.len() - 1],
        }
    }
}

/// Runs servers in turn, round after round, so that a machine that gets slower changes their ratios
/// little.
pub fn rounds<T>(
    rounds: usize,
    servers: &[&Server],
    run: impl Fn(&Server) -> Result<T, Box<dyn Error>>,
) -> Result<Vec<Vec<T>>, Box<dyn Error>> {
    let round = |_| servers.iter().map(|server| run(server)).collect();
    (0..rounds).map(round).collect()
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (places, width) = (f.precision().unwrap_or(0), f.width().unwrap_or(0));
        let Spread {
            least,
            median,
            most,
        } = self;
        let text = format!("{median:.places$} ({least:.places$}-{most:.places$})");
        write!(f, "{text:>width$}")
    }
}
