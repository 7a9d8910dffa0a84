//! The bytes that `/bytes/N` sends.

/// The byte at `offset` is `offset` modulo this. A prime, so that no cut at a power of two repeats it.
pub const PERIOD: u64 = 251;
/// The longest slice that [`slice`](fn@slice) gives, in bytes.
pub const SLICE_MAX: usize = 16 * 1024;

const TABLE_LEN: usize = SLICE_MAX + PERIOD as usize;

static TABLE: [u8; TABLE_LEN] = {
    let mut table = [0; TABLE_LEN];
    let mut at = 0;
    while at < TABLE_LEN {
        table[at] = (at as u64 % PERIOD) as u8;
        at += 1;
    }
    table
};

/// The `len` bytes of the pattern from `offset` on; at most [`SLICE_MAX`] of them.
pub fn slice(offset: u64, len: usize) -> &'static [u8] {
    let start = (offset % PERIOD) as usize;
    &TABLE[start..start + len.min(SLICE_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_continues_where_the_last_one_ended() {
        let mut offset = 0;
        for len in [0, 1, 250, 251, 252, 4096, SLICE_MAX, SLICE_MAX] {
            let bytes = slice(offset, len);
            assert_eq!(bytes.len(), len);
            for (at, byte) in (offset..).zip(bytes) {
                assert_eq!(u64::from(*byte), at % PERIOD);
            }
            offset += len as u64;
        }
        assert_eq!(slice(u64::MAX, usize::MAX).len(), SLICE_MAX);
    }
}
