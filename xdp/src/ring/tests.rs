//! Rings in plain memory.

use super::*;

/// Publishes and takes `values` in batches of `batch`, checking order.
fn pass(
    producer: &mut Producer<u64>,
    consumer: &mut Consumer<u64>,
    values: std::ops::Range<u64>,
    batch: u64,
) {
    let (mut next_in, mut next_out) = (values.start, values.start);
    while next_out < values.end {
        for _ in 0..batch.min(values.end - next_in) {
            producer.stage(next_in).expect("the ring is drained each round");
            next_in += 1;
        }
        assert_eq!(u64::from(producer.publish()), next_in - next_out);
        while let Some(value) = consumer.take() {
            assert_eq!(value, next_out);
            next_out += 1;
        }
        consumer.release();
    }
    assert_eq!(next_in, next_out);
}

#[test]
fn indices_wrap_at_two_to_the_32() {
    for batch in [1, 3, 8] {
        let (mut producer, mut consumer) = pair(8, u32::MAX - 20);
        pass(&mut producer, &mut consumer, 0..100, batch);
        assert_eq!(producer.head(), (u32::MAX - 20).wrapping_add(100));
        assert_eq!(consumer.tail(), producer.head());
    }
}

#[test]
fn a_full_ring_refuses_and_an_empty_one_gives_nothing() {
    let (mut producer, mut consumer) = pair(4, u32::MAX - 1);
    assert_eq!(consumer.take(), None);
    for value in 0..4_u64 {
        assert_eq!(producer.stage(value), Ok(()));
    }
    assert_eq!(producer.stage(4), Err(Full));
    assert_eq!((producer.staged(), producer.unconsumed(), producer.free(1)), (4, 0, 0));
    assert_eq!(producer.publish(), 4);
    assert_eq!((producer.staged(), producer.unconsumed()), (0, 4));
    assert_eq!(consumer.available(4), 4);
    assert_eq!(consumer.take(), Some(0));
    // Taken but not released: still not free.
    assert_eq!(producer.stage(4), Err(Full));
    assert_eq!(consumer.release(), 1);
    assert_eq!(producer.stage(4), Ok(()));
    assert_eq!(producer.stage(5), Err(Full));
}

#[test]
fn staged_entries_are_invisible_until_published() {
    let (mut producer, mut consumer) = pair(2, 0);
    producer.stage(7_u64).unwrap();
    assert_eq!((consumer.take(), consumer.unread()), (None, 0));
    assert_eq!(producer.publish(), 1);
    assert_eq!(producer.publish(), 0);
    assert_eq!(consumer.unread(), 1);
    assert_eq!(consumer.take(), Some(7));
    assert_eq!(consumer.unread(), 0);
}

#[test]
fn available_reads_the_shared_index_only_when_it_must() {
    let (mut producer, mut consumer) = pair(8, 0);
    producer.stage(1_u64).unwrap();
    producer.publish();
    assert_eq!(consumer.available(1), 1);
    producer.stage(2).unwrap();
    producer.publish();
    // One is known, and one was asked for.
    assert_eq!(consumer.available(1), 1);
    assert_eq!(consumer.available(2), 2);
}

#[test]
fn a_role_taken_late_sees_what_was_published_before() {
    let (producer_side, consumer_side) = RingMemory::plain(4, u32::MAX);
    let mut producer = Producer::new(producer_side);
    producer.stage(9_u64).unwrap();
    producer.publish();
    let mut consumer = Consumer::new(consumer_side);
    assert_eq!(consumer.take(), Some(9));
}

#[test]
fn the_wakeup_flag_is_the_other_sides() {
    let (producer, consumer) = pair::<u64>(2, 0);
    assert_eq!(producer.wakeup(), Wakeup::NotAsked);
    consumer.set_wakeup(Wakeup::Asked);
    assert_eq!(producer.wakeup(), Wakeup::Asked);
    consumer.set_wakeup(Wakeup::NotAsked);
    assert_eq!(producer.wakeup(), Wakeup::NotAsked);
}

#[test]
#[should_panic(expected = "power of two")]
fn a_size_that_is_no_power_of_two_is_misuse() {
    let _ring = pair::<u64>(3, 0);
}

#[test]
fn two_threads_pass_every_value_in_order() {
    let (mut producer, mut consumer) = pair(64, u32::MAX - 1000);
    let writer = std::thread::spawn(move || {
        for value in 0..100_000_u64 {
            while producer.stage(value).is_err() {
                producer.publish();
                std::thread::yield_now();
            }
            if value % 7 == 0 {
                producer.publish();
            }
        }
        producer.publish();
    });
    let mut expected = 0;
    while expected < 100_000 {
        if let Some(value) = consumer.take() {
            assert_eq!(value, expected);
            expected += 1;
        } else {
            consumer.release();
            std::thread::yield_now();
        }
    }
    writer.join().unwrap();
}
