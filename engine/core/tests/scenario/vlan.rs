//! A port whose frames carry the tag of a VLAN.

use bywash_core::port::Medium;
use bywash_core::stack::IpConfig;
use bywash_core::wire::{Kind, classify};

use crate::harness::*;

fn tagged(frame: &[u8], id: u8) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, id], &frame[12..]].concat()
}

#[test]
fn frames_of_our_vlan_are_ours_and_no_others() {
    let ip = IpConfig { vlan: Some(7), ..IpConfig::default() };
    let mut world = World::with(bywash_core::stack::StackConfig { ip, ..config() }, 1500);
    let peer = Peer::new(&world, 40_000, Offer::FULL);
    let syn = peer.frame(&peer.repr(&world, &seg(SYN, 0, 0), peer.syn_options(&world)), &[]);
    world.give(&syn);
    world.give(&tagged(&syn, 8));
    world.give(&tagged(&tagged(&syn, 7), 7));
    world.expect_idle();
    assert_eq!(world.dropped(DropReason::Malformed), 3);
    assert!(world.sent.is_empty());
    world.give(&tagged(&syn, 7));
    let (_, answer) = world.sent.pop_front().expect("a SYN+ACK");
    assert_eq!(answer[12..18], [0x81, 0, 0, 7, 8, 0]);
    let packet = classify(&answer, Medium::Tagged(7)).expect("can be read");
    let Kind::Tcp(fields) = packet.kind else { panic!("a segment was due") };
    assert_eq!(fields.flags, SYN_ACK);
    // Data both ways; neighbour requests carry the tag, too.
    let mut peer = peer;
    peer.irs = fields.seq;
    world.give(&tagged(&peer.forge(&world, &seg(PSH, 1, 1).data(b"hello")), 7));
    assert_eq!(world.app.bytes, b"hello");
    let id = world.app.last();
    world.stack().write(id, b"there").expect("open");
    world.stack().connect("198.18.0.9:443".parse().expect("an address"), None).expect("connects");
    world.turn();
    let types: Vec<_> = world.sent.iter().map(|(_, frame)| frame[12..18].to_vec()).collect();
    assert!(
        types.contains(&vec![0x81, 0, 0, 7, 8, 6]) && types.contains(&vec![0x81, 0, 0, 7, 8, 0]),
        "{types:?}"
    );
    assert!(types.iter().all(|bytes| bytes[..4] == [0x81, 0, 0, 7]));
}
