//! Frames for the program's tests, and the verdict on each.

use super::*;

pub(super) const OWNED4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
pub(super) const SHARED4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const FOREIGN4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
pub(super) const OWNED6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 1);
pub(super) const SHARED6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 2);
const FOREIGN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x198, 0x18, 0, 0, 0, 0, 3);
const SOLICITED_NODE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);
pub(super) const LISTENED: u16 = 8080;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Name, frame, and what is to be decided when its queue has a socket.
pub(super) fn table() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    [owned(), shared(), errors(), discovery(), extensions(), passed()].concat()
}

fn owned() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{RedirectOwnedIcmp, RedirectOwnedOther, RedirectOwnedTcp};
    vec![
        ("TCP to owned, any port", tcp4(OWNED4, 1000, 1), RedirectOwnedTcp),
        ("TCP with IP options", options4(OWNED4, &ports(1, 2)), RedirectOwnedTcp),
        ("ping to owned", ipv4(OWNED4, ICMP, 0, &[8; 8]), RedirectOwnedIcmp),
        ("UDP to owned", ipv4(OWNED4, UDP, 0, &[0; 8]), RedirectOwnedOther),
        ("first fragment to owned", ipv4(OWNED4, TCP, 0x2000, &ports(1, 2)), RedirectOwnedOther),
        ("last fragment to owned", ipv4(OWNED4, TCP, 0x0010, &ports(1, 2)), RedirectOwnedOther),
        ("don't fragment is no fragment", ipv4(OWNED4, TCP, 0x4000, &ports(1, 2)), RedirectOwnedTcp),
        ("one tag", tagged(&tcp4(OWNED4, 1, 2), &[0x8100]), RedirectOwnedTcp),
        ("two tags", tagged(&tcp6(OWNED6, 1, 2), &[0x88a8, 0x8100]), RedirectOwnedTcp),
        ("TCP6 to owned", tcp6(OWNED6, 1, 2), RedirectOwnedTcp),
        ("ping6 to owned", ipv6(OWNED6, ICMPV6, &[128; 8]), RedirectOwnedIcmp),
        ("UDP6 to owned", ipv6(OWNED6, UDP, &[0; 8]), RedirectOwnedOther),
    ]
}

fn shared() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{PassMalformed, PassSharedOther, RedirectSharedTcp};
    vec![
        ("TCP to a listened port", tcp4(SHARED4, 1, LISTENED), RedirectSharedTcp),
        ("TCP6 to a listened port", tcp6(SHARED6, 1, LISTENED), RedirectSharedTcp),
        ("TCP to the first reserved port", tcp4(SHARED4, 80, 50_000), RedirectSharedTcp),
        ("TCP to the last reserved port", tcp6(SHARED6, 80, 50_063), RedirectSharedTcp),
        ("TCP below the reserved ports", tcp4(SHARED4, 80, 49_999), PassSharedOther),
        ("TCP above the reserved ports", tcp4(SHARED4, 80, 50_064), PassSharedOther),
        ("TCP from a listened port", tcp4(SHARED4, LISTENED, 22), PassSharedOther),
        ("TCP with IP options", options4(SHARED4, &ports(1, LISTENED)), RedirectSharedTcp),
        ("tagged", tagged(&tcp4(SHARED4, 1, LISTENED), &[0x8100]), RedirectSharedTcp),
        ("UDP to a listened port", ipv4(SHARED4, UDP, 0, &ports(1, LISTENED)), PassSharedOther),
        ("ping", ipv4(SHARED4, ICMP, 0, &[8; 64]), PassSharedOther),
        ("ping6", ipv6(SHARED6, ICMPV6, &[128; 64]), PassSharedOther),
        ("first fragment", ipv4(SHARED4, TCP, 0x2000, &ports(1, LISTENED)), PassSharedOther),
        ("later fragment", ipv4(SHARED4, TCP, 0x0001, &ports(1, LISTENED)), PassSharedOther),
        ("ports cut off", ipv4(SHARED4, TCP, 0, &[0; 3]), PassMalformed),
    ]
}

fn errors() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{PassSharedOther, RedirectOwnedIcmp, RedirectSharedIcmpError};
    let quoted = |source: Ipv4Addr, protocol, fragment, port| {
        let mut packet = ipv4(FOREIGN4, protocol, fragment, &ports(port, 80))[14..].to_vec();
        packet[12..16].copy_from_slice(&source.octets());
        packet
    };
    let error4 = |icmp_type: u8, quoted: &[u8]| {
        ipv4(SHARED4, ICMP, 0, &[&[icmp_type, 4, 0, 0, 0, 0, 0, 0], quoted].concat())
    };
    let quoted6 = |source: Ipv6Addr, next, port| {
        let mut packet = ipv6(FOREIGN6, next, &ports(port, 80))[14..].to_vec();
        packet[8..24].copy_from_slice(&source.octets());
        packet
    };
    let error6 = |icmp_type: u8, quoted: &[u8]| {
        ipv6(SHARED6, ICMPV6, &[&[icmp_type, 0, 0, 0, 0, 0, 0, 0], quoted].concat())
    };
    let ours = quoted(SHARED4, TCP, 0, LISTENED);
    let ours6 = quoted6(SHARED6, TCP, 50_001);
    vec![
        ("unreachable", error4(3, &ours), RedirectSharedIcmpError),
        ("time exceeded", error4(11, &ours), RedirectSharedIcmpError),
        ("parameter problem", error4(12, &ours), RedirectSharedIcmpError),
        ("redirect is the host's", error4(5, &ours), PassSharedOther),
        ("echo that looks like an error", error4(0, &ours), PassSharedOther),
        ("quotes another port", error4(3, &quoted(SHARED4, TCP, 0, 22)), PassSharedOther),
        ("quotes another address", error4(3, &quoted(FOREIGN4, TCP, 0, LISTENED)), PassSharedOther),
        ("quotes UDP", error4(3, &quoted(SHARED4, UDP, 0, LISTENED)), PassSharedOther),
        ("quotes a later fragment", error4(3, &quoted(SHARED4, TCP, 7, LISTENED)), PassSharedOther),
        ("quotes too little", error4(3, &ours[..22]), PassSharedOther),
        ("any error to owned", ipv4(OWNED4, ICMP, 0, &[3; 8]), RedirectOwnedIcmp),
        ("unreachable 6", error6(1, &ours6), RedirectSharedIcmpError),
        ("packet too big", error6(2, &ours6), RedirectSharedIcmpError),
        ("parameter problem 6", error6(4, &ours6), RedirectSharedIcmpError),
        ("not an error 6", error6(5, &ours6), PassSharedOther),
        ("quotes another port 6", error6(2, &quoted6(SHARED6, TCP, 22)), PassSharedOther),
        ("quotes another address 6", error6(2, &quoted6(FOREIGN6, TCP, 50_001)), PassSharedOther),
        ("quotes UDP 6", error6(2, &quoted6(SHARED6, UDP, 50_001)), PassSharedOther),
    ]
}

fn discovery() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{PassNotOurs, PassSharedOther, RedirectOwnedArp, RedirectOwnedNd};
    let mut hardware = arp(OWNED4);
    hardware[15] = 6;
    let nd =
        |icmp_type: u8, target: Ipv6Addr| [&[icmp_type, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..]].concat();
    vec![
        ("ARP for owned", arp(OWNED4), RedirectOwnedArp),
        ("tagged ARP for owned", tagged(&arp(OWNED4), &[0x8100]), RedirectOwnedArp),
        ("ARP for shared", arp(SHARED4), PassNotOurs),
        ("ARP for another", arp(FOREIGN4), PassNotOurs),
        ("ARP of other hardware", hardware, PassNotOurs),
        ("solicitation to the group", ipv6(SOLICITED_NODE, ICMPV6, &nd(135, OWNED6)), RedirectOwnedNd),
        ("solicitation to the address", ipv6(OWNED6, ICMPV6, &nd(135, OWNED6)), RedirectOwnedNd),
        ("advertisement to owned", ipv6(OWNED6, ICMPV6, &nd(136, FOREIGN6)), RedirectOwnedNd),
        ("router advertisement to owned", ipv6(OWNED6, ICMPV6, &[134; 16]), RedirectOwnedNd),
        ("redirect to owned", ipv6(OWNED6, ICMPV6, &[137; 40]), RedirectOwnedNd),
        ("solicitation for shared", ipv6(SOLICITED_NODE, ICMPV6, &nd(135, SHARED6)), PassNotOurs),
        ("solicitation for another", ipv6(SOLICITED_NODE, ICMPV6, &nd(135, FOREIGN6)), PassNotOurs),
        ("advertisement to all", ipv6(SOLICITED_NODE, ICMPV6, &nd(136, OWNED6)), PassNotOurs),
        ("advertisement to shared", ipv6(SHARED6, ICMPV6, &nd(136, FOREIGN6)), PassSharedOther),
    ]
}

fn extensions() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{PassMalformed, PassSharedOther, RedirectOwnedOther, RedirectOwnedTcp, RedirectSharedTcp};
    let tcp = ports(1, LISTENED);
    // Hop-by-hop of 8 bytes, routing of 24, destination options of 16, then TCP.
    let chain = [header(43, 0), header(60, 2), header(TCP, 1), tcp.clone()].concat();
    let fragment = |offset_flags: u16| {
        let [high, low] = offset_flags.to_be_bytes();
        [vec![TCP, 0, high, low, 0, 0, 0, 1], tcp.clone()].concat()
    };
    let endless = [vec![header(0, 0); 7].concat(), tcp.clone()].concat();
    vec![
        ("options before TCP to owned", ipv6(OWNED6, 0, &chain), RedirectOwnedTcp),
        ("options before TCP to shared", ipv6(SHARED6, 0, &chain), RedirectSharedTcp),
        ("atomic fragment to shared", ipv6(SHARED6, 44, &fragment(0)), RedirectSharedTcp),
        ("atomic fragment to owned", ipv6(OWNED6, 44, &fragment(0)), RedirectOwnedTcp),
        ("first fragment to shared", ipv6(SHARED6, 44, &fragment(1)), PassSharedOther),
        ("later fragment to shared", ipv6(SHARED6, 44, &fragment(0x100)), PassSharedOther),
        ("first fragment to owned", ipv6(OWNED6, 44, &fragment(1)), RedirectOwnedOther),
        ("more headers than the bound, shared", ipv6(SHARED6, 0, &endless), PassSharedOther),
        ("more headers than the bound, owned", ipv6(OWNED6, 0, &endless), RedirectOwnedOther),
        ("header that leaves the frame", ipv6(SHARED6, 60, &header(TCP, 9)[..8]), PassMalformed),
        ("header cut off", ipv6(SHARED6, 60, &[TCP, 0, 0]), PassMalformed),
        ("no next header", ipv6(SHARED6, 59, &[]), PassSharedOther),
    ]
}

fn passed() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    use Verdict::{PassMalformed, PassNotIp, PassNotOurs};
    let changed = |mut frame: Vec<u8>, at: usize, byte: u8| {
        frame[at] = byte;
        frame
    };
    let mut lldp = tcp4(OWNED4, 1, 2);
    lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
    vec![
        ("TCP to another", tcp4(FOREIGN4, 1, LISTENED), PassNotOurs),
        ("TCP6 to another", tcp6(FOREIGN6, 1, LISTENED), PassNotOurs),
        ("broadcast", ipv4(Ipv4Addr::BROADCAST, UDP, 0, &[0; 8]), PassNotOurs),
        ("multicast 6", ipv6(SOLICITED_NODE, UDP, &[0; 8]), PassNotOurs),
        ("not IP", lldp, PassNotIp),
        ("three tags", tagged(&tcp4(OWNED4, 1, 2), &[0x88a8, 0x8100, 0x8100]), PassNotIp),
        ("Ethernet header alone", tcp4(OWNED4, 1, 2)[..14].to_vec(), PassMalformed),
        ("IPv4 version 5", changed(tcp4(OWNED4, 1, 2), 14, 0x55), PassMalformed),
        ("IPv4 header of 16 bytes", changed(tcp4(OWNED4, 1, 2), 14, 0x44), PassMalformed),
        ("IPv4 header longer than the frame", changed(tcp4(OWNED4, 1, 2), 14, 0x4f), PassMalformed),
        ("IPv6 version 7", changed(tcp6(OWNED6, 1, 2), 14, 0x70), PassMalformed),
    ]
}

pub(super) fn tcp4(destination: Ipv4Addr, source_port: u16, port: u16) -> Vec<u8> {
    ipv4(destination, TCP, 0, &ports(source_port, port))
}

pub(super) fn tcp6(destination: Ipv6Addr, source_port: u16, port: u16) -> Vec<u8> {
    ipv6(destination, TCP, &ports(source_port, port))
}

/// A TCP header with these ports and zeros.
fn ports(source: u16, destination: u16) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &[0; 16]].concat()
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype.to_be_bytes(), payload].concat()
}

/// The frame with VLAN tags of these types, outermost first.
fn tagged(frame: &[u8], types: &[u16]) -> Vec<u8> {
    let tags: Vec<u8> = types.iter().flat_map(|tag| [(tag >> 8) as u8, *tag as u8, 0, 7]).collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

fn ipv4(destination: Ipv4Addr, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut header = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0];
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    ethernet(0x0800, &[&header, &FOREIGN4.octets()[..], &destination.octets(), payload].concat())
}

/// TCP behind four bytes of IPv4 options.
fn options4(destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut frame = ipv4(destination, TCP, 0, &[&[1; 4], payload].concat());
    frame[14] = 0x46;
    frame
}

fn ipv6(destination: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, next, 64];
    ethernet(0x86dd, &[&header, &FOREIGN6.octets()[..], &destination.octets(), payload].concat())
}

/// An IPv6 extension header of `8 + 8 * units` bytes.
fn header(next: u8, units: u8) -> Vec<u8> {
    let mut bytes = vec![0; 8 + 8 * usize::from(units)];
    bytes[..2].copy_from_slice(&[next, units]);
    bytes
}

fn arp(target: Ipv4Addr) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2];
    ethernet(0x0806, &[&fixed, &FOREIGN4.octets()[..], &[0; 6], &target.octets()].concat())
}
