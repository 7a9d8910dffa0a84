//! Which TCP ports of shared addresses are ours: listened ones and a reserved range, as the program's bitmap.

use std::{collections::BTreeMap, ops::RangeInclusive};

/// 64-bit words of the bitmap of 65,536 ports.
pub(super) const WORDS: u32 = 1024;

#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Listened ports and how often each was asked for.
    listened: BTreeMap<u16, u32>,
    reserved: Option<RangeInclusive<u16>>,
}

impl Ports {
    /// Adds a listener; returns the word that changed.
    pub(super) fn listen(&mut self, port: u16) -> u32 {
        *self.listened.entry(port).or_default() += 1;
        word_of(port)
    }

    /// Removes a listener; returns the word that may have changed.
    pub(super) fn unlisten(&mut self, port: u16) -> u32 {
        if let Some(count) = self.listened.get_mut(&port) {
            *count -= 1;
            if *count == 0 {
                self.listened.remove(&port);
            }
        }
        word_of(port)
    }

    /// Sets the range of active opens; any word may change.
    pub(super) fn reserve(&mut self, range: RangeInclusive<u16>) {
        self.reserved = Some(range);
    }

    /// The bits of one word: bit `n` of word `w` is port `64 w + n`.
    pub(super) fn bits(&self, word: u32) -> u64 {
        (0..64)
            .filter(|bit| u16::try_from(word * 64 + bit).is_ok_and(|port| self.is_ours(port)))
            .fold(0, |bits, bit| bits | 1 << bit)
    }

    fn is_ours(&self, port: u16) -> bool {
        self.listened.contains_key(&port) || self.reserved.as_ref().is_some_and(|range| range.contains(&port))
    }
}

fn word_of(port: u16) -> u32 {
    u32::from(port) / 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_the_union_of_listeners_and_range() {
        let mut ports = Ports::default();
        ports.reserve(65_530..=65_535);
        assert_eq!(ports.bits(1023), 0b11_1111 << 58);
        assert_eq!(ports.listen(65_472), 1023);
        assert_eq!(ports.bits(1023), 0b11_1111 << 58 | 1);
        assert_eq!((ports.bits(0), ports.bits(1022)), (0, 0));
    }

    #[test]
    fn a_port_is_ours_until_its_last_listener_goes() {
        let mut ports = Ports::default();
        ports.listen(80);
        ports.listen(80);
        ports.unlisten(80);
        assert_eq!(ports.bits(1), 1 << 16);
        ports.unlisten(80);
        assert_eq!(ports.bits(1), 0);
        ports.unlisten(80);
        assert_eq!(ports.bits(1), 0);
    }

    #[test]
    fn a_listener_that_ends_leaves_the_range_alone() {
        let mut ports = Ports::default();
        ports.reserve(64..=64);
        ports.listen(64);
        ports.unlisten(64);
        assert_eq!(ports.bits(1), 1);
    }
}
