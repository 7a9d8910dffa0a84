//! Parsers of streams and files. A stream must be read the same however it is cut.

use std::path::Path;

use bywash::Config;
use bywash_apps::http::HttpCodec;
use bywash_core::codec::{Codec, Decoded, LengthPrefixed, Lines};

/// Reads messages until there are none; says how many, and what was left.
fn read<C: Codec>(codec: &C, bytes: &[u8]) -> (usize, usize, bool) {
    let (mut progress, mut at, mut messages) = (C::Progress::default(), 0, 0);
    loop {
        match codec.decode(&mut progress, &bytes[at..]) {
            Ok(Decoded::Message { message: _, consumed }) => {
                assert!(consumed > 0 && at + consumed <= bytes.len());
                (at, messages) = (at + consumed, messages + 1);
            }
            Ok(Decoded::Incomplete { consumed }) => {
                assert!(at + consumed <= bytes.len());
                let _ = codec.decode_eof(&mut progress, &bytes[at + consumed..]);
                return (messages, at + consumed, true);
            }
            Err(_) => return (messages, at, false),
        }
    }
}

/// The same, an octet at a time.
fn read_slowly<C: Codec>(codec: &C, bytes: &[u8]) -> (usize, usize, bool) {
    let (mut progress, mut at, mut messages) = (C::Progress::default(), 0, 0);
    for end in 0..=bytes.len() {
        loop {
            match codec.decode(&mut progress, &bytes[at..end]) {
                Ok(Decoded::Message { message: _, consumed }) => {
                    assert!(consumed > 0 && at + consumed <= end);
                    (at, messages) = (at + consumed, messages + 1);
                }
                Ok(Decoded::Incomplete { consumed }) => {
                    assert!(at + consumed <= end);
                    at += consumed;
                    break;
                }
                Err(_) => return (messages, at, false),
            }
        }
    }
    (messages, at, true)
}

/// Octets that are read one by one: the work is their square.
const SLOW_MAX: usize = 2000;

/// Length-prefixed messages.
pub fn length(bytes: &[u8]) {
    let codec = LengthPrefixed { message_max: 1000 };
    let whole = read(&codec, bytes);
    assert!(bytes.len() > SLOW_MAX || whole == read_slowly(&codec, bytes));
}

/// Lines.
pub fn lines(bytes: &[u8]) {
    let codec = Lines { line_max: 100, ..Lines::default() };
    let (messages, _, is_well) = read(&codec, bytes);
    if bytes.len() <= SLOW_MAX {
        let (slow_messages, _, slow_is_well) = read_slowly(&codec, bytes);
        assert_eq!((messages, is_well), (slow_messages, slow_is_well));
    }
}

/// HTTP requests. Bodies are handed on in pieces as they come, so only the verdict is compared.
pub fn http(bytes: &[u8]) {
    let codec = HttpCodec::default();
    let (_, _, is_well) = read(&codec, bytes);
    if bytes.len() > SLOW_MAX {
        return;
    }
    if is_well {
        assert!(read_slowly(&codec, bytes).2);
    } else {
        // A head that comes in pieces is judged once it has ended.
        assert!(!read_slowly(&codec, &[bytes, b"\r\n\r\n"].concat()).2);
    }
}

/// The configuration file: its errors say where.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Config::from_toml(text, Path::new("fuzz.toml")) {
        assert!(!error.to_string().is_empty());
    }
}
