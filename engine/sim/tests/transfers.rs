//! Transfers over bad paths, octet by octet, both ways: row 16 of the scenarios and row 164 of the conformance list.

use bywash_core::base::random::Random;
use bywash_core::base::time::{Duration, Instant};
use bywash_core::stack::DropReason;
use bywash_core::tcp::config::TcpConfig;
use bywash_sim::Speech;
use bywash_sim::coverage::Coverage;
use bywash_sim::fault::Fault;
use bywash_sim::fault::loss::LossConfig;
use bywash_sim::fault::reorder::ReorderConfig;
use bywash_sim::link::LinkConfig;
use bywash_sim::plan::{EnginePlan, HostPlan, Plan, TIME_WAIT};
use bywash_sim::script::{Ending, Family, Gate, Part, Reading, Script};
use bywash_sim::world::World;

/// One connection that carries `octets` each way over two links like `link`; the weather never turns better.
fn transfer(octets: u64, family: Family, link: &LinkConfig, deadline: Duration) -> (Coverage, Duration) {
    let start = Instant::from_secs(1000);
    let tcp = TcpConfig { tcp_time_wait_ms: TIME_WAIT.as_millis() as u32, ..TcpConfig::default() };
    let host = |number| HostPlan::Engine(Box::new(EnginePlan::plain(number, 1500, tcp.clone())));
    // What one side has read lets the other write: neither fills both send buffers while nobody reads.
    let gate = Gate::Rounds { head: 200_000, each: 1, out: 1 };
    let part = |ending| Part { total: octets, gate, ending, reading: Reading::Eager, write_max: 32 << 10 };
    let parts = [part(Ending::Shutdown), part(Ending::Follow)];
    let script = Script { start_at: start, client: 0, server: 1, family, parts, seed: 164 };
    let plan = Plan {
        start,
        calm_at: start + deadline,
        over_at: start + deadline,
        hosts: vec![host(0), host(1)],
        links: vec![link.clone(); 4],
        scripts: vec![script],
        rehash: None,
        stray: 0,
        upheavals: Vec::new(),
        random: Random::from_seed(164),
    };
    let ending = World::new(plan, Speech::Silent).expect("a plan").run();
    assert_eq!(ending.failure, None);
    (ending.coverage, ending.elapsed)
}

/// Loss 5 %, reordering 25 %, duplicates 2 %.
fn bad_path() -> LinkConfig {
    LinkConfig {
        delay: Duration::from_millis(1),
        rate: 100_000_000,
        queue_max: 500,
        loss: LossConfig { good: 50_000, ..LossConfig::default() },
        reorder: ReorderConfig { chance: 250_000, late_max: Duration::from_millis(2) },
        duplicate: 20_000,
        ..LinkConfig::default()
    }
}

#[test]
fn s16_every_octet_arrives_once_and_in_order_whatever_the_path_does() {
    let link = LinkConfig { corrupt: 20_000, ..bad_path() };
    for family in [Family::V4, Family::V6] {
        let (coverage, _) = transfer(1_000_000, family, &link, Duration::from_secs(600));
        for fault in [Fault::Loss, Fault::Duplicate, Fault::Reorder, Fault::Corrupt] {
            assert!(coverage.tally.of(fault) > 20, "{} is too rare", fault.name());
        }
        let counters = &coverage.counters;
        let damaged = counters.dropped(DropReason::BadChecksum)
            + counters.dropped(DropReason::Malformed)
            + counters.dropped(DropReason::NotForUs);
        assert!(damaged > 20, "{damaged} damaged frames were counted");
        assert!(counters.retransmits > 20);
    }
}

/// A hundred megabytes each way. Without a stall they take 175 s; a stall as long as the longest timeout, 120 s, would
/// miss the deadline.
#[test]
fn c164_a_hundred_megabytes_both_ways_over_a_bad_path() {
    let (coverage, _) = transfer(100_000_000, Family::V4, &bad_path(), Duration::from_secs(290));
    assert!(coverage.tally.of(Fault::Loss) > 10_000);
}
