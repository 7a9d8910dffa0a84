//! What the shards counted, as a table for a person: one column for each shard and their total.

use std::collections::BTreeMap;
use std::fmt;

/// How rows of several shards make a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// They add up.
    Sum,
    /// The largest counts.
    Max,
    /// They add up, and are all 0 when the server is at rest.
    InUse,
}

/// One number of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    group: &'static str,
    name: &'static str,
    value: u64,
    total: Total,
}

/// What one shard counted, in the order in which it is to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardReport {
    rows: Vec<Row>,
}

impl ShardReport {
    /// Adds a counter; shards' values add up.
    pub fn add(&mut self, group: &'static str, name: &'static str, value: u64) {
        self.rows.push(Row { group, name, value, total: Total::Sum });
    }

    /// Adds a high-water mark; the largest of all shards counts.
    pub fn add_max(&mut self, group: &'static str, name: &'static str, value: u64) {
        self.rows.push(Row { group, name, value, total: Total::Max });
    }

    /// Adds what is held for connections and frames on their way; shards' values add up, and must come back to 0.
    pub fn add_in_use(&mut self, group: &'static str, name: &'static str, value: u64) {
        self.rows.push(Row { group, name, value, total: Total::InUse });
    }

    /// The value of a row.
    pub fn get(&self, group: &str, name: &str) -> Option<u64> {
        self.rows.iter().find(|row| row.group == group && row.name == name).map(|row| row.value)
    }
}

/// What all shards counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    shards: BTreeMap<usize, ShardReport>,
    /// What is counted once for the whole process.
    process: ShardReport,
}

impl Report {
    /// Takes the report of shard `index`, instead of an earlier one.
    pub fn insert(&mut self, index: usize, report: ShardReport) {
        self.shards.insert(index, report);
    }

    /// What is counted for the whole process.
    pub fn process_mut(&mut self) -> &mut ShardReport {
        &mut self.process
    }

    /// How many shards have reported.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The total of a row over all shards, or the process's own row.
    pub fn total(&self, group: &str, name: &str) -> Option<u64> {
        let rows = self.rows(group, name);
        let total = rows.first().map(|row| row.total)?;
        Some(match total {
            Total::Sum | Total::InUse => rows.iter().map(|row| row.value).sum(),
            Total::Max => rows.iter().map(|row| row.value).max().unwrap_or_default(),
        })
    }

    fn rows(&self, group: &str, name: &str) -> Vec<&Row> {
        let all = self.shards.values().chain(std::iter::once(&self.process));
        all.filter_map(|report| report.rows.iter().find(|row| row.group == group && row.name == name))
            .collect()
    }

    /// Whether nothing is in use any more: no connection, buffer, timer or table entry, no frame on its way.
    pub fn is_at_rest(&self) -> bool {
        let mut rows =
            self.shards.values().chain(std::iter::once(&self.process)).flat_map(|report| &report.rows);
        rows.all(|row| match row.total {
            Total::InUse => row.value == 0,
            Total::Sum | Total::Max => true,
        })
    }

    /// Groups and names in the order of their first appearance.
    fn names(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for row in self.shards.values().chain(std::iter::once(&self.process)).flat_map(|report| &report.rows)
        {
            let at = groups.iter().position(|(group, _)| *group == row.group).unwrap_or_else(|| {
                groups.push((row.group, Vec::new()));
                groups.len() - 1
            });
            if !groups[at].1.contains(&row.name) {
                groups[at].1.push(row.name);
            }
        }
        groups
    }
}

impl fmt::Display for Report {
    /// Rows that are 0 everywhere are left out: what is absent did not happen. The last line, for scripts, is
    /// `at rest: yes` or `at rest: no`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44}", "counters")?;
        for index in self.shards.keys() {
            write!(f, " {:>14}", format!("shard {index}"))?;
        }
        writeln!(f, " {:>14}", "total")?;
        for (group, names) in self.names() {
            for name in names {
                let total = self.total(group, name).unwrap_or_default();
                if total == 0 {
                    continue;
                }
                write!(f, "{:<44}", format!("{group}: {name}"))?;
                for report in self.shards.values() {
                    match report.get(group, name) {
                        Some(value) => write!(f, " {value:>14}")?,
                        None => write!(f, " {:>14}", "")?,
                    }
                }
                writeln!(f, " {total:>14}")?;
            }
        }
        writeln!(f, "at rest: {}", if self.is_at_rest() { "yes" } else { "no" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_and_zeros_are_left_out() {
        let mut report = Report::default();
        for (index, frames) in [(0, 3), (1, 4)] {
            let mut shard = ShardReport::default();
            shard.add("frames", "received", frames);
            shard.add("drops", "bad checksum", 0);
            shard.add_max("bursts", "longest", frames * 10);
            report.insert(index, shard);
        }
        report.process_mut().add("program", "passed", 9);
        assert_eq!(report.total("frames", "received"), Some(7));
        assert_eq!(report.total("bursts", "longest"), Some(40));
        assert_eq!(report.total("program", "passed"), Some(9));
        assert_eq!(report.total("program", "nothing"), None);
        let text = report.to_string();
        assert!(!text.contains("bad checksum"), "{text}");
        let line = text.lines().find(|line| line.starts_with("frames: received")).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["frames:", "received", "3", "4", "7"]);
    }

    #[test]
    fn a_report_says_whether_anything_is_in_use() {
        let mut report = Report::default();
        for (index, timers) in [(0, 0), (1, 2)] {
            let mut shard = ShardReport::default();
            shard.add("frames", "received", 5);
            shard.add_in_use("in use", "timers", timers);
            report.insert(index, shard);
        }
        assert!(report.to_string().ends_with("\nat rest: no\n"), "{report}");
        assert_eq!(report.total("in use", "timers"), Some(2));
        report.insert(1, ShardReport::default());
        assert!(report.to_string().ends_with("\nat rest: yes\n"), "{report}");
    }
}
