//! Once a server is warm, requests ask for no memory. One test in a process of its own: the counter is the process's.

use bywash_bench::allocation::CountingAllocator;
use bywash_bench::ends::Bywash;
use bywash_bench::round_trip::{Load, Pair};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn a_request_asks_for_no_memory() {
    for (connections, batch) in [(1, 1), (32, 32), (1, 32), (1000, 32)] {
        let mut pair = Pair::<Bywash>::new(Load::new(connections, batch));
        let calls = ALLOCATOR.calls();
        assert!(calls > 0, "the allocator counts");
        pair.measured(1000);
        assert_eq!(ALLOCATOR.calls(), calls, "{connections} connections, batches of {batch}");
        pair.finish();
    }
}
