//! The report in Markdown.

use std::fmt::Write;

use super::{cell_text, figure, legend, ratio};
use crate::{
    compare::Change,
    data::{Chart, Report, Table},
    run::Error,
};

/// The lines of benches/README.md between which its tables stand.
const BEGIN: &str = "<!-- tables: begin -->";
const END: &str = "<!-- tables: end -->";

pub(crate) fn markdown(report: &Report, changes: Option<&[Change]>) -> String {
    format!(
        "# nio beside its peers\n\n{}{}",
        changes.map(changes_text).unwrap_or_default(),
        body(report)
    )
}

/// A README with the tables of the report in their place.
pub(crate) fn with_tables(readme: &str, report: &Report) -> Result<String, Error> {
    let parts = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("README.md has no place for the tables")?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n{END}{after}",
        body(report).trim_end()
    ))
}

fn body(report: &Report) -> String {
    let mut text = format!("`{}`\n\n", report.command.trim());
    for warning in &report.warnings {
        writeln!(text, "> **Warning:** {}\n", escape(warning)).expect("a string has room");
    }
    text += "| | |\n|---|---|\n";
    for (name, value) in &report.machine {
        writeln!(text, "| {} | {} |", escape(name), escape(value)).expect("a string has room");
    }
    for part in &report.parts {
        write!(
            text,
            "\n## {}\n\n{} {}\n",
            escape(&part.name),
            escape(&part.measured),
            escape(&part.reading)
        )
        .expect("a string has room");
        for note in &part.found.notes {
            write!(text, "\n> {}\n", escape(note)).expect("a string has room");
        }
        part.found
            .tables
            .iter()
            .for_each(|table| add_table(&mut text, table));
        part.found
            .charts
            .iter()
            .for_each(|chart| add_chart(&mut text, chart));
    }
    text
}

fn add_table(text: &mut String, table: &Table) {
    write!(
        text,
        "\n**{}** ({})\n\n| |",
        escape(&table.title),
        escape(&legend(table))
    )
    .expect("a string has room");
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!(" {} |", escape(column)))
        .collect();
    *text += &columns.concat();
    *text += &format!("\n|---|{}\n", "---:|".repeat(columns.len()));
    for (index, row) in table.rows.iter().enumerate() {
        let name = escape(&row.name);
        let name = if row.name.starts_with("nio") {
            format!("**{name}**")
        } else {
            name
        };
        let cells: Vec<String> = row
            .cells
            .iter()
            .map(|cell| format!(" {} |", cell_text(table, index, cell)))
            .collect();
        writeln!(text, "| {name} |{}", cells.concat()).expect("a string has room");
    }
}

fn add_chart(text: &mut String, chart: &Chart) {
    write!(
        text,
        "\n**{}** (all rounds together)\n\n| |",
        escape(&chart.title)
    )
    .expect("a string has room");
    let columns: Vec<String> = chart
        .x
        .iter()
        .map(|x| format!(" {} |", escape(x)))
        .collect();
    *text += &columns.concat();
    *text += &format!("\n|---|{}\n", "---:|".repeat(columns.len()));
    for curve in &chart.curves {
        let cells: Vec<String> = curve
            .y
            .iter()
            .map(|y| format!(" {} |", figure(*y, &chart.unit)))
            .collect();
        writeln!(text, "| {} |{}", escape(&curve.name), cells.concat()).expect("a string has room");
    }
}

fn changes_text(changes: &[Change]) -> String {
    let mut text = "## Changes\n\n".to_string();
    if changes.is_empty() {
        text += "No ratio has changed by 3 % or more beyond its quartiles.\n\n";
        return text;
    }
    text += "| part | setting | contender | before | now | |\n|---|---|---|---:|---:|---|\n";
    for change in changes {
        let verdict = if change.is_better { "better" } else { "worse" };
        let (old, new) = (ratio(&change.old), ratio(&change.new));
        writeln!(
            text,
            "| {} | {} | {} | {old} | {new} | {verdict} |",
            escape(&change.part),
            escape(&change.setting),
            escape(&change.contender),
        )
        .expect("a string has room");
    }
    text + "\n"
}

/// Text in which nothing is Markdown.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '|' | '*' | '_' | '<' | '`' | '\\' | '[') {
            escaped.push('\\');
        }
        escaped.push(if letter == '\n' { ' ' } else { letter });
    }
    escaped
}
