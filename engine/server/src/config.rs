//! Everything that can be set, under one name each: in a TOML file and on the command line alike.
//!
//! `connections_max = 5000` in a file is `--connections-max 5000` on the command line, and the command line
//! wins. What keys exist and what they accept stands in one table, which both sides and `--help` use.

mod arguments;
mod file;
mod ip;
mod keys;
mod tcp;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use arguments::{Arguments, NoExtra};
pub use file::ConfigError;
pub use ip::IpConfig;
pub use tcp::TcpConfig;
pub use values::{
    AddressKind, BackendChoice, Cidr, CongestionControl, Cores, HugePages, LabChoice, Mode, PortRange,
    Queues, ReuseSwitch, ZeroCopy,
};

/// The configuration of a server. Every field has a safe default.
///
/// The text above each field is also its `--help`.
// The text of these fields is shown in a terminal, where backticks only disturb.
#[allow(clippy::doc_markdown)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What carries the connections: AF_XDP, or the kernel's own TCP through mio. `auto` takes the best that the
    /// machine and the privileges allow, and says why not the better one.
    #[arg(long, value_name = "BACKEND")]
    pub backend: BackendChoice,

    /// Whether to make two network namespaces with a link between them and serve in there. `auto` does so as root
    /// when neither an interface nor an address is given.
    #[arg(long, value_name = "WHEN")]
    pub lab: LabChoice,

    /// Name of the lab: its namespaces are NAME-server and NAME-client.
    #[arg(long, value_name = "NAME")]
    pub lab_name: String,

    /// The network interface to serve on (AF_XDP).
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,

    /// The addresses to serve on, each with its prefix length: 198.18.0.1/24. For the kernel's TCP the address to bind.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    #[serde(deserialize_with = "values::one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<Cidr>,

    /// Whether the addresses are ours alone (we answer ARP, ping and every port) or the host's, of which we take
    /// the listened ports only.
    #[arg(long, value_name = "KIND")]
    pub address_kind: AddressKind,

    /// Where frames for other networks go (owned addresses; for shared ones the kernel's routes are read).
    /// One for each family at most.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    #[serde(deserialize_with = "values::one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub gateway: Vec<std::net::IpAddr>,

    /// The TCP port to listen on.
    #[arg(long, value_name = "PORT")]
    pub port: u16,

    /// Whether connections of the port that are left over, in TIME_WAIT above all, may be there when it is listened on
    /// (SO_REUSEADDR).
    #[arg(long, value_name = "WHETHER")]
    pub reuse_addr: ReuseSwitch,

    /// Whether other listeners that allow it, too, may share the address and port and its new connections
    /// (SO_REUSEPORT). On the kernel's TCP these are other servers of the same user.
    #[arg(long, value_name = "WHETHER")]
    pub reuse_port: ReuseSwitch,

    /// The queues to serve, one shard each: all, a count, or a list of their numbers in brackets.
    #[arg(long, value_name = "QUEUES")]
    pub queues: Queues,

    /// How the program is attached: in the driver (native), or above it (generic), which works everywhere and costs more.
    #[arg(long, value_name = "MODE")]
    pub mode: Mode,

    /// Whether frames are shared with the device without a copy.
    #[arg(long, value_name = "WHEN")]
    pub zero_copy: ZeroCopy,

    /// The cores that shards are pinned to, in order: auto, none, or a list such as 0,1.
    #[arg(long, value_name = "CORES")]
    pub cores: Cores,

    /// Whether to ask for huge pages for the arrays that grow with the limits. Many connections are reached in random
    /// order: with small pages each look-up misses the TLB.
    #[arg(long, value_name = "WHETHER")]
    pub huge_pages: HugePages,

    /// How many shards the kernel's TCP is served with (AF_XDP has one for each queue); 0 is one for each core.
    #[arg(long, value_name = "COUNT")]
    pub shards: u32,

    /// How long an idle shard polls its rings before it sleeps, in microseconds. Unset: 20, or 0 where shards fill
    /// all cores.
    #[arg(long, value_name = "MICROSECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spin_us: Option<u32>,

    /// Write every frame that the engine sees and sends to this pcapng file (AF_XDP; costs a copy for each frame).
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<PathBuf>,

    /// How long connections may take to end in order at SIGTERM or SIGINT, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    pub drain_timeout_ms: u32,

    /// The most connections that a shard holds at one time.
    #[arg(long, value_name = "COUNT")]
    pub connections_max: u32,

    /// Frames of each queue's receiving half and of its sending half; a power of two.
    #[arg(long, value_name = "COUNT")]
    pub frames: u32,

    /// Memory for bytes that wait to be sent or acknowledged, of each shard.
    #[arg(long, value_name = "BYTES")]
    pub send_memory_max: u64,

    /// Memory for received bytes that the application has not consumed, of each shard.
    #[arg(long, value_name = "BYTES")]
    pub receive_memory_max: u64,

    /// TCP's own settings, under their Linux names.
    #[command(flatten, next_help_heading = "TCP")]
    pub tcp: TcpConfig,

    /// What lies below TCP, under Linux's names.
    #[command(flatten, next_help_heading = "IP")]
    pub ip: IpConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            lab: LabChoice::Auto,
            lab_name: "bywash".to_owned(),
            interface: None,
            address: Vec::new(),
            address_kind: AddressKind::Owned,
            gateway: Vec::new(),
            port: 8080,
            reuse_addr: ReuseSwitch::On,
            reuse_port: ReuseSwitch::Off,
            queues: Queues::All,
            mode: Mode::Auto,
            zero_copy: ZeroCopy::Auto,
            cores: Cores::Auto,
            huge_pages: HugePages::On,
            shards: 0,
            spin_us: None,
            capture: None,
            drain_timeout_ms: 5_000,
            connections_max: 65_536,
            frames: 4_096,
            send_memory_max: 128 << 20,
            receive_memory_max: 128 << 20,
            tcp: TcpConfig::default(),
            ip: IpConfig::default(),
        }
    }
}
