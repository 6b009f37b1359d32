//! The data of a report: the JSON file that is written, read by `--compare`, and turned into Markdown and HTML.
//!
//! - The first row of a table is the baseline. A ratio is a contender's figure divided by the baseline's of the same round.
//! - Every figure comes with its ratio, and both come with their quartiles.

use serde::{Deserialize, Serialize};

/// One run of the benchmarks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// The command line after the program's name.
    pub(crate) command: String,
    /// Names and values: machine, kernel, versions.
    pub(crate) machine: Vec<(String, String)>,
    /// Reasons to distrust the figures: a busy machine, a program that is not installed.
    pub(crate) warnings: Vec<String>,
    pub(crate) parts: Vec<Part>,
}

/// One subject.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The subject, in one sentence.
    pub(crate) measured: String,
    /// How to read it, in one sentence.
    pub(crate) reading: String,
    #[serde(flatten)]
    pub(crate) found: Found,
}

/// The figures of a part.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Found {
    pub(crate) tables: Vec<Table>,
    pub(crate) charts: Vec<Chart>,
    /// Contenders that were skipped and why, and an error that ended the part.
    pub(crate) notes: Vec<String>,
}

/// Contenders (rows) in several settings (columns).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) unit: String,
    /// More is better; otherwise less is.
    pub(crate) more_is_better: bool,
    /// The plot shows the figures themselves; otherwise it shows ratios.
    pub(crate) plots_figures: bool,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// One for each column; `None` where the contender does not take part.
    pub(crate) cells: Vec<Option<Cell>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cell {
    pub(crate) figure: Spread,
    /// `None` if the baseline's figure is 0.
    pub(crate) ratio: Option<Spread>,
}

/// The quartiles of a figure's rounds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// Curves, one for each contender.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) unit: String,
    /// The labels of the x axis, at equal distances.
    pub(crate) x: Vec<String>,
    pub(crate) curves: Vec<Curve>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// One for each label of the x axis.
    pub(crate) y: Vec<f64>,
}

impl Spread {
    /// The quartiles; `None` of nothing.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |quarter: usize| {
            let (place, part) = (last * quarter / 4, (last * quarter % 4) as f64 / 4.0);
            sorted[place] + (sorted[(place + 1).min(last)] - sorted[place]) * part
        };
        Some(Spread {
            low: at(1),
            median: at(2),
            high: at(3),
        })
    }

    /// Whether the ranges between the quartiles have nothing in common.
    pub(crate) fn is_apart_from(&self, other: &Spread) -> bool {
        self.low > other.high || other.low > self.high
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, unit: &str, names: &[&str]) -> Table {
        let row = |name: &&str| Row {
            name: name.to_string(),
            cells: Vec::new(),
        };
        Table {
            title: title.into(),
            unit: unit.into(),
            more_is_better: false,
            plots_figures: false,
            columns: Vec::new(),
            rows: names.iter().map(row).collect(),
        }
    }

    pub(crate) fn more_is_better(self) -> Table {
        Table {
            more_is_better: true,
            ..self
        }
    }

    pub(crate) fn plots_figures(self) -> Table {
        Table {
            plots_figures: true,
            ..self
        }
    }

    /// Adds a column: rounds of one figure for each contender, paired by round.
    pub(crate) fn column(&mut self, name: impl Into<String>, rounds: &[Vec<Option<f64>>]) {
        self.columns.push(name.into());
        for (index, row) in self.rows.iter_mut().enumerate() {
            let figure = Spread::of(rounds.iter().filter_map(|round| round[index]));
            let ratio = |round: &Vec<Option<f64>>| Some(round[index]? / round[0]?);
            let ratio = Spread::of(rounds.iter().filter_map(ratio).filter(|it| it.is_finite()));
            row.cells.push(figure.map(|figure| Cell { figure, ratio }));
        }
    }

    /// Adds a column of figures that are the same in each round.
    pub(crate) fn counted(&mut self, name: impl Into<String>, figures: Vec<Option<f64>>) {
        self.column(name, &[figures]);
    }
}
