//! The plots, as SVG whose colours are those of the page's style.
//!
//! - Ratios are bars from 1 on a logarithmic axis: twice and half as much are equally far from it.
//! - Figures are bars from 0 on a linear axis.
//! - A whisker goes from one quartile to the other.

use std::fmt::Write;

use super::{cell_text, figure, html::escape};
use crate::data::{Cell, Chart, Spread, Table};

const WIDTH: f64 = 400.0;
const NAMES: f64 = 118.0;
const VALUES: f64 = 112.0;
const ROW: f64 = 22.0;
const AXIS: f64 = 22.0;

/// The axis from the left end of the bars to the right one.
struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// An axis of ratios, on which 1 and these ratios have a place.
    fn of_ratios(ratios: impl Iterator<Item = f64>) -> Axis {
        let (mut low, mut high) = (0.8_f64, 1.25_f64);
        for ratio in ratios.filter(|ratio| *ratio > 0.0) {
            low = low.min(ratio / 1.05).max(1.0 / 100.0);
            high = high.max(ratio * 1.05).min(100.0);
        }
        Axis {
            low,
            high,
            is_logarithmic: true,
        }
    }

    /// An axis of figures, from 0 on.
    fn of_figures(figures: impl Iterator<Item = f64>) -> Axis {
        Axis {
            low: 0.0,
            high: figures.fold(f64::MIN_POSITIVE, f64::max) * 1.05,
            is_logarithmic: false,
        }
    }

    /// The place of a value between 0 and 1.
    fn part(&self, value: f64) -> f64 {
        let part = match self.is_logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        part.clamp(0.0, 1.0)
    }

    /// The place of a value in the plot.
    fn x(&self, value: f64) -> f64 {
        NAMES + self.part(value) * (WIDTH - NAMES - VALUES)
    }

    /// The marks with a label: few enough that the labels do not touch.
    fn marks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            return Vec::new();
        }
        let all: &[f64] = match self.high / self.low {
            ..4.0 => &[0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5],
            ..20.0 => &[0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0],
            _ => &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
        };
        let inside = |mark: &&f64| (self.low..=self.high).contains(*mark);
        all.iter().filter(inside).copied().collect()
    }
}

/// The class of a contender, which has its colour.
fn class(name: &str, row: usize) -> &'static str {
    match row {
        _ if name.starts_with("nio") => "own",
        0 => "base",
        _ => "peer",
    }
}

/// A column of a table: a bar for each contender.
pub(super) fn bars(table: &Table, column: usize) -> String {
    let spread = |cell: &Cell| match table.plots_figures {
        true => Some(cell.figure),
        false => cell.ratio,
    };
    let rows = table.rows.iter().enumerate().filter_map(|(index, row)| {
        let cell = row.cells[column].as_ref()?;
        Some((index, row.name.as_str(), cell, spread(cell)?))
    });
    let rows: Vec<_> = rows.collect();
    let ends = rows
        .iter()
        .flat_map(|(.., spread)| [spread.low, spread.high]);
    let (axis, origin) = match table.plots_figures {
        true => (Axis::of_figures(ends), 0.0),
        false => (Axis::of_ratios(ends), 1.0),
    };
    let bottom = ROW * rows.len() as f64 + 4.0;
    let mut svg = open(WIDTH, bottom + AXIS, &table.title);
    add_marks(&mut svg, &axis, bottom);
    for (place, (index, name, cell, spread)) in rows.into_iter().enumerate() {
        let (top, class, name) = (ROW * place as f64 + 4.0, class(name, index), escape(name));
        let whole = cell_text(table, index, &Some(*cell));
        let figure = figure(cell.figure.median, &table.unit);
        add(
            &mut svg,
            format_args!("<g class=\"{class}\"><title>{name}: {figure}; {whole}</title>"),
        );
        let (x, y) = (NAMES - 8.0, top + 11.0);
        add(
            &mut svg,
            format_args!("<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>"),
        );
        add_bar(&mut svg, &axis, top, origin, &spread);
        let x = WIDTH - VALUES + 8.0;
        let text = match (table.plots_figures, cell.ratio) {
            (true, Some(ratio)) => format!("{figure}: ×{:.2}", ratio.median),
            _ => whole,
        };
        add(
            &mut svg,
            format_args!("<text class=\"value\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text></g>\n"),
        );
    }
    svg + "</svg>\n"
}

/// The lines of an axis, and their labels.
fn add_marks(svg: &mut String, axis: &Axis, bottom: f64) {
    for mark in axis.marks() {
        let (x, kind) = (axis.x(mark), if mark == 1.0 { "one" } else { "grid" });
        let y = bottom + 14.0;
        add(
            svg,
            format_args!(
                "<line class=\"{kind}\" x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
            ),
        );
        add(
            svg,
            format_args!("<text class=\"mark\" x=\"{x:.1}\" y=\"{y:.1}\">{mark}</text>\n"),
        );
    }
}

/// A bar from the origin to the median, and a whisker between the quartiles.
fn add_bar(svg: &mut String, axis: &Axis, top: f64, origin: f64, spread: &Spread) {
    let (origin, x, y) = (axis.x(origin), axis.x(spread.median), top + 7.0);
    let (left, width) = (origin.min(x), (x - origin).abs().max(1.5));
    add(
        svg,
        format_args!("<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"14\"/>"),
    );
    if spread.low < spread.high {
        let (low, high) = (axis.x(spread.low), axis.x(spread.high));
        add(
            svg,
            format_args!(
                "<line class=\"whisker\" x1=\"{low:.1}\" y1=\"{y:.1}\" x2=\"{high:.1}\" y2=\"{y:.1}\"/>"
            ),
        );
    }
}

/// The size of a chart, and the places of its curves in it.
const CHART: (f64, f64) = (760.0, 330.0);
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 10.0;

/// Curves on a logarithmic axis, each with its name at its right end.
pub(super) fn curves(chart: &Chart) -> String {
    let (width, height) = CHART;
    let mut svg = open(width, height, &chart.title);
    let all = || {
        chart
            .curves
            .iter()
            .flat_map(|curve| &curve.y)
            .copied()
            .filter(|y| *y > 0.0)
    };
    let axis = Axis {
        low: all().fold(f64::MAX, f64::min) / 1.1,
        high: all().fold(f64::MIN_POSITIVE, f64::max) * 1.1,
        is_logarithmic: true,
    };
    let y = |value: f64| TOP + (1.0 - axis.part(value)) * (height - TOP - BOTTOM);
    let steps = chart.x.len().saturating_sub(1).max(1) as f64;
    let x = |place: usize| LEFT + place as f64 / steps * (width - LEFT - RIGHT);
    for mark in marks_of_time(axis.low, axis.high) {
        let (y, right) = (y(mark), width - RIGHT);
        add(
            &mut svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"
            ),
        );
        add(
            &mut svg,
            format_args!(
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                LEFT - 8.0,
                y + 4.0,
                figure(mark, &chart.unit)
            ),
        );
    }
    for (place, label) in chart.x.iter().enumerate() {
        add(
            &mut svg,
            format_args!(
                "<text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                x(place),
                height - 8.0,
                escape(label)
            ),
        );
    }
    let ends: Vec<f64> = chart
        .curves
        .iter()
        .map(|curve| y(curve.y.last().copied().unwrap_or(1.0)))
        .collect();
    let labels = apart(&ends, TOP + 6.0, height - BOTTOM);
    for (index, curve) in chart.curves.iter().enumerate() {
        let points: Vec<String> = curve
            .y
            .iter()
            .enumerate()
            .map(|(place, value)| format!("{:.1},{:.1}", x(place), y(*value)))
            .collect();
        let class = match class(&curve.name, index) {
            "own" => format!("own o{}", index % 3),
            "peer" => format!("peer c{}", index % 8),
            class => class.to_string(),
        };
        let (end, label, right) = (ends[index], labels[index], width - RIGHT);
        add(
            &mut svg,
            format_args!(
                "<g class=\"{class}\"><title>{}</title><polyline points=\"{}\"/>",
                escape(&curve.name),
                points.join(" ")
            ),
        );
        add(
            &mut svg,
            format_args!(
                "<line class=\"lead\" x1=\"{:.1}\" y1=\"{end:.1}\" x2=\"{:.1}\" y2=\"{label:.1}\"/>",
                right + 3.0,
                right + 18.0
            ),
        );
        add(
            &mut svg,
            format_args!(
                "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>\n",
                right + 22.0,
                label + 4.0,
                escape(&curve.name)
            ),
        );
    }
    svg + "</svg>\n"
}

/// 1, 2 and 5 of each power of ten within the range.
fn marks_of_time(low: f64, high: f64) -> Vec<f64> {
    let powers = (0..12).flat_map(|power| [1.0, 2.0, 5.0].map(|mark| mark * 10_f64.powi(power)));
    let marks: Vec<f64> = powers.filter(|mark| (low..=high).contains(mark)).collect();
    match marks.len() {
        ..8 => marks,
        _ => marks
            .into_iter()
            .filter(|mark| mark.log10().fract().abs() < 1e-9)
            .collect(),
    }
}

/// Places near these, in the same order, with room for a line of text between two.
fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    const LINE: f64 = 14.0;
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut places = vec![0.0; wanted.len()];
    let mut least = top;
    for &index in &order {
        places[index] = wanted[index].max(least);
        least = places[index] + LINE;
    }
    let mut most = bottom;
    for &index in order.iter().rev() {
        places[index] = places[index].min(most);
        most = places[index] - LINE;
    }
    places
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title)
    )
}

fn add(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string has room");
}
