//! Lines for the person at the terminal.

use std::io::Write;

/// Prints a line to standard output. A closed output is no reason to stop serving.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", line.trim_end()).and_then(|()| out.flush()));
}
