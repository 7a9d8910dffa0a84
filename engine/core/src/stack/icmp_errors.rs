//! What ICMP errors say about connections (RFC 1122 section 4.2.3.9, RFC 5461, RFC 5927), and about paths (RFC 1191, RFC 8201).

use crate::shard::CloseReason;
use crate::table::{Entry, Kind as EntryKind};
use crate::tcp::connection::{Unreachable, WarmDeadlines};
use crate::tcp::handshake::TIMESTAMPS_LEN;
use crate::tcp::path_mtu;
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::tcp::tick::Tick;
use crate::wire::icmp::QuotedTcp;
use crate::wire::icmpv4::{self, Icmpv4Repr};
use crate::wire::icmpv6::Icmpv6Repr;
use crate::wire::parse::{verify_network, verify_transport};
use crate::wire::{Address, IpProtocol, Kind, Packet, Sum};

use super::counters::DropReason;
use super::egress::path_mss;
use super::path_mtu::TooBig;
use super::tables::Hashed;
use super::{HostFact, Stack};

/// An ICMP error that quotes a TCP segment of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct IcmpError {
    pub(super) hashed: Hashed,
    quoted: QuotedTcp,
    complaint: Complaint,
}

/// What it complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    /// The segment was too big for a link.
    TooBig(TooBig),
    /// Nobody is at that port, or speaks TCP: a hard error.
    Refused,
    /// A rule forbids it: a hard error, too.
    Prohibited,
    /// Whatever may pass: no route, no such host, too many hops, a header that somebody did not like.
    Soft,
}

impl Complaint {
    /// The codes of RFC 792 and RFC 1812 section 5.2.7.1, hard and soft as in RFC 1122 section 4.2.3.9.
    fn of_v4<'a>(message: &Icmpv4Repr<'a>) -> Option<(Self, &'a [u8])> {
        use icmpv4::Unreachable as Reason;
        const PARAMETER_PROBLEM: u8 = 12;
        match *message {
            Icmpv4Repr::DestinationUnreachable { reason, quoted } => {
                let complaint = match reason {
                    Reason::FragmentationNeeded { next_hop_mtu } => {
                        Self::TooBig(TooBig { mtu: next_hop_mtu.into(), packet_len: 0 })
                    }
                    Reason::Port | Reason::Protocol => Self::Refused,
                    Reason::Other(9 | 10 | 13) => Self::Prohibited,
                    Reason::Network | Reason::Host | Reason::SourceRouteFailed | Reason::Other(_) => {
                        Self::Soft
                    }
                };
                Some((complaint, quoted))
            }
            Icmpv4Repr::TimeExceeded { code: _, quoted } => Some((Self::Soft, quoted)),
            Icmpv4Repr::Other { kind: PARAMETER_PROBLEM, code: _, rest: _, body } => Some((Self::Soft, body)),
            // Source Quench is discarded (RFC 6633 section 3).
            Icmpv4Repr::EchoRequest { .. } | Icmpv4Repr::EchoReply { .. } | Icmpv4Repr::Other { .. } => None,
        }
    }

    /// The codes of RFC 4443 section 3.
    fn of_v6<'a>(message: &Icmpv6Repr<'a>) -> Option<(Self, &'a [u8])> {
        Some(match *message {
            // No port, or nobody there knows TCP (RFC 4443 sections 3.1 and 3.4).
            Icmpv6Repr::DestinationUnreachable { code: 4, quoted }
            | Icmpv6Repr::ParameterProblem { code: 1, pointer: _, quoted } => (Self::Refused, quoted),
            Icmpv6Repr::DestinationUnreachable { code: 1 | 5 | 6, quoted } => (Self::Prohibited, quoted),
            Icmpv6Repr::PacketTooBig { mtu, quoted } => (Self::TooBig(TooBig { mtu, packet_len: 0 }), quoted),
            Icmpv6Repr::DestinationUnreachable { code: _, quoted }
            | Icmpv6Repr::TimeExceeded { code: _, quoted }
            | Icmpv6Repr::ParameterProblem { code: _, pointer: _, quoted } => (Self::Soft, quoted),
            Icmpv6Repr::EchoRequest { .. } | Icmpv6Repr::EchoReply { .. } | Icmpv6Repr::Other { .. } => {
                return None;
            }
        })
    }
}

impl Stack {
    /// The error that `frame` brings about a segment which could be ours; `None`: it brings none.
    #[cold]
    pub(super) fn icmp_error(&self, frame: &[u8], packet: &Packet) -> Option<IcmpError> {
        let addresses = packet.addresses(frame)?;
        let message = packet.transport(frame);
        let is_ours = self.local_index(addresses.destination).is_some() && addresses.source.is_unicast();
        let is_intact = || verify_network(frame, packet).is_ok() && verify_transport(frame, packet).is_ok();
        let (complaint, quoted) = match packet.kind {
            Kind::Icmpv4 => {
                let (complaint, quoted) = Complaint::of_v4(&Icmpv4Repr::parse(message).ok()?)?;
                (complaint, QuotedTcp::of_v4(quoted).ok()?)
            }
            Kind::Icmpv6 => {
                let (source, destination) = (addresses.source.octets(), addresses.destination.octets());
                let pseudo = Sum::pseudo_v6(source, destination, IpProtocol::ICMPV6.0, message.len() as u32);
                let (complaint, quoted) = Complaint::of_v6(&Icmpv6Repr::parse(message, pseudo).ok()?)?;
                (complaint, QuotedTcp::of_v6(quoted).ok()?)
            }
            Kind::Arp | Kind::Fragment(_) | Kind::OtherProtocol | Kind::Tcp(_) => return None,
        };
        let complaint = match complaint {
            Complaint::TooBig(TooBig { mtu, packet_len: _ }) => {
                Complaint::TooBig(TooBig { mtu, packet_len: quoted.packet_len })
            }
            Complaint::Refused | Complaint::Prohibited | Complaint::Soft => complaint,
        };
        // Whoever saw the segment knows to whom it was sent from where.
        if !is_ours || quoted.tuple.local != addresses.destination || !is_intact() {
            return None;
        }
        Some(IcmpError { hashed: Hashed::of(&quoted.tuple, &self.hasher), quoted, complaint })
    }

    /// Takes in an error that another shard has handed over, because this one has the connection.
    #[cold]
    pub(super) fn handle_handed_over(&mut self, frame: &[u8], packet: &Packet) -> Option<HostFact> {
        let error = self.icmp_error(frame, packet)?;
        let entry = self.tables.find(&error.hashed);
        self.handle_icmp_error(&error, entry)
    }

    /// Takes in an error about a connection of this shard. Returns what it teaches about the path, if that is news.
    #[cold]
    pub(super) fn handle_icmp_error(&mut self, error: &IcmpError, entry: Option<Entry>) -> Option<HostFact> {
        let seq = SequenceNumber(error.quoted.seq);
        let (in_flight, entry) = match entry.map(|entry| (entry.kind(), entry)) {
            // RFC 5927 section 4.1: SND.UNA <= SEG.SEQ < SND.NXT.
            Some((EntryKind::Synchronized, entry)) => {
                let connection = self.connections.at(entry.index());
                (seq.is_within(connection.snd_una, connection.flight()), entry)
            }
            Some((EntryKind::SynSent, entry)) => {
                let record = self.syn_sent.get(entry.key())?;
                (seq == self.connections.at(record.connection.index).snd_nxt - 1, entry)
            }
            Some((EntryKind::SynReceived, entry)) => (seq == self.half_open.get(entry.key())?.iss, entry),
            Some((EntryKind::TimeWait, entry)) => (false, entry),
            None => {
                self.counters.drop(DropReason::IcmpUnmatched);
                return None;
            }
        };
        if !in_flight {
            self.counters.drop(DropReason::IcmpUnmatched);
            return None;
        }
        self.counters.icmp_errors += 1;
        match error.complaint {
            Complaint::TooBig(said) => self.handle_too_big(error.quoted.tuple.remote, said, entry),
            Complaint::Refused => {
                self.handle_unreachable(seq, entry, Some(CloseReason::ConnectionRefused));
                None
            }
            Complaint::Prohibited => {
                self.handle_unreachable(seq, entry, Some(CloseReason::HostUnreachable));
                None
            }
            Complaint::Soft => {
                self.handle_unreachable(seq, entry, None);
                None
            }
        }
    }

    /// A hard error, which has a reason, ends what is not open yet; what is open goes on, because a forger or a passing
    /// trouble could say the same (RFC 5927 section 5.2), and says so only if it times out (RFC 1122 section 4.2.3.9).
    fn handle_unreachable(&mut self, seq: SequenceNumber, entry: Entry, hard: Option<CloseReason>) {
        match (entry.kind(), hard) {
            (EntryKind::SynSent, Some(reason)) => self.fail_open(entry.key(), reason),
            (EntryKind::SynReceived, Some(_)) => {
                self.counters.half_open_expired += 1;
                self.remove_half_open(entry.key());
            }
            (EntryKind::SynSent, None) => {
                if let Some(record) = self.syn_sent.get(entry.key()) {
                    self.note_unreachable(record.connection.index, seq);
                }
            }
            (EntryKind::Synchronized, _) => self.note_unreachable(entry.index(), seq),
            (EntryKind::SynReceived, None) | (EntryKind::TimeWait, _) => {}
        }
    }

    fn note_unreachable(&mut self, index: u32, seq: SequenceNumber) {
        let warm = &mut self.warm[index as usize];
        warm.unreachable = Unreachable::Heard;
        warm.unreachable_seq = seq;
    }

    /// Why a connection whose segments were not answered is gone: what ICMP said of them counts, unless they were
    /// acknowledged since.
    pub(super) fn silence(&self, index: u32) -> CloseReason {
        let warm = &self.warm[index as usize];
        let connection = self.connections.at(index);
        // In SYN-SENT the SYN lies before SND.UNA.
        let syn = u32::from(self.is_opening(index));
        let is_out = !warm.unreachable_seq.is_before(connection.snd_una - syn);
        match warm.unreachable {
            Unreachable::Heard if is_out => CloseReason::HostUnreachable,
            Unreachable::Heard | Unreachable::Unheard => CloseReason::TimedOut,
        }
    }

    fn handle_too_big(&mut self, remote: Address, said: TooBig, entry: Entry) -> Option<HostFact> {
        let current = self.path_mtu(remote);
        let lowered = self.path_mtus.lowered(remote, said, current);
        if let Some(mtu) = lowered {
            self.path_mtus.keep(remote, mtu, &self.hasher, self.now);
        }
        if matches!(entry.kind(), EntryKind::Synchronized) {
            self.follow_path(entry.index());
        }
        lowered.map(|mtu| HostFact::PathMtu { remote, mtu })
    }

    /// Another shard has learned what a path takes.
    pub(super) fn learn_path_mtu(&mut self, remote: Address, mtu: u16) {
        if mtu < self.path_mtu(remote) {
            self.path_mtus.keep(remote, mtu, &self.hasher, self.now);
        }
    }

    /// Bytes of the largest packet for `remote`.
    pub(super) fn path_mtu(&self, remote: Address) -> u16 {
        let known = self.path_mtus.look_up(remote, &self.hasher, self.now);
        known.map_or(self.capabilities.mtu, |(mtu, _)| mtu.min(self.capabilities.mtu))
    }

    /// Payload octets, options included, that a segment to `remote` may have.
    #[inline]
    pub(super) fn path_mss(&self, remote: Address) -> u16 {
        path_mss(self.path_mtu(remote), remote)
    }

    /// Brings a connection's segments to the size that the path takes now.
    pub(super) fn follow_path(&mut self, index: u32) {
        let remote = self.warm[index as usize].remote;
        let known = self.path_mtus.look_up(remote, &self.hasher, self.now);
        let path_mss = self.path_mss(remote);
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        let options = if connection.flags.has(Flag::Timestamps) { TIMESTAMPS_LEN } else { 0 };
        let mss = warm.mss_agreed.min(path_mss - options);
        warm.path_mtu_at = known.map_or(Tick::NONE, |(_, expires_at)| Tick::at(expires_at));
        if mss < connection.mss {
            self.counters.path_mtu_lowered += 1;
            path_mtu::lower_mss(connection, warm, &mut self.pools.recoveries, mss);
            self.pend(index);
        } else if mss > connection.mss {
            path_mtu::raise_mss(connection, mss);
        }
        let at = self.warm[index as usize].path_mtu_at;
        if at.is_set() {
            self.connections.at_mut(index).warm_deadlines = WarmDeadlines::Possible;
            self.arm(index, at);
        }
    }
}
