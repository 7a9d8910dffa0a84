//! The in-order path's frame: a plain segment with text, its link and IP header copied from the one before.

use crate::port::{Capabilities, ChecksumOffload, Reservation, Transmit, TransmitChecksum};
use crate::tcp::connection::Route;
use crate::wire::checksum::Words;
use crate::wire::tcp::{self, Flags};
use crate::wire::{IpProtocol, MacAddress, Sum};
use crate::wire::{ethernet, ipv4};

use super::NoFrame;
use super::segment::{FRAGMENT_AND_HOPS, IPV4_HEAD, TCP, TIMESTAMPS_HEAD, TIMESTAMPS_LEN, put};

/// Link and IP header for one neighbour and one address of ours, but for length, checksum and the peer's address.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    route: Route,
    /// What the neighbour cache counted when this was made.
    changes: u32,
    /// The headers up to the peer's address, of which two octets are copied for nothing.
    head: [u8; HEAD_LEN],
    /// The sum of the IP header's words that are here.
    network: Words,
    /// The sum of our address and the protocol.
    pseudo: Words,
}

/// Two wide registers; it ends within the peer's address.
const HEAD_LEN: usize = 32;
/// Where the IP header's fields lie that are filled in.
const LENGTH: usize = ethernet::HEADER_LEN + 2;
const CHECKSUM: usize = ethernet::HEADER_LEN + 10;
const LOCAL: usize = ethernet::HEADER_LEN + 12;
const REMOTE: usize = ethernet::HEADER_LEN + 16;
/// Bytes of all headers of a plain segment.
const PLAIN_LEN: usize = TCP + tcp::HEADER_LEN + TIMESTAMPS_LEN;

/// What the head of a plain segment says.
#[derive(Clone, Copy, Debug)]
pub struct PlainHead {
    /// The peer's address.
    pub remote: [u8; 4],
    /// Both ports as they are sent.
    pub ports: [u8; 4],
    /// First octet's sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// The window field.
    pub window: u16,
    /// Our timestamp.
    pub ts_value: u32,
    /// The peer's.
    pub ts_echo: u32,
    /// The control bits.
    pub flags: Flags,
}

impl Template {
    /// For nobody.
    pub const NONE: Self = Self {
        route: Route::NONE,
        changes: 0,
        head: [0; HEAD_LEN],
        network: Words::NONE,
        pseudo: Words::NONE,
    };

    /// The headers of what leaves by `route`: from our address `local` over the neighbour at `mac`.
    pub fn new(route: Route, changes: u32, mac: &MacAddress, source: &MacAddress, local: [u8; 4]) -> Self {
        let mut head = [0; HEAD_LEN];
        head[..6].copy_from_slice(&mac.0);
        head[6..12].copy_from_slice(&source.0);
        let version = IPV4_HEAD | u32::from(route.traffic_class());
        put(&mut head, 12, version);
        let version = Words::of_u16(version as u16);
        let hops = put(&mut head, 20, FRAGMENT_AND_HOPS);
        head[LOCAL..REMOTE].copy_from_slice(&local);
        let address = Words::of_octets(local);
        Self {
            route,
            changes,
            head,
            network: version.add(hops).add(address),
            pseudo: address.add(Words::of_u16(IpProtocol::TCP.0.into())),
        }
    }

    /// Whether this is the template for this route, as long as the neighbour cache has counted no more than this.
    #[inline(always)]
    pub fn is_for(&self, route: Route, changes: u32) -> bool {
        self.route == route && self.changes == changes
    }

    /// Sends a plain segment with `text`.
    ///
    /// # Errors
    /// [`NoFrame`].
    #[inline(always)]
    pub fn send<T: Transmit>(
        &self,
        transmit: &mut T,
        capabilities: &Capabilities,
        plain: &PlainHead,
        text: &[u8],
    ) -> Result<(), NoFrame> {
        self.send_filled(transmit, capabilities, plain, text.len(), |payload| Sum::copy(payload, text))
    }

    /// The same with `text_len` octets, which `fill` writes and sums.
    ///
    /// # Errors
    /// [`NoFrame`]; `fill` was not called.
    #[inline(always)]
    pub fn send_filled<T: Transmit>(
        &self,
        transmit: &mut T,
        capabilities: &Capabilities,
        plain: &PlainHead,
        text_len: usize,
        fill: impl FnOnce(&mut [u8]) -> Sum,
    ) -> Result<(), NoFrame> {
        let len = PLAIN_LEN + text_len;
        let Some(mut frame) = transmit.reserve() else { return Err(NoFrame) };
        let Some((fixed, payload)) =
            frame.get_mut(..len).and_then(|frame| frame.split_first_chunk_mut::<PLAIN_LEN>())
        else {
            return Err(NoFrame);
        };
        let segment_len = (len - TCP) as u16;
        let lengths = self.write_network(fixed, plain.remote, segment_len);
        let sum = write_transport(fixed, plain).add(self.pseudo).add(lengths);
        let (field, checksum) = match capabilities.transmit_checksum {
            ChecksumOffload::Software => (!fill(payload).add_words(sum).fold(), TransmitChecksum::Complete),
            ChecksumOffload::Device => {
                fill(payload);
                let pseudo = self.pseudo.add(lengths);
                let offset = tcp::CHECKSUM_OFFSET as u16;
                (Sum::ZERO.add_words(pseudo).fold(), TransmitChecksum::Partial { start: TCP as u16, offset })
            }
        };
        // Checksum, and no urgent pointer.
        put(fixed, TCP + tcp::CHECKSUM_OFFSET, u32::from(u16::from_be(field)) << 16);
        frame.commit(len, checksum);
        Ok(())
    }

    /// Link and IP header. Returns the sum of the segment's length and the peer's address.
    #[inline(always)]
    fn write_network(&self, fixed: &mut [u8; PLAIN_LEN], remote: [u8; 4], segment_len: u16) -> Words {
        fixed[..HEAD_LEN].copy_from_slice(&self.head);
        fixed[REMOTE..TCP].copy_from_slice(&remote);
        let packet_len = segment_len + ipv4::HEADER_LEN as u16;
        fixed[LENGTH..LENGTH + 2].copy_from_slice(&packet_len.to_be_bytes());
        let remote = Words::of_octets(remote);
        let sum = self.network.add(Words::of_u16(packet_len)).add(remote);
        fixed[CHECKSUM..LOCAL].copy_from_slice(&(!Sum::ZERO.add_words(sum).fold()).to_ne_bytes());
        remote.add(Words::of_u16(segment_len))
    }
}

/// The TCP header but for its checksum, and timestamps; returns their sum.
#[inline(always)]
fn write_transport(fixed: &mut [u8; PLAIN_LEN], plain: &PlainHead) -> Words {
    const OFFSET: u32 = ((tcp::HEADER_LEN + TIMESTAMPS_LEN) as u32) << 26;
    fixed[TCP..TCP + 4].copy_from_slice(&plain.ports);
    let seq = put(fixed, TCP + 4, plain.seq);
    let ack = put(fixed, TCP + 8, plain.ack);
    let control =
        put(fixed, TCP + 12, OFFSET | u32::from(plain.flags.bits()) << 16 | u32::from(plain.window));
    let head = put(fixed, TCP + 20, TIMESTAMPS_HEAD);
    let value = put(fixed, TCP + 24, plain.ts_value);
    let echo = put(fixed, TCP + 28, plain.ts_echo);
    Words::of_octets(plain.ports).add(seq).add(ack).add(control).add(head).add(value).add(echo)
}

#[cfg(test)]
mod tests;
