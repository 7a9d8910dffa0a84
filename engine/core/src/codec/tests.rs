//! Scenarios s43 to s45: framing under every split and join, and the limits.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// A peer's stream as a transport shows it: what is not consumed is shown again with what follows.
struct Stream<'c, C: Codec> {
    codec: &'c C,
    progress: C::Progress,
    unread: Vec<u8>,
    /// The most bytes that were ever kept between two pieces.
    unread_most: usize,
}

impl<'c, C: Codec> Stream<'c, C> {
    fn new(codec: &'c C) -> Self {
        Self { codec, progress: C::Progress::default(), unread: Vec::new(), unread_most: 0 }
    }

    fn piece(&mut self, piece: &[u8], seen: &mut impl FnMut(C::Message<'_>)) -> Result<(), C::Error> {
        self.unread.extend_from_slice(piece);
        let consumed = decode_all(self.codec, &mut self.progress, &self.unread, seen)?;
        self.unread.drain(..consumed);
        self.unread_most = self.unread_most.max(self.unread.len());
        Ok(())
    }

    fn end(&mut self, seen: &mut impl FnMut(C::Message<'_>)) -> Result<(), C::Error> {
        let mut at = 0;
        loop {
            match self.codec.decode_eof(&mut self.progress, &self.unread[at..])? {
                Decoded::Message { message, consumed } => {
                    assert!(consumed > 0);
                    seen(message);
                    at += consumed;
                }
                Decoded::Incomplete { .. } => return Ok(()),
            }
        }
    }
}

fn decode_all<C: Codec>(
    codec: &C,
    progress: &mut C::Progress,
    bytes: &[u8],
    seen: &mut impl FnMut(C::Message<'_>),
) -> Result<usize, C::Error> {
    let mut at = 0;
    loop {
        match codec.decode(progress, &bytes[at..])? {
            Decoded::Message { message, consumed } => {
                assert!(consumed > 0);
                seen(message);
                at += consumed;
            }
            Decoded::Incomplete { consumed } => return Ok(at + consumed),
        }
    }
}

fn encoded<C: Codec>(codec: &C, items: &[C::Item<'_>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for item in items {
        let start = stream.len();
        stream.resize(start + codec.encoded_len(item).expect("an item within the limits"), 0);
        codec.encode(item, &mut stream[start..]);
    }
    stream
}

/// Hands `stream` over in every way that cuts it twice, and byte by byte, and checks the messages each time.
fn every_cut<C: Codec>(
    codec: &C,
    stream: &[u8],
    expected: &[(u32, Vec<u8>)],
    owned: impl Fn(C::Message<'_>) -> (u32, Vec<u8>),
) {
    let check = |pieces: &[&[u8]]| {
        let mut got = Vec::new();
        let mut seen = |message: C::Message<'_>| got.push(owned(message));
        let mut reader = Stream::new(codec);
        for piece in pieces {
            reader.piece(piece, &mut seen).expect("a good stream");
        }
        reader.end(&mut seen).expect("a good end");
        assert_eq!(got, expected);
    };
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            check(&[&stream[..first], &stream[first..second], &stream[second..]]);
        }
    }
    check(&stream.chunks(1).collect::<Vec<_>>());
}

fn owned_frame(frame: Frame<'_>) -> (u32, Vec<u8>) {
    (frame.kind, frame.payload.to_vec())
}

fn owned_line(line: &[u8]) -> (u32, Vec<u8>) {
    (0, line.to_vec())
}

fn lines_of(expected: &[&str]) -> Vec<(u32, Vec<u8>)> {
    expected.iter().map(|line| (0, line.as_bytes().to_vec())).collect()
}

#[test]
fn s43_the_header_is_length_then_type_big_endian() {
    let stream = encoded(&LengthPrefixed::default(), &[Frame { kind: 0x0102_0304, payload: b"abc" }]);
    assert_eq!(stream, b"\0\0\0\x03\x01\x02\x03\x04abc");
}

#[test]
fn s43_frames_arrive_once_and_whole_with_their_type_however_they_are_cut() {
    let codec = LengthPrefixed::default();
    let frames: Vec<Frame<'_>> = vec![
        Frame { kind: 1, payload: b"first" },
        Frame { kind: u32::MAX, payload: b"" },
        Frame { kind: 0, payload: b"\0\0\0\x01\0\0\0\x02looks like a header" },
        Frame { kind: 7, payload: b"x" },
    ];
    let expected: Vec<_> = frames.iter().copied().map(owned_frame).collect();
    every_cut(&codec, &encoded(&codec, &frames), &expected, owned_frame);
}

#[test]
fn s43_a_stream_that_ends_within_a_frame_is_an_error() {
    let codec = LengthPrefixed::default();
    let stream = encoded(&codec, &[Frame { kind: 1, payload: b"abc" }]);
    for (seen, needed) in [(1, 8), (3, 8), (4, 11), (8, 11), (10, 11)] {
        let mut reader = Stream::new(&codec);
        reader.piece(&stream[..seen], &mut |_| panic!("no whole frame yet")).unwrap();
        let error = reader.end(&mut |_| panic!("no whole frame")).unwrap_err();
        assert_eq!(error, LengthPrefixedError::Truncated { seen, needed });
    }
}

#[test]
fn s44_lines_arrive_once_without_their_ending_however_they_are_cut() {
    let stream = b"first\r\n\nwith\rinside\r\n\r\nlast\r\r\nLF only\nunended";
    let expected = lines_of(&["first", "", "with\rinside", "", "last\r", "LF only", "unended"]);
    every_cut(&Lines::default(), stream, &expected, owned_line);
}

#[test]
fn s44_what_is_sent_comes_back_the_same() {
    let sent: [&[u8]; 4] = [b"plain", b"", b"ends in CR\r", b"\r\r"];
    for ending in [LineEnding::LineFeed, LineEnding::CrLf] {
        let codec = Lines { ending, ..Lines::default() };
        let expected: Vec<_> = sent.iter().map(|line| owned_line(line)).collect();
        every_cut(&codec, &encoded(&codec, &sent), &expected, owned_line);
    }
    let error = Lines::default().encoded_len(&b"two\nlines".as_slice()).unwrap_err();
    assert_eq!(error, LinesError::EmbeddedLineFeed { at: 3 });
}

#[test]
fn s45_a_frame_beyond_the_limit_is_refused_as_soon_as_its_length_is_known() {
    let codec = LengthPrefixed { message_max: 10 };
    let too_long = LengthPrefixedError::TooLong { length: 11, message_max: 10 };
    let mut reader = Stream::new(&codec);
    assert_eq!(reader.piece(b"\0\0\0\x0b", &mut |_| panic!("refused")), Err(too_long));
    assert_eq!(codec.encoded_len(&Frame { kind: 0, payload: &[0; 11] }), Err(too_long));
    assert_eq!(codec.encoded_len(&Frame { kind: 0, payload: &[0; 10] }), Ok(18));
    let text = too_long.to_string();
    assert!(text.contains("11") && text.contains("10") && text.contains("message_max"), "{text}");

    let huge = Stream::new(&LengthPrefixed::default()).piece(&[0xff; 4], &mut |_| panic!("refused"));
    let message_max = LengthPrefixed::MESSAGE_MAX;
    assert_eq!(huge, Err(LengthPrefixedError::TooLong { length: u64::from(u32::MAX), message_max }));
}

#[test]
fn s45_a_frame_at_the_limit_passes() {
    let codec = LengthPrefixed { message_max: 3 };
    let frame = Frame { kind: 9, payload: b"abc" };
    every_cut(&codec, &encoded(&codec, &[frame]), &[owned_frame(frame)], owned_frame);
}

#[test]
fn s45_a_line_at_the_limit_passes_and_one_beyond_it_does_not_however_it_is_cut() {
    let codec = Lines { line_max: 3, ..Lines::default() };
    every_cut(&codec, b"abc\r\nabc\nabc", &lines_of(&["abc", "abc", "abc"]), owned_line);
    for bad in [&b"abcd"[..], b"abcd\n", b"abcd\r\n", b"abc\rx", b"abc\r\r", b"abc\r\r\n"] {
        for cut in 0..=bad.len() {
            let mut reader = Stream::new(&codec);
            let refused = |_: &[u8]| panic!("{bad:?} was let through");
            let result = reader
                .piece(&bad[..cut], &mut { refused })
                .and_then(|()| reader.piece(&bad[cut..], &mut { refused }));
            let Err(LinesError::TooLong { seen, line_max: 3 }) = result else {
                panic!("{bad:?} cut at {cut}: {result:?}")
            };
            assert!(seen > 3, "{bad:?} cut at {cut}: {seen}");
        }
    }
    let text = LinesError::TooLong { seen: 4, line_max: 3 }.to_string();
    assert!(text.contains('4') && text.contains('3') && text.contains("line_max"), "{text}");
}

#[test]
fn s45_no_more_is_kept_than_the_limit_allows() {
    let codec = Lines::default();
    let mut reader = Stream::new(&codec);
    let refused_after =
        (1..=2 * Lines::LINE_MAX).find(|_| reader.piece(b"x", &mut |_| panic!("no line")).is_err());
    assert_eq!(refused_after, Some(Lines::LINE_MAX + 1));
    assert!(reader.unread_most <= Lines::LINE_MAX);
}

#[test]
fn s45_a_line_is_searched_once_and_not_once_per_segment() {
    let codec = Lines { line_max: usize::MAX, ..Lines::default() };
    let mut progress = LinesProgress::default();
    assert_eq!(codec.decode(&mut progress, b"no end"), Ok(Decoded::Incomplete { consumed: 0 }));
    // A line feed put where the search has been already goes unseen: those bytes are not looked at again.
    assert_eq!(codec.decode(&mut progress, b"no\nend"), Ok(Decoded::Incomplete { consumed: 0 }));
    let found = codec.decode(&mut progress, b"no\nend\n");
    assert_eq!(found, Ok(Decoded::Message { message: b"no\nend".as_slice(), consumed: 7 }));
}

#[test]
fn raw_hands_on_everything_in_slices_of_bounded_size() {
    let codec = Raw { slice_max: 4 };
    let mut slices = Vec::new();
    let mut reader = Stream::new(&codec);
    reader.piece(b"0123456789", &mut |slice| slices.push(slice.to_vec())).unwrap();
    assert_eq!(slices, [b"0123".to_vec(), b"4567".to_vec(), b"89".to_vec()]);
    assert!(reader.unread.is_empty());
    assert_eq!(encoded(&codec, &[b"ab", b"", b"c"]), b"abc");
}

proptest! {
    #[test]
    fn s43_any_frames_survive_any_cutting(
        frames in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
        cuts in prop::collection::vec(1usize..97, 1..50),
    ) {
        let codec = LengthPrefixed::default();
        let items: Vec<_> = frames.iter().map(|(kind, payload)| Frame { kind: *kind, payload }).collect();
        let stream = encoded(&codec, &items);
        let mut got = Vec::new();
        let mut seen = |frame: Frame<'_>| got.push(owned_frame(frame));
        let mut reader = Stream::new(&codec);
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            reader.piece(piece, &mut seen).unwrap();
            rest = after;
        }
        reader.end(&mut seen).unwrap();
        prop_assert_eq!(got, frames);
    }

    #[test]
    fn s44_lines_are_what_a_naive_reader_finds(text in "[ab\r\n]{0,200}", cuts in 1usize..20) {
        let mut expected: Vec<String> = text.split('\n').map(String::from).collect();
        if expected.last().is_some_and(String::is_empty) {
            expected.pop();
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|line| owned_line(line.strip_suffix('\r').unwrap_or(line).as_bytes()))
            .collect();
        let mut got = Vec::new();
        let mut seen = |line: &[u8]| got.push(owned_line(line));
        let codec = Lines::default();
        let mut reader = Stream::new(&codec);
        for piece in text.as_bytes().chunks(cuts) {
            reader.piece(piece, &mut seen).unwrap();
        }
        reader.end(&mut seen).unwrap();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Stream::new(&LengthPrefixed { message_max: 64 }).piece(&bytes, &mut |_| ());
        let _ = Stream::new(&Lines { line_max: 16, ..Lines::default() }).piece(&bytes, &mut |_| ());
    }
}
