//! Listeners: which address takes which connection, and who may listen beside whom.

use bywash_core::stack::{ListenError, ListenerId, PublishedTables, Registry, Reuse, StackConfig};
use bywash_core::wire::Cidr;

use crate::harness::*;

const B: &str = "198.18.0.3";
const C: &str = "198.18.0.4";

/// Options for one address, the backlog 16.
fn on(address: Option<&str>, reuse_addr: Reuse, reuse_port: Reuse) -> ListenOptions {
    let address = address.map(|text| text.parse().expect("an address"));
    ListenOptions { address, port: PORT, backlog: 16, reuse_addr, reuse_port }
}

/// A stack that has three IPv4 addresses, and nobody listens.
fn three_addresses() -> StackConfig {
    let mut config = config();
    for text in [B, C] {
        let cidr = Cidr::new(address(text), 24).expect("a prefix");
        config.addresses.push(bywash_core::stack::LocalAddress { cidr, ..config.addresses[0] });
    }
    config
}

/// Connects from `port` to one of our addresses, and says which listener that came by.
fn listener_at(world: &mut World, local: &str, port: u16) -> ListenerId {
    let mut peer = Peer::new(world, port, Offer::FULL);
    peer.tuple.remote = address(local);
    peer.open(world);
    let id = world.app.last();
    world.stack().listener_of(id).expect("it came by a listener")
}

/// A connection of ours in TIME_WAIT, and the listener closed.
fn waiting_port(world: &mut World) {
    let listener = world.stack().listen(on(None, Reuse::Off, Reuse::Off)).expect("listens");
    let (mut peer, id) = Peer::accepted(world, 40_000, Offer::FULL);
    world.stack().close(id);
    world.turn();
    peer.expect(world, FIN, 1, 1, 0);
    peer.send(world, seg(FIN, 1, 2));
    peer.expect(world, ACK, 2, 2, 0);
    world.stack().close_listener(listener);
    assert_eq!(world.report().time_wait, 1);
}

#[test]
fn s39_connections_in_time_wait_hold_the_port_unless_it_may_be_reused() {
    let mut world = World::quiet(config(), 1500);
    waiting_port(&mut world);
    let in_use = Err(ListenError::AddrInUse { port: PORT });
    assert_eq!(world.stack().listen(on(None, Reuse::Off, Reuse::Off)), in_use);
    assert_eq!(world.stack().listen(on(Some(LOCAL), Reuse::Off, Reuse::Off)), in_use);
    // The connection has another address, or another port.
    let elsewhere = world.stack().listen(on(Some(LOCAL_V6), Reuse::Off, Reuse::Off)).expect("free");
    world.stack().close_listener(elsewhere);
    let other = ListenOptions { port: 81, ..on(None, Reuse::Off, Reuse::Off) };
    world.stack().listen(other).expect("free");
    world.stack().listen(on(None, Reuse::On, Reuse::Off)).expect("reused");
    Peer::connect(&mut world, 40_001, Offer::FULL);
    assert_eq!(world.app.opened(), 2);
}

#[test]
fn s39_the_port_is_free_when_time_wait_has_ended() {
    let mut world = World::quiet(config(), 1500);
    waiting_port(&mut world);
    world.advance_ms(61_000);
    world.stack().listen(on(None, Reuse::Off, Reuse::Off)).expect("free again");
}

#[test]
fn s39_time_wait_on_any_shard_counts() {
    let mut worlds = [World::quiet(config(), 1500), World::quiet(config(), 1500)];
    waiting_port(&mut worlds[1]);
    let tables: Vec<PublishedTables> =
        worlds.iter_mut().enumerate().map(|(shard, world)| world.stack().published(shard)).collect();
    let mut registry = Registry::new(tables);
    let in_use = Err(ListenError::AddrInUse { port: PORT });
    assert_eq!(registry.bind(&on(None, Reuse::Off, Reuse::Off)), in_use);
    let options = on(None, Reuse::On, Reuse::Off);
    registry.bind(&options).expect("reused");
    for world in &mut worlds {
        world.stack().listen(options).expect("the registry has allowed it");
    }
}

#[test]
fn s40_a_second_listener_needs_reuse_port_on_both() {
    for reuse_addr in [Reuse::On, Reuse::Off] {
        let mut world = World::quiet(config(), 1500);
        let alone = on(None, reuse_addr, Reuse::Off);
        let shared = on(None, reuse_addr, Reuse::On);
        let first = world.stack().listen(alone).expect("nobody else");
        for second in [alone, shared] {
            assert_eq!(world.stack().listen(second), Err(ListenError::AddrInUse { port: PORT }));
        }
        world.stack().close_listener(first);
        world.stack().listen(shared).expect("nobody else");
        assert_eq!(world.stack().listen(alone), Err(ListenError::AddrInUse { port: PORT }));
        world.stack().listen(shared).expect("both share");
    }
}

#[test]
fn s40_a_group_shares_new_connections_by_hash() {
    let mut world = World::quiet(config(), 1500);
    let shared = on(None, Reuse::Off, Reuse::On);
    let group: Vec<_> = (0..3).map(|_| world.stack().listen(shared).expect("all share")).collect();
    let mut counts = [0; 3];
    let mut chosen = Vec::new();
    for port in 40_000..40_300 {
        let listener = listener_at(&mut world, LOCAL, port);
        let member = group.iter().position(|id| *id == listener).expect("one of the group");
        counts[member] += 1;
        chosen.push(member);
    }
    assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    assert!(chosen.windows(8).any(|w| w.iter().any(|m| *m != w[0])), "not in runs");
    // The same tuples on another shard of the server: the same choice.
    let mut other = World::quiet(config(), 1500);
    let copies: Vec<_> = (0..3).map(|_| other.stack().listen(shared).expect("all share")).collect();
    for (port, member) in (40_000..40_300).zip(&chosen) {
        assert_eq!(listener_at(&mut other, LOCAL, port), copies[*member]);
    }
    // Another secret: another choice.
    assert_ne!(chosen, vec![chosen[0]; chosen.len()]);
}

#[test]
fn s41_the_most_precise_listener_takes_a_connection() {
    let mut world = World::quiet(three_addresses(), 1500);
    let reused = |address| on(address, Reuse::On, Reuse::Off);
    let any = world.stack().listen(reused(Some("0.0.0.0"))).expect("nobody else");
    let a = world.stack().listen(reused(Some(LOCAL))).expect("reused");
    let b = world.stack().listen(reused(Some(B))).expect("reused");
    assert_eq!(listener_at(&mut world, LOCAL, 40_000), a);
    assert_eq!(listener_at(&mut world, B, 40_001), b);
    assert_eq!(listener_at(&mut world, C, 40_002), any);
    // `0.0.0.0` is IPv4's alone; both families' wildcard says less than one family's.
    let mut six = Peer::v6(&world, 40_003, Offer::FULL);
    six.syn(&mut world);
    assert_eq!(six.next(&mut world).flags, RST_ACK);
    let all = world.stack().listen(reused(None)).expect("reused");
    six.open(&mut world);
    let id = world.app.last();
    assert_eq!(world.stack().listener_of(id), Some(all));
    let any_v6 = world.stack().listen(reused(Some("::"))).expect("reused");
    let mut six = Peer::v6(&world, 40_004, Offer::FULL);
    six.open(&mut world);
    let id = world.app.last();
    assert_eq!(world.stack().listener_of(id), Some(any_v6));
    assert_eq!(listener_at(&mut world, C, 40_005), any);
}

#[test]
fn s41_a_wildcard_of_ipv6_does_not_take_ipv4() {
    let mut world = World::quiet(config(), 1500);
    world.stack().listen(on(Some("::"), Reuse::Off, Reuse::Off)).expect("nobody else");
    let mut four = Peer::new(&world, 40_000, Offer::FULL);
    four.syn(&mut world);
    assert_eq!(four.next(&mut world).flags, RST_ACK);
    Peer::v6(&world, 40_000, Offer::FULL).open(&mut world);
    assert_eq!(world.app.opened(), 1);
}

#[test]
fn c017_closing_one_listener_resets_what_is_its_own_only() {
    let mut world = World::quiet(three_addresses(), 1500);
    world.stack().pause_accepting();
    let mut at = |local: &str, port| {
        let id = world.stack().listen(on(Some(local), Reuse::Off, Reuse::Off)).expect("nobody else");
        let mut waiting = Peer::new(&world, port, Offer::FULL);
        waiting.tuple.remote = address(local);
        let mut half_open = Peer::new(&world, port + 1, Offer::FULL);
        half_open.tuple.remote = address(local);
        waiting.open(&mut world);
        half_open.syn(&mut world);
        half_open.expect(&mut world, SYN_ACK, 0, 1, 0);
        (id, waiting, half_open)
    };
    let (first, mut waiting, mut half_open) = at(LOCAL, 40_000);
    let (_, _, other_half) = at(B, 40_010);
    world.stack().close_listener(first);
    world.turn();
    waiting.expect(&mut world, RST_ACK, 1, 1, 0);
    half_open.send(&mut world, seg(ACK, 1, 1));
    let got = half_open.next(&mut world);
    assert_eq!((got.flags, got.seq), (RST, 1));
    other_half.send(&mut world, seg(ACK, 1, 1));
    world.stack().resume_accepting();
    world.turn();
    assert_eq!(world.app.opened(), 2);
    // A name that is no longer good does no harm, though its place has been taken.
    let again = world.stack().listen(on(Some(LOCAL), Reuse::On, Reuse::Off)).expect("free");
    world.stack().close_listener(first);
    assert_eq!(listener_at(&mut world, LOCAL, 40_020), again);
}
