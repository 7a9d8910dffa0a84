use super::*;
use crate::base::time::{Duration, Instant};
use crate::buffer::{ChunkPool, SendConfig};
use crate::table::{FamilyPlace, InFamily, Place};
use crate::tcp::connection::{Agreement, Ends, Route, Scales, begin};
use crate::tcp::input::{self, Accepted, Fin, Verdict};
use crate::tcp::pools::Pools;
use crate::tcp::segment::Segment;
use crate::wire::Address;
use crate::wire::tcp::Timestamps;
use proptest::prelude::*;
use std::format;
use std::vec;

/// A quiet connection in the midst of its life.
#[derive(Clone, Debug)]
struct Life {
    queued: u32,
    in_flight: u32,
    cwnd: u32,
    snd_wnd: u32,
    is_timed: bool,
    has_acked_all: bool,
    is_scaled: bool,
    age_ms: u64,
}

/// What the peer sends, as it differs from the plainest segment.
#[derive(Clone, Debug)]
struct Sent {
    seq: i32,
    ack: i32,
    window: u16,
    ts: i32,
    len: u16,
    flags: u8,
}

impl Sent {
    fn plain(&self) -> PlainSegment {
        PlainSegment {
            seq: (RCV_NXT + self.seq as u32).0,
            ack: (SND_UNA + self.ack as u32).0,
            ts_value: TS_RECENT.wrapping_add(self.ts as u32),
            window: self.window,
            payload: 0,
            len: self.len,
            flags: Control::from_bits(self.flags),
        }
    }
}

fn segment_of<'a>(plain: &PlainSegment, text: &'a [u8]) -> Segment<'a> {
    Segment {
        seq: SequenceNumber(plain.seq),
        ack: SequenceNumber(plain.ack),
        window: plain.window,
        control: plain.flags,
        timestamps: Some(Timestamps { value: plain.ts_value, echo: 0 }),
        options: &[],
        ecn: crate::wire::Ecn::NotEct,
        payload: text,
    }
}

/// All numbers of a connection; the queues hold the same octets in different chunks.
fn numbers_of(connection: &mut Connection) -> std::string::String {
    core::mem::take(&mut connection.send);
    format!("{connection:?}")
}

/// How far both streams of a connection have ended.
fn end(connection: &mut Connection, is_ours_sent: bool, is_peers_finished: bool) {
    if is_ours_sent {
        connection.snd_nxt = connection.data_end() + 1;
        connection.sides.set_send(SendSide::FinSent);
        connection.flags.set(Flag::Closed);
        connection.start_retransmit_timer(NOW - Duration::from_millis(5), &TcpConfig::default());
    }
    if is_peers_finished {
        connection.sides.finish_receive();
    }
}

const NOW: Instant = Instant::from_secs(1000);
const RCV_NXT: SequenceNumber = SequenceNumber(u32::MAX - 40);
const SND_UNA: SequenceNumber = SequenceNumber(u32::MAX - 3000);
const TS_RECENT: u32 = u32::MAX - 2;

fn connection(life: &Life, chunks: &mut ChunkPool, config: &TcpConfig) -> (Connection, Warm) {
    let agreed = Agreement {
        rcv_nxt: RCV_NXT,
        snd_wnd: life.snd_wnd,
        rcv_adv: RCV_NXT + 1000,
        mss: 1448,
        scales: if life.is_scaled { Scales::new(7, 2) } else { Scales::default() },
        flags: Flags::of(&[Flag::Timestamps, Flag::Sack, Flag::Known]),
        ts_recent: TS_RECENT,
        ts_offset: 77,
        rtt_us: Some(250),
        resent: 0,
    };
    let ends = Ends {
        route: Route::new(0, 0),
        local_port: 7,
        remote: Address::v4([198, 18, 0, 2]),
        remote_port: 1000,
        place: FamilyPlace::new(InFamily::V4(Place::new(0, 0))),
    };
    let then = NOW - Duration::from_millis(life.age_ms);
    let (mut connection, mut warm) = begin(&ends, SND_UNA, config);
    connection.agree(&mut warm, &agreed, config, then);
    assert_eq!(connection.send.push(chunks, &vec![7; life.queued as usize]), life.queued as usize);
    connection.cwnd = life.cwnd;
    connection.snd_nxt = connection.snd_una + life.in_flight.min(life.queued);
    if connection.flight() > 0 {
        connection.start_retransmit_timer(then, config);
        if life.is_timed {
            connection.flags.set(Flag::Timing);
            connection.rtt_seq = connection.snd_nxt;
            connection.rtt_sent_us = then.as_micros() as u32;
        }
    }
    if !life.has_acked_all {
        connection.last_ack_sent = RCV_NXT - 64;
    }
    (connection, warm)
}

fn life() -> impl Strategy<Value = Life> {
    let cwnd = prop_oneof![Just(14_480_u32), 1448_u32..200_000];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0_u32..6000, 0_u32..6000, cwnd, 0_u32..100_000, flags, 0_u64..3000).prop_map(
        |(queued, in_flight, cwnd, snd_wnd, (is_timed, has_acked_all, is_scaled), age_ms)| Life {
            queued,
            in_flight,
            cwnd,
            snd_wnd,
            is_timed,
            has_acked_all,
            is_scaled,
            age_ms,
        },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    let seq = prop_oneof![8 => Just(0), 1 => -100..1200];
    let ack = prop_oneof![4 => 0..6500, 1 => -100..0];
    let window = prop_oneof![1 => Just(0), 8 => any::<u16>()];
    let ts = prop_oneof![8 => 0..100, 1 => -3..0];
    let len = prop_oneof![2 => Just(0_u16), 6 => 1_u16..1100];
    let flags = prop_oneof![4 => Just(0x10), 4 => Just(0x18), 1 => any::<u8>()];
    (seq, ack, window, ts, len, flags).prop_map(|(seq, ack, window, ts, len, flags)| Sent {
        seq,
        ack,
        window,
        ts,
        len,
        flags,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// The general path decides the same about a predicted segment, down to the last number; and what is not predicted
    /// was not touched.
    #[test]
    fn predicts_what_the_general_path_decides(life in life(), sent in sent()) {
        let config = TcpConfig::default();
        let mut chunks = ChunkPool::new(&SendConfig::default()).unwrap();
        let (mut quick, warm) = connection(&life, &mut chunks, &config);
        prop_assert!(quick.is_quiet());
        let mut warms = [warm];
        let plain = sent.plain();
        let before = format!("{quick:?} {warms:?}");
        let mut quick_pools = Pools::new(1, 1).unwrap();
        let pool = &mut quick_pools.congestion;
        let acked = take_predicted(&mut quick, &mut warms, 0, pool, &config, &Clock::at(NOW), &plain);
        let Some(acked) = acked else {
            prop_assert_eq!(before, format!("{quick:?} {warms:?}"));
            return Ok(());
        };
        let (mut general, mut warm) = connection(&life, &mut chunks, &config);
        let text = vec![0; usize::from(sent.len)];
        let segment = segment_of(&plain, &text);
        let mut pools = Pools::new(1, 1).unwrap();
        let verdict = input::handle_segment(&mut general, &mut warm, &mut pools, &config, NOW, &segment);
        let expected = Accepted {
            acked,
            skip: 0,
            len: u32::from(sent.len),
            ahead: 0,
            fin: Fin::Absent,
            fin_at: RCV_NXT + u32::from(sent.len),
        };
        prop_assert_eq!(verdict, Verdict::Accept(expected));
        prop_assert_eq!(numbers_of(&mut general), numbers_of(&mut quick));
        prop_assert_eq!(format!("{warm:?}"), format!("{:?}", warms[0]));
        prop_assert_eq!(format!("{:?}", pools.congestion), format!("{:?}", quick_pools.congestion));
    }

    /// The same of a segment that ends a stream, or acknowledges that.
    #[test]
    fn takes_in_what_the_general_path_does_of_an_end(
        life in life(),
        sent in sent(),
        fin: bool,
        is_exact: bool,
        ended: [bool; 2],
    ) {
        let config = TcpConfig::default();
        let mut chunks = ChunkPool::new(&SendConfig::default()).unwrap();
        let [is_ours_sent, is_peers_finished] = ended;
        let (mut quick, warm) = connection(&life, &mut chunks, &config);
        end(&mut quick, is_ours_sent, is_peers_finished);
        prop_assert!(quick.is_calm());
        let mut warms = [warm];
        let mut plain = PlainSegment { len: 0, ..sent.plain() };
        if fin {
            plain.flags = plain.flags.with(Control::FIN);
        }
        if is_exact {
            plain.ack = quick.snd_nxt.0;
        }
        let before = format!("{quick:?} {warms:?}");
        let mut quick_pools = Pools::new(1, 1).unwrap();
        let pool = &mut quick_pools.congestion;
        let taken = take_closing(&mut quick, &mut warms, 0, pool, &config, &Clock::at(NOW), &plain);
        let Some(Closing { acked, fin }) = taken else {
            prop_assert_eq!(before, format!("{quick:?} {warms:?}"));
            return Ok(());
        };
        let (mut general, mut warm) = connection(&life, &mut chunks, &config);
        end(&mut general, is_ours_sent, is_peers_finished);
        let mut pools = Pools::new(1, 1).unwrap();
        let segment = segment_of(&plain, &[]);
        let verdict = input::handle_segment(&mut general, &mut warm, &mut pools, &config, NOW, &segment);
        let expected = Accepted { acked, skip: 0, len: 0, ahead: 0, fin, fin_at: RCV_NXT };
        prop_assert_eq!(verdict, Verdict::Accept(expected));
        prop_assert_eq!(numbers_of(&mut general), numbers_of(&mut quick));
        prop_assert_eq!(format!("{warm:?}"), format!("{:?}", warms[0]));
        prop_assert_eq!(format!("{:?}", pools.congestion), format!("{:?}", quick_pools.congestion));
    }
}
