//! Out of descriptors: mio pauses accepting and goes on when there are some. Alone in its process, whose limit
//! it lowers.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time;

use bywash::backends::mio::{MioConfig, MioTransport};
use bywash::core::base::time::{Duration, Instant};
use bywash::core::codec::Raw;
use bywash::core::shard::{Application, Context, Host, Origin, Shard};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

struct Silent;

impl Application for Silent {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    fn on_message<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, (): &mut (), _: &[u8]) {}
}

/// Leaves the process at most `free` descriptors more than it has; returns the limit that it had.
fn leave_descriptors(free: u64) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // The kernel gives out the lowest number that is free, so the next ones follow this one.
    let next = File::open("/dev/null").unwrap().as_raw_fd();
    let current = Some(u64::try_from(next).unwrap() + free);
    setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
    before
}

#[test]
fn accepting_pauses_without_descriptors_and_goes_on_with_them() {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let transport = MioTransport::new(&MioConfig { listen, ..MioConfig::default() }, Instant::ZERO).unwrap();
    let address = transport.local_addresses().next().unwrap();
    let mut shard = Shard::new(transport, Silent, Raw::default(), 100);
    let _clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();

    let before = leave_descriptors(3);
    shard.transport_mut().wait(Instant::ZERO, None).unwrap();
    let turn = shard.turn(Instant::ZERO);
    let counters = *shard.transport().counters();
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(counters.accepted < 20, "there were enough descriptors: nothing was tested");
    assert_eq!(counters.accept_paused_descriptors, 1);
    assert!(!turn.again, "waiting for descriptors must not spin");
    let retry = shard.deadline().expect("a time at which to try again");
    assert!(retry <= Instant::ZERO + Duration::from_secs(1));

    let started = time::Instant::now();
    shard.turn(Instant::from_nanos(retry.as_nanos() - 1));
    assert_eq!(shard.transport().counters().accepted, counters.accepted, "too early");
    shard.turn(retry);
    assert_eq!(shard.transport().counters().accepted, 20);
    assert!(started.elapsed() < time::Duration::from_secs(10));
}
