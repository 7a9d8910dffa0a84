//! What the records of a connection may take.

use bywash_core::tcp::connection::{Connection, Warm};
use bywash_core::tcp::handshake::{SynReceived, SynSent};
use bywash_core::tcp::time_wait::TimeWait;

#[test]
fn records_keep_their_sizes() {
    assert_eq!((size_of::<Connection>(), align_of::<Connection>()), (128, 64));
    assert!(size_of::<Warm>() <= 112, "{}", size_of::<Warm>());
    // Ceilings that only fall; what else a half-open connection and one in TIME_WAIT take is added up beside the types.
    let sizes = (size_of::<SynReceived>(), size_of::<SynSent>(), size_of::<TimeWait>());
    assert!(sizes.0 <= 36 && sizes.1 <= 40 && sizes.2 <= 28, "{sizes:?}");
}
