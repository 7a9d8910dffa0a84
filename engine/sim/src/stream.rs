//! Octets that know their place: each depends on its position in the stream, so that any octet that is lost,
//! doubled, moved or changed shows at once.

/// The octets of one direction of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Differs for each direction of each connection.
    pub seed: u64,
}

impl Stream {
    /// Writes the octets from `position` on.
    pub fn write(self, position: u64, into: &mut [u8]) {
        for (octet, position) in into.iter_mut().zip(position..) {
            *octet = self.at(position);
        }
    }

    /// Where `bytes`, which begin at `position`, first differ from the stream.
    pub fn mismatch(self, position: u64, bytes: &[u8]) -> Option<u64> {
        bytes.iter().zip(position..).find(|(octet, position)| **octet != self.at(*position)).map(|(_, at)| at)
    }

    fn at(self, position: u64) -> u8 {
        let word = (self.seed ^ (position >> 3)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word >> (8 * (position & 7))) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;

    #[test]
    fn a_moved_octet_shows() {
        let stream = Stream { seed: 5 };
        let mut bytes = [0; 100];
        stream.write(1000, &mut bytes);
        assert_eq!(stream.mismatch(1000, &bytes), None);
        assert!(stream.mismatch(1001, &bytes).is_some());
        assert!(Stream { seed: 6 }.mismatch(1000, &bytes).is_some());
        bytes[50] ^= 1;
        assert_eq!(stream.mismatch(1000, &bytes), Some(1050));
    }
}
