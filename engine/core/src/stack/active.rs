//! Connections that we open: port selection, SYN-SENT.

use core::net::SocketAddr;

use crate::base::slab::{Key, Slotted};
use crate::base::time::{Duration, Instant};
use crate::base::wheel::TimerWheel;
use crate::port::{Medium, Transmit};
use crate::shard::{CloseReason, ConnectError, ConnectionId, Events, Origin};
use crate::table::{Entry, Kind};
use crate::tcp::connection::{Agreement, Doom, Ends, Farewell, Scales, establish};
use crate::tcp::handshake::{OwnSyn, PeerSyn, SynSent, syn_window};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::{Flag, Flags};
use crate::tcp::tick::Tick;
use crate::wire::tcp::{Flags as Control, SackPermitted, SynOptions, Timestamps};
use crate::wire::{Address, MacAddress, Tuple};

use super::Stack;
use super::counters::DropReason;
use super::egress::{Head, Route, path_mss};
use super::ingress::Arrival;
use super::neighbour::Resolution;
use super::tables::Hashed;

/// Ports that are tried for one connection at most (RFC 6056 section 3.3.1 asks for a bound).
const PORT_TRIES_MAX: u16 = 1024;

/// A connection that is about to be opened.
struct Beginning {
    tuple: Tuple,
    hashed: Hashed,
    own: OwnSyn,
    local: u8,
    neighbour: u16,
    timeout_at: Option<Instant>,
}

impl Stack {
    /// Begins to open a connection. Its block exists from now on, so that the application can write already.
    pub(super) fn open(
        &mut self,
        remote: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<ConnectionId, ConnectError> {
        let address = Address::from(remote.ip());
        if !self.is_host(address) || remote.port() == 0 {
            return Err(ConnectError::InvalidRemote);
        }
        let family = |l: &super::LocalAddress| l.cidr.address().is_v4() == address.is_v4();
        let local = self.config.addresses.iter().position(family).ok_or(ConnectError::NetworkUnreachable)?;
        let local_address = self.config.addresses[local].cidr.address();
        let (tuple, hashed) =
            self.select_port(local_address, address, remote.port()).ok_or(ConnectError::PortsExhausted)?;
        let full = ConnectError::TooManyConnections { connections_max: self.config.connections_max };
        // On a layer-3 port there is nobody to ask.
        let hint = match self.capabilities.medium {
            Medium::Ethernet => None,
            Medium::Ip => Some(MacAddress::ZERO),
        };
        let neighbour = self.neighbours.hold(self.next_hop(address), hint, self.now).map_err(|_| full)?;
        let flow = self.secrets.flow(&tuple);
        let own = OwnSyn {
            iss: flow.isn(self.now),
            path_mss: path_mss(self.capabilities.mtu, address),
            ts_offset: flow.ts_offset,
        };
        let begin = Beginning {
            tuple,
            hashed,
            own,
            local: local as u8,
            neighbour,
            timeout_at: timeout.map(|timeout| self.now + timeout),
        };
        self.begin(&begin).ok_or_else(|| {
            self.neighbours.release(neighbour);
            full
        })
    }

    fn begin(&mut self, begin: &Beginning) -> Option<ConnectionId> {
        let Beginning { tuple, hashed, own, local, neighbour, timeout_at } = *begin;
        let key = self.syn_sent.next_key()?;
        let place = self.tables.insert(&hashed, Entry::new(Kind::SynSent, key).ok()?).ok()?;
        let ends = Ends {
            local,
            local_port: tuple.local_port,
            remote: tuple.remote,
            remote_port: tuple.remote_port,
            neighbour,
            place,
        };
        let (connection, warm) = establish(&blank(&own), &ends, &self.config.tcp, self.now);
        let Some(id) = self.insert_connection(connection, warm) else {
            self.tables.remove(place, &self.hasher);
            return None;
        };
        // The SYN leaves with this turn's timers, not at the next tick.
        let past = self.now - Duration::from_nanos(TimerWheel::TICK_NANOS);
        let record = SynSent {
            tuple,
            own,
            connection: id,
            sent_us: self.now.as_micros() as u32,
            retransmit_at: Tick::at(past),
            timeout_at,
            retries: 0,
            local,
            neighbour,
        };
        let inserted = self.syn_sent.insert(record);
        debug_assert_eq!(inserted.ok(), Some(key), "the slab said which key comes next");
        self.syn_sent_wheel.arm(key.index, past);
        Some(id)
    }

    /// A free local port towards the peer, beginning at a point that nobody can guess (RFC 6056 section 3.3.3).
    fn select_port(&mut self, local: Address, remote: Address, remote_port: u16) -> Option<(Tuple, Hashed)> {
        let (first, last) = self.config.port_range;
        let count = u32::from(last - first) + 1;
        let base = Tuple { local, remote, local_port: 0, remote_port };
        let offset = self.secrets.port_offset(&base) % count;
        for _ in 0..PORT_TRIES_MAX.min(count as u16) {
            let step = u32::from(self.next_port);
            self.next_port = self.next_port.wrapping_add(1);
            let tuple = Tuple { local_port: first + ((offset + step) % count) as u16, ..base };
            let hashed = Hashed::of(&tuple, &self.hasher);
            if self.tables.find(&hashed).is_none() && !self.is_listening(tuple.local_port) {
                return Some((tuple, hashed));
            }
        }
        None
    }

    fn is_listening(&self, port: u16) -> bool {
        self.listeners.iter().any(|l| l.port == port)
    }

    /// Sends the SYN of a connection that is being opened, unless its next hop is not known yet.
    pub(super) fn send_syn<T: Transmit>(&mut self, transmit: &mut T, key: Key) {
        let Some(record) = self.syn_sent.get(key).copied() else { return };
        let Resolution::Known(mac) = self.neighbours.resolve(record.neighbour) else { return };
        let tcp = &self.config.tcp;
        let clock = (self.now.as_millis() as u32).wrapping_add(record.own.ts_offset);
        let options = SynOptions {
            mss: Some(record.own.path_mss),
            window_scale: tcp.tcp_window_scaling.then(|| tcp.window_scale()),
            sack_permitted: if tcp.tcp_sack { SackPermitted::Present } else { SackPermitted::Absent },
            timestamps: tcp.tcp_timestamps.then_some(Timestamps { value: clock, echo: 0 }),
        };
        let head = Head {
            local_port: record.tuple.local_port,
            remote_port: record.tuple.remote_port,
            seq: record.own.iss,
            ack: SequenceNumber::default(),
            flags: Control::SYN,
            window: syn_window(tcp),
            timestamps: None,
        };
        let route = Route { mac, local: record.tuple.local, remote: record.tuple.remote };
        if let Some(record) = self.syn_sent.get_mut(key) {
            record.sent_us = self.now.as_micros() as u32;
        }
        self.send_opening(transmit, &route, &head, &options);
    }

    /// A segment for a connection in SYN-SENT (RFC 9293 section 3.10.7.3).
    pub(super) fn handle_syn_sent<T: Transmit, E: Events<Self>>(
        &mut self,
        transmit: &mut T,
        events: &mut E,
        key: Key,
        arrival: &Arrival<'_>,
    ) {
        let Some(record) = self.syn_sent.get(key).copied() else { return };
        let segment = &arrival.segment;
        let control = segment.control;
        let has_ack = control.intersects(Control::ACK);
        if has_ack && segment.ack != record.own.iss + 1 {
            self.counters.drop(DropReason::UnacceptableAck);
            return self.refuse(transmit, arrival);
        }
        if control.intersects(Control::RST) {
            if has_ack {
                self.counters.resets_received += 1;
                self.fail_open(key, CloseReason::ConnectionRefused);
            } else {
                self.counters.drop(DropReason::NoAck);
            }
            return;
        }
        if !control.contains(Control::SYN | Control::ACK) {
            return self.counters.drop(DropReason::NoAck);
        }
        let index = record.connection.index;
        if self.complete_open(key, &record, arrival) {
            self.counters.active_opens += 1;
            events.opened(self, record.connection, Origin::Connected);
            self.connections.at_mut(index).flags.set(Flag::AckNow);
            self.pend(index);
        }
    }

    /// SYN+ACK: the connection's block is filled in; what the application has queued stays.
    fn complete_open(&mut self, key: Key, record: &SynSent, arrival: &Arrival<'_>) -> bool {
        let peer = PeerSyn::read(&arrival.segment, arrival.tuple.remote, &self.config.tcp);
        let rtt = (record.retries == 1).then(|| (self.now.as_micros() as u32).wrapping_sub(record.sent_us));
        let resent = record.retries.saturating_sub(1);
        let agreed = Agreement { rtt_us: rtt, resent, ..peer.agree(&record.own, &self.config.tcp) };
        let place = self.warm[record.connection.index as usize].place;
        let ends = Ends {
            local: record.local,
            local_port: record.tuple.local_port,
            remote: record.tuple.remote,
            remote_port: record.tuple.remote_port,
            neighbour: record.neighbour,
            place,
        };
        let (mut connection, mut warm) = establish(&agreed, &ends, &self.config.tcp, self.now);
        let Some(old) = self.connections.get_mut(record.connection) else { return false };
        connection.set_generation(old.generation());
        connection.send = core::mem::take(&mut old.send);
        connection.sides = old.sides;
        connection.pending_next = old.pending_next;
        connection.armed_at = old.armed_at;
        let kept = [Flag::Pending, Flag::Closed, Flag::Paused, Flag::Doomed, Flag::SendFull];
        for flag in kept.into_iter().filter(|flag| old.flags.has(*flag)) {
            connection.flags.set(flag);
        }
        connection.flags.set(Flag::Known);
        *old = connection;
        let former = &mut self.warm[record.connection.index as usize];
        warm.timer_at = former.timer_at;
        warm.doom = former.doom;
        *former = warm;
        self.syn_sent.remove(key);
        self.syn_sent_wheel.disarm(key.index);
        if let Ok(entry) = Entry::new(Kind::Synchronized, record.connection) {
            self.tables.set_entry(place, entry);
        }
        true
    }

    /// An attempt to open has failed: the application is told when the connection is served.
    pub(super) fn fail_open(&mut self, key: Key, reason: CloseReason) {
        let Some(record) = self.syn_sent.get(key) else { return };
        let index = record.connection.index;
        self.doom(index, Doom { reason, farewell: Farewell::Silence });
    }

    /// Forgets the SYN-SENT record of a connection that is removed.
    pub(super) fn remove_syn_sent(&mut self, index: u32) {
        let Some(entry) = self.tables.entry(self.warm[index as usize].place) else { return };
        if matches!(entry.kind(), Kind::SynSent) {
            self.syn_sent.remove(entry.key());
            self.syn_sent_wheel.disarm(entry.index());
        }
    }
}

/// What is agreed before anything is: placeholders until the SYN+ACK comes.
fn blank(own: &OwnSyn) -> Agreement {
    Agreement {
        rcv_nxt: SequenceNumber::default(),
        snd_nxt: own.iss + 1,
        snd_wnd: 0,
        rcv_adv: SequenceNumber::default(),
        mss: own.path_mss,
        scales: Scales::default(),
        flags: Flags::default(),
        ts_recent: 0,
        ts_offset: own.ts_offset,
        rtt_us: None,
        resent: 0,
    }
}
