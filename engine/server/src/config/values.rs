//! The values that are not plain numbers: words, addresses with a prefix, lists of queues and cores.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bywash_core::stack::Reuse;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares an enum of words that reads and prints the same everywhere.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] #[value(name = $word)] $variant,)+
        }

        impl $name {
            /// The words that are accepted.
            pub const WORDS: &[&str] = &[$($word),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}

words! {
    /// What carries the connections.
    BackendChoice {
        /// The best that the machine and the privileges allow.
        Auto = "auto",
        /// `AF_XDP` and our own TCP.
        Xdp = "xdp",
        /// The kernel's TCP, through epoll.
        Mio = "mio",
    }
}

words! {
    /// Whether the server makes a lab of network namespaces for itself.
    LabChoice {
        /// As root, when neither an interface nor an address is given.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

words! {
    /// Whether to ask for huge pages.
    HugePages {
        /// Where the kernel has them (`/sys/kernel/mm/transparent_hugepage/enabled` is not `never`).
        On = "on",
        /// Never: memory is then taken page by page, as connections need it.
        Off = "off",
    }
}

words! {
    /// Whether an address or port that is in use may be used again.
    ReuseSwitch {
        /// It may.
        On = "on",
        /// It may not.
        Off = "off",
    }
}

impl From<ReuseSwitch> for Reuse {
    fn from(switch: ReuseSwitch) -> Self {
        match switch {
            ReuseSwitch::On => Self::On,
            ReuseSwitch::Off => Self::Off,
        }
    }
}

words! {
    /// Whose the addresses are (see `docs/architecture.md`).
    AddressKind {
        /// Ours: every frame to them comes to the engine.
        Owned = "owned",
        /// The host's: we take the listened ports only.
        Shared = "shared",
    }
}

words! {
    /// How the XDP program is attached.
    Mode {
        /// Native, else generic.
        Auto = "auto",
        /// In the driver.
        Native = "native",
        /// Above the driver, on socket buffers.
        Generic = "generic",
    }
}

words! {
    /// How the congestion window of a connection grows.
    CongestionControl {
        /// CUBIC (RFC 9438).
        Cubic = "cubic",
        /// Reno's, with NewReno's recovery (RFC 5681, RFC 6582).
        Reno = "reno",
    }
}

words! {
    /// Whether frames are shared with the device without a copy.
    ZeroCopy {
        /// Where the driver can.
        Auto = "auto",
        /// Yes, or fail.
        Require = "require",
        /// No.
        Off = "off",
    }
}

/// Reads and writes a type through its text form.
macro_rules! through_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// What is accepted, in words.
    pub(super) const ACCEPTED: &str = "first and last port, such as 32768-60999";
    /// Linux's.
    pub(super) const DEFAULT: Self = Self { first: 32_768, last: 60_999 };

    /// From `first` to `last`; `None` unless 0 < `first` <= `last`.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (0 < first && first <= last).then_some(Self { first, last })
    }

    /// First and last port.
    pub fn bounds(self) -> (u16, u16) {
        (self.first, self.last)
    }

    /// The part of shard `index` of `shards`: parts do not overlap unless there are fewer ports than shards.
    pub fn share(self, index: usize, shards: usize) -> Self {
        let count = usize::from(self.last - self.first) + 1;
        let at = |index: usize| self.first + (index * count / shards) as u16;
        let first = at(index.min(shards - 1));
        let last = if index + 1 >= shards { self.last } else { at(index + 1).saturating_sub(1) };
        Self { first, last: last.max(first) }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = text
            .split_once('-')
            .and_then(|(first, last)| Self::new(first.trim().parse().ok()?, last.trim().parse().ok()?));
        range.ok_or_else(|| format!("not {}", Self::ACCEPTED))
    }
}

through_text!(PortRange);

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An address and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix_length: u8,
}

impl Cidr {
    /// `prefix_length` is 0 to 32 for IPv4 and 0 to 128 for IPv6; `None` beyond that.
    pub fn new(address: IpAddr, prefix_length: u8) -> Option<Self> {
        let max = if address.is_ipv4() { 32 } else { 128 };
        (prefix_length <= max).then_some(Self { address, prefix_length })
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The prefix length in bits.
    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// An address without a prefix length is a network of its own (/32, /128).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address with a prefix length, such as 198.18.0.1/24");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(whole), |prefix| prefix.parse().map_err(|_| wrong()))?;
        Self::new(address, prefix).ok_or_else(wrong)
    }
}

through_text!(Cidr);

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One value or a list of them.
pub(super) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = match Words::deserialize(deserializer)? {
        Words::One(text) => vec![text],
        Words::Many(texts) => texts,
        Words::Number(number) => vec![number.to_string()],
        Words::Numbers(numbers) => numbers.iter().map(ToString::to_string).collect(),
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// What TOML may hold where the command line has one word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Number(u32),
    Numbers(Vec<u32>),
    Many(Vec<String>),
}

impl Words {
    /// The same as it would be written on the command line.
    fn text(self) -> String {
        match self {
            Self::One(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Numbers(numbers) => list(&numbers),
            Self::Many(texts) => texts.join(","),
        }
    }
}

/// Which queues of the interface are served, each by a shard of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queues {
    /// Every queue that the interface has.
    All,
    /// The first so many.
    Count(u32),
    /// Exactly these.
    List(Vec<u32>),
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => count.fmt(f),
            Self::List(list_of) => f.write_str(&list(list_of)),
        }
    }
}

impl FromStr for Queues {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Ok(count) = text.parse::<u32>() {
            return if count == 0 {
                Err("at least one queue must be served".to_owned())
            } else {
                Ok(Self::Count(count))
            };
        }
        parse_list(text).map(Self::List)
    }
}

/// Which cores shards are pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One for each shard, from the cores that the process may use, while there are enough.
    Auto,
    /// Shards are not pinned.
    None,
    /// Shard `n` to the `n`th of these, starting over at the end.
    List(Vec<u32>),
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::List(list_of) => f.write_str(&list(list_of)),
        }
    }
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            text => parse_list(text).map(Self::List),
        }
    }
}

through_text!(Queues);
through_text!(Cores);

impl<'de> Deserialize<'de> for Queues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Words::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Words::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

fn list(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(","))
}

/// `0,2` or `[0,2]`: at least one number, none twice.
fn parse_list(text: &str) -> Result<Vec<u32>, String> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let mut numbers = Vec::new();
    for part in inner.split(',') {
        let number =
            part.trim().parse().map_err(|_| format!("`{text}` is not a list of numbers such as [0,2]"))?;
        if numbers.contains(&number) {
            return Err(format!("{number} stands twice in `{text}`"));
        }
        numbers.push(number);
    }
    Ok(numbers)
}
