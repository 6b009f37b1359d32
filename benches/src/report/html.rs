//! The report as one HTML page that needs nothing else: styles and plots are in it.

use std::fmt::Write;

use super::{cell_text, legend, plot, ratio};
use crate::{
    compare::Change,
    data::{Chart, Report, Table},
};

const STYLE: &str = include_str!("page.css");

pub(crate) fn html(report: &Report, changes: Option<&[Change]>) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>nio beside its peers</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>nio beside its peers</h1>\n<p><code>{}</code></p>\n",
        escape(report.command.trim()),
    );
    for warning in &report.warnings {
        add(
            &mut page,
            format_args!("<p class=\"warning\">{}</p>\n", escape(warning)),
        );
    }
    page += "<nav>";
    for part in &report.parts {
        let name = escape(&part.name);
        add(&mut page, format_args!("<a href=\"#{name}\">{name}</a> "));
    }
    page += "</nav>\n";
    if let Some(changes) = changes {
        add_changes(&mut page, changes);
    }
    for part in &report.parts {
        let name = escape(&part.name);
        add(
            &mut page,
            format_args!("<section id=\"{name}\">\n<h2>{name}</h2>\n"),
        );
        add(
            &mut page,
            format_args!(
                "<p>{} <em>{}</em></p>\n",
                escape(&part.measured),
                escape(&part.reading)
            ),
        );
        for note in &part.found.notes {
            add(
                &mut page,
                format_args!("<p class=\"note\">{}</p>\n", escape(note)),
            );
        }
        part.found
            .charts
            .iter()
            .for_each(|chart| add_chart(&mut page, chart));
        part.found
            .tables
            .iter()
            .for_each(|table| add_table(&mut page, table));
        page += "</section>\n";
    }
    add_machine(&mut page, &report.machine);
    page += "</main>\n</body>\n</html>\n";
    page
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string has room");
}

/// The plots of a table, and the table folded below.
fn add_table(page: &mut String, table: &Table) {
    add(
        page,
        format_args!(
            "<h3>{}</h3>\n<p class=\"legend\">{}</p>\n",
            escape(&table.title),
            escape(&legend(table))
        ),
    );
    page.push_str("<div class=\"plots\">\n");
    for column in 0..table.columns.len() {
        page.push_str("<figure>\n");
        if table.columns.len() > 1 {
            add(
                page,
                format_args!(
                    "<figcaption>{}</figcaption>\n",
                    escape(&table.columns[column])
                ),
            );
        }
        page.push_str(&plot::bars(table, column));
        page.push_str("</figure>\n");
    }
    page.push_str(
        "</div>\n<details><summary>table</summary>\n<div class=\"wide\"><table>\n<tr><th></th>",
    );
    for column in &table.columns {
        add(page, format_args!("<th>{}</th>", escape(column)));
    }
    page.push_str("</tr>\n");
    for (index, row) in table.rows.iter().enumerate() {
        add(page, format_args!("<tr><th>{}</th>", escape(&row.name)));
        for cell in &row.cells {
            add(
                page,
                format_args!("<td>{}</td>", escape(&cell_text(table, index, cell))),
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div></details>\n");
}

fn add_chart(page: &mut String, chart: &Chart) {
    add(page, format_args!("<h3>{}</h3>\n", escape(&chart.title)));
    add(
        page,
        format_args!(
            "<figure class=\"curves\">\n{}</figure>\n",
            plot::curves(chart)
        ),
    );
}

fn add_changes(page: &mut String, changes: &[Change]) {
    page.push_str("<section id=\"changes\">\n<h2>changes</h2>\n");
    if changes.is_empty() {
        page.push_str(
            "<p>No ratio has changed by 3 % or more beyond its quartiles.</p>\n</section>\n",
        );
        return;
    }
    page.push_str("<div class=\"wide\"><table>\n<tr><th>part</th><th>setting</th><th>contender</th><th>before</th><th>now</th><th></th></tr>\n");
    for change in changes {
        let verdict = if change.is_better { "better" } else { "worse" };
        add(
            page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{verdict}\">{verdict}</td></tr>\n",
                escape(&change.part),
                escape(&change.setting),
                escape(&change.contender),
                ratio(&change.old),
                ratio(&change.new),
            ),
        );
    }
    page.push_str("</table></div>\n</section>\n");
}

fn add_machine(page: &mut String, machine: &[(String, String)]) {
    page.push_str(
        "<section id=\"machine\">\n<h2>machine and versions</h2>\n<div class=\"wide\"><table>\n",
    );
    for (name, value) in machine {
        add(
            page,
            format_args!(
                "<tr><th>{}</th><td>{}</td></tr>\n",
                escape(name),
                escape(value)
            ),
        );
    }
    page.push_str("</table></div>\n</section>\n");
}

/// Text in which nothing is HTML.
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
