//! The report in Markdown and HTML.

mod html;
mod markdown;
mod plot;
#[cfg(test)]
mod tests;

pub(crate) use html::html;
pub(crate) use markdown::{markdown, with_tables};

use crate::data::{Cell, Spread, Table};

/// A figure with three digits, and a unit that suits its size.
fn figure(value: f64, unit: &str) -> String {
    let (value, unit) = match (unit, value.abs()) {
        ("ns", 1e9..) => (value / 1e9, "s"),
        ("ns", 1e6..) => (value / 1e6, "ms"),
        ("ns", 1e3..) => (value / 1e3, "µs"),
        ("B", 1e6..) => (value / 1e6, "MB"),
        ("B", 1e4..) => (value / 1e3, "kB"),
        _ => (value, unit),
    };
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ if unit.is_empty() && value == value.trunc() => 0,
        _ => 2,
    };
    let space = if unit.is_empty() { "" } else { " " };
    format!("{value:.digits$}{space}{unit}")
}

/// A ratio and its quartiles, where they differ.
fn ratio(ratio: &Spread) -> String {
    let of = |value: f64| match value {
        99.95.. => format!("{value:.0}"),
        9.995.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let (low, median, high) = (of(ratio.low), of(ratio.median), of(ratio.high));
    match low == high {
        true => median,
        false => format!("{median} ({low}–{high})"),
    }
}

/// The text of a cell: the figure of a baseline, and the ratio of a contender; both where figures are plotted.
fn cell_text(table: &Table, row: usize, cell: &Option<Cell>) -> String {
    let Some(cell) = cell else {
        return "–".into();
    };
    let figure = figure(cell.figure.median, &table.unit);
    match (row, cell.ratio) {
        (_, None) => figure,
        (0, Some(_)) => format!("{figure} = 1"),
        (_, Some(spread)) if table.plots_figures => format!("{figure}: ×{}", ratio(&spread)),
        (_, Some(spread)) => ratio(&spread),
    }
}

/// The rule by which a table is read.
fn legend(table: &Table) -> String {
    let better = match table.more_is_better {
        true => "more is better",
        false => "less is better",
    };
    let baseline = table.rows.first().map_or("", |row| row.name.as_str());
    format!("ratio to {baseline}, in brackets its quartiles; {better}")
}
