//! Scenario s46 at the codec: every split, every limit, and work that stays linear.

use bywash_core::codec::{Codec, Decoded};
use proptest::prelude::*;

use super::*;

/// What was found, in a form that outlives the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    requests: Vec<(Method, String, BodyLength)>,
    bodies: Vec<Vec<u8>>,
}

struct Reader {
    codec: HttpCodec,
    progress: HttpProgress,
    unread: Vec<u8>,
    found: Found,
}

impl Reader {
    fn new(codec: HttpCodec) -> Self {
        Self { codec, progress: HttpProgress::default(), unread: Vec::new(), found: Found::default() }
    }

    fn piece(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        self.unread.extend_from_slice(piece);
        let mut at = 0;
        let consumed = loop {
            match self.codec.decode(&mut self.progress, &self.unread[at..])? {
                Decoded::Message { message, consumed } => {
                    assert!(consumed > 0);
                    at += consumed;
                    match message {
                        Message::Request(request) => {
                            self.found.requests.push((request.method, request.path.into(), request.body));
                            if request.body != BodyLength::Known(0) {
                                self.found.bodies.push(Vec::new());
                            }
                        }
                        Message::Body(piece, rest) => {
                            assert!(rest == Rest::Last || !piece.is_empty());
                            assert!(piece.len() <= self.codec.piece_max);
                            self.found.bodies.last_mut().unwrap().extend_from_slice(piece);
                        }
                    }
                }
                Decoded::Incomplete { consumed } => break at + consumed,
            }
        };
        self.unread.drain(..consumed);
        Ok(())
    }
}

const STREAM: &[u8] = b"\r\nGET /a?b HTTP/1.1\r\nHost: h\r\n\r\n\
    POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789\
    POST /d HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n\
    a;x=y\r\nabcdefghij\r\n1 ; q=\"z\"\r\nk\r\n00\r\nTrailer: t\r\n\r\n\
    HEAD http://h HTTP/1.0\r\n\r\n";

fn expected() -> Found {
    Found {
        requests: vec![
            (Method::Get, "/a".into(), BodyLength::Known(0)),
            (Method::Post, "/c".into(), BodyLength::Known(10)),
            (Method::Post, "/d".into(), BodyLength::Chunked),
            (Method::Head, "/".into(), BodyLength::Known(0)),
        ],
        bodies: vec![b"0123456789".to_vec(), b"abcdefghijk".to_vec()],
    }
}

#[test]
fn s46_requests_are_found_however_they_are_cut() {
    let codec = HttpCodec { piece_max: 3, ..HttpCodec::default() };
    for first in 0..=STREAM.len() {
        for second in first..=STREAM.len() {
            let mut reader = Reader::new(codec);
            for piece in [&STREAM[..first], &STREAM[first..second], &STREAM[second..]] {
                reader.piece(piece).unwrap();
            }
            assert_eq!(reader.found, expected(), "cut at {first} and {second}");
        }
    }
    let mut reader = Reader::new(codec);
    for byte in STREAM {
        reader.piece(&[*byte]).unwrap();
    }
    assert_eq!(reader.found, expected());
    assert!(reader.unread.is_empty());
}

#[test]
fn s46_a_stream_may_end_between_requests_only() {
    let codec = HttpCodec::default();
    let mut whole = Vec::new();
    for end in 0..=STREAM.len() {
        let mut reader = Reader::new(codec);
        reader.piece(&STREAM[..end]).unwrap();
        let ended = codec.decode_eof(&mut reader.progress, &reader.unread);
        match ended {
            Ok(Decoded::Incomplete { .. }) => whole.push(end),
            Ok(Decoded::Message { .. }) => panic!("a message that was not there before"),
            Err(error) => assert_eq!(error, HttpError::Truncated),
        }
    }
    let after =
        |end: &str| STREAM.windows(end.len()).position(|it| it == end.as_bytes()).unwrap() + end.len();
    assert_eq!(
        whole,
        [
            0,
            2,
            after("/a?b HTTP/1.1\r\nHost: h\r\n\r\n"),
            after("0123456789"),
            after("Trailer: t\r\n\r\n"),
            STREAM.len()
        ]
    );
}

#[test]
fn s46_limits_hold_at_the_byte_however_slowly_it_comes() {
    let codec = HttpCodec { head_max: 100, body_max: 20, ..HttpCodec::default() };
    let head = |len: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nHost: h\r\nX: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(len - start.len() - end.len())).into_bytes()
    };
    for chunk in [1, 7, 1000] {
        let feed = |bytes: &[u8]| {
            let mut reader = Reader::new(codec);
            bytes.chunks(chunk).try_for_each(|piece| reader.piece(piece))
        };
        assert_eq!(feed(&head(100)), Ok(()));
        assert_eq!(feed(&head(101)), Err(HttpError::HeadTooLong { head_max: 100 }));
        assert_eq!(feed(&[b'x'; 101]), Err(HttpError::TargetTooLong { head_max: 100 }));
        let post = |body: &str| format!("POST /c HTTP/1.1\r\nHost: h\r\n{body}").into_bytes();
        assert_eq!(feed(&post("Content-Length: 20\r\n\r\n")), Ok(()));
        let too_long = Err(HttpError::BodyTooLong { length: 21, body_max: 20 });
        assert_eq!(feed(&post("Content-Length: 21\r\n\r\n")), too_long);
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        assert_eq!(feed(&post(&format!("{chunked}14\r\n"))), Ok(()));
        assert_eq!(feed(&post(&format!("{chunked}15\r\n"))), too_long);
        assert_eq!(feed(&post(&format!("{chunked}1\r\nx\r\n14\r\n"))), too_long);
        let trailer = format!("{chunked}0\r\n{}\r\n", "A: b\r\n".repeat(20));
        assert_eq!(feed(&post(&trailer)), Err(HttpError::HeadTooLong { head_max: 100 }));
    }
}

#[test]
fn s46_the_end_of_a_slow_head_is_searched_among_the_new_bytes_only() {
    let codec = HttpCodec::default();
    let mut progress = HttpProgress::default();
    let start = b"GET / HTTP/1.1\r\nHost: h\r\nX: ab";
    assert_eq!(codec.decode(&mut progress, start), Ok(Decoded::Incomplete { consumed: 0 }));
    // Rubbish put where the search has been goes unseen until the end of the head has come.
    let mut changed = start.to_vec();
    changed[20] = 0;
    changed.extend_from_slice(b"c\r\n");
    assert_eq!(codec.decode(&mut progress, &changed), Ok(Decoded::Incomplete { consumed: 0 }));
    changed.extend_from_slice(b"\r\n");
    assert!(matches!(codec.decode(&mut progress, &changed), Err(HttpError::Malformed(Malformed::Head(_)))));
}

#[test]
fn errors_say_their_numbers() {
    for (error, numbers) in [
        (HttpError::TargetTooLong { head_max: 17 }, ["17", "head_max"]),
        (HttpError::HeadTooLong { head_max: 18 }, ["18", "head_max"]),
        (HttpError::TooManyFields { fields_max: 19 }, ["19", "fields"]),
        (HttpError::BodyTooLong { length: 21, body_max: 20 }, ["21", "20"]),
    ] {
        let text = error.to_string();
        assert!(numbers.iter().all(|number| text.contains(number)), "{text}");
    }
}

/// What requests are made of, good and bad.
const FRAGMENTS: [&str; 24] = [
    "GET / HTTP/1.1\r\n",
    "POST /echo HTTP/1.1\r\n",
    "HEAD /x HTTP/1.0\r\n",
    "Host: a\r\n",
    "Host: a\r\n\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 5\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "abc",
    "abcde",
    "\r\n",
    "\n",
    "\r",
    " ",
    ":",
    "\0",
    "GET",
    "HTTP/1.",
    "1",
    "fffffffffffffffff",
    ";",
];

proptest! {
    #[test]
    fn s46_what_is_found_does_not_depend_on_the_cuts(
        fragments in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..30),
        cuts in prop::collection::vec(1usize..40, 1..10),
    ) {
        let stream = fragments.concat().into_bytes();
        let codec = HttpCodec { head_max: 64, body_max: 1000, piece_max: 5 };
        let mut whole = Reader::new(codec);
        let whole_result = whole.piece(&stream);
        let mut cut = Reader::new(codec);
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        let mut cut_result = Ok(());
        while !rest.is_empty() && cut_result.is_ok() {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            cut_result = cut.piece(piece);
            rest = after;
        }
        prop_assert_eq!(&cut.found, &whole.found);
        // A head that has begun to go wrong may be waited for, but what was accepted whole is never refused.
        prop_assert!(cut_result.is_ok() || whole_result.is_err(), "{:?} {:?}", cut_result, whole_result);
        prop_assert!(cut.unread.len() <= codec.head_max + 40);
    }
}
