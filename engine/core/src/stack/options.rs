//! Options of connections and listeners, and the deadlines that come with them.

use alloc::borrow::Cow;
use core::num::NonZeroU32;

use crate::base::time::Duration;
use crate::shard::{CloseReason, ConnectionId, Events, Lingered};
use crate::tcp::config::TcpConfig;
use crate::tcp::connection::{Connection, Doom, Farewell, Warm, WarmDeadlines};
use crate::tcp::handshake::TIMESTAMPS_LEN;
use crate::tcp::socket_options::{Linger, OptionError, OptionName, SocketOption, SocketOptions, Switch};
use crate::tcp::state::Flag;
use crate::tcp::tick::Tick;
use crate::tcp::tuned::{Alive, Tuned};

use super::Stack;
use super::listener::{Inherited, ListenerId};
use crate::tcp::path_mtu;

impl Stack {
    /// Sets an option of a connection. What concerns opening takes effect if the SYN leaves afterwards: it leaves with the
    /// turn after the call that connects.
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    pub fn set_option(&mut self, id: ConnectionId, option: SocketOption) -> Result<(), OptionError> {
        self.connections.get(id).ok_or(OptionError::NotOpen)?;
        let mut options = self.options_at(id.index);
        options.set(option, self.config.receive.receive_buffer_max)?;
        self.adopt(id.index, options)?;
        self.react(id.index, option);
        Ok(())
    }

    /// An option of a connection.
    ///
    /// # Errors
    /// [`OptionError::NotOpen`].
    pub fn option(&self, id: ConnectionId, name: OptionName) -> Result<SocketOption, OptionError> {
        let connection = self.connections.get(id).ok_or(OptionError::NotOpen)?;
        Ok(match name {
            // As Linux: what is in effect.
            OptionName::TcpMaxseg => SocketOption::TcpMaxseg(connection.mss),
            OptionName::TcpNodelay
            | OptionName::TcpCork
            | OptionName::TcpQuickack
            | OptionName::TcpUserTimeout
            | OptionName::SoKeepalive
            | OptionName::TcpKeepidle
            | OptionName::TcpKeepintvl
            | OptionName::TcpKeepcnt
            | OptionName::TcpSyncnt
            | OptionName::TcpLinger2
            | OptionName::SoLinger
            | OptionName::SoRcvbuf
            | OptionName::SoSndbuf
            | OptionName::TcpNotsentLowat
            | OptionName::TcpCongestion => self.options_at(id.index).get(name),
        })
    }

    /// Sets an option of a listener: connections whose handshake ends from now on inherit it (what a SYN says, `TCP_MAXSEG`,
    /// those whose SYN arrives from now on).
    ///
    /// # Errors
    /// [`OptionError`]; nothing has changed.
    pub fn set_listener_option(&mut self, id: ListenerId, option: SocketOption) -> Result<(), OptionError> {
        let rcvbuf_max = self.config.receive.receive_buffer_max;
        let plain = self.plain_options;
        let listener = self.listener_mut(id).ok_or(OptionError::NotOpen)?;
        listener.options.set(option, rcvbuf_max)?;
        listener.tcp.receive_buffer = listener.options.so_rcvbuf;
        listener.inherited = Inherited::of(&listener.options, &plain);
        Ok(())
    }

    /// An option of a listener.
    ///
    /// # Errors
    /// [`OptionError::NotOpen`].
    pub fn listener_option(&self, id: ListenerId, name: OptionName) -> Result<SocketOption, OptionError> {
        let listener = self.listener(id).ok_or(OptionError::NotOpen)?;
        Ok(listener.options.get(name))
    }

    /// All options of a connection.
    pub(super) fn options_at(&self, index: u32) -> SocketOptions {
        let tcp_nodelay = self.connections.at(index).flags.has(Flag::NoDelay).into();
        let tcp_congestion = self.warm[index as usize].congestion_control;
        let options = self.tuned_at(index).map_or(self.plain_options, |tuned| tuned.options);
        SocketOptions { tcp_nodelay, tcp_congestion, ..options }
    }

    /// The record of a connection that has options of its own.
    #[inline]
    pub(super) fn tuned_at(&self, index: u32) -> Option<&Tuned> {
        let place = self.warm[index as usize].tuned?;
        Some(self.tuned.at(place.get() - 1))
    }

    fn parts(&mut self, index: u32) -> (&mut Connection, Option<&mut Tuned>) {
        let place = self.warm[index as usize].tuned;
        let tuned = place.map(|place| self.tuned.at_mut(place.get() - 1));
        (self.connections.at_mut(index), tuned)
    }

    /// A new connection has the options of the listener that it came by; one that we open, those of the configuration.
    #[cold]
    pub(super) fn inherit(&mut self, index: u32, options: SocketOptions) {
        if self.adopt(index, options).is_err() {
            // Every record is in use: it runs as the configuration says.
            self.counters.options_not_inherited += 1;
            return;
        }
        self.restart_keepalive(index);
    }

    /// The connection has these options from now on.
    fn adopt(&mut self, index: u32, options: SocketOptions) -> Result<(), OptionError> {
        let is_plain = !needs_record(&options, &self.plain_options);
        match (self.warm[index as usize].tuned, is_plain) {
            (None, true) => {}
            (Some(_), true) => {
                self.forget_options(index);
                self.connections.at_mut(index).flags.take(Flag::Corked);
            }
            (Some(place), false) => self.tuned.at_mut(place.get() - 1).options = options,
            (None, false) => {
                let full = OptionError::TooMany { socket_options_max: self.config.socket_options_max };
                let key = self.tuned.insert(Tuned::new(options)).map_err(|_| full)?;
                self.warm[index as usize].tuned = NonZeroU32::new(key.index + 1);
            }
        }
        let plain = &self.plain_options;
        // What the in-order path does not know of.
        let is_special = options.so_rcvbuf != plain.so_rcvbuf
            || options.so_sndbuf != plain.so_sndbuf
            || options.tcp_cork == Switch::On
            || options.tcp_quickack == Switch::On;
        let flags = &mut self.connections.at_mut(index).flags;
        self.warm[index as usize].congestion_control = options.tcp_congestion;
        flags.put(Flag::NoDelay, options.tcp_nodelay == Switch::On);
        flags.put(Flag::Tuned, is_special);
        flags.put(Flag::QuickAck, options.tcp_quickack == Switch::On);
        Ok(())
    }

    /// What else the change of one option calls for.
    fn react(&mut self, index: u32, option: SocketOption) {
        let is_opening = self.is_opening(index);
        let now = self.now;
        let (connection, tuned) = self.parts(index);
        match option {
            SocketOption::TcpNodelay(Switch::On) | SocketOption::TcpCork(Switch::Off) => {
                if let Some(tuned) = tuned {
                    tuned.let_go(connection);
                }
            }
            SocketOption::TcpCork(Switch::On) => {
                if let Some(tuned) = tuned {
                    tuned.hold(connection, now);
                }
            }
            SocketOption::TcpQuickack(Switch::On) => {
                if connection.delayed_ack_at.is_set() {
                    connection.flags.set(Flag::AckNow);
                }
            }
            SocketOption::TcpMaxseg(mss) if is_opening && mss > 0 => connection.mss = connection.mss.min(mss),
            SocketOption::TcpMaxseg(mss) if mss > 0 => self.lower_mss(index, mss),
            SocketOption::SoKeepalive(_) | SocketOption::TcpKeepidle(_) => self.restart_keepalive(index),
            SocketOption::TcpNodelay(Switch::Off)
            | SocketOption::TcpQuickack(Switch::Off)
            | SocketOption::TcpMaxseg(_)
            | SocketOption::TcpUserTimeout(_)
            | SocketOption::TcpKeepintvl(_)
            | SocketOption::TcpKeepcnt(_)
            | SocketOption::TcpSyncnt(_)
            | SocketOption::TcpLinger2(_)
            | SocketOption::SoLinger(_)
            | SocketOption::SoRcvbuf(_)
            | SocketOption::SoSndbuf(_)
            | SocketOption::TcpNotsentLowat(_)
            | SocketOption::TcpCongestion(_) => {}
        }
        self.watch_options(index);
        self.pend(index);
    }

    /// `TCP_MAXSEG` on an open connection: its segments can become smaller.
    fn lower_mss(&mut self, index: u32, maxseg: u16) {
        let connection = self.connections.at_mut(index);
        let warm = &mut self.warm[index as usize];
        let options = if connection.flags.has(Flag::Timestamps) { TIMESTAMPS_LEN } else { 0 };
        warm.mss_agreed = warm.mss_agreed.min(maxseg - options);
        if warm.mss_agreed < connection.mss {
            path_mtu::lower_mss(connection, warm, &mut self.pools.recoveries, warm.mss_agreed);
        }
    }

    pub(super) fn restart_keepalive(&mut self, index: u32) {
        let now = self.now;
        if let (_, Some(tuned)) = self.parts(index) {
            tuned.start_keepalive(now);
        }
        self.watch_options(index);
    }

    /// Makes sure that the wheel looks at a connection when its options want that.
    pub(super) fn watch_options(&mut self, index: u32) {
        let due = self.tuned_at(index).and_then(Tuned::deadline);
        let at = due.map_or(Tick::NONE, |at| self.timer_tick(at));
        self.warm[index as usize].options_at = at;
        if at.is_set() {
            self.connections.at_mut(index).warm_deadlines = WarmDeadlines::Possible;
            self.arm(index, at);
        }
    }

    /// What a connection's options wait for is due, or nearer.
    pub(super) fn expire_options<E: Events<Self>>(&mut self, events: &mut E, index: u32) {
        let now = self.now;
        let is_opening = self.is_opening(index);
        let (connection, Some(tuned)) = self.parts(index) else { return };
        if tuned.cork_until.is_some_and(|at| at <= now) {
            tuned.let_go(connection);
            self.pend(index);
        }
        let (connection, Some(tuned)) = self.parts(index) else { return };
        let is_over = tuned.linger_until.is_some_and(|at| at <= now);
        let is_due = tuned.keepalive_at.is_some_and(|at| at <= now);
        if is_due && is_opening {
            // It begins when the connection is open.
            tuned.start_keepalive(now);
        } else if is_due {
            match tuned.look(connection, now) {
                Alive::LookAgain(_) => {}
                Alive::Ask(_) => {
                    connection.probes = connection.probes.saturating_add(1);
                    connection.flags.set(Flag::Probe);
                    self.counters.keepalive_probes += 1;
                    self.pend(index);
                }
                Alive::Dead => {
                    self.doom(index, Doom { reason: CloseReason::TimedOut, farewell: Farewell::Reset });
                }
            }
        }
        if is_over {
            self.end_linger(events, index, Lingered::TimedOut);
        }
        self.watch_options(index);
    }

    /// The end of a close that lingers is reported, once.
    #[cold]
    pub(super) fn end_linger<E: Events<Self>>(&mut self, events: &mut E, index: u32, how: Lingered) {
        let (_, Some(tuned)) = self.parts(index) else { return };
        if tuned.linger_until.take().is_some()
            && let Some(id) = self.connections.key_at(index)
        {
            events.lingered(self, id, how);
        }
    }

    /// The retransmission timer of a connection with options of its own is due. Whether that ends the connection.
    pub(super) fn is_given_up(&mut self, index: u32) -> bool {
        let Some(place) = self.warm[index as usize].tuned else { return false };
        let connection = self.connections.at(index);
        let waits = connection.flight() > 0 || connection.unsent() > 0;
        let tuned = self.tuned.at_mut(place.get() - 1);
        connection.retransmit_at.is_due(self.now)
            && waits
            && tuned.is_given_up(connection, &self.config.tcp, self.now)
    }

    /// The timer was set again: `TCP_USER_TIMEOUT` may end earlier.
    pub(super) fn clamp_retransmit(&mut self, index: u32) {
        let now = self.now;
        let (connection, Some(tuned)) = self.parts(index) else { return };
        if connection.retransmit_at.is_set() && connection.backoff > 0 {
            connection.retransmit_at = Tick::at(tuned.clamp(connection.retransmit_at.instant(now)));
        }
    }

    /// Octets were queued on a connection that the in-order path does not know how to treat, or its buffer is full.
    #[cold]
    pub(super) fn note_written(&mut self, index: u32) {
        let limit = self.send_limit_of(self.connections.at(index), index);
        let now = self.now;
        let (connection, tuned) = self.parts(index);
        if connection.send.len() >= limit {
            connection.flags.set(Flag::SendFull);
        }
        if let Some(tuned) = tuned {
            tuned.hold(connection, now);
            self.watch_options(index);
        }
    }

    /// Octets that one connection may queue: `SO_SNDBUF`.
    #[inline]
    pub(super) fn send_limit_of(&self, connection: &Connection, index: u32) -> usize {
        let plain = self.config.tcp.send_buffer as usize;
        if !connection.flags.has(Flag::Tuned) {
            return plain;
        }
        self.tuned_at(index).map_or(plain, |tuned| tuned.options.so_sndbuf as usize)
    }

    /// Octets that one connection may keep unread: `SO_RCVBUF`.
    #[inline]
    pub(super) fn receive_limit(&self, index: u32) -> u32 {
        let plain = self.config.tcp.receive_buffer;
        if !self.connections.at(index).flags.has(Flag::Tuned) {
            return plain;
        }
        self.tuned_at(index).map_or(plain, |tuned| tuned.options.so_rcvbuf)
    }

    /// Octets that may be queued and not sent: `TCP_NOTSENT_LOWAT`.
    pub(super) fn notsent_lowat(&self, index: u32) -> u32 {
        let plain = self.config.tcp.tcp_notsent_lowat;
        self.tuned_at(index).map_or(plain, |tuned| tuned.options.tcp_notsent_lowat)
    }

    /// Whether a connection that took no more takes enough again to say so.
    pub(super) fn has_room_again(&self, index: u32) -> bool {
        let connection = self.connections.at(index);
        let has_space = connection.send.len() <= self.send_limit_of(connection, index) / 2;
        has_space && u64::from(connection.unsent()) * 2 <= u64::from(self.notsent_lowat(index))
    }

    /// The application closes; says whether that may be in order (`SO_LINGER`).
    pub(super) fn linger(&mut self, index: u32) -> bool {
        let now = self.now;
        let (_, Some(tuned)) = self.parts(index) else { return true };
        if tuned.options.so_linger == Linger::Seconds(0) {
            return false;
        }
        // What is still to come has timers of its own.
        tuned.keepalive_at = None;
        tuned.begin_linger(now);
        self.watch_options(index);
        true
    }

    /// Whether a connection has a record.
    #[inline]
    pub(super) fn is_tuned(&self, index: u32) -> bool {
        self.warm[index as usize].tuned.is_some()
    }

    /// How long FIN-WAIT-2 lasts once the application has closed.
    pub(super) fn fin_wait_2(&self, index: u32) -> Duration {
        let tcp = &self.config.tcp;
        let plain = Duration::from_millis(tcp.tcp_fin_timeout_ms.into());
        self.tuned_at(index).map_or(plain, |tuned| tuned.fin_wait_2(tcp))
    }

    /// The settings with which connections of a listener are opened.
    pub(super) fn tcp_of(&self, listener: u8) -> &TcpConfig {
        self.listeners.get(usize::from(listener)).map_or(&self.config.tcp, |listener| &listener.tcp)
    }

    /// The settings with which a connection of ours is opened.
    pub(super) fn tcp_at(&self, index: u32) -> Cow<'_, TcpConfig> {
        let tcp = &self.config.tcp;
        match self.receive_limit(index) {
            plain if plain == tcp.receive_buffer => Cow::Borrowed(tcp),
            receive_buffer => Cow::Owned(TcpConfig { receive_buffer, ..tcp.clone() }),
        }
    }

    /// Gives the record of a connection that ends back.
    #[cold]
    pub(super) fn forget_options(&mut self, index: u32) {
        let warm: &mut Warm = &mut self.warm[index as usize];
        if let Some(place) = warm.tuned.take()
            && let Some(key) = self.tuned.key_at(place.get() - 1)
        {
            self.tuned.remove(key);
        }
    }
}

impl Inherited {
    /// What connections with `options` get, where the configuration says `plain`.
    pub(super) fn of(options: &SocketOptions, plain: &SocketOptions) -> Self {
        if *options == *plain && !needs_record(options, plain) { Self::Nothing } else { Self::Something }
    }
}

/// Whether options are more than the flags of a connection can say, where the configuration says `plain`.
fn needs_record(options: &SocketOptions, plain: &SocketOptions) -> bool {
    options.so_keepalive == Switch::On
        || options.tcp_user_timeout_ms != 0
        || *plain
            != SocketOptions {
                tcp_nodelay: plain.tcp_nodelay,
                tcp_congestion: plain.tcp_congestion,
                ..*options
            }
}
