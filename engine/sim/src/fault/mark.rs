//! A router that marks frames instead of dropping them (RFC 3168 section 5).

/// Whether a frame was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// It says now that it met congestion.
    Marked,
    /// It cannot bear a mark.
    NotCapable,
}

/// Sets Congestion Experienced if the frame's sender can bear it.
pub fn mark(frame: &mut [u8]) -> Marking {
    match frame.get(12..14) {
        Some([0x08, 0x00]) if frame.len() >= 34 && frame[15] & 3 != 0 => {
            let old = u16::from_be_bytes([frame[14], frame[15]]);
            frame[15] |= 3;
            let new = u16::from_be_bytes([frame[14], frame[15]]);
            // RFC 1624 equation 3.
            let sum = u16::from_be_bytes([frame[24], frame[25]]);
            let folded = u32::from(!sum) + u32::from(!old) + u32::from(new);
            let folded = (folded & 0xffff) + (folded >> 16);
            let folded = (folded & 0xffff) + (folded >> 16);
            frame[24..26].copy_from_slice(&(!(folded as u16)).to_be_bytes());
            Marking::Marked
        }
        Some([0x86, 0xdd]) if frame.len() >= 54 && frame[15] & 0x30 != 0 => {
            frame[15] |= 0x30;
            Marking::Marked
        }
        Some(_) | None => Marking::NotCapable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bywash_core::wire::ipv4::Ipv4View;

    #[test]
    fn a_marked_header_still_sums_up() {
        let mut frame = vec![0; 14];
        frame[12] = 8;
        frame.extend([0x45, 2, 0, 20, 0, 0, 0x40, 0, 64, 6, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
        let sum: u32 = frame[14..].chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(mark(&mut frame), Marking::Marked);
        let view = Ipv4View::parse(&frame[14..]).expect("well formed");
        assert!(view.has_valid_checksum());
        assert_eq!(frame[15] & 3, 3);
    }

    #[test]
    fn what_is_not_capable_stays_as_it_is() {
        let mut frame = vec![0; 60];
        frame[12] = 8;
        assert_eq!(mark(&mut frame), Marking::NotCapable);
        assert!(frame[14..].iter().all(|octet| *octet == 0));
    }
}
