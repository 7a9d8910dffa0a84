use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const SMALL: MeshConfig = MeshConfig { frames_max: 4, frame_len_max: 64, facts_max: 2 };

#[test]
fn a_frame_reaches_its_shard_only() {
    let mesh = Mesh::<u32>::new(3, SMALL).unwrap();
    let (mut a, mut b, mut c) = (mesh.link(0), mesh.link(1), mesh.link(2));
    a.hand_over(1, b"hello").unwrap();
    assert!(b.has_work());
    assert_eq!(b.next(<[u8]>::to_vec), Some(b"hello".to_vec()));
    assert_eq!(b.next(<[u8]>::len), None);
    assert_eq!(c.next(<[u8]>::len), None);
    assert_eq!(a.next(<[u8]>::len), None);
    assert_eq!(a.sent(), Sent { frames: 1, ..Sent::default() });
}

#[test]
fn buffers_circle_and_a_full_inbox_refuses() {
    let mesh = Mesh::<u32>::new(2, SMALL).unwrap();
    let (mut a, mut b) = (mesh.link(0), mesh.link(1));
    for round in 0..10u8 {
        for index in 0..4 {
            a.hand_over(1, &[round, index]).unwrap();
        }
        assert_eq!(a.hand_over(1, &[9, 9]), Err(HandOverError::Full));
        for index in 0..4 {
            assert_eq!(b.next(<[u8]>::to_vec), Some(vec![round, index]));
        }
    }
    assert_eq!(a.sent().frames_refused, 10);
}

#[test]
fn what_cannot_be_handed_over_leaves_the_buffers_whole() {
    let mesh = Mesh::<u32>::new(2, SMALL).unwrap();
    let mut a = mesh.link(0);
    for _ in 0..10 {
        assert_eq!(a.hand_over(1, &[0; 65]), Err(HandOverError::TooLong));
        assert_eq!(a.hand_over(2, &[0; 1]), Err(HandOverError::NoSuchShard));
    }
    for _ in 0..4 {
        a.hand_over(1, &[0; 64]).unwrap();
    }
}

#[test]
fn facts_reach_all_others() {
    let mesh = Mesh::new(3, SMALL).unwrap();
    let (mut a, mut b, mut c) = (mesh.link(0), mesh.link(1), mesh.link(2));
    a.publish(7);
    assert_eq!(mesh.publish(8), 0);
    assert_eq!(a.facts().collect::<Vec<_>>(), [8]);
    assert_eq!(b.facts().collect::<Vec<_>>(), [7, 8]);
    a.publish(9);
    assert_eq!(a.sent().facts_refused, 1, "shard 2 still holds two facts");
    assert_eq!(c.facts().collect::<Vec<_>>(), [7, 8]);
    assert_eq!(b.next_fact(), Some(9));
}

/// Two shards send each other numbered frames while they sleep whenever they have nothing to do: every frame
/// arrives once and in order, and nobody sleeps through one.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const FRAMES: u64 = 20_000;
    let mesh = Mesh::<u64>::new(2, SMALL).unwrap();
    let naps = AtomicU64::new(0);
    thread::scope(|scope| {
        for me in 0..2 {
            let (mesh, naps) = (&mesh, &naps);
            scope.spawn(move || play(mesh.link(me), FRAMES, naps));
        }
    });
    assert!(naps.load(Ordering::Relaxed) > 0, "the test never slept, so it shows nothing");
}

fn play(mut link: Link<u64>, frames: u64, naps: &AtomicU64) {
    let other = 1 - link.index();
    let (mut sent, mut received) = (0u64, 0u64);
    let begin = Instant::now();
    while sent < frames || received < frames {
        // Ping-pong with little in flight, so that both ends run dry often.
        if sent < frames && sent < received + 2 && link.hand_over(other, &sent.to_le_bytes()).is_ok() {
            sent += 1;
            continue;
        }
        let next = link.next(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        if let Some(number) = next {
            assert_eq!(number, received);
            received += 1;
            continue;
        }
        let Some(sleep) = link.bell().lie_down() else { continue };
        if link.has_work() {
            continue;
        }
        naps.fetch_add(1, Ordering::Relaxed);
        let woken = sleep.wait(&[], Some(Duration::from_secs(5))).unwrap();
        assert!(woken || link.has_work(), "slept through a frame: sent {sent}, received {received}");
        assert!(begin.elapsed() < Duration::from_mins(1));
    }
}
