//! What the records of a connection may take.

use bywash_core::tcp::connection::{Connection, Warm};
use bywash_core::tcp::handshake::{SynReceived, SynSent};
use bywash_core::tcp::time_wait::TimeWait;

#[test]
fn records_keep_their_sizes() {
    assert_eq!((size_of::<Connection>(), align_of::<Connection>()), (128, 64));
    assert!(size_of::<Warm>() <= 96, "{}", size_of::<Warm>());
    // Ceilings that only fall. A slab adds a generation and the wheel a node to each.
    let sizes = (size_of::<SynReceived>(), size_of::<SynSent>(), size_of::<TimeWait>());
    assert!(sizes.0 <= 96 && sizes.1 <= 88 && sizes.2 <= 68, "{sizes:?}");
}
