//! Reading the counters that a server prints.

use std::collections::BTreeMap;

/// The last line of a report.
pub(crate) const LAST_LINE: &str = "at rest: ";

/// The rows of a report, by `group: name`. A row that is not there counted nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    shards: usize,
    rows: BTreeMap<String, Vec<u64>>,
    verdict: String,
    pub(crate) text: String,
}

impl Report {
    /// Reads the last report in `text`.
    pub(crate) fn parse(text: &str) -> Self {
        let start = text.rfind("counters  ").unwrap_or_else(|| panic!("no report in:\n{text}"));
        let mut report = Self { text: text[start..].to_owned(), ..Self::default() };
        for line in text[start..].lines() {
            if line.starts_with("counters") {
                report.shards = line.matches("shard ").count();
            } else if let Some(verdict) = line.strip_prefix(LAST_LINE) {
                verdict.clone_into(&mut report.verdict);
                return report;
            } else {
                report.row(line);
            }
        }
        panic!("a report without its last line:\n{text}")
    }

    fn row(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = words.iter().rev().take(self.shards + 1).take_while(|word| word.parse::<u64>().is_ok());
        let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
        let name = words[..words.len() - numbers.len()].join(" ");
        self.rows.insert(name, numbers.into_iter().rev().collect());
    }

    /// The total of a row.
    pub(crate) fn total(&self, row: &str) -> u64 {
        self.rows.get(row).and_then(|numbers| numbers.last()).copied().unwrap_or(0)
    }

    /// A row's value for each shard.
    pub(crate) fn per_shard(&self, row: &str) -> Vec<u64> {
        match self.rows.get(row) {
            Some(numbers) if numbers.len() == self.shards + 1 => numbers[..self.shards].to_vec(),
            Some(_) | None => vec![0; self.shards],
        }
    }

    /// The sum of the totals of a group.
    pub(crate) fn group(&self, group: &str) -> u64 {
        let prefix = format!("{group}: ");
        self.rows.keys().filter(|row| row.starts_with(&prefix)).map(|row| self.total(row)).sum()
    }

    /// Whether nothing is in use.
    pub(crate) fn at_rest(&self) -> bool {
        self.verdict == "yes"
    }
}
