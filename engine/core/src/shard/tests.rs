//! The driver between an application and a transport in memory.

mod fake;

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::base::time::Instant;
use crate::codec::{Lines, LinesError};
use fake::{FakeTransport, Input, key};

const FIRST: ConnectionId = key(0, 1);
const SECOND: ConnectionId = key(3, 1);

/// Writes down what it is told; some lines are commands.
#[derive(Default)]
struct Scribe {
    log: Vec<String>,
    opened: u32,
}

struct Guest {
    number: u32,
    lines: u32,
}

impl Application for Scribe {
    type Codec = Lines;
    type Connection = Guest;

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Lines>, origin: Origin) -> Guest {
        self.opened += 1;
        self.log.push(std::format!("open {} {origin:?}", self.opened));
        Guest { number: self.opened, lines: 0 }
    }

    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, guest: &mut Guest, line: &[u8]) {
        guest.lines += 1;
        let text = String::from_utf8_lossy(line);
        self.log.push(std::format!("line {}.{} {text}", guest.number, guest.lines));
        match &*text {
            "pause" => cx.pause_reading(),
            "close" => cx.close(),
            "tell second" => cx.at(SECOND).send(&b"from the first".as_slice()).unwrap(),
            "too long" => {
                let refused = cx.send(&[b'x'; 99].as_slice());
                assert_eq!(refused, Err(SendError::Codec(LinesError::TooLong { seen: 99, line_max: 20 })));
            }
            "in place" => {
                let len = cx.write_in_place(8, |out| {
                    out[..3].copy_from_slice(b"abc");
                    3
                });
                assert_eq!(len, Ok(3));
            }
            "alarm" => cx.set_timer(Some(cx.now() + crate::base::time::Duration::from_secs(1))),
            _ => cx.send(&line).unwrap(),
        }
    }

    fn on_writable<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, guest: &mut Guest) {
        self.log.push(std::format!("writable {}", guest.number));
        cx.resume_reading();
    }

    fn on_end_of_stream<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, guest: &mut Guest) {
        self.log.push(std::format!("end {}", guest.number));
        cx.close();
    }

    fn on_timer<H: Host>(&mut self, _: &mut Context<'_, H, Lines>, guest: &mut Guest) {
        self.log.push(std::format!("timer {}", guest.number));
    }

    fn on_codec_error<H: Host>(
        &mut self,
        cx: &mut Context<'_, H, Lines>,
        guest: &mut Guest,
        error: LinesError,
    ) {
        self.log.push(std::format!("error {}: {error}", guest.number));
        cx.shutdown();
    }

    fn on_drain<H: Host>(&mut self, cx: &mut Context<'_, H, Lines>, guest: &mut Guest) {
        self.log.push(std::format!("drain {}", guest.number));
        cx.close();
    }

    fn on_close<H: Host>(&mut self, _: &mut H, id: ConnectionId, guest: Option<Guest>, reason: CloseReason) {
        let number = guest.map_or("none".to_string(), |guest| guest.number.to_string());
        self.log.push(std::format!("close {id:?} {number} {reason}"));
    }
}

struct World(Shard<FakeTransport, Scribe>);

impl World {
    fn new() -> Self {
        let codec = Lines { line_max: 20, ..Lines::default() };
        Self(Shard::new(FakeTransport::default(), Scribe::default(), codec, 8))
    }

    /// Takes a turn with `inputs` and returns what the application wrote down in it.
    fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
        self.0.transport_mut().inputs.extend(inputs);
        self.0.turn(Instant::from_secs(5));
        core::mem::take(&mut self.0.application_mut().log)
    }

    fn sent(&mut self, id: ConnectionId) -> String {
        String::from_utf8(core::mem::take(&mut self.0.transport_mut().host.get(id).sent)).unwrap()
    }

    fn unread(&mut self, id: ConnectionId) -> usize {
        self.0.transport_mut().host.get(id).unread.len()
    }
}

#[test]
fn messages_reach_the_application_with_the_state_of_their_connection() {
    let mut world = World::new();
    let log = world.turn([
        Input::Open(FIRST),
        Input::Open(SECOND),
        Input::Bytes(FIRST, b"a\r\nb\npart"),
        Input::Bytes(SECOND, b"c\n"),
        Input::Bytes(FIRST, b"ly\n"),
    ]);
    let expected = ["open 1 Accepted", "open 2 Accepted", "line 1.1 a", "line 1.2 b", "line 2.1 c"];
    assert_eq!(log[..5], expected);
    assert_eq!(log[5..], ["line 1.3 partly"]);
    assert_eq!(world.sent(FIRST), "a\nb\npartly\n");
    assert_eq!(world.sent(SECOND), "c\n");
    assert_eq!(world.unread(FIRST), 0);
}

#[test]
fn a_paused_connection_keeps_its_messages_until_it_is_read_again() {
    let mut world = World::new();
    let log = world.turn([Input::Open(FIRST), Input::Bytes(FIRST, b"pause\nlater\n")]);
    assert_eq!(log, ["open 1 Accepted", "line 1.1 pause"]);
    assert_eq!(world.unread(FIRST), b"later\n".len());
    let log = world.turn([Input::Writable(FIRST), Input::Bytes(FIRST, b"last\n")]);
    assert_eq!(log, ["writable 1", "line 1.2 later", "line 1.3 last"]);
}

#[test]
fn a_closed_connection_drops_what_follows() {
    let mut world = World::new();
    let log = world.turn([
        Input::Open(FIRST),
        Input::Bytes(FIRST, b"close\nnot seen\n"),
        Input::Bytes(FIRST, b"nor this\n"),
        Input::End(FIRST),
    ]);
    assert_eq!(log, ["open 1 Accepted", "line 1.1 close"]);
    assert_eq!(world.unread(FIRST), 0);
}

#[test]
fn s45_a_codec_error_is_told_once_and_the_rest_of_the_stream_is_dropped() {
    let mut world = World::new();
    let log = world.turn([
        Input::Open(FIRST),
        Input::Bytes(FIRST, b"ok\nthis line is much too long\nx\n"),
        Input::Bytes(FIRST, b"and more\n"),
        Input::End(FIRST),
    ]);
    assert_eq!(log[..2], ["open 1 Accepted", "line 1.1 ok"]);
    assert!(log[2].starts_with("error 1: line of 22 bytes or more, at most 20"), "{}", log[2]);
    assert_eq!(log[3..], ["end 1"]);
    assert_eq!(world.sent(FIRST), "ok\n<FIN><FIN>");
    assert_eq!(world.unread(FIRST), 0);
}

#[test]
fn what_the_codec_makes_of_the_last_bytes_comes_before_the_end() {
    let mut world = World::new();
    let log = world.turn([Input::Open(FIRST), Input::Bytes(FIRST, b"a\nrest"), Input::End(FIRST)]);
    assert_eq!(log, ["open 1 Accepted", "line 1.1 a", "line 1.2 rest", "end 1"]);
}

#[test]
fn a_place_taken_again_has_nothing_of_its_last_owner() {
    let mut world = World::new();
    let next = key(FIRST.index, FIRST.generation + 2);
    let log = world.turn([
        Input::Open(FIRST),
        Input::Bytes(FIRST, b"par"),
        Input::Close(FIRST, CloseReason::ConnectionReset),
        Input::Open(next),
        Input::Timer(FIRST),
        Input::Writable(FIRST),
        Input::Bytes(next, b"new\n"),
    ]);
    assert_eq!(log[1..], ["close 0.1 1 reset by the peer", "open 2 Accepted", "line 2.1 new"]);
    assert_eq!(world.0.connections(), 1);
}

#[test]
fn a_failed_attempt_to_connect_has_no_state() {
    let log = World::new().turn([Input::Close(FIRST, CloseReason::ConnectionRefused)]);
    assert_eq!(log, ["close 0.1 none refused by the peer"]);
}

#[test]
fn one_connection_reaches_another_by_its_key() {
    let mut world = World::new();
    world.turn([Input::Open(FIRST), Input::Open(SECOND), Input::Bytes(FIRST, b"tell second\n")]);
    assert_eq!(world.sent(SECOND), "from the first\n");
    assert_eq!(world.sent(FIRST), "");
}

#[test]
fn items_are_encoded_in_place_and_refused_whole() {
    let mut world = World::new();
    world.turn([Input::Open(FIRST), Input::Bytes(FIRST, b"too long\nin place\n")]);
    assert_eq!(world.sent(FIRST), "abc");
}

#[test]
fn a_timer_comes_back_to_its_connection() {
    let mut world = World::new();
    world.turn([Input::Open(FIRST), Input::Bytes(FIRST, b"alarm\n")]);
    assert_eq!(world.0.transport_mut().host.get(FIRST).timer, Some(Instant::from_secs(6)));
    assert_eq!(world.turn([Input::Timer(FIRST)]), ["timer 1"]);
}

#[test]
fn s37_a_drain_stops_listening_and_tells_each_open_connection() {
    let mut world = World::new();
    world.turn([Input::Open(FIRST), Input::Open(SECOND), Input::Bytes(FIRST, b"close\n")]);
    world.0.drain();
    assert_eq!(world.0.transport().listening_stopped, 1);
    assert_eq!(world.0.application().log, ["drain 2"]);
    assert_eq!(world.sent(SECOND), "<FIN>");
}
