//! VLAN tags: IEEE 802.1Q, and 802.1ad's second one.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ethernet::{self, EthernetView};
use super::{Error, EtherType, Field, NoRoom, Protocol};

/// Bytes of one tag.
pub const TAG_LEN: usize = 4;
/// Tags that are skipped; a frame with more is dropped.
pub const TAGS_MAX: usize = 2;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Tag {
    control: U16,
    ether_type: U16,
}

/// Writes the tag of VLAN `id` and what it tags to the front of `buffer`: the half of a tagged header behind
/// [`EtherType::VLAN`]. Returns its length in bytes.
pub fn emit(id: u16, ether_type: EtherType, buffer: &mut [u8]) -> Result<usize, NoRoom> {
    let tag = Tag { control: U16::new(id & 0x0fff), ether_type: U16::new(ether_type.0) };
    tag.write_to_prefix(buffer).map_err(|_| NoRoom { needed: TAG_LEN })?;
    Ok(TAG_LEN)
}

/// The tags of one frame, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tags {
    controls: [u16; TAGS_MAX],
    count: u8,
}

impl Tags {
    /// The VLAN identifiers, 0 to 4095; 0 is a mere priority tag.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u16> {
        self.controls.into_iter().take(self.count as usize).map(|control| control & 0x0fff)
    }

    /// Bytes that the tags take in the frame.
    #[inline]
    pub const fn wire_len(&self) -> usize {
        self.count as usize * TAG_LEN
    }
}

/// What lies behind the tags of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untagged {
    /// The tags that were skipped.
    pub tags: Tags,
    /// The type of what follows them.
    pub ether_type: EtherType,
    /// Offset of what follows, in bytes from the start of the frame.
    pub offset: usize,
}

/// Skips up to [`TAGS_MAX`] tags of an Ethernet frame; a frame without tags is fine.
pub fn skip(frame: &[u8]) -> Result<Untagged, Error> {
    let view = EthernetView::parse(frame)?;
    let mut found =
        Untagged { tags: Tags::default(), ether_type: view.ether_type(), offset: ethernet::HEADER_LEN };
    let mut rest = view.payload();
    while matches!(found.ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
        let slot = found.tags.controls.get_mut(found.tags.count as usize);
        let slot = slot.ok_or(Error::new(Protocol::Vlan, Field::Depth))?;
        let (tag, after) =
            Tag::ref_from_prefix(rest).map_err(|_| Error::new(Protocol::Vlan, Field::Length))?;
        *slot = tag.control.get();
        found.tags.count += 1;
        found.ether_type = EtherType(tag.ether_type.get());
        found.offset += TAG_LEN;
        rest = after;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
