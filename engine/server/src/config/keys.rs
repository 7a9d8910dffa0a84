//! Which keys exist and what they accept: the one table behind files, command line, help and error messages.

use std::fmt;
use std::ops::RangeInclusive;

use super::Config;
use super::values::{
    AddressKind, BackendChoice, CongestionControl, HugePages, LabChoice, Mode, PortRange, ReuseSwitch,
    ZeroCopy,
};

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) accepts: Accepts,
}

/// What a key accepts.
#[derive(Clone)]
pub(super) enum Accepts {
    /// A whole number in a range.
    Number(RangeInclusive<i64>),
    /// A power of two in a range.
    PowerOfTwo(RangeInclusive<i64>),
    /// One of these words.
    Words(&'static [&'static str]),
    /// Something described by this phrase.
    Text(&'static str),
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Self::PowerOfTwo(range) => write!(f, "a power of two from {} to {}", range.start(), range.end()),
            Self::Words(words) => f.write_str(&words.join(", ")),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Accepts {
    fn allows(&self, number: i64) -> bool {
        match self {
            Self::Number(range) => range.contains(&number),
            Self::PowerOfTwo(range) => range.contains(&number) && number.count_ones() == 1,
            Self::Words(_) | Self::Text(_) => true,
        }
    }
}

const fn number(name: &'static str, min: i64, max: i64) -> Key {
    Key { name, accepts: Accepts::Number(min..=max) }
}

const fn words(name: &'static str, words: &'static [&'static str]) -> Key {
    Key { name, accepts: Accepts::Words(words) }
}

const fn text(name: &'static str, text: &'static str) -> Key {
    Key { name, accepts: Accepts::Text(text) }
}

/// The keys at the top of a file.
pub(super) const KEYS: &[Key] = &[
    words("backend", BackendChoice::WORDS),
    words("lab", LabChoice::WORDS),
    text("lab_name", "1 to 32 letters, digits and hyphens"),
    text("interface", "the name of a network interface"),
    text("address", "addresses with prefix lengths, such as 198.18.0.1/24"),
    words("address_kind", AddressKind::WORDS),
    text("gateway", "an address, such as 198.18.0.254"),
    number("port", 1, 65_535),
    words("reuse_addr", ReuseSwitch::WORDS),
    words("reuse_port", ReuseSwitch::WORDS),
    text("queues", "all, a count from 1, or a list such as [0, 2]"),
    words("mode", Mode::WORDS),
    words("zero_copy", ZeroCopy::WORDS),
    text("cores", "auto, none, or a list such as [0, 1]"),
    words("huge_pages", HugePages::WORDS),
    number("shards", 0, 256),
    number("spin_us", 0, 1_000_000),
    text("capture", "a file name"),
    number("drain_timeout_ms", 0, 3_600_000),
    number("connections_max", 1, 1 << 28),
    Key { name: "frames", accepts: Accepts::PowerOfTwo(64..=1 << 16) },
    number("send_memory_max", 2 << 20, 1 << 40),
    number("receive_memory_max", 2 << 20, 1 << 40),
];

/// The keys of the table `[tcp]`.
pub(super) const TCP_KEYS: &[Key] = &[
    number("somaxconn", 1, 1 << 20),
    number("tcp_max_syn_backlog", 1, 1 << 24),
    number("tcp_syncookies", 0, 2),
    number("tcp_abort_on_overflow", 0, 1),
    number("tcp_tw_reuse", 0, 2),
    number("tcp_rfc1337", 0, 1),
    text("ip_local_port_range", PortRange::ACCEPTED),
    number("tcp_time_wait_ms", 0, 240_000),
    number("tcp_max_tw_buckets", 0, 1 << 28),
    number("tcp_rmem_max", 4_096, 896 << 10),
    number("tcp_wmem_max", 4_096, 1 << 30),
    number("tcp_syn_retries", 1, 127),
    number("tcp_syn_linear_timeouts", 0, 127),
    number("tcp_synack_retries", 0, 255),
    number("tcp_retries2", 3, 100),
    number("tcp_fin_timeout_ms", 0, 3_600_000),
    words("tcp_congestion_control", CongestionControl::WORDS),
    number("tcp_ecn", 0, 2),
    number("tcp_ecn_fallback", 0, 1),
    number("tcp_slow_start_after_idle", 0, 1),
    number("congestions_max", 0, 1 << 28),
    number("tcp_nodelay", 0, 1),
    number("so_keepalive", 0, 1),
    number("tcp_keepalive_time", 1, 32_767),
    number("tcp_keepalive_intvl", 1, 32_767),
    number("tcp_keepalive_probes", 1, 127),
    number("tcp_user_timeout_ms", 0, 0xffff_ffff),
    number("tcp_notsent_lowat", 1, 0xffff_ffff),
    number("tcp_delack_us", 0, 500_000),
    number("tcp_challenge_ack_limit", 0, 1 << 30),
    number("tcp_invalid_ratelimit_ms", 0, 3_600_000),
    number("tcp_dsack", 0, 1),
    number("tcp_recovery", 0, 7),
    number("tcp_early_retrans", 0, 3),
    number("tcp_frto", 0, 2),
    number("tcp_timeout_min_us", 1, 1_000_000),
];

/// The keys of the table `[ip]`.
pub(super) const IP_KEYS: &[Key] = &[
    number("min_pmtu", 68, 65_535),
    number("mtu_expires_ms", 1_000, 86_400_000),
    number("path_mtus_max", 4, 65_535),
    number("base_reachable_time_ms", 100, 3_600_000),
    number("delay_first_probe_time_ms", 0, 600_000),
    number("retrans_time_ms", 10, 60_000),
    number("mcast_solicit", 1, 20),
    number("ucast_solicit", 0, 20),
    number("locktime_ms", 0, 60_000),
    number("gc_thresh3", 1, 65_535),
    number("icmp_msgs_per_sec", 0, 1 << 31),
];

/// The tables of a file, the top first, with their keys.
pub(super) const TABLES: [(&str, &[Key]); 3] = [("", KEYS), ("tcp", TCP_KEYS), ("ip", IP_KEYS)];

/// A value out of its range.
pub(super) struct OutOfRange {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) accepts: Accepts,
}

/// Checks what types alone cannot.
pub(super) fn check(config: &Config) -> Result<(), OutOfRange> {
    // A configuration is made of strings, numbers and lists: it always has a TOML form.
    let Ok(table) = toml::Table::try_from(config) else { return Ok(()) };
    let values = TABLES.iter().filter_map(|(name, keys)| {
        let inner = if name.is_empty() { Some(&table) } else { table.get(*name)?.as_table() };
        Some(keys.iter().map(move |key| (key, inner.and_then(|inner| inner.get(key.name)))))
    });
    for (key, value) in values.flatten() {
        if let Some(value) = value.and_then(toml::Value::as_integer)
            && !key.accepts.allows(value)
        {
            return Err(OutOfRange { key: key.name, value: value.to_string(), accepts: key.accepts.clone() });
        }
    }
    let name = &config.lab_name;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if name.is_empty() || name.len() > 32 || !plain {
        let accepts = accepts("lab_name").cloned().unwrap_or(Accepts::Text("a plain name"));
        return Err(OutOfRange { key: "lab_name", value: name.clone(), accepts });
    }
    Ok(())
}

/// All keys of all tables.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().flat_map(|(_, keys)| keys.iter())
}

/// What key `name` accepts, wherever it stands.
pub(super) fn accepts(name: &str) -> Option<&'static Accepts> {
    all().find(|key| key.name == name).map(|key| &key.accepts)
}

/// The known key that looks most like `name`, if one does.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    all()
        .map(|key| (key.name, strsim::jaro_winkler(name, key.name)))
        .filter(|(_, likeness)| *likeness > 0.7)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}
