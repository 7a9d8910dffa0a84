//! What a scripted peer sends: its stream, again and again from the first octet that is missing, and forgeries.

use bywash_core::base::time::{Duration, Instant};
use bywash_core::wire::tcp::{Flags, TcpRepr};

use super::super::segment::Frame;
use super::{Connection, Stage, Surroundings, own_part};
use crate::fault::Fault;
use crate::script::{End, Gate, Script};
use crate::stream::Stream;

/// Octets under way at most.
const FLIGHT_MAX: u64 = 20_000;
/// Between two attempts, at first and at last.
const RESEND: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));

/// The sending half of a connection. Places are octets of the stream; the FIN counts as one.
pub(super) struct Sending {
    stream: Stream,
    total: u64,
    gate: Gate,
    iss: u32,
    una: u64,
    nxt: u64,
    nxt_max: u64,
    /// Where the engine's window ends.
    edge: u64,
    /// Its scale, and its MSS with room for options.
    scale: Option<u8>,
    segment_max: usize,
    /// It has acknowledged our SYN.
    heard: bool,
    resend_at: Option<Instant>,
    pause: Duration,
}

impl Sending {
    pub(super) fn new(script: &Script, iss: u32, frame: &Frame<'_>, scale: u8) -> Self {
        let part = own_part(script);
        let options = &frame.tcp.options;
        let mss = options.mss.unwrap_or(536).max(60);
        Self {
            stream: script.stream(crate::script::Side::Server),
            total: part.total,
            gate: part.gate,
            iss,
            una: 0,
            nxt: 0,
            nxt_max: 0,
            edge: 0,
            scale: options.window_scale.map(|_| scale),
            segment_max: usize::from(mss) - 40,
            heard: false,
            resend_at: None,
            pause: RESEND.0,
        }
    }

    pub(super) fn iss(&self) -> u32 {
        self.iss
    }

    /// SND.NXT as it is in every segment without data.
    pub(super) fn seq(&self) -> u32 {
        self.at(self.nxt_max)
    }

    fn at(&self, place: u64) -> u32 {
        self.iss.wrapping_add(1).wrapping_add(place as u32)
    }

    /// Whether the engine offered a window scale.
    pub(super) fn scales(&self) -> bool {
        self.scale.is_some()
    }

    pub(super) fn is_heard(&self) -> bool {
        self.heard
    }

    /// Whether all is sent and acknowledged, the FIN too.
    pub(super) fn is_done(&self) -> bool {
        self.una == self.total + 1
    }

    pub(super) fn resend_at(&self) -> Option<Instant> {
        self.resend_at
    }

    pub(super) fn arm(&mut self, now: Instant) {
        self.resend_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(RESEND.1);
    }

    /// The engine has acknowledged something.
    pub(super) fn acknowledged(&mut self, now: Instant, tcp: &TcpRepr) -> Result<(), String> {
        let place = self.una as i64 + i64::from(tcp.ack.wrapping_sub(self.at(self.una)) as i32);
        if place > self.nxt_max as i64 {
            return Err(format!("octet {place} was acknowledged, and {} were sent", self.nxt_max));
        }
        let Ok(place) = u64::try_from(place) else { return Ok(()) };
        self.heard = true;
        self.edge = self.edge.max(place + (u64::from(tcp.window) << self.scale.unwrap_or(0)));
        if place > self.una {
            self.una = place;
            self.nxt = self.nxt.max(place);
            self.pause = RESEND.0;
            self.resend_at = (self.una < self.nxt_max).then(|| now + self.pause);
        }
        if self.una == self.nxt_max {
            self.resend_at = None;
        }
        Ok(())
    }
}

impl Connection {
    /// Sends what may be sent.
    pub(super) fn send(&mut self, around: &mut Surroundings<'_>) {
        if self.stage != Stage::Open {
            return;
        }
        let end = if self.has_ended() { End::Seen } else { End::Ahead };
        loop {
            let sending = &self.sending;
            let allowed = sending.gate.allowed(sending.total, self.received.next(), end);
            let room = sending.edge.min(sending.una + FLIGHT_MAX);
            let to = allowed.min(room).min(sending.nxt + self.piece(around));
            // It follows: its stream ends after the engine's.
            let ends = to == self.sending.total && end == End::Seen && self.sending.nxt <= self.sending.total;
            if to <= self.sending.nxt && !ends {
                break;
            }
            self.emit_data(around, self.sending.nxt, to.max(self.sending.nxt), ends);
            if ends {
                break;
            }
        }
        let sending = &mut self.sending;
        // What the window or the gate holds back is probed for, too.
        if sending.resend_at.is_none() && sending.una <= sending.total {
            sending.arm(around.now);
        }
    }

    /// Begins again at the first octet that is missing, or before it.
    pub(super) fn resend(&mut self, around: &mut Surroundings<'_>) {
        self.sending.arm(around.now);
        if self.sending.una == self.sending.nxt_max {
            // Nothing is under way: a probe from one octet before, which must be answered (RFC 9293 section 3.8.6.1).
            let tcp = self.header(around);
            self.emit(around, &TcpRepr { seq: tcp.seq.wrapping_sub(1), ..tcp }, &[]);
        } else {
            self.sending.nxt = self.sending.una;
            if around.happens(around.habits.overlap, Fault::Overlap) {
                self.sending.nxt -= around.random.below(self.sending.una.min(500) + 1);
            }
        }
        self.send(around);
    }

    /// Octets of the next segment: often all that fit, or as it comes.
    fn piece(&self, around: &mut Surroundings<'_>) -> u64 {
        let most = self.sending.segment_max as u64;
        if around.habits.overlap > 0 { 1 + around.random.below(most) } else { most }
    }

    fn emit_data(&mut self, around: &mut Surroundings<'_>, from: u64, to: u64, ends: bool) {
        let mut payload = vec![0; (to - from) as usize];
        self.sending.stream.write(from, &mut payload);
        let mut tcp = self.header(around);
        tcp.seq = self.sending.at(from);
        tcp.flags |= Flags::PSH;
        if ends {
            tcp.flags |= Flags::FIN;
        }
        let place = to + u64::from(ends);
        let sending = &mut self.sending;
        (sending.nxt, sending.nxt_max) = (place, sending.nxt_max.max(place));
        self.emit(around, &tcp, &payload);
    }

    /// Sends something that must change nothing (RFC 9293 section 3.10.7.4, RFC 5961).
    pub(super) fn forge(&mut self, around: &mut Surroundings<'_>) {
        let is_quiet = self.stage != Stage::Open || self.sending.nxt_max > self.sending.total;
        if is_quiet || !around.happens(around.habits.forge, Fault::Forgery) {
            return;
        }
        let mut tcp = self.header(around);
        let ahead = 1 + around.random.below(10_000) as u32;
        let behind = (self.sending.nxt_max - self.sending.una) as u32 + ahead;
        let mut junk: &[u8] = &[];
        match around.random.below(6) {
            // A keepalive probe, with an octet or without one.
            0 => tcp.seq = self.sending.at(self.sending.una).wrapping_sub(1),
            1 => {
                tcp.flags = Flags::RST;
                tcp.seq = tcp.seq.wrapping_add(ahead);
            }
            2 => {
                tcp.flags = Flags::RST | Flags::ACK;
                tcp.seq = tcp.seq.wrapping_sub(behind);
            }
            3 => tcp.flags = Flags::SYN,
            // RFC 9293 section 3.10.7.4: it acknowledges what was not sent.
            4 => tcp.ack = tcp.ack.wrapping_add((1 << 30) + ahead),
            _ => {
                tcp.seq = tcp.seq.wrapping_add((1 << 30) + ahead);
                junk = b"far beyond the window";
            }
        }
        self.emit(around, &tcp, junk);
    }
}
