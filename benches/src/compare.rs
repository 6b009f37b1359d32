//! The changes between two reports: the ratios of each contender, for each column of each table of both.
//!
//! A ratio has changed if its new median is 3 % or more from the old one, and the ranges between the quartiles of the two
//! runs have nothing in common. Times are not compared, as they depend on the machine.

use crate::data::{Cell, Report, Spread, Table};

/// Smaller changes do not count.
const LEAST: f64 = 0.03;

/// A ratio that has changed.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) part: String,
    /// Table and column.
    pub(crate) setting: String,
    pub(crate) contender: String,
    pub(crate) old: Spread,
    pub(crate) new: Spread,
    pub(crate) is_better: bool,
}

pub(crate) fn changes(old: &Report, new: &Report) -> Vec<Change> {
    let mut changes = Vec::new();
    for part in &new.parts {
        let Some(before) = old.parts.iter().find(|before| before.name == part.name) else {
            continue;
        };
        for table in &part.found.tables {
            let same = |before: &&Table| before.title == table.title;
            if let Some(before) = before.found.tables.iter().find(same) {
                of_table(&part.name, before, table, &mut changes);
            }
        }
    }
    changes
}

fn of_table(part: &str, old: &Table, new: &Table, changes: &mut Vec<Change>) {
    for (place, column) in new.columns.iter().enumerate() {
        for row in &new.rows {
            let before = cell(old, &row.name, column);
            let (Some(before), Some(after)) = (before, row.cells[place]) else {
                continue;
            };
            let Some((old_ratio, new_ratio)) = before.ratio.zip(after.ratio) else {
                continue;
            };
            let by = new_ratio.median / old_ratio.median - 1.0;
            if by.abs() >= LEAST && new_ratio.is_apart_from(&old_ratio) {
                changes.push(Change {
                    part: part.into(),
                    setting: format!("{}, {column}", new.title),
                    contender: row.name.clone(),
                    old: old_ratio,
                    new: new_ratio,
                    is_better: (by > 0.0) == new.more_is_better,
                });
            }
        }
    }
}

fn cell(table: &Table, row: &str, column: &str) -> Option<Cell> {
    let place = table.columns.iter().position(|name| name == column)?;
    let row = table.rows.iter().find(|known| known.name == row)?;
    row.cells[place]
}
