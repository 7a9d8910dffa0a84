use super::*;
use crate::base::time::Duration;
use proptest::prelude::*;
use std::vec::Vec;

const MSS: u32 = 1448;
const START: Instant = Instant::from_secs(5_000);

/// The window of one connection that is never lossy, acknowledged a whole window in each round trip.
struct Flow {
    cubic: Cubic,
    cwnd: u32,
    now: Instant,
    rtt: Duration,
}

impl Flow {
    fn after_loss(cwnd: u32, rtt: Duration) -> Self {
        let mut cubic = Cubic::default();
        let ssthresh = cubic.reduce(cwnd, MSS, Signal::Loss);
        Self { cubic, cwnd: ssthresh, now: START, rtt }
    }

    fn round(&mut self) -> u32 {
        let segments = self.cwnd / MSS;
        for _ in 0..segments {
            let path = Path { cwnd: self.cwnd, mss: MSS, srtt_us: self.rtt.as_micros() as u32 };
            self.cwnd = self.cubic.grow(&path, MSS, self.now);
            self.now += Duration::from_nanos(self.rtt.as_nanos() / u64::from(segments));
        }
        self.cwnd
    }
}

proptest! {
    #[test]
    fn the_cube_root_is_the_largest_that_fits(x: u64) {
        let root = u128::from(cube_root(x));
        prop_assert!(root.pow(3) <= u128::from(x) && u128::from(x) < (root + 1).pow(3));
    }

    /// Integers stay as close to RFC 9438's equations 1 and 2 as a unit of time and an octet allow.
    #[test]
    fn the_curve_is_the_one_of_the_rfc(w_max in 20_000_u32..400_000_000, ms in 0_u64..30_000) {
        let path = Path { cwnd: (u64::from(w_max) * 7 / 10) as u32, mss: MSS, srtt_us: 50_000 };
        let epoch = Epoch::begin(w_max, &path, 0);
        let seconds = |units: u32| f64::from(units) * f64::from(1 << UNIT_SHIFT) / 1e9;
        let segments = |octets: u32| f64::from(octets) / f64::from(MSS);
        let k = ((segments(w_max) - segments(path.cwnd)) / 0.4).cbrt();
        prop_assert!((seconds(epoch.k) - k).abs() < 0.0022, "K {} {k}", seconds(epoch.k));
        let t = units(ms * 1_000_000);
        let exact = 0.4 * (seconds(t) - seconds(epoch.k)).powi(3) + segments(w_max);
        let exact = exact.clamp(0.0, segments(CWND_MAX));
        prop_assert!((segments(epoch.at(t, MSS)) - exact).abs() < 0.01 + exact * 1e-6);
    }

    /// Whatever peers and clocks do, the window neither falls by growing nor jumps.
    #[test]
    fn no_ack_takes_more_than_half_a_window(
        steps in prop::collection::vec((1_u32..200_000, 0_u64..10_000_000_000, 0_u32..4_000_000), 1..60),
        lost in 1_u32..CWND_MAX,
    ) {
        let (mut cubic, mut now) = (Cubic::default(), START);
        let mut cwnd = cubic.reduce(lost, MSS, Signal::Loss);
        for (acked, ns, srtt_us) in steps {
            now += Duration::from_nanos(ns);
            let grown = cubic.grow(&Path { cwnd, mss: MSS, srtt_us }, acked.min(cwnd), now);
            prop_assert!(grown >= cwnd && u64::from(grown) <= u64::from(cwnd) * 3 / 2 + u64::from(2 * MSS) + u64::from(acked));
            cwnd = grown;
        }
    }
}

#[test]
fn growth_is_concave_below_the_old_window_and_convex_above() {
    let mut flow = Flow::after_loss(1000 * MSS, Duration::from_millis(50));
    assert_eq!(flow.cwnd, 700 * MSS);
    let windows: Vec<i64> = core::iter::repeat_with(|| i64::from(flow.round())).take(400).collect();
    let steps: Vec<i64> = windows.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let plateau = windows.iter().position(|w| *w >= i64::from(999 * MSS)).expect("comes back");
    // K is the cube root of 300 / 0.4: 9.09 s, 182 round trips.
    assert!((150..190).contains(&plateau), "{plateau}");
    assert!(steps[10] > steps[60] && steps[60] > steps[120], "concave: {:?}", &steps[..130]);
    assert!(steps[230] < steps[300] && steps[300] < steps[380], "convex: {:?}", &steps[200..]);
}

#[test]
fn on_a_short_path_it_is_as_fast_as_reno_with_alpha() {
    // Round trips of 1 ms: the cube of a few milliseconds is nothing.
    let mut flow = Flow::after_loss(100 * MSS, Duration::from_millis(1));
    let begin = flow.cwnd;
    for _ in 0..20 {
        flow.round();
    }
    // 9/17 of a segment in each round trip.
    let grown = flow.cwnd - begin;
    assert!((MSS * 10..MSS * 11).contains(&grown), "{grown}");
    // Past the window before the loss, a whole one.
    while flow.cwnd < 101 * MSS {
        flow.round();
    }
    let begin = flow.cwnd;
    for _ in 0..10 {
        flow.round();
    }
    let grown = flow.cwnd - begin;
    assert!((MSS * 19 / 2..MSS * 21 / 2).contains(&grown), "{grown}");
}

#[test]
fn a_second_loss_below_the_old_window_makes_room() {
    let mut cubic = Cubic::default();
    cubic.reduce(1000 * MSS, MSS, Signal::Loss);
    assert_eq!(cubic.reduce(800 * MSS, MSS, Signal::Loss), 560 * MSS);
    assert_eq!(cubic.memory.w_max, 680 * MSS, "0.85 of it");
    cubic.undo();
    assert_eq!(cubic.memory.w_max, 1000 * MSS);
    // A mistake after a timeout, too.
    cubic.reduce(900 * MSS, MSS, Signal::Timeout);
    cubic.undo();
    assert_eq!(cubic.memory.w_max, 1000 * MSS);
}

#[test]
fn after_a_timeout_the_plateau_is_where_avoidance_begins() {
    let mut cubic = Cubic::default();
    let cwnd = cubic.reduce(1000 * MSS, MSS, Signal::Timeout);
    let path = Path { cwnd, mss: MSS, srtt_us: 50_000 };
    cubic.grow(&path, MSS, START);
    let epoch = cubic.memory.epoch.expect("it has begun");
    assert_eq!((epoch.k, epoch.origin), (0, cwnd));
}

#[test]
fn time_without_use_does_not_count() {
    let mut flow = Flow::after_loss(1000 * MSS, Duration::from_millis(50));
    flow.round();
    let mut other = Flow { cubic: flow.cubic.clone(), ..flow };
    other.now += Duration::from_secs(60);
    for _ in 0..50 {
        let (a, b) = (flow.round(), other.round());
        assert!(a.abs_diff(b) <= 4 * MSS, "{a} {b}");
    }
}
