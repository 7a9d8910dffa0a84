//! Connections that we open: port selection, SYN-SENT.

use core::net::SocketAddr;

use crate::base::slab::Key;
use crate::base::time::{Duration, Instant};
use crate::base::wheel::TimerWheel;
use crate::port::{Medium, Transmit};
use crate::shard::{CloseReason, ConnectError, ConnectionId, Events, Origin};
use crate::table::{Entry, Kind};
use crate::tcp::connection::{Agreement, Doom, Ends, Farewell, Route, begin};
use crate::tcp::ecn::EcnSetup;
use crate::tcp::handshake::{PeerSyn, SynPhase, SynSent, syn_window};
use crate::tcp::seq::SequenceNumber;
use crate::tcp::state::Flag;
use crate::tcp::tick::Tick;
use crate::wire::tcp::{Flags as Control, SackPermitted, SynOptions, Timestamps};
use crate::wire::{Address, MacAddress, Tuple};

use super::Stack;
use super::counters::DropReason;
use super::egress::{self, Head, path_mss};
use super::ingress::Arrival;
use super::listener::Inherited;
use super::reply::Replied;
use super::source::ConnectOptions;
use super::tables::Hashed;

/// How long a port must have waited in TIME_WAIT to be used for a new connection to the same peer (`tcp_tw_reuse`): longer
/// than the peer's timestamp clock needs to move on.
const TIME_WAIT_REUSE_AFTER: Duration = Duration::from_millis(1_000);

/// A tuple for a new connection.
struct Selected {
    tuple: Tuple,
    hashed: Hashed,
    /// Index of the record in TIME_WAIT that it takes the place of.
    replaces: Option<u32>,
}

impl Stack {
    /// Begins to open a connection. Its block exists from now on, so that the application can write already.
    pub(super) fn open(
        &mut self,
        remote: SocketAddr,
        options: &ConnectOptions,
    ) -> Result<ConnectionId, ConnectError> {
        let ConnectOptions { local_address, local_port, timeout } = *options;
        let address = Address::from(remote.ip());
        if !self.is_host(address) || remote.port() == 0 {
            return Err(ConnectError::InvalidRemote);
        }
        let local = self.source(address, local_address)?;
        let local_address = self.config.addresses[local].cidr.address();
        let base = Tuple { local: local_address, remote: address, local_port: 0, remote_port: remote.port() };
        let selected = match local_port {
            0 => self.select_port(&base).ok_or(ConnectError::PortsExhausted)?,
            port => {
                self.usable(&Tuple { local_port: port, ..base }).ok_or(ConnectError::AddrInUse { port })?
            }
        };
        let full = ConnectError::TooManyConnections { connections_max: self.config.connections_max };
        // On a layer-3 port there is nobody to ask.
        let hint = match self.capabilities.medium {
            Medium::Ethernet => None,
            Medium::Ip => Some(MacAddress::ZERO),
        };
        let neighbour = self.hold_next_hop(address, hint).map_err(|_| full)?;
        let timeout_at = timeout.map(|timeout| self.now + timeout);
        self.begin_open(&selected, Route::new(neighbour, local as u8), timeout_at).ok_or_else(|| {
            self.neighbours.release(neighbour);
            full
        })
    }

    fn begin_open(
        &mut self,
        selected: &Selected,
        route: Route,
        timeout_at: Option<Instant>,
    ) -> Option<ConnectionId> {
        let Selected { tuple, hashed, replaces } = selected;
        let key = self.syn_sent.next_key()?;
        self.connections.next_key()?;
        let flow = hashed.flow(&self.secrets);
        let isn = flow.isn(self.now);
        let iss = replaces.map_or(isn, |index| {
            let above = self.time_wait.at(index).above();
            self.end_time_wait(index);
            above.latest(isn)
        });
        let place = self.tables.insert(hashed, Entry::new(Kind::SynSent, key).ok()?).ok()?;
        let ends = Ends {
            route,
            local_port: tuple.local_port,
            remote: tuple.remote,
            remote_port: tuple.remote_port,
            place,
        };
        let (mut connection, warm) = begin(&ends, iss + 1, &self.config.tcp);
        connection.ts_offset = flow.ts_offset;
        // What the SYN says; what is agreed may be less.
        connection.mss = path_mss(self.capabilities.mtu, tuple.remote);
        let Some(id) = self.insert_connection(connection, warm) else {
            self.tables.remove(place, &self.hasher);
            return None;
        };
        if let Inherited::Something = self.plain_inherited {
            self.inherit(id.index, self.plain_options);
        }
        // The SYN leaves with this turn's timers, not at the next tick.
        let past = self.now - Duration::from_nanos(TimerWheel::TICK_NANOS);
        let record = SynSent {
            connection: id,
            sent_us: self.now.as_micros() as u32,
            retransmit_at: Tick::at(past),
            timeout_at,
            retries: 0,
            phase: SynPhase::SynSent,
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

    /// A local port towards the peer, beginning at a point that nobody can guess (RFC 6056 section 3.3.3). All of them are
    /// tried: who connects waits for that, and no peer can make us do it.
    fn select_port(&mut self, base: &Tuple) -> Option<Selected> {
        let (first, last) = self.config.port_range;
        let count = u32::from(last - first) + 1;
        let offset = self.port_offset(base) % count;
        for _ in 0..count {
            let step = u32::from(self.next_port);
            self.next_port = self.next_port.wrapping_add(1);
            let local_port = first + ((offset + step) % count) as u16;
            if self.is_listening(local_port) {
                continue;
            }
            let selected = self.usable(&Tuple { local_port, ..*base });
            if selected.is_some() {
                return selected;
            }
        }
        None
    }

    /// The tuple, if no connection has it, or one in TIME_WAIT that may be replaced.
    fn usable(&self, tuple: &Tuple) -> Option<Selected> {
        let hashed = Hashed::of(tuple, &self.hasher);
        let replaces = match self.tables.find(&hashed) {
            None => None,
            Some(entry)
                if matches!(entry.kind(), Kind::TimeWait) && self.may_replace(entry.index(), tuple) =>
            {
                Some(entry.index())
            }
            Some(_) => return None,
        };
        Some(Selected { tuple: *tuple, hashed, replaces })
    }

    /// Whether a new connection may take the tuple of one in TIME_WAIT. Timestamps keep old duplicates apart (RFC 6191),
    /// once the clock has moved on.
    fn may_replace(&self, index: u32, tuple: &Tuple) -> bool {
        let tcp = &self.config.tcp;
        let is_wanted = match tcp.tcp_tw_reuse {
            0 => false,
            1 => true,
            _ => tuple.remote.is_loopback(),
        };
        let record = self.time_wait.at(index);
        let whole = Duration::from_millis(u64::from(tcp.tcp_time_wait_ms));
        let is_long_ago = record.expires_at.instant(self.now) + TIME_WAIT_REUSE_AFTER <= self.now + whole;
        is_wanted && tcp.tcp_timestamps && record.ts_recent.is_some() && is_long_ago
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
        let neighbour = connection.route.neighbour();
        let Some(mac) = self.neighbours.link_to_use(neighbour, self.now) else { return };
        record.sent_us = self.clock.us;
        let local = self.config.addresses[connection.route.local()].cidr.address();
        let (index, retries) = (record.connection.index, record.retries);
        let remote = self.warm[index as usize].remote;
        let traffic_class = connection.route.not_ect().traffic_class();
        let way = egress::Route { mac: *mac, local, remote, traffic_class };
        if record.phase == SynPhase::SynReceived {
            let record = *record;
            return self.send_crossed(transmit, &record, &way);
        }
        let tcp = &*self.tcp_at(index);
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
            flags: Control::SYN | EcnSetup::to_ask(tcp.tcp_ecn, tcp.tcp_ecn_fallback, retries).syn_bits(),
            window: syn_window(tcp),
            timestamps: None,
        };
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
        if record.phase == SynPhase::SynReceived {
            return self.handle_crossed(transmit, events, key, &record, arrival);
        }
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
        if !control.contains(Control::SYN) {
            return self.counters.drop(DropReason::NoAck);
        }
        if !has_ack {
            return self.handle_crossing(transmit, key, &record, arrival);
        }
        let index = record.connection.index;
        if self.complete_open(key, &record, arrival) {
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
        let tcp = &self.config.tcp;
        let asked = EcnSetup::to_ask(tcp.tcp_ecn, tcp.tcp_ecn_fallback, record.retries);
        let ecn = EcnSetup::of_syn_ack(arrival.segment.control, asked);
        let peer = PeerSyn { ecn, ..PeerSyn::read(&arrival.segment, arrival.tuple.remote, tcp) };
        let rtt = (record.retries == 1).then(|| self.clock.us.wrapping_sub(record.sent_us));
        let resent = record.retries.saturating_sub(1);
        let path_mss = self.path_mss(arrival.tuple.remote);
        let Some(connection) = self.connections.get(record.connection) else { return false };
        let tcp = self.tcp_at(record.connection.index);
        let agreed = peer.agree(connection.mss.min(path_mss), connection.ts_offset, &tcp);
        let connection = self.connections.at_mut(record.connection.index);
        let warm = &mut self.warm[record.connection.index as usize];
        let agreed = Agreement { rtt_us: rtt, resent, ..agreed };
        connection.agree(warm, &agreed, &self.config.tcp, self.now);
        connection.flags.set(Flag::Known);
        self.finish_open(key, record);
        true
    }

    /// The record of an open goes, and the table's entry becomes that of the connection.
    #[inline(always)]
    pub(super) fn finish_open(&mut self, key: Key, record: &SynSent) {
        self.counters.active_opens += 1;
        self.syn_sent.remove(key);
        self.syn_sent_wheel.disarm(key.index);
        if let Ok(entry) = Entry::new(Kind::Synchronized, record.connection) {
            self.tables.set_entry(self.warm[record.connection.index as usize].place, entry);
        }
        if self.is_tuned(record.connection.index) {
            self.restart_keepalive(record.connection.index);
        }
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
