//! What can be set on a connection or on a listener, under the names of Linux's socket options (tcp(7), socket(7)).

use core::fmt;

use super::config::TcpConfig;
use super::congestion::CongestionControl;

/// On or off, as an `int` of 1 or 0 is to `setsockopt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// 0
    Off,
    /// 1
    On,
}

impl From<bool> for Switch {
    fn from(is_on: bool) -> Self {
        if is_on { Self::On } else { Self::Off }
    }
}

/// What happens when a closed connection waits for the peer's FIN (`TCP_LINGER2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger2 {
    /// `tcp_fin_timeout_ms` ends FIN-WAIT-2 (0).
    Default,
    /// FIN-WAIT-2 is left at once (negative).
    None,
    /// So many seconds end it (1 to 120).
    Seconds(u8),
}

/// What a close does with octets that are queued (`SO_LINGER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// They are sent in the background.
    Off,
    /// With 0 they are dropped and RST is sent. Else they are sent in the background, too, and it is reported when our
    /// FIN was acknowledged or so many seconds have passed (0 to 32,767).
    Seconds(u16),
}

macro_rules! options {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $name:literal, $field:ident;)*) => {
        /// One option and its value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SocketOption {
            $($(#[$doc])* $variant($type),)*
        }

        /// Which option.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum OptionName {
            $($(#[$doc])* $variant,)*
        }

        impl OptionName {
            /// All options.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on Linux.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl SocketOption {
            /// Which option it is.
            pub const fn name(self) -> OptionName {
                match self { $(Self::$variant(_) => OptionName::$variant,)* }
            }
        }

        /// The values of all options of one connection or listener.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SocketOptions {
            $($(#[$doc])* pub(crate) $field: $type,)*
        }

        impl SocketOptions {
            /// The value of one.
            pub const fn get(&self, name: OptionName) -> SocketOption {
                match name { $(OptionName::$variant => SocketOption::$variant(self.$field),)* }
            }

            fn put(&mut self, option: SocketOption) {
                match option { $(SocketOption::$variant(value) => self.$field = value,)* }
            }
        }
    };
}

options! {
    /// Small segments leave at once, without Nagle's algorithm (RFC 9293 section 3.7.4). Turned on, it also lets go what
    /// `TCP_CORK` holds.
    TcpNodelay(Switch) = "TCP_NODELAY", tcp_nodelay;
    /// Only full segments leave, for 200 ms at most; what is held leaves when it is turned off.
    TcpCork(Switch) = "TCP_CORK", tcp_cork;
    /// Every arrival is acknowledged at once. Unlike on Linux it stays until it is turned off.
    TcpQuickack(Switch) = "TCP_QUICKACK", tcp_quickack;
    /// Payload octets of a segment at most: what our SYN advertises and what we send (88 to 32,767; 0: the path's). Read
    /// from a connection it is what is in effect, the options' octets taken off.
    TcpMaxseg(u16) = "TCP_MAXSEG", tcp_maxseg;
    /// Milliseconds after which octets that are not acknowledged, or a window that stays closed, end the connection (0:
    /// `tcp_retries2` decides).
    TcpUserTimeout(u32) = "TCP_USER_TIMEOUT", tcp_user_timeout_ms;
    /// Whether a silent peer is asked if it is still there (RFC 9293 section 3.8.4).
    SoKeepalive(Switch) = "SO_KEEPALIVE", so_keepalive;
    /// Seconds of silence before it is asked (1 to 32,767).
    TcpKeepidle(u16) = "TCP_KEEPIDLE", tcp_keepidle;
    /// Seconds between two questions (1 to 32,767).
    TcpKeepintvl(u16) = "TCP_KEEPINTVL", tcp_keepintvl;
    /// Questions without an answer that end the connection (1 to 127).
    TcpKeepcnt(u8) = "TCP_KEEPCNT", tcp_keepcnt;
    /// How often our SYN is sent again (1 to 127).
    TcpSyncnt(u8) = "TCP_SYNCNT", tcp_syncnt;
    /// When a closed connection leaves FIN-WAIT-2.
    TcpLinger2(Linger2) = "TCP_LINGER2", tcp_linger2;
    /// What a close does with queued octets.
    SoLinger(Linger) = "SO_LINGER", so_linger;
    /// Octets that wait to be read at most, and so the largest window (1 to the limit of the receive pool). Not doubled,
    /// as it is on Linux. What a window has promised already stays promised.
    SoRcvbuf(u32) = "SO_RCVBUF", so_rcvbuf;
    /// Octets queued to be sent at most (1 to 2^30). Not doubled, as it is on Linux.
    SoSndbuf(u32) = "SO_SNDBUF", so_sndbuf;
    /// Octets queued and never sent at most, as long as [`Host::write`](crate::shard::Host::write) queues them (1 and
    /// more). There is room again when it is less than half of it.
    TcpNotsentLowat(u32) = "TCP_NOTSENT_LOWAT", tcp_notsent_lowat;
    /// How the congestion window grows.
    TcpCongestion(CongestionControl) = "TCP_CONGESTION", tcp_congestion;
}

/// Why an option was not set or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// The value is out of its range (`EINVAL`).
    OutOfRange {
        /// Which option.
        option: OptionName,
        /// What was asked for.
        value: u64,
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// `socket_options_max` connections have options of their own (`ENOBUFS`).
    TooMany {
        /// The limit.
        socket_options_max: u32,
    },
    /// The kernel does not take the value, or does not say it (`EINVAL`); on backends that use its TCP.
    Refused {
        /// Which option.
        option: OptionName,
    },
    /// No such connection or listener (`EBADF`).
    NotOpen,
    /// What carries the connection does not have this option (`ENOPROTOOPT`).
    Unsupported {
        /// Which option.
        option: OptionName,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { option, value, min, max } => {
                write!(f, "{} is {value}, and must be {min} to {max}", option.name())
            }
            Self::TooMany { socket_options_max } => {
                write!(f, "{socket_options_max} connections have options of their own (`socket_options_max`)")
            }
            Self::Refused { option } => write!(f, "the kernel refuses {}", option.name()),
            Self::NotOpen => f.write_str("no such connection or listener"),
            Self::Unsupported { option } => write!(f, "this backend has no {}", option.name()),
        }
    }
}

impl core::error::Error for OptionError {}

/// Largest number of seconds of a keepalive or a linger, as on Linux.
const SECONDS_MAX: u64 = 32_767;
/// Smallest and largest `TCP_MAXSEG` (`TCP_MIN_MSS`, `MAX_TCP_WINDOW`).
const MAXSEG: (u64, u64) = (88, 32_767);
/// Largest `TCP_LINGER2` in seconds (`TCP_FIN_TIMEOUT_MAX`).
const LINGER2_MAX: u64 = 120;
/// Largest `SO_SNDBUF`.
const SNDBUF_MAX: u64 = 1 << 30;

impl SocketOptions {
    /// What the configuration says.
    pub fn of(config: &TcpConfig) -> Self {
        Self {
            tcp_nodelay: config.tcp_nodelay.into(),
            tcp_cork: Switch::Off,
            tcp_quickack: Switch::Off,
            tcp_maxseg: 0,
            tcp_user_timeout_ms: config.tcp_user_timeout_ms,
            so_keepalive: config.so_keepalive.into(),
            tcp_keepidle: config.tcp_keepalive_time,
            tcp_keepintvl: config.tcp_keepalive_intvl,
            tcp_keepcnt: config.tcp_keepalive_probes,
            tcp_syncnt: config.tcp_syn_retries,
            tcp_linger2: Linger2::Default,
            so_linger: Linger::Off,
            so_rcvbuf: config.receive_buffer,
            so_sndbuf: config.send_buffer,
            tcp_notsent_lowat: config.tcp_notsent_lowat,
            tcp_congestion: config.tcp_congestion_control,
        }
    }

    /// Sets one.
    ///
    /// # Errors
    /// [`OptionError::OutOfRange`]; nothing has changed.
    pub fn set(&mut self, option: SocketOption, rcvbuf_max: u32) -> Result<(), OptionError> {
        let seconds = (1, SECONDS_MAX);
        let any = (0, (0, 0));
        let (value, (min, max)) = match option {
            SocketOption::TcpNodelay(_)
            | SocketOption::TcpCork(_)
            | SocketOption::TcpQuickack(_)
            | SocketOption::SoKeepalive(_)
            | SocketOption::TcpUserTimeout(_)
            | SocketOption::TcpCongestion(_)
            | SocketOption::TcpMaxseg(0)
            | SocketOption::TcpLinger2(Linger2::Default | Linger2::None)
            | SocketOption::SoLinger(Linger::Off) => any,
            SocketOption::TcpMaxseg(mss) => (mss.into(), MAXSEG),
            SocketOption::TcpKeepidle(value) | SocketOption::TcpKeepintvl(value) => (value.into(), seconds),
            SocketOption::TcpKeepcnt(count) | SocketOption::TcpSyncnt(count) => (count.into(), (1, 127)),
            SocketOption::TcpLinger2(Linger2::Seconds(value)) => (value.into(), (1, LINGER2_MAX)),
            SocketOption::SoLinger(Linger::Seconds(value)) => (value.into(), (0, SECONDS_MAX)),
            SocketOption::SoRcvbuf(octets) => (octets.into(), (1, rcvbuf_max.into())),
            SocketOption::SoSndbuf(octets) => (octets.into(), (1, SNDBUF_MAX)),
            SocketOption::TcpNotsentLowat(octets) => (octets.into(), (1, u32::MAX.into())),
        };
        if !(min..=max).contains(&value) {
            return Err(OptionError::OutOfRange { option: option.name(), value, min, max });
        }
        self.put(option);
        Ok(())
    }
}
