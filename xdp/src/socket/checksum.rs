//! The Internet checksum (RFC 1071), for frames whose sum nobody else completes.

/// Completes a partial checksum in `packet`: sums the bytes from `start` to the end, with the pseudo-header sum that
/// stands in the field, and stores the result at `start + offset`. A sum of zero is stored as 0xffff, as RFC 768
/// asks for UDP and as TCP allows.
///
/// # Panics
///
/// If the field does not lie within the packet.
pub(super) fn complete(packet: &mut [u8], start: u16, offset: u16) {
    let sum = match fold(&packet[usize::from(start)..]) {
        0xffff => 0xffff,
        sum => !sum,
    };
    let field = usize::from(start) + usize::from(offset);
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The ones' complement sum of big-endian 16-bit words, an odd last byte padded with zero.
fn fold(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    // 65,536 bytes of 32-bit words cannot overflow 64 bits.
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_be_bytes(last));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(fold(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn a_completed_sum_verifies_at_every_length() {
        for length in 2..70 {
            let mut packet: Vec<u8> = (0..length).map(|byte| (byte * 37 + 11) as u8).collect();
            let original = packet.clone();
            complete(&mut packet, 0, 0);
            // Sum of the completed packet minus the partial sum that stood in the field is all ones.
            let partial = fold(&original[..2]);
            let verified = fold(
                &[&packet[..], &[0; 4][..(4 - length as usize % 4) % 4], &[0, 0], &partial.to_be_bytes()]
                    .concat(),
            );
            assert_eq!(verified, 0xffff, "length {length}");
        }
    }

    #[test]
    fn zero_is_sent_as_all_ones() {
        let mut packet = [0xff, 0xff, 0x12, 0x34, 0, 0];
        packet[4..].copy_from_slice(&(!0x1234_u16).to_be_bytes());
        complete(&mut packet, 0, 0);
        assert_eq!(packet[..2], [0xff, 0xff]);
    }
}
