//! Every interleaving of a producer and a consumer:
//! `RUSTFLAGS="--cfg loom" cargo test -p bywash-xdp --lib --release ring`.

use loom::{model, thread};

use super::*;

#[test]
fn values_arrive_once_and_in_order_across_the_wrap() {
    model(|| {
        let (mut producer, mut consumer) = pair(2, u32::MAX);
        let writer = thread::spawn(move || {
            for value in 0..3_u64 {
                while producer.stage(value).is_err() {
                    thread::yield_now();
                }
                producer.publish();
            }
        });
        let mut expected = 0;
        while expected < 3 {
            match consumer.take() {
                Some(value) => {
                    assert_eq!(value, expected);
                    expected += 1;
                    consumer.release();
                }
                None => thread::yield_now(),
            }
        }
        writer.join().unwrap();
        assert_eq!(consumer.take(), None);
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    model(|| {
        let (mut producer, mut consumer) = pair(4, 0);
        let writer = thread::spawn(move || {
            producer.stage(1_u64).unwrap();
            producer.stage(2).unwrap();
            producer.publish();
        });
        let seen = consumer.available(2);
        assert!(seen == 0 || seen == 2, "a part of a batch was seen");
        writer.join().unwrap();
        assert_eq!((consumer.take(), consumer.take(), consumer.take()), (Some(1), Some(2), None));
    });
}

#[test]
fn a_producer_that_publishes_before_reading_the_flag_misses_no_sleeper() {
    model(|| {
        let (mut producer, mut consumer) = pair(2, 0);
        let writer = thread::spawn(move || {
            producer.stage(1_u64).unwrap();
            producer.publish();
            producer.wakeup()
        });
        // The kernel's part: ask for a wake-up, then look once more.
        consumer.set_wakeup(Wakeup::Asked);
        sync::fence(Ordering::SeqCst);
        let found = consumer.available(1);
        let asked = writer.join().unwrap();
        assert!(found == 1 || asked == Wakeup::Asked, "the entry is neither seen nor announced");
    });
}
