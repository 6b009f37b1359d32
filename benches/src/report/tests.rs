//! The report of a fixed run is well-formed.

use super::{html, markdown, with_tables};
use crate::{compare, data::Report};

/// A report whose names try to be HTML and Markdown.
const JSON: &str = r#"{
  "command": "cargo run -- --quick <all>",
  "machine": [["processor", "A & B | C"], ["kernel", "Linux"]],
  "warnings": ["before: the load average is <9>"],
  "parts": [
    {
      "name": "echo", "measured": "A & B.", "reading": "Less <is> better.",
      "notes": ["skipped: \"libev\" is not installed"],
      "tables": [
        {
          "title": "CPU time | message", "unit": "ns", "more_is_better": false, "plots_figures": false,
          "columns": ["1 × 64 B", "64 × 64 B"],
          "rows": [
            {"name": "epoll", "cells": [
              {"figure": {"low": 900, "median": 1000, "high": 1100}, "ratio": {"low": 1, "median": 1, "high": 1}}, null]},
            {"name": "nio-net", "cells": [
              {"figure": {"low": 1000, "median": 1050, "high": 1100}, "ratio": {"low": 0.9, "median": 1.05, "high": 1.2}},
              {"figure": {"low": 1000, "median": 1050, "high": 1100}, "ratio": {"low": 30, "median": 40, "high": 5000}}]}
          ]
        },
        {
          "title": "Memory", "unit": "B", "more_is_better": false, "plots_figures": true, "columns": ["bytes"],
          "rows": [
            {"name": "<epoll>", "cells": [{"figure": {"low": 0, "median": 0, "high": 0}, "ratio": null}]},
            {"name": "nio-net", "cells": [
              {"figure": {"low": 250, "median": 253, "high": 260}, "ratio": {"low": 2, "median": 2, "high": 2}}]}
          ]
        }
      ],
      "charts": [
        {"title": "Latency", "unit": "ns", "x": ["p50", "p99"],
         "curves": [{"name": "epoll", "y": [10, 100]}, {"name": "a & b", "y": [11, 90000]}, {"name": "none", "y": [0, 0]}]}
      ]
    },
    {"name": "empty", "measured": "", "reading": "", "notes": [], "tables": [], "charts": []}
  ]
}"#;

fn report() -> Report {
    serde_json::from_str(JSON).expect("it is a report")
}

/// A report in which the contender has become slower.
fn slower() -> Report {
    let mut report = report();
    for cell in report.parts[0].found.tables[0].rows[1]
        .cells
        .iter_mut()
        .flatten()
    {
        let ratio = cell.ratio.as_mut().expect("each cell has a ratio");
        ratio.low *= 10_000.0;
        ratio.median *= 10_000.0;
        ratio.high *= 10_000.0;
    }
    report
}

/// Asserts that each element that is opened is closed in its turn, and that text is escaped.
fn assert_well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    let body = page.split_once("</style>").expect("there are styles").1;
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "a loose > in {:?}",
            &rest[..start]
        );
        let end = start + rest[start..].find('>').expect("each tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            // The head was opened before the styles ended.
            if !["head", "html"].contains(&name) {
                assert_eq!(opened.as_deref(), Some(name), "near {tag}");
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().expect("a tag has a name").to_string());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    for text in body.split('&').skip(1) {
        let is_entity = ["amp;", "lt;", "gt;", "quot;"]
            .iter()
            .any(|entity| text.starts_with(entity));
        assert!(is_entity, "a loose & before {text:.20}");
    }
    for number in ["NaN", "inf"] {
        assert!(!body.contains(number), "{number} in the page");
    }
}

#[test]
fn the_page_is_well_formed() {
    let report = report();
    assert_well_formed(&html(&report, None));
    assert_well_formed(&html(&report, Some(&[])));
    assert_well_formed(&html(&report, Some(&compare::changes(&report, &slower()))));
}

#[test]
fn the_page_has_a_plot_of_each_column_and_chart() {
    let page = html(&report(), None);
    assert_eq!(page.matches("<svg").count(), 4);
    assert_eq!(page.matches("<polyline").count(), 3);
}

#[test]
fn all_rows_of_a_markdown_table_have_as_many_columns_as_its_head() {
    let text = markdown(&slower(), Some(&compare::changes(&report(), &slower())));
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines
        .windows(2)
        .filter(|pair| pair.iter().all(|line| line.starts_with('|')))
    {
        assert_eq!(columns(pair[0]), columns(pair[1]), "{pair:?}");
    }
    assert!(lines.iter().any(|line| line.contains("| worse |")));
}

#[test]
fn the_baseline_shows_its_figure_and_the_others_show_ratios_with_quartiles() {
    let text = markdown(&report(), None);
    assert!(text.contains("| epoll | 1.00 µs = 1 | – |"), "{text}");
    assert!(
        text.contains("| **nio-net** | 1.05 (0.90–1.20) | 40.0 (30.0–5000) |"),
        "{text}"
    );
}

#[test]
fn a_ratio_has_changed_only_beyond_its_quartiles() {
    assert_eq!(compare::changes(&report(), &report()), []);
    let changes = compare::changes(&report(), &slower());
    assert_eq!(changes.len(), 2);
    assert!(
        changes
            .iter()
            .all(|change| change.contender == "nio-net" && !change.is_better)
    );
}

#[test]
fn the_readme_gets_the_tables_between_its_two_lines() {
    let readme = "before\n<!-- tables: begin -->\nold\n<!-- tables: end -->\nafter\n";
    let text = with_tables(readme, &report()).expect("it has both lines");
    assert!(text.starts_with("before\n<!-- tables: begin -->\n\n"));
    assert!(text.ends_with("\n<!-- tables: end -->\nafter\n"));
    assert!(text.contains("| epoll |") && !text.contains("\nold\n"));
    assert!(with_tables("nothing", &report()).is_err());
}

#[test]
fn a_report_survives_its_json() {
    let text = serde_json::to_string(&report()).expect("it is plain data");
    let again: Report = serde_json::from_str(&text).expect("it was written so");
    assert_eq!(html(&again, None), html(&report(), None));
}
