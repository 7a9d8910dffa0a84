//! Framings: a message is found in the stream, and written into another.

use std::hint::black_box;

use bywash_apps::echo::Mirror;
use bywash_core::codec::Decoded;

use super::Stage;

/// Bytes of a message, its framing not counted.
const MESSAGE_LEN: usize = 64;

/// 64 bytes as they are.
pub(super) fn raw() -> Vec<u8> {
    vec![b'q'; MESSAGE_LEN]
}

/// The same after 4 bytes of length and 4 of message type.
pub(super) fn length_prefixed() -> Vec<u8> {
    let mut bytes = (MESSAGE_LEN as u32).to_be_bytes().to_vec();
    bytes.extend(5u32.to_be_bytes());
    bytes.extend(raw());
    bytes
}

/// The same before a line feed.
pub(super) fn line() -> Vec<u8> {
    let mut bytes = raw();
    bytes.push(b'\n');
    bytes
}

pub(super) struct Framing<C> {
    codec: C,
    stream: Vec<u8>,
    out: Vec<u8>,
}

impl<C> Framing<C> {
    pub(super) fn new(codec: C, stream: Vec<u8>) -> Self {
        let out = vec![0; stream.len()];
        Self { codec, stream, out }
    }
}

impl<C: Mirror> Stage for Framing<C> {
    fn prepare(&mut self, _: u32) {
        self.out.fill(0);
    }

    fn run(&mut self, count: u32) {
        for _ in 0..count {
            let mut progress = C::Progress::default();
            let Ok(Decoded::Message { message, consumed }) =
                self.codec.decode(&mut progress, black_box(&self.stream))
            else {
                panic!("the stream is one message");
            };
            assert_eq!(consumed, self.stream.len());
            let item = C::item(message);
            let len = self.codec.encoded_len(&item).expect("a good item");
            self.codec.encode(&item, &mut self.out[..len]);
            black_box(&self.out);
        }
        assert_eq!(self.out, self.stream);
    }
}
