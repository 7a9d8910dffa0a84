//! An echo server: three calls, and one method that says what to do with bytes.
//!
//! `cargo run --example echo` as root serves in a lab of its own, else on the kernel's TCP; the last line that
//! it prints is the one to try.

use std::process::ExitCode;

use bywash::Server;
use bywash::core::codec::Raw;
use bywash::core::shard::{Application, Context, Host, Origin};

struct Echo;

impl Application for Echo {
    type Codec = Raw;
    type Connection = ();

    fn on_open<H: Host>(&mut self, _: &mut Context<'_, H, Raw>, _: Origin) {}

    fn on_message<H: Host>(&mut self, cx: &mut Context<'_, H, Raw>, (): &mut (), message: &[u8]) {
        // A message is shown only while the send buffer has room; what little may not fit ends the connection.
        if cx.send(&message).is_err() {
            cx.abort();
        }
    }
}

fn main() -> ExitCode {
    let server = Server::from_args("echo", "Sends back what it gets");
    bywash::finish(server.and_then(|server| server.run(|_shard| (Echo, Raw::default()))))
}
