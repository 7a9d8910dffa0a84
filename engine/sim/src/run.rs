//! A seed, run twice and judged.

use std::fmt;
use std::panic::catch_unwind;

use crate::plan::Plan;
pub use crate::trace::Speech;
use crate::world::{Ending, World};

/// A seed that went well.
pub type Outcome = Ending;

/// A seed that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what } = self;
        write!(f, "seed {seed}: {what}\nreplay it: cargo run --release --bin sim -- --seed {seed} --trace")
    }
}

impl std::error::Error for Failure {}

/// Runs the world of `seed`, a second time in silence, and compares.
///
/// # Errors
/// [`Failure`] when a checker objects, or the second run differs from the first.
pub fn run(seed: u64, speech: Speech) -> Result<Outcome, Failure> {
    let fail = |what| Failure { seed, what };
    let first = run_once(seed, speech).map_err(fail)?;
    if let Some(what) = first.failure {
        return Err(fail(what));
    }
    let second = run_once(seed, Speech::Silent).map_err(fail)?;
    if second == first { Ok(first) } else { Err(fail(format!("not the same twice: {first:?}, {second:?}"))) }
}

/// A panic is an ending like any other here.
fn run_once(seed: u64, speech: Speech) -> Result<Ending, String> {
    let ended = catch_unwind(|| World::new(Plan::of(seed), speech).map(World::run));
    ended.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Err(format!("panicked: {}", said.unwrap_or_default()))
    })
}
