//! Recovery's rate, its end, and what is undone when nothing was lost: PRR, D-SACK, timestamps, F-RTO.

use bywash_core::base::time::Duration;
use bywash_core::stack::StackConfig;
use bywash_core::tcp::congestion::CongestionControl;

use crate::harness::*;

/// The first octet of segment `n` of `mss` octets.
fn nth(n: u32, mss: u32) -> u32 {
    1 + n * mss
}

fn seqs(segments: &[Got], mss: u32) -> Vec<u32> {
    segments.iter().map(|got| (got.seq - 1) / mss).collect()
}

const fn mss_of(offer: Offer) -> u32 {
    if offer.clock.is_some() { 1_448 } else { 1_460 }
}

/// `window` segments in flight on a path of 100 ms, more queued; the timeout is at 300 ms.
fn sending(offer: Offer, window: u8, segments: u32) -> (World, Peer) {
    let mut config = config();
    config.tcp.tcp_congestion_control = CongestionControl::Reno;
    config.tcp.initial_window = window;
    config.tcp.tcp_early_retrans = 0;
    sending_with(config, offer, segments)
}

fn sending_with(config: StackConfig, offer: Offer, segments: u32) -> (World, Peer) {
    let mut world = World::with(config, 1500);
    let mut peer = Peer::new(&world, 40_000, offer);
    peer.syn(&mut world);
    peer.expect(&mut world, SYN_ACK, 0, 1, 0);
    world.advance(Duration::from_millis(100));
    peer.send(&mut world, seg(ACK, 1, 1));
    let id = world.app.last();
    world.stack().write(id, &pattern((segments * mss_of(offer)) as usize)).expect("open");
    world.turn();
    peer.drain(&mut world);
    (world, peer)
}

/// How many segments are in flight once all that may leave has left: `sent` so far, `acked` of them.
fn refill(world: &mut World, peer: &mut Peer, sent: u32) -> u32 {
    world.turn();
    sent + peer.drain(world).len() as u32
}

#[test]
fn c058_recovery_sends_in_proportion_to_what_arrives() {
    let mss = 1_460;
    let (mut world, mut peer) = sending(Offer::SACK, 20, 150);
    world.advance_ms(100);
    let mut sends = Vec::new();
    for right in 4..=20 {
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1, mss), nth(right, mss))]));
        sends.push(seqs(&peer.drain(&mut world), mss));
        world.advance_ms(1);
    }
    // The third duplicate brings the retransmission; then every second ACK one new segment.
    assert_eq!(sends[0][0], 0);
    assert!(sends.iter().all(|sent| sent.len() <= 1), "{sends:?}");
    assert!(sends[1..].windows(2).all(|two| two[0].len() + two[1].len() <= 1 || two[0] != two[1]));
    let total: usize = sends.iter().map(Vec::len).sum();
    assert!((9..=10).contains(&total), "half of 20: {sends:?}");
    // In flight at the end: the retransmission and the new ones, never more than ssthresh.
    peer.send(&mut world, seg(ACK, 1, nth(20, mss)));
    let fresh = total as u32 - 1;
    let flight = fresh + peer.drain(&mut world).len() as u32;
    assert!(flight <= 10, "{flight} in flight above ssthresh");
}

#[test]
fn c058_after_heavy_loss_it_sends_what_arrives_and_one_more_when_all_goes_well() {
    let mss = 1_460;
    let (mut world, mut peer) = sending(Offer::SACK, 20, 150);
    world.advance_ms(100);
    // Segments 0 to 14 are lost: two are left in flight.
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(15, mss), nth(18, mss))]));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [0, 1, 2]);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(15, mss), nth(19, mss))]));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [3], "conservation: SND.UNA has not moved");
    world.advance_ms(100);
    peer.send(&mut world, seg(ACK, 1, nth(1, mss)).sack(&[(nth(15, mss), nth(19, mss))]));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [4, 5], "slow start: it has");
}

#[test]
fn c061_a_full_ack_ends_recovery_at_ssthresh_without_a_burst() {
    for offer in [Offer::PLAIN, Offer::SACK] {
        let mss = 1_460;
        let (mut world, mut peer) = sending(offer, 20, 170);
        world.advance_ms(100);
        let mut sent = 20;
        for right in 2..=20 {
            let block = [(nth(1, mss), nth(right, mss))];
            let sack: &[_] = if offer.sack == Offer::SACK.sack { &block } else { &[] };
            peer.send(&mut world, seg(ACK, 1, 1).sack(sack));
            sent += seqs(&peer.drain(&mut world), mss).iter().filter(|n| **n >= 20).count() as u32;
        }
        world.advance_ms(50);
        peer.send(&mut world, seg(ACK, 1, nth(sent, mss)));
        let burst = peer.drain(&mut world).len() as u32;
        assert!(burst <= 4, "{burst} at once");
        // Up to the threshold, and from there one for each window.
        let mut acked = sent;
        sent += burst;
        while sent < 160 {
            acked += 1;
            peer.send(&mut world, seg(ACK, 1, nth(acked, mss)));
            sent += peer.drain(&mut world).len() as u32;
            if sent - acked >= 10 {
                break;
            }
        }
        assert_eq!(sent - acked, 10);
        for _ in 0..8 {
            acked += 1;
            peer.send(&mut world, seg(ACK, 1, nth(acked, mss)));
            sent += peer.drain(&mut world).len() as u32;
        }
        assert!(sent - acked <= 11, "avoidance begins at ssthresh: {}", sent - acked);
    }
}

#[test]
fn c062_reports_of_duplicates_for_all_retransmissions_restore_the_window() {
    for is_reported in [false, true] {
        let mss = 1_460;
        let (mut world, mut peer) = sending(Offer::SACK, 20, 170);
        world.advance_ms(100);
        // The first two are late; four after them are there.
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(2, mss), nth(6, mss))]));
        let first = seqs(&peer.drain(&mut world), mss);
        assert_eq!(first[0], 0);
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(2, mss), nth(20, mss))]));
        let mut sent = 20;
        for n in first.into_iter().chain(seqs(&peer.drain(&mut world), mss)) {
            sent = sent.max(n + 1);
        }
        peer.send(&mut world, seg(ACK, 1, nth(20, mss)));
        sent = refill(&mut world, &mut peer, sent);
        assert!(sent - 20 <= 10);
        world.advance_ms(50);
        if is_reported {
            peer.send(&mut world, seg(ACK, 1, nth(20, mss)).sack(&[(nth(0, mss), nth(1, mss))]));
            let half = refill(&mut world, &mut peer, sent);
            assert!(half - 20 <= 11, "one of two proves nothing");
            peer.send(&mut world, seg(ACK, 1, nth(20, mss)).sack(&[(nth(1, mss), nth(2, mss))]));
            sent = refill(&mut world, &mut peer, half);
            assert!(sent - 20 >= 20, "{} in flight", sent - 20);
        } else {
            sent = refill(&mut world, &mut peer, sent);
            assert!(sent - 20 <= 10);
        }
    }
}

#[test]
fn c062_an_ack_of_the_original_by_its_timestamp_restores_the_window() {
    for is_original in [false, true] {
        let offer = Offer::FULL;
        let mss = mss_of(offer);
        let (mut world, mut peer) = sending(offer, 20, 150);
        let of_original = peer.echo;
        world.advance_ms(100);
        peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1, mss), nth(20, mss))]));
        let first = seqs(&peer.drain(&mut world), mss);
        assert_eq!(first[0], 0);
        let sent = first.iter().map(|n| n + 1).max().unwrap_or(0).max(20);
        world.advance_ms(20);
        if is_original {
            peer.echo = of_original;
        }
        peer.send(&mut world, seg(ACK, 1, nth(20, mss)));
        let flight = refill(&mut world, &mut peer, sent) - 20;
        if is_original {
            assert!(flight >= 20, "{flight}");
        } else {
            assert!(flight <= 10, "{flight}");
        }
    }
}

#[test]
fn c076_a_timeout_that_new_data_prove_spurious_is_undone() {
    for offer in [Offer::PLAIN, Offer::SACK] {
        let mss = mss_of(offer);
        let (mut world, mut peer) = sending(offer, 10, 100);
        world.advance_ms(301);
        assert_eq!(seqs(&peer.drain(&mut world), mss), [0]);
        // The ACK of the head: two new segments, nothing again.
        peer.send(&mut world, seg(ACK, 1, nth(1, mss)));
        assert_eq!(seqs(&peer.drain(&mut world), mss), [10, 11]);
        // What was never sent again arrives.
        peer.send(&mut world, seg(ACK, 1, nth(2, mss)));
        let sent = refill(&mut world, &mut peer, 12);
        assert!(sent - 2 >= 10, "the window of before: {} in flight", sent - 2);
        peer.send(&mut world, seg(ACK, 1, nth(10, mss)));
        assert!(seqs(&peer.drain(&mut world), mss).iter().all(|n| *n >= 12), "nothing again");
    }
}

#[test]
fn c076_with_sack_what_is_sacked_decides_too() {
    let mss = 1_460;
    let (mut world, mut peer) = sending(Offer::SACK, 10, 100);
    world.advance_ms(301);
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, nth(1, mss)));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [10, 11]);
    peer.send(&mut world, seg(ACK, 1, nth(1, mss)).sack(&[(nth(2, mss), nth(3, mss))]));
    let sent = refill(&mut world, &mut peer, 12);
    assert!(sent - 2 >= 10, "{} in flight", sent - 2);
}

#[test]
fn c076_by_timestamps_at_the_first_ack() {
    let offer = Offer::FULL;
    let mss = mss_of(offer);
    let (mut world, mut peer) = sending(offer, 10, 100);
    let of_original = peer.echo;
    world.advance_ms(301);
    assert_eq!(seqs(&peer.drain(&mut world), mss), [0]);
    peer.echo = of_original;
    peer.send(&mut world, seg(ACK, 1, nth(1, mss)));
    let sent = seqs(&peer.drain(&mut world), mss);
    assert_eq!(sent, [10], "ten in flight, as before");
}

#[test]
fn c077_a_duplicate_ack_first_goes_on_with_recovery() {
    let mss = 1_460;
    let (mut world, mut peer) = sending(Offer::PLAIN, 10, 100);
    world.advance_ms(301);
    assert_eq!(seqs(&peer.drain(&mut world), mss), [0]);
    peer.send(&mut world, seg(ACK, 1, 1));
    assert_eq!(seqs(&peer.drain(&mut world), mss), []);
    peer.send(&mut world, seg(ACK, 1, nth(1, mss)));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [1, 2], "slow start over what was lost");
}

#[test]
fn c077_duplicates_after_the_new_data_confirm_the_loss() {
    for offer in [Offer::PLAIN, Offer::SACK] {
        let mss = 1_460;
        let (mut world, mut peer) = sending(offer, 10, 100);
        world.advance_ms(301);
        peer.drain(&mut world);
        peer.send(&mut world, seg(ACK, 1, nth(1, mss)));
        assert_eq!(seqs(&peer.drain(&mut world), mss), [10, 11]);
        let block = [(nth(10, mss), nth(11, mss))];
        let sack: &[_] = if offer.sack == Offer::SACK.sack { &block } else { &[] };
        peer.send(&mut world, seg(ACK, 1, nth(1, mss)).sack(sack));
        let sent = seqs(&peer.drain(&mut world), mss);
        assert_eq!(sent[0], 1, "the next hole");
        assert!(sent.len() <= 3, "{sent:?}");
    }
}

#[test]
fn c077_with_tcp_frto_0_recovery_is_never_put_in_question() {
    let mut config = config();
    config.tcp.tcp_frto = 0;
    config.tcp.tcp_early_retrans = 0;
    let (mut world, mut peer) = sending_with(config, Offer::SACK, 100);
    world.advance_ms(301);
    peer.drain(&mut world);
    peer.send(&mut world, seg(ACK, 1, nth(1, 1_460)));
    assert_eq!(seqs(&peer.drain(&mut world), 1_460), [1, 2]);
}

#[test]
fn c067_the_option_goes_with_the_last_hole() {
    for offer in [Offer::SACK, Offer::FULL] {
        let mut world = World::new();
        let mut peer = Peer::connect(&mut world, 40_000, offer);
        let text = pattern(300);
        peer.send(&mut world, seg(PSH, 201, 1).data(&text[200..]));
        assert_eq!(peer.expect(&mut world, ACK, 1, 1, 0).sack(peer.iss), [(201, 301)]);
        peer.send(&mut world, seg(PSH, 1, 1).data(&text[..200]));
        let got = peer.expect(&mut world, ACK, 1, 301, 0);
        assert_eq!(got.sack(peer.iss), []);
        assert_eq!(world.app.bytes, text);
    }
}

#[test]
fn c062_after_a_late_report_the_next_data_have_their_whole_timeout() {
    let mss = 1_460;
    let (mut world, mut peer) = sending(Offer::SACK, 10, 10);
    world.advance_ms(100);
    peer.send(&mut world, seg(ACK, 1, 1).sack(&[(nth(1, mss), nth(10, mss))]));
    assert_eq!(seqs(&peer.drain(&mut world), mss), [0]);
    peer.send(&mut world, seg(ACK, 1, nth(10, mss)));
    world.advance_ms(150);
    peer.send(&mut world, seg(ACK, 1, nth(10, mss)).sack(&[(nth(0, mss), nth(1, mss))]));
    let id = world.app.last();
    world.stack().write(id, b"more").expect("open");
    world.turn();
    let first = peer.next(&mut world);
    world.advance_ms(190);
    world.expect_silence();
    world.advance_ms(200);
    assert!(peer.next(&mut world).at.since(first.at).as_millis() >= 200);
    assert_eq!(world.report().recoveries, 1, "the timeout's own");
}
