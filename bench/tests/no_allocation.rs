//! Once a server is warm, requests and connections ask for no memory. One test in a process of its own: the counter is the process's.

use bywash_bench::allocation::CountingAllocator;
use bywash_bench::cycle::Cycles;
use bywash_bench::ends::Bywash;
use bywash_bench::round_trip::{Load, Pair};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn nothing_asks_for_memory() {
    for (connections, batch) in [(1, 1), (32, 32), (1, 32), (1000, 32)] {
        let mut pair = Pair::<Bywash>::new(Load::new(connections, batch));
        let calls = ALLOCATOR.calls();
        assert!(calls > 0, "the allocator counts");
        pair.measured(1000);
        assert_eq!(ALLOCATOR.calls(), calls, "{connections} connections, batches of {batch}");
        pair.finish();
    }
    // Nor do connections that come and go.
    let mut cycles = Cycles::<Bywash>::new(32);
    let calls = ALLOCATOR.calls();
    cycles.measured(100);
    assert_eq!(ALLOCATOR.calls(), calls, "3200 connections opened and closed");
}
