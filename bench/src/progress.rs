//! Where a long measurement stands: one line that is written over, or now and then a line of a log.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Least time between two lines of a log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Progress on standard error, so that standard output has results only.
#[derive(Debug)]
pub struct Progress {
    place: Place,
    logged_at: Instant,
}

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Terminal,
    Log,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        let place = if std::io::stderr().is_terminal() { Place::Terminal } else { Place::Log };
        Self { place, logged_at: Instant::now() }
    }

    /// Shows where the measurement stands.
    pub fn show(&mut self, text: &str) {
        match self.place {
            Place::Terminal => write(&format!("\r\x1b[K{text}")),
            Place::Log if self.logged_at.elapsed() < LOG_INTERVAL => {}
            Place::Log => {
                self.logged_at = Instant::now();
                write(&format!("{text}\n"));
            }
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match self.place {
            Place::Terminal => write("\r\x1b[K"),
            Place::Log => {}
        }
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr();
    // A measurement does not fail because nobody can watch it.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
