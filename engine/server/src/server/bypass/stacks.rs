//! The stacks, the mesh between them, and what each is made of.

use std::net::IpAddr;

use bywash_core::buffer::{ReceiveConfig, SendConfig};
use bywash_core::port::Port;
use bywash_core::stack::{HostFact, ListenOptions, LocalAddress, Ownership, Registry, Stack, StackConfig};
use bywash_core::tcp::config::TcpConfig as StackTcpConfig;
use bywash_core::tcp::congestion::CongestionControl as StackCongestionControl;
use bywash_core::tcp::ecn::EcnMode;
use bywash_core::wire::{Address, Cidr as WireCidr};
use bywash_xdp::nic::Interface;

use super::super::shard_loop::Clock;
use super::addresses::Addresses;
use super::queues::Opened;
use crate::backends::xdp::{XdpBackend, XdpPort};
use crate::capture::Recorder;
use crate::config::{AddressKind, Config, CongestionControl, HugePages};
use crate::error::Error;
use crate::mesh::{Mesh, MeshConfig};
use crate::os::huge_pages;

/// The backends of all shards, and the mesh between them.
pub(super) struct Built {
    pub(super) backends: Vec<XdpBackend>,
    pub(super) mesh: Mesh<HostFact>,
}

/// A stack on each socket, listening.
pub(super) fn build(
    config: &Config,
    interface: &Interface,
    addresses: &Addresses,
    gateways: &[IpAddr],
    opened: Vec<Opened>,
    recorder: Option<&Recorder>,
    clock: Clock,
) -> Result<Built, Error> {
    let mesh = Mesh::new(opened.len(), MeshConfig::default()).map_err(Error::os("cannot make an eventfd"))?;
    let settings = settings(config, addresses, gateways);
    let seed = seed()?;
    let mac = interface.mac()?.0;
    let mtu = u16::try_from(interface.mtu()?).unwrap_or(u16::MAX);
    let shards = opened.len();
    let mut parts = Vec::with_capacity(shards);
    for (index, Opened { queue: _, socket }) in opened.into_iter().enumerate() {
        let port = XdpPort::tapped(socket, mac, mtu, recorder.map(|recorder| recorder.tap(index as u32)));
        let settings = StackConfig {
            // Two shards must not open the same connection.
            port_range: config.tcp.ip_local_port_range.share(index, shards).bounds(),
            ..settings.clone()
        };
        let stack = Stack::new(settings, port.capabilities(), seed, clock.now())?;
        if config.huge_pages == HugePages::On {
            huge_pages::advise(stack.address_ranges());
        }
        parts.push((port, stack));
    }
    let tables: Vec<_> = parts.iter().enumerate().map(|(index, (_, stack))| stack.published(index)).collect();
    let options = ListenOptions {
        address: None,
        port: config.port,
        backlog: config.tcp.somaxconn,
        reuse_addr: config.reuse_addr.into(),
        reuse_port: config.reuse_port.into(),
    };
    // One decision for all shards; each then has a listener, and a backlog, of its own.
    Registry::new(tables.clone()).bind(&options)?;
    for (_, stack) in &mut parts {
        stack.listen(options)?;
    }
    let backends = parts.into_iter().enumerate().map(|(index, (port, stack))| {
        let others = tables.iter().filter(|table| table.shard != index).cloned().collect();
        XdpBackend::new(index, port, stack, &mesh, others)
    });
    Ok(Built { backends: backends.collect(), mesh })
}

/// One secret for all shards: a flow must look the same wherever its frames arrive.
fn seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    let mut filled = 0;
    while filled < seed.len() {
        filled += rustix::rand::getrandom(&mut seed[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(Error::os("cannot get random bytes"))?;
    }
    Ok(seed)
}

fn settings(config: &Config, addresses: &Addresses, gateways: &[IpAddr]) -> StackConfig {
    let ownership = match addresses.kind {
        AddressKind::Owned => Ownership::Owned,
        AddressKind::Shared => Ownership::Shared,
    };
    let addresses = addresses.list.iter().filter_map(|cidr| {
        let cidr = WireCidr::new(Address::from(cidr.address()), cidr.prefix_length())?;
        Some(LocalAddress { cidr, ownership })
    });
    let tcp = &config.tcp;
    StackConfig {
        tcp: StackTcpConfig {
            somaxconn: tcp.somaxconn,
            tcp_max_syn_backlog: tcp.tcp_max_syn_backlog,
            tcp_syncookies: tcp.tcp_syncookies,
            tcp_abort_on_overflow: tcp.tcp_abort_on_overflow == 1,
            tcp_tw_reuse: tcp.tcp_tw_reuse,
            tcp_rfc1337: tcp.tcp_rfc1337 == 1,
            tcp_time_wait_ms: tcp.tcp_time_wait_ms,
            tcp_syn_retries: tcp.tcp_syn_retries,
            tcp_syn_linear_timeouts: tcp.tcp_syn_linear_timeouts,
            tcp_synack_retries: tcp.tcp_synack_retries,
            tcp_retries2: tcp.tcp_retries2,
            tcp_fin_timeout_ms: tcp.tcp_fin_timeout_ms,
            tcp_congestion_control: match tcp.tcp_congestion_control {
                CongestionControl::Cubic => StackCongestionControl::Cubic,
                CongestionControl::Reno => StackCongestionControl::Reno,
            },
            tcp_ecn: match tcp.tcp_ecn {
                0 => EcnMode::Off,
                1 => EcnMode::Request,
                _ => EcnMode::Accept,
            },
            tcp_ecn_fallback: tcp.tcp_ecn_fallback == 1,
            tcp_slow_start_after_idle: tcp.tcp_slow_start_after_idle == 1,
            tcp_nodelay: tcp.tcp_nodelay == 1,
            so_keepalive: tcp.so_keepalive == 1,
            tcp_keepalive_time: tcp.tcp_keepalive_time,
            tcp_keepalive_intvl: tcp.tcp_keepalive_intvl,
            tcp_keepalive_probes: tcp.tcp_keepalive_probes,
            tcp_user_timeout_ms: tcp.tcp_user_timeout_ms,
            tcp_notsent_lowat: tcp.tcp_notsent_lowat,
            tcp_delack_us: tcp.tcp_delack_us,
            tcp_challenge_ack_limit: tcp.tcp_challenge_ack_limit,
            tcp_invalid_ratelimit_ms: tcp.tcp_invalid_ratelimit_ms,
            tcp_dsack: tcp.tcp_dsack > 0,
            tcp_recovery: tcp.tcp_recovery,
            tcp_early_retrans: tcp.tcp_early_retrans,
            tcp_frto: tcp.tcp_frto,
            tcp_timeout_min_us: tcp.tcp_timeout_min_us,
            receive_buffer: tcp.tcp_rmem_max,
            send_buffer: tcp.tcp_wmem_max,
            ..StackTcpConfig::default()
        },
        ip: config.ip.for_stack(),
        neighbours_max: config.ip.gc_thresh3,
        answers_per_second_max: config.ip.icmp_msgs_per_sec,
        addresses: addresses.collect(),
        gateways: gateways.iter().copied().map(Address::from).collect(),
        connections_max: config.connections_max,
        congestions_max: tcp.congestions_max,
        socket_options_max: config.connections_max,
        half_open_max: tcp.tcp_max_syn_backlog,
        time_wait_max: tcp.tcp_max_tw_buckets,
        send: SendConfig::with_memory(config.send_memory_max),
        receive: ReceiveConfig::with_memory(config.receive_memory_max),
        ..StackConfig::default()
    }
}
