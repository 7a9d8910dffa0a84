//! Octets that came a second time, until an ACK tells the peer so (RFC 2883).

use alloc::vec::Vec;

use crate::base::slab::Key;
use crate::wire::tcp::SackBlock;

/// Connections of one turn whose duplicates are reported. Of more the oldest is not: a report is advice, never repeated.
const DUPLICATES_MAX: usize = 64;

/// What is to be reported, one block for each connection.
#[derive(Debug)]
pub(super) struct Duplicates {
    pending: Vec<(Key, SackBlock)>,
}

impl Duplicates {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self { pending: Vec::with_capacity(DUPLICATES_MAX) }
    }

    /// `block` came again on connection `id`. Blocks that touch become one; of others the latest is reported.
    pub(super) fn note(&mut self, id: Key, block: SackBlock) {
        if let Some((_, known)) = self.pending.iter_mut().find(|(of, _)| *of == id) {
            *known = joined(*known, block).unwrap_or(block);
            return;
        }
        if self.pending.len() == DUPLICATES_MAX {
            self.pending.remove(0);
        }
        self.pending.push((id, block));
    }

    /// What is to be reported to the peer of connection `id`.
    pub(super) fn of(&self, id: Key) -> Option<SackBlock> {
        self.pending.iter().find(|(of, _)| *of == id).map(|(_, block)| *block)
    }

    /// It was reported (RFC 2883 section 4: once).
    pub(super) fn reported(&mut self, id: Key) {
        self.pending.retain(|(of, _)| *of != id);
    }
}

/// Both blocks as one, if they overlap or touch.
fn joined(a: SackBlock, b: SackBlock) -> Option<SackBlock> {
    let (a_len, b_len) = (a.right.wrapping_sub(a.left), b.right.wrapping_sub(b.left));
    if b.left.wrapping_sub(a.left) <= a_len {
        let len = a_len.max(b.right.wrapping_sub(a.left));
        Some(SackBlock { left: a.left, right: a.left.wrapping_add(len) })
    } else if a.left.wrapping_sub(b.left) <= b_len {
        let len = b_len.max(a.right.wrapping_sub(b.left));
        Some(SackBlock { left: b.left, right: b.left.wrapping_add(len) })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_touch_become_one_across_the_wrap() {
        let block = |left: u32, right: u32| SackBlock { left, right };
        let id = Key { index: 3, generation: 1 };
        let mut duplicates = Duplicates::new();
        duplicates.note(id, block(u32::MAX - 9, 5));
        duplicates.note(id, block(5, 20));
        duplicates.note(id, block(u32::MAX - 20, u32::MAX - 9));
        assert_eq!(duplicates.of(id), Some(block(u32::MAX - 20, 20)));
        duplicates.note(id, block(100, 110));
        assert_eq!(duplicates.of(id), Some(block(100, 110)));
        duplicates.reported(id);
        assert_eq!(duplicates.of(id), None);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut duplicates = Duplicates::new();
        let id = |index: usize| Key { index: index as u32, generation: 1 };
        for index in 0..2 * DUPLICATES_MAX {
            duplicates.note(id(index), SackBlock { left: 1, right: 2 });
        }
        assert_eq!(duplicates.pending.len(), DUPLICATES_MAX);
        assert!(duplicates.of(id(2 * DUPLICATES_MAX - 1)).is_some());
    }
}
