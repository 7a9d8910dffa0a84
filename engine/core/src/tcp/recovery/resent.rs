//! What was sent again and when, so that a retransmission that is lost, too, is noticed (RFC 8985 section 6.2 step 5).

use crate::tcp::scoreboard::{Range, Scoreboard};
use crate::tcp::seq::SequenceNumber;

use super::rack::Window;

/// Retransmissions that are remembered. Of those that find no place the loss is noticed by the timeout only.
const RESENT_MAX: usize = 48;

/// What is known of a retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Fate {
    /// On its way.
    #[default]
    Unknown,
    /// Something that was sent later has arrived at this time.
    Overtaken { at_us: u32 },
    /// Lost: it is to be sent once more.
    Lost,
}

/// One retransmission, or several that left one behind the other.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    range: Range,
    /// `snd_nxt` when it was sent: what lies there left later.
    snd_nxt: SequenceNumber,
    sent_us: u32,
    fate: Fate,
}

/// Retransmissions without an answer, in the order in which they left.
#[derive(Clone, Debug)]
pub struct Resent {
    entries: [Entry; RESENT_MAX],
    count: u8,
}

/// When a retransmission has left, by our clock for delays and by the one of our timestamps.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Now.
    pub now_us: u32,
    /// The shortest round trip seen: whatever is answered sooner was the original (RFC 8985 section 6.2 step 2).
    pub min_rtt_us: u32,
    /// When the segment that is answered left, as its timestamp says.
    pub echo_us: Option<u32>,
}

impl Evidence {
    /// Whether the answer can be one to what left at `sent_us`.
    pub fn is_of(&self, sent_us: u32) -> bool {
        // The timestamp counts milliseconds: one of the same may be either.
        let is_older = |echo: u32| (echo.wrapping_add(1_000).wrapping_sub(sent_us) as i32) <= 0;
        !self.echo_us.is_some_and(is_older) && self.now_us.wrapping_sub(sent_us) >= self.min_rtt_us
    }
}

impl Resent {
    /// None.
    pub const NONE: Self = Self { entries: [NONE; RESENT_MAX], count: 0 };

    /// Forgets all.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    fn all(&self) -> &[Entry] {
        &self.entries[..usize::from(self.count)]
    }

    /// Octets that lie beyond all that was sent again have left. `high_rxt` is where those before ended.
    pub fn push(&mut self, range: Range, high_rxt: SequenceNumber, snd_nxt: SequenceNumber, now_us: u32) {
        let entry = Entry { range, snd_nxt, sent_us: now_us, fate: Fate::Unknown };
        let count = usize::from(self.count);
        if count > 0 {
            let last = &mut self.entries[count - 1];
            let follows = last.range.end == high_rxt && last.fate == Fate::Unknown;
            if follows && (count == RESENT_MAX || last.sent_us == now_us && last.snd_nxt == snd_nxt) {
                // What lies between them was delivered. The later time is the one of both.
                *last = Entry { range: Range { start: last.range.start, end: range.end }, ..entry };
                return;
            }
        }
        if count < RESENT_MAX {
            self.entries[count] = entry;
            self.count += 1;
        }
    }

    /// `range`, which begins at a lost retransmission's start or behind delivered octets of it, has left once more.
    pub fn push_again(&mut self, range: Range, snd_nxt: SequenceNumber, now_us: u32) {
        let of = |entry: &Entry| {
            entry.fate == Fate::Lost && range.start.is_within(entry.range.start, entry.range.len())
        };
        let Some(at) = self.all().iter().position(of) else { return };
        self.entries[at].range.start = range.end.earliest(self.entries[at].range.end);
        if self.entries[at].range.len() == 0 {
            self.remove(at);
        }
        let count = usize::from(self.count);
        if count < RESENT_MAX {
            self.entries[count] = Entry { range, snd_nxt, sent_us: now_us, fate: Fate::Unknown };
            self.count += 1;
        }
    }

    fn remove(&mut self, at: usize) {
        self.entries.copy_within(at + 1..usize::from(self.count), at);
        self.count -= 1;
    }

    /// An acknowledgment was taken in: everything below `fack` that was sent once, and what the scoreboard says, is delivered.
    pub fn take_ack(
        &mut self,
        una: SequenceNumber,
        board: &Scoreboard,
        fack: SequenceNumber,
        evidence: &Evidence,
    ) {
        // All before this place left before a retransmission that has arrived.
        let mut overtaken = 0;
        let mut kept = 0;
        for i in 0..usize::from(self.count) {
            let mut entry = self.entries[i];
            entry.range.start = entry.range.start.latest(una);
            let is_delivered =
                !entry.range.end.is_after(una) || board.hole(entry.range.start, entry.range.end).is_none();
            if is_delivered {
                if evidence.is_of(entry.sent_us) {
                    overtaken = kept;
                }
                continue;
            }
            self.entries[kept] = entry;
            kept += 1;
        }
        self.count = kept as u8;
        for (i, entry) in self.entries[..kept].iter_mut().enumerate() {
            let is_overtaken = i < overtaken || fack.is_after(entry.snd_nxt);
            if entry.fate == Fate::Unknown && is_overtaken {
                entry.fate = Fate::Overtaken { at_us: evidence.now_us };
            }
        }
    }

    /// Takes for lost what was overtaken longer than `window` ago. Says whether anything was.
    pub fn ripen(&mut self, window: Window, now_us: u32) -> bool {
        let Window::Within(window_us) = window else { return false };
        let mut any = false;
        for entry in &mut self.entries[..usize::from(self.count)] {
            if let Fate::Overtaken { at_us } = entry.fate
                && now_us.wrapping_sub(at_us) >= window_us
            {
                entry.fate = Fate::Lost;
                any = true;
            }
        }
        any
    }

    /// When the next retransmission counts as lost, if nothing more arrives.
    pub fn next_at_us(&self, window: Window, now_us: u32) -> Option<u32> {
        let Window::Within(window_us) = window else { return None };
        let due = |entry: &Entry| match entry.fate {
            Fate::Overtaken { at_us } => Some(at_us.wrapping_add(window_us)),
            Fate::Unknown | Fate::Lost => None,
        };
        self.all().iter().filter_map(due).min_by_key(|at| at.wrapping_sub(now_us) as i32)
    }

    /// The lowest octets whose retransmission was lost.
    pub fn next_lost(&self, board: &Scoreboard) -> Option<Range> {
        let hole = |entry: &Entry| match entry.fate {
            Fate::Lost => board.hole(entry.range.start, entry.range.end),
            Fate::Unknown | Fate::Overtaken { .. } => None,
        };
        let origin = self.all().first()?.range.start;
        self.all().iter().filter_map(hole).min_by_key(|hole| hole.start.since(origin) as i32)
    }

    /// Octets whose retransmission was lost and was not repeated.
    pub fn lost(&self, board: &Scoreboard) -> u32 {
        let lost = self.all().iter().filter(|entry| entry.fate == Fate::Lost);
        lost.map(|entry| {
            let Range { start, end } = entry.range;
            entry.range.len() - board.sacked_in(start, end)
        })
        .sum()
    }
}

const NONE: Entry = Entry {
    range: Range { start: SequenceNumber(0), end: SequenceNumber(0) },
    snd_nxt: SequenceNumber(0),
    sent_us: 0,
    fate: Fate::Unknown,
};

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(start: u32, end: u32) -> Range {
        Range { start: SequenceNumber(start), end: SequenceNumber(end) }
    }

    const SURE: Evidence = Evidence { now_us: 1_000, min_rtt_us: 0, echo_us: None };

    #[test]
    fn a_later_retransmission_that_arrives_overtakes_the_earlier() {
        let (mut resent, mut board) = (Resent::NONE, Scoreboard::default());
        let at = SequenceNumber;
        resent.push(range(0, 10), at(0), at(100), 10);
        resent.push(range(20, 30), at(10), at(100), 20);
        board.add(range(20, 30), at(0), at(100));
        resent.take_ack(at(0), &board, at(90), &SURE);
        assert!(resent.ripen(Window::Within(0), 1_000));
        assert_eq!(resent.next_lost(&board), Some(range(0, 10)));
        assert_eq!(resent.lost(&board), 10);
        // It goes out once more, in two pieces.
        resent.push_again(range(0, 6), at(100), 1_001);
        assert_eq!(resent.next_lost(&board), Some(range(6, 10)));
        resent.push_again(range(6, 10), at(100), 1_001);
        assert_eq!(resent.next_lost(&board), None);
    }

    #[test]
    fn what_was_sent_first_after_it_overtakes_it_once_delivered() {
        let (mut resent, board) = (Resent::NONE, Scoreboard::default());
        let at = SequenceNumber;
        resent.push(range(0, 10), at(0), at(100), 10);
        resent.take_ack(at(0), &board, at(100), &SURE);
        assert_eq!(resent.next_at_us(Window::Within(5), 0), None);
        resent.take_ack(at(0), &board, at(110), &SURE);
        assert_eq!(resent.next_at_us(Window::Within(5), 0), Some(1_005));
    }

    #[test]
    fn an_answer_that_came_too_soon_was_one_to_the_original() {
        let (mut resent, mut board) = (Resent::NONE, Scoreboard::default());
        let at = SequenceNumber;
        resent.push(range(0, 10), at(0), at(100), 10);
        resent.push(range(20, 30), at(10), at(100), 900);
        board.add(range(20, 30), at(0), at(100));
        resent.take_ack(at(0), &board, at(90), &Evidence { min_rtt_us: 200, ..SURE });
        assert!(!resent.ripen(Window::Within(0), 1_000));
    }

    #[test]
    fn a_full_log_goes_on_in_its_last_entry() {
        let (mut resent, board) = (Resent::NONE, Scoreboard::default());
        for i in 0..200 {
            let range = range(i * 10, i * 10 + 10);
            resent.push(range, range.start, SequenceNumber(5_000), i);
        }
        assert_eq!(usize::from(resent.count), RESENT_MAX);
        resent.take_ack(SequenceNumber(0), &board, SequenceNumber(5_001), &SURE);
        resent.ripen(Window::Within(0), 1_000);
        assert_eq!(resent.lost(&board), 2_000);
    }
}
