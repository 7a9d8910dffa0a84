//! Sends back what it gets, under one of the engine's framings.

use std::process::ExitCode;

use bywash::Server;
use bywash::core::codec::{LengthPrefixed, Lines, Raw};
use bywash_apps::echo::Echo;

#[derive(clap::Args)]
struct Options {
    /// What one message is.
    #[arg(long, value_enum, default_value_t)]
    framing: Framing,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Framing {
    /// A 4-byte length of the payload and a 4-byte message type, big endian, then the payload.
    Length,
    /// A line that ends in LF or CRLF.
    Line,
    /// Whatever has arrived.
    #[default]
    Raw,
}

fn main() -> ExitCode {
    bywash::finish(serve())
}

fn serve() -> Result<(), bywash::Error> {
    let (server, Options { framing }) = Server::from_args_with("echo", "Sends back what it gets")?;
    let server = server.hint("nc {host} {port}");
    match framing {
        Framing::Length => server.run(|_| (Echo::default(), LengthPrefixed::default())),
        Framing::Line => server.run(|_| (Echo::default(), Lines::default())),
        Framing::Raw => server.run(|_| (Echo::default(), Raw::default())),
    }
}
