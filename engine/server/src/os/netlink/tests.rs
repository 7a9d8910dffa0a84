use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::*;

const INTERFACE: u32 = 7;

fn neighbour(state: NeighbourState, interface: u32) -> RouteNetlinkMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = interface;
    message.header.state = state;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet([198, 18, 0, 2].into())),
        NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 2]),
    ];
    RouteNetlinkMessage::NewNeighbour(message)
}

fn default_route(table: u8) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = table;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Oif(INTERFACE),
        RouteAttribute::Gateway(RouteAddress::Inet([198, 18, 0, 254].into())),
    ];
    message
}

#[test]
fn neighbours_count_once_they_are_resolved() {
    let address = "198.18.0.2".parse().unwrap();
    let known = Some(KernelFact::Neighbour { address, mac: [2, 0, 0, 0, 0, 2] });
    for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Permanent] {
        assert_eq!(message::fact(&neighbour(state, INTERFACE), INTERFACE), known);
    }
    assert_eq!(message::fact(&neighbour(NeighbourState::Incomplete, INTERFACE), INTERFACE), None);
    let failed = message::fact(&neighbour(NeighbourState::Failed, INTERFACE), INTERFACE);
    assert_eq!(failed, Some(KernelFact::NeighbourGone { address }));
    assert_eq!(
        message::fact(&neighbour(NeighbourState::Reachable, 8), INTERFACE),
        None,
        "another interface's"
    );
}

#[test]
fn a_default_route_has_no_destination_attribute() {
    let destination = "0.0.0.0/0".parse().unwrap();
    let gateway = Some("198.18.0.254".parse().unwrap());
    let main = default_route(RouteHeader::RT_TABLE_MAIN);
    let new = message::fact(&RouteNetlinkMessage::NewRoute(main.clone()), INTERFACE);
    assert_eq!(new, Some(KernelFact::Route { destination, gateway }));
    let gone = message::fact(&RouteNetlinkMessage::DelRoute(main), INTERFACE);
    assert_eq!(gone, Some(KernelFact::RouteGone { destination, gateway }));
    let local = default_route(255);
    assert_eq!(message::fact(&RouteNetlinkMessage::NewRoute(local), INTERFACE), None, "not the main table");
}

#[test]
fn the_kernel_tells_the_addresses_of_loopback() {
    let index = rustix::net::netdevice::name_to_index(
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None).unwrap(),
        "lo",
    )
    .unwrap();
    let found = addresses(index).unwrap();
    assert!(found.contains(&"127.0.0.1/8".parse().unwrap()), "{found:?}");
    assert_eq!(addresses(u32::MAX).unwrap(), []);
}

#[test]
fn a_dump_ends_and_leaves_no_changes_unread() {
    let mut tables = HostTables::open(u32::MAX).unwrap();
    let mut facts = Vec::new();
    tables.dump(|fact| facts.push(fact)).unwrap();
    tables.changes(|fact| facts.push(fact)).unwrap();
    assert_eq!(facts, [], "no interface has that index");
}
