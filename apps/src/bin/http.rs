//! An HTTP/1.1 server on every shard: `/`, `/plaintext`, `/bytes/N` and `/echo`.
//!
//! As root and without arguments it makes a lab and serves over `AF_XDP`; without root it serves on the
//! kernel's TCP at 127.0.0.1:8080. `--help` lists every key.

use std::process::ExitCode;

use bywash::Server;
use bywash_apps::http::{Http, HttpCodec};

fn main() -> ExitCode {
    let served = Server::from_args("http", "Serves /, /plaintext, /bytes/N and /echo over HTTP/1.1")
        .map(|server| server.hint("curl http://{address}/"))
        .and_then(|server| server.run(|_shard| (Http::default(), HttpCodec::default())));
    bywash::finish(served)
}
