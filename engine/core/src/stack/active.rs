//! Connections that we open: port selection, SYN-SENT.

use core::net::SocketAddr;

use crate::base::slab::Key;
use crate::base::time::{Duration, Instant};
use crate::base::wheel::TimerWheel;
use crate::port::{Medium, Transmit};
use crate::shard::{CloseReason, ConnectError, ConnectionId, Events, Origin};
use crate::table::{Entry, Kind};
use crate::tcp::connection::{Agreement, Doom, Ends, Farewell, Route, begin};
use crate::tcp::handshake::{PeerSyn, SynSent, syn_window};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::tcp::tick::Tick;
use crate::wire::tcp::{Flags as Control, SackPermitted, SynOptions, Timestamps};
use crate::wire::{Address, MacAddress, Tuple};

use super::Stack;
use super::counters::DropReason;
use super::egress::{self, Head, path_mss};
use super::ingress::Arrival;
use super::reply::Replied;
use super::tables::Hashed;

/// Ports that are tried for one connection at most (RFC 6056 section 3.3.1 asks for a bound).
const PORT_TRIES_MAX: u16 = 1024;

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
        let neighbour = self.hold_next_hop(address, hint).map_err(|_| full)?;
        let timeout_at = timeout.map(|timeout| self.now + timeout);
        self.begin_open(&tuple, &hashed, Route::new(neighbour, local as u8), timeout_at).ok_or_else(|| {
            self.neighbours.release(neighbour);
            full
        })
    }

    fn begin_open(
        &mut self,
        tuple: &Tuple,
        hashed: &Hashed,
        route: Route,
        timeout_at: Option<Instant>,
    ) -> Option<ConnectionId> {
        let key = self.syn_sent.next_key()?;
        let place = self.tables.insert(hashed, Entry::new(Kind::SynSent, key).ok()?).ok()?;
        let flow = hashed.flow(&self.secrets);
        let ends = Ends {
            route,
            local_port: tuple.local_port,
            remote: tuple.remote,
            remote_port: tuple.remote_port,
            place,
        };
        let (mut connection, warm) = begin(&ends, flow.isn(self.now) + 1, &self.config.tcp);
        connection.ts_offset = flow.ts_offset;
        // What the SYN says; what is agreed may be less.
        connection.mss = path_mss(self.capabilities.mtu, tuple.remote);
        let Some(id) = self.insert_connection(connection, warm) else {
            self.tables.remove(place, &self.hasher);
            return None;
        };
        // The SYN leaves with this turn's timers, not at the next tick.
        let past = self.now - Duration::from_nanos(TimerWheel::TICK_NANOS);
        let record = SynSent {
            connection: id,
            sent_us: self.now.as_micros() as u32,
            retransmit_at: Tick::at(past),
            timeout_at,
            retries: 0,
        };
        let inserted = self.syn_sent.insert(record);
        debug_assert_eq!(inserted.ok(), Some(key), "the slab said which key comes next");
        if self.new_syns.len() < self.new_syns.capacity() {
            self.new_syns.push(key);
        } else {
            self.syn_sent_wheel.arm(key.index, past);
        }
        Some(id)
    }

    /// A free local port towards the peer, beginning at a point that nobody can guess (RFC 6056 section 3.3.3).
    fn select_port(&mut self, local: Address, remote: Address, remote_port: u16) -> Option<(Tuple, Hashed)> {
        let (first, last) = self.config.port_range;
        let count = u32::from(last - first) + 1;
        let base = Tuple { local, remote, local_port: 0, remote_port };
        let offset = self.port_offset(&base) % count;
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

    /// Where the search for a port begins. The one for the last peer is kept: often there is only one.
    #[inline]
    fn port_offset(&mut self, base: &Tuple) -> u32 {
        match self.last_port_offset {
            Some((known, offset)) if known == *base => offset,
            Some(_) | None => {
                let offset = self.secrets.port_offset(base);
                self.last_port_offset = Some((*base, offset));
                offset
            }
        }
    }

    /// Sends the SYN of a connection that is being opened, unless its next hop is not known yet.
    pub(super) fn send_syn<T: Transmit>(&mut self, transmit: &mut T, key: Key) {
        let Some(record) = self.syn_sent.get_mut(key) else { return };
        let connection = self.connections.at(record.connection.index);
        let Some(mac) = self.neighbours.link(connection.route.neighbour()) else { return };
        record.sent_us = self.clock.us;
        let tcp = &self.config.tcp;
        let clock = self.clock.ms.wrapping_add(connection.ts_offset);
        let options = SynOptions {
            mss: Some(connection.mss),
            window_scale: tcp.tcp_window_scaling.then(|| tcp.window_scale()),
            sack_permitted: if tcp.tcp_sack { SackPermitted::Present } else { SackPermitted::Absent },
            timestamps: tcp.tcp_timestamps.then_some(Timestamps { value: clock, echo: 0 }),
        };
        let head = Head {
            local_port: connection.ports.local(),
            remote_port: connection.ports.remote(),
            seq: connection.snd_nxt - 1,
            ack: SequenceNumber::default(),
            flags: Control::SYN,
            window: syn_window(tcp),
            timestamps: None,
        };
        let local = self.config.addresses[connection.route.local()].cidr.address();
        let remote = self.warm[record.connection.index as usize].remote;
        let way = egress::Route { mac: *mac, local, remote };
        self.send_opening(transmit, &way, &head, &options);
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
        if has_ack && segment.ack != self.connections.at(record.connection.index).snd_nxt {
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
            let connection = self.connections.at_mut(index);
            connection.flags.set(Flag::AckNow);
            // On the list it stays there; otherwise what is queued leaves at once, with the ACK on board.
            if connection.flags.has(Flag::Pending) || self.reply_out_of_line(transmit, index) != Replied::Sent
            {
                self.pend(index);
            }
        }
    }

    /// SYN+ACK: the connection's block is filled in; what the application has queued stays.
    fn complete_open(&mut self, key: Key, record: &SynSent, arrival: &Arrival<'_>) -> bool {
        let peer = PeerSyn::read(&arrival.segment, arrival.tuple.remote, &self.config.tcp);
        let rtt = (record.retries == 1).then(|| self.clock.us.wrapping_sub(record.sent_us));
        let resent = record.retries.saturating_sub(1);
        let Some(connection) = self.connections.get_mut(record.connection) else { return false };
        let warm = &mut self.warm[record.connection.index as usize];
        let agreed = peer.agree(connection.mss, connection.ts_offset, &self.config.tcp);
        let agreed = Agreement { rtt_us: rtt, resent, ..agreed };
        connection.agree(warm, &agreed, &self.config.tcp, self.now);
        connection.flags.set(Flag::Known);
        self.syn_sent.remove(key);
        self.syn_sent_wheel.disarm(key.index);
        if let Ok(entry) = Entry::new(Kind::Synchronized, record.connection) {
            self.tables.set_entry(warm.place, entry);
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
