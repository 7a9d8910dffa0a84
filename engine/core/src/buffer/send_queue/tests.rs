use super::*;
use crate::buffer::{CLASSES, SendConfig, SizeClass};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const QUEUES: usize = 3;

fn pool_of(classes: [(u32, u32); CLASSES]) -> ChunkPool {
    let classes = classes.map(|(size, count)| SizeClass { size, count });
    ChunkPool::new(&SendConfig { classes, send_memory_max: 1 << 30 }).unwrap()
}

fn in_use(pool: &ChunkPool) -> [u32; CLASSES] {
    pool.counters().map(|class| class.in_use)
}

fn write(queue: &mut SendQueue, pool: &mut ChunkPool, bytes: &[u8]) {
    queue.reserve(pool, bytes.len()).unwrap().bytes_mut(pool).copy_from_slice(bytes);
    queue.commit(pool, bytes.len());
}

fn sent(queue: &SendQueue, pool: &ChunkPool) -> Cursor {
    pool.cursor(queue.head.unwrap())
}

fn read(queue: &mut SendQueue, pool: &mut ChunkPool, offset: u32, len: usize) -> (Vec<u8>, usize) {
    let mut bytes = vec![0; len];
    let mut pieces = 0;
    let copied = queue.gather(pool, offset, &mut bytes, |dst, src| {
        dst.copy_from_slice(src);
        pieces += 1;
    });
    bytes.truncate(copied);
    (bytes, pieces)
}

#[test]
fn a_small_reply_takes_one_small_chunk_and_gives_it_back() {
    let mut pool = ChunkPool::new(&SendConfig::default()).unwrap();
    let mut queue = SendQueue::EMPTY;
    write(&mut queue, &mut pool, &[7; 64]);
    assert_eq!(in_use(&pool), [1, 0, 0, 0]);
    assert_eq!(read(&mut queue, &mut pool, 0, 64), (vec![7; 64], 1));
    assert_eq!(queue.acknowledge(&mut pool, 64), 64);
    assert_eq!(in_use(&pool), [0; CLASSES]);
    assert_eq!(pool.counters()[0].high_water, 1);
}

#[test]
fn replies_share_a_chunk_while_it_has_room() {
    let mut pool = ChunkPool::new(&SendConfig::default()).unwrap();
    let mut queue = SendQueue::EMPTY;
    for byte in 0..4 {
        write(&mut queue, &mut pool, &[byte; 64]);
    }
    assert_eq!(in_use(&pool), [1, 0, 0, 0]);
    assert_eq!(queue.len(), 256);
    queue.clear(&mut pool);
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn a_bulk_writer_gets_large_chunks() {
    let mut pool = ChunkPool::new(&SendConfig::default()).unwrap();
    let mut queue = SendQueue::EMPTY;
    assert_eq!(queue.push(&mut pool, &vec![1; 1 << 20]), 1 << 20);
    assert_eq!(in_use(&pool), [0, 0, 0, 16]);
    queue.clear(&mut pool);
    for _ in 0..4096 {
        assert_eq!(queue.push(&mut pool, &[1; 100]), 100);
    }
    assert!(in_use(&pool).iter().sum::<u32>() < 12, "{:?}", in_use(&pool));
    queue.clear(&mut pool);
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn an_exhausted_class_is_replaced_by_a_larger_one_and_refusals_are_counted() {
    let mut pool = pool_of([(8, 1), (16, 1), (32, 0), (64, 0)]);
    let mut queues = [const { SendQueue::EMPTY }; 3];
    assert!(queues[0].reserve(&mut pool, 8).is_some());
    assert!(queues[1].reserve(&mut pool, 8).is_some());
    assert_eq!(in_use(&pool), [1, 1, 0, 0]);
    assert!(queues[2].reserve(&mut pool, 8).is_none());
    assert_eq!(pool.counters()[0].refusals, 1);
    assert!(queues[2].reserve(&mut pool, 17).is_none());
    assert_eq!(pool.oversize_refusals(), 1);
    assert_eq!(queues[2].push(&mut pool, &[0; 5]), 0);
    for queue in &mut queues {
        queue.clear(&mut pool);
    }
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn a_writer_falls_back_to_small_chunks_when_large_ones_are_gone() {
    let mut pool = pool_of([(8, 4), (16, 2), (32, 1), (64, 1)]);
    let mut queue = SendQueue::EMPTY;
    let bytes: Vec<u8> = (0..200).collect();
    assert_eq!(queue.push(&mut pool, &bytes), 64 + 32 + 32 + 32);
    assert_eq!(in_use(&pool), [4, 2, 1, 1]);
    let (gathered, pieces) = read(&mut queue, &mut pool, 0, 160);
    assert_eq!((gathered.as_slice(), pieces), (&bytes[..160], 8));
    assert_eq!(queue.acknowledge(&mut pool, 1000), 160);
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn a_reservation_given_up_leaves_an_empty_queue_without_chunks() {
    let mut pool = pool_of([(8, 4), (16, 4), (32, 4), (64, 4)]);
    let mut queue = SendQueue::EMPTY;
    queue.reserve(&mut pool, 8).unwrap();
    queue.reserve(&mut pool, 60).unwrap();
    queue.commit(&mut pool, 0);
    assert_eq!(in_use(&pool), [0; CLASSES]);
    write(&mut queue, &mut pool, b"12345678");
    queue.reserve(&mut pool, 16).unwrap();
    queue.reserve(&mut pool, 33).unwrap();
    assert_eq!(queue.push(&mut pool, b"9"), 1);
    assert_eq!(read(&mut queue, &mut pool, 6, 9), (b"789".to_vec(), 2));
    queue.acknowledge(&mut pool, 9);
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn in_order_transmission_stays_at_its_chunk_and_retransmission_does_not_move_it() {
    let mut pool = pool_of([(8, 100), (16, 0), (32, 0), (64, 0)]);
    let mut queue = SendQueue::EMPTY;
    queue.push(&mut pool, &[3; 800]);
    for offset in (0..400).step_by(8) {
        read(&mut queue, &mut pool, offset, 8);
        assert_eq!(sent(&queue, &pool).base, offset, "the cursor is in the chunk that was just sent");
    }
    read(&mut queue, &mut pool, 0, 8);
    assert_eq!(sent(&queue, &pool).base, 392);
    queue.acknowledge(&mut pool, 396);
    assert_eq!(sent(&queue, &pool).base, 392, "its chunk still holds unacknowledged bytes");
    queue.acknowledge(&mut pool, 100);
    let Cursor { chunk, base } = sent(&queue, &pool);
    assert_eq!((base, chunk), (496, queue.head));
    queue.clear(&mut pool);
}

#[test]
fn a_chunk_that_was_given_up_empty_is_no_cursor() {
    let mut pool = pool_of([(8, 4), (16, 4), (32, 4), (64, 4)]);
    let mut queue = SendQueue::EMPTY;
    write(&mut queue, &mut pool, &[1; 3]);
    queue.reserve(&mut pool, 6).unwrap();
    queue.commit(&mut pool, 0);
    write(&mut queue, &mut pool, &[2; 33]);
    queue.push(&mut pool, &[3; 56]);
    queue.acknowledge(&mut pool, 3);
    assert_eq!(read(&mut queue, &mut pool, 0, 33), (vec![2; 33], 1));
    queue.clear(&mut pool);
    assert_eq!(in_use(&pool), [0; CLASSES]);
}

#[test]
fn a_run_ends_with_its_chunk_and_goes_on_in_the_next() {
    let mut pool = pool_of([(8, 4), (16, 0), (32, 0), (64, 0)]);
    let mut queue = SendQueue::EMPTY;
    assert_eq!(queue.run(&pool, 0), []);
    assert_eq!(queue.push(&mut pool, b"abcdefghij"), 10);
    assert_eq!(queue.run(&pool, 0), b"abcdefgh");
    assert_eq!(queue.run(&pool, 6), b"gh");
    // Nothing was sent from the second chunk yet.
    assert_eq!(queue.run(&pool, 8), []);
    assert_eq!(read(&mut queue, &mut pool, 6, 3), (b"ghi".to_vec(), 2));
    assert_eq!(queue.run(&pool, 9), b"j");
    assert_eq!(queue.run(&pool, 6), b"gh");
    assert_eq!(queue.run(&pool, 10), []);
    assert_eq!(queue.acknowledge(&mut pool, 9), 9);
    assert_eq!(queue.run(&pool, 0), b"j");
    queue.clear(&mut pool);
}

#[test]
fn a_cursor_whose_chunk_was_acknowledged_starts_over() {
    let mut pool = pool_of([(8, 4), (16, 0), (32, 0), (64, 0)]);
    let mut queue = SendQueue::EMPTY;
    queue.push(&mut pool, &(0..32).collect::<Vec<_>>());
    let mut cursor = Cursor::default();
    let mut bytes = [0; 4];
    queue.gather_with(&pool, &mut cursor, 8, &mut bytes, <[u8]>::copy_from_slice);
    queue.acknowledge(&mut pool, 16);
    queue.push(&mut pool, &(32..48).collect::<Vec<_>>());
    let reused = cursor.chunk.map(|chunk| pool.base(chunk));
    assert_eq!(reused, Some(32), "the chunk is in the queue again, at another place");
    for offset in [28, 0, 12] {
        queue.gather_with(&pool, &mut cursor, offset, &mut bytes, <[u8]>::copy_from_slice);
        assert_eq!(bytes, [0, 1, 2, 3].map(|byte| byte + 16 + offset as u8));
    }
    queue.clear(&mut pool);
}

#[test]
fn a_cursor_that_names_a_chunk_of_another_queue_starts_over() {
    let mut pool = pool_of([(8, 6), (16, 0), (32, 0), (64, 0)]);
    let mut queue = SendQueue::EMPTY;
    let mut other = SendQueue::EMPTY;
    queue.push(&mut pool, &[1; 24]);
    other.push(&mut pool, &[2; 24]);
    let mut cursor = Cursor { chunk: other.head, base: queue.tail_base(&pool, queue.tail.unwrap()) };
    let mut bytes = [0; 8];
    queue.gather_with(&pool, &mut cursor, 16, &mut bytes, <[u8]>::copy_from_slice);
    assert_eq!((bytes, cursor.chunk), ([1; 8], queue.tail));
    queue.clear(&mut pool);
    other.clear(&mut pool);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Reserve { len: usize, commit: usize },
    Push(usize),
    Acknowledge(usize),
    Transmit(usize),
    Retransmit { offset: usize, len: usize },
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..70usize, 0..70usize).prop_map(|(len, commit)| Step::Reserve { len, commit: commit.min(len) }),
        4 => (0..150usize).prop_map(Step::Push),
        5 => (0..120usize).prop_map(Step::Acknowledge),
        6 => (0..50usize).prop_map(Step::Transmit),
        4 => (0..400usize, 0..90usize).prop_map(|(offset, len)| Step::Retransmit { offset, len }),
        1 => Just(Step::Clear),
    ]
}

/// A queue beside what it should hold.
struct Pair {
    queue: SendQueue,
    oracle: VecDeque<u8>,
    next_byte: u8,
    sent: usize,
    cursor: Cursor,
}

impl Pair {
    /// Starts shortly before the stream position wraps.
    fn new(start: u32) -> Self {
        let queue = SendQueue { head_base: start, front: start, end: start, ..SendQueue::EMPTY };
        Self { queue, oracle: VecDeque::new(), next_byte: 0, sent: 0, cursor: Cursor::default() }
    }

    fn fresh(&mut self, len: usize) -> Vec<u8> {
        let bytes = (0..len).map(|at| self.next_byte.wrapping_add(at as u8)).collect();
        self.next_byte = self.next_byte.wrapping_add(len as u8).wrapping_mul(5);
        bytes
    }

    fn expected(&self, offset: usize, len: usize) -> Vec<u8> {
        self.oracle.iter().skip(offset).take(len).copied().collect()
    }

    fn apply(&mut self, pool: &mut ChunkPool, step: Step) {
        match step {
            Step::Reserve { len, commit } => {
                let bytes = self.fresh(commit);
                let Some(room) = self.queue.reserve(pool, len) else { return };
                let room = room.bytes_mut(pool);
                assert_eq!(room.len(), len);
                room[..commit].copy_from_slice(&bytes);
                self.queue.commit(pool, commit);
                self.oracle.extend(bytes);
            }
            Step::Push(len) => {
                let bytes = self.fresh(len);
                let pushed = self.queue.push(pool, &bytes);
                self.oracle.extend(&bytes[..pushed]);
                let free: u32 =
                    in_use(pool).iter().zip([12, 8, 4, 2]).map(|(used, count)| count - used).sum();
                assert!(pushed == len || free == 0, "{pushed} of {len} with {free} chunks free");
            }
            Step::Acknowledge(len) => {
                let acknowledged = self.queue.acknowledge(pool, len);
                assert_eq!(acknowledged, len.min(self.oracle.len()));
                self.oracle.drain(..acknowledged);
                self.sent = self.sent.saturating_sub(acknowledged);
            }
            Step::Transmit(len) => {
                let run = self.queue.run(pool, self.sent as u32);
                assert_eq!(run, self.expected(self.sent, run.len()));
                if in_use(pool) == [0, 0, 0, 1] && self.queue.tail.is_some() {
                    assert_eq!(run.len(), self.oracle.len() - self.sent, "one chunk is one run");
                }
                let (bytes, _) = read(&mut self.queue, pool, self.sent as u32, len);
                assert_eq!(bytes, self.expected(self.sent, len));
                self.sent += bytes.len();
            }
            Step::Retransmit { offset, len } => {
                let mut bytes = vec![0; len];
                let copied =
                    self.queue.gather_with(pool, &mut self.cursor, offset as u32, &mut bytes, |dst, src| {
                        assert!(!dst.is_empty());
                        dst.copy_from_slice(src);
                    });
                bytes.truncate(copied);
                assert_eq!(bytes, self.expected(offset, len));
                assert_eq!(read(&mut self.queue, pool, offset as u32, len).0, bytes);
            }
            Step::Clear => {
                self.queue.clear(pool);
                self.oracle.clear();
                self.sent = 0;
            }
        }
        assert_eq!(self.queue.len(), self.oracle.len());
        assert_eq!(self.queue.is_empty(), self.queue.head.is_none());
        assert_eq!(self.queue.head.is_none(), self.queue.tail.is_none());
    }
}

proptest! {
    #[test]
    fn queues_on_one_pool_match_plain_byte_queues(
        steps in prop::collection::vec((0..QUEUES, step()), 1..200),
    ) {
        let mut pool = pool_of([(8, 12), (16, 8), (32, 4), (64, 2)]);
        let mut pairs = [0, u32::MAX - 300, i32::MAX as u32 - 300].map(Pair::new);
        for (at, step) in steps {
            pairs[at].apply(&mut pool, step);
            for pair in &mut pairs {
                let all = pair.expected(0, usize::MAX);
                let mut cursor = Cursor::default();
                let mut bytes = vec![0; all.len()];
                pair.queue.gather_with(&pool, &mut cursor, 0, &mut bytes, <[u8]>::copy_from_slice);
                prop_assert_eq!(bytes, all);
            }
        }
        for pair in &mut pairs {
            pair.queue.clear(&mut pool);
        }
        prop_assert_eq!(in_use(&pool), [0; CLASSES]);
    }
}
