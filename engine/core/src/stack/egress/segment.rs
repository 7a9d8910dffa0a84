//! The usual segment: IPv4 over Ethernet, no options or timestamps alone, written at fixed offsets.

use crate::port::{Capabilities, ChecksumOffload, Medium, Reservation, Transmit, TransmitChecksum};
use crate::tcp::seq::SequenceNumber;
use crate::wire::tcp::{self, Flags, Options, SackBlocks, TcpRepr, Timestamps};
use crate::wire::{EtherType, IpProtocol, Sum};
use crate::wire::{ethernet, ipv4};

use super::{NoFrame, Route, TTL, send_tcp};

/// The head of a segment whose only option can be timestamps.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Our port.
    pub local_port: u16,
    /// The peer's.
    pub remote_port: u16,
    /// First octet's sequence number.
    pub seq: SequenceNumber,
    /// Acknowledgment number.
    pub ack: SequenceNumber,
    /// Control bits.
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    /// The timestamps option.
    pub timestamps: Option<Timestamps>,
}

impl Head {
    /// The same with SACK blocks, for [`send_tcp`].
    pub fn with_sack(&self, sack: SackBlocks) -> TcpRepr {
        TcpRepr {
            source_port: self.local_port,
            destination_port: self.remote_port,
            seq: self.seq.0,
            ack: self.ack.0,
            flags: self.flags,
            window: self.window,
            urgent: 0,
            options: Options { timestamps: self.timestamps, sack, ..Options::NONE },
        }
    }
}

/// Ethernet, IPv4 and TCP header.
const HEAD_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN;
/// Where the IPv4 and the TCP header begin.
const IP: usize = ethernet::HEADER_LEN;
const TCP: usize = IP + ipv4::HEADER_LEN;

/// Sends a segment as [`send_tcp`] does. The usual one, IPv4 over Ethernet, is written at fixed offsets.
///
/// # Errors
/// [`NoFrame`]; `fill` was not called.
#[inline]
pub fn send_segment<T: Transmit>(
    transmit: &mut T,
    capabilities: &Capabilities,
    route: &Route,
    head: &Head,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]) -> Sum,
) -> Result<(), NoFrame> {
    let (Medium::Ethernet, Some(source), Some(destination)) =
        (capabilities.medium, route.local.as_v4(), route.remote.as_v4())
    else {
        let repr = head.with_sack(SackBlocks::NONE);
        return send_tcp(transmit, capabilities, route, &repr, payload_len, fill);
    };
    let options_len = if head.timestamps.is_some() { TIMESTAMPS_LEN } else { 0 };
    let len = HEAD_LEN + options_len + payload_len;
    let mut frame = transmit.reserve().ok_or(NoFrame)?;
    let (fixed, rest) =
        frame.get_mut(..len).and_then(|frame| frame.split_first_chunk_mut::<HEAD_LEN>()).ok_or(NoFrame)?;
    let (options, payload) = rest.split_at_mut(options_len);
    fixed[..6].copy_from_slice(&route.mac.0);
    fixed[6..12].copy_from_slice(&capabilities.mac.0);
    let segment_len = (len - TCP) as u16;
    write_ipv4(fixed, source, destination, segment_len);
    let ports = u32::from(head.local_port) << 16 | u32::from(head.remote_port);
    let data_offset = ((tcp::HEADER_LEN + options_len) as u32) << 26;
    let control = data_offset | u32::from(head.flags.bits()) << 16 | u32::from(head.window);
    let mut words = Words::new(&mut fixed[TCP..TCP + 16]);
    words.put(ports);
    words.put(head.seq.0);
    words.put(head.ack.0);
    words.put(control);
    let mut sum = words.sum;
    if let Some(Timestamps { value, echo }) = head.timestamps {
        let mut words = Words::new(options);
        words.put(TIMESTAMPS_HEAD);
        words.put(value);
        words.put(echo);
        sum += words.sum;
    }
    let pseudo = Sum::pseudo_v4(source, destination, IpProtocol::TCP.0, segment_len);
    let (field, checksum) = match capabilities.transmit_checksum {
        ChecksumOffload::Software => {
            let sum = pseudo.add_u32(fold(sum)).add(fill(payload));
            (sum.finish(), TransmitChecksum::Complete)
        }
        ChecksumOffload::Device => {
            fill(payload);
            let offset = tcp::CHECKSUM_OFFSET as u16;
            (pseudo.partial(), TransmitChecksum::Partial { start: TCP as u16, offset })
        }
    };
    // Checksum, and no urgent pointer.
    fixed[TCP + 16..].copy_from_slice(&(u32::from(field) << 16).to_be_bytes());
    frame.commit(len, checksum);
    Ok(())
}

/// Writes big-endian words one after the other and sums them as numbers: to read them back in order to sum them would
/// wait for the stores.
struct Words<'a> {
    rest: core::slice::ChunksExactMut<'a, u8>,
    sum: u64,
}

impl<'a> Words<'a> {
    #[inline]
    fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes.chunks_exact_mut(4), sum: 0 }
    }

    #[inline]
    fn put(&mut self, word: u32) {
        self.sum += u64::from(word);
        if let Some(place) = self.rest.next() {
            place.copy_from_slice(&word.to_be_bytes());
        }
    }
}

/// A sum of fewer than 2^31 words as one word with the same ones' complement sum.
#[inline]
const fn fold(sum: u64) -> u32 {
    let once = (sum & 0xffff_ffff) + (sum >> 32);
    (once + (once >> 32)) as u32
}

/// `NOP NOP TIMESTAMPS 10` (RFC 7323 appendix A).
const TIMESTAMPS_HEAD: u32 = 0x0101_080a;
/// Octets of the timestamps option with its padding.
const TIMESTAMPS_LEN: usize = 12;

/// The type field and an IPv4 header as [`Ipv4Repr`] writes it: no options, not to be fragmented, no identification.
#[inline]
fn write_ipv4(fixed: &mut [u8; HEAD_LEN], source: [u8; 4], destination: [u8; 4], segment_len: u16) {
    let lengths = 0x4500_0000 | u32::from(segment_len + ipv4::HEADER_LEN as u16);
    let no_fragments = 0x4000;
    let hops = u32::from(TTL) << 24 | u32::from(IpProtocol::TCP.0) << 16;
    let sum = u64::from(lengths) + no_fragments + u64::from(hops);
    let addresses = Sum::ZERO.add_u32(u32::from_be_bytes(source)).add_u32(u32::from_be_bytes(destination));
    let checksum = addresses.add_u32(fold(sum)).finish();
    fixed[12..14].copy_from_slice(&EtherType::IPV4.0.to_be_bytes());
    let mut words = Words::new(&mut fixed[IP..IP + 12]);
    words.put(lengths);
    words.put(no_fragments as u32);
    words.put(hops | u32::from(checksum));
    fixed[IP + 12..IP + 16].copy_from_slice(&source);
    fixed[IP + 16..TCP].copy_from_slice(&destination);
}
