//! A hundred worlds: enough to notice most damage, few enough to run at every change.

use bywash_sim::coverage::Coverage;
use bywash_sim::fault::Fault;
use bywash_sim::{Speech, run};

fn all_well(seeds: std::ops::Range<u64>) -> Coverage {
    let mut coverage = Coverage::default();
    for seed in seeds {
        match run(seed, Speech::Silent) {
            Ok(outcome) => coverage.add(&outcome.coverage),
            Err(failure) => panic!("{failure}"),
        }
    }
    coverage
}

/// Faults that need something of the engine that it does not have yet.
const AHEAD: &[Fault] = &[Fault::Mark, Fault::TooBig, Fault::BlackHole];

#[test]
fn a_hundred_seeds_go_well_and_the_weather_is_not_too_good() {
    let second = std::thread::spawn(|| all_well(50..100));
    let mut coverage = all_well(0..50);
    coverage.add(&second.join().expect("as well as the first half"));
    for fault in Fault::ALL.iter().filter(|fault| !AHEAD.contains(fault)) {
        assert!(coverage.tally.of(*fault) > 0, "{} never happened", fault.name());
    }
    let needed = ["retransmits", "timeouts", "handed_over", "challenge_acks", "send_pool_waits"];
    for (counter, count) in coverage.counters.named() {
        assert!(count > 0 || !needed.contains(&counter), "{counter} is nought");
    }
}
