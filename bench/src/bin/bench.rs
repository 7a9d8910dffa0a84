//! The instruments that a person runs: comparison with the kernel, limits of the device path, cost of idle connections.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use bywash_bench::allocation::CountingAllocator;
use bywash_bench::{compare, limit, scale};
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Measures Bywash, beside the kernel's TCP and beside what the device path allows.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// HTTP over AF_XDP and over the kernel's TCP, under wrk, in turns; needs root and two cores.
    Compare {
        /// End within two minutes.
        #[arg(long)]
        quick: bool,
    },
    /// Raw AF_XDP between two namespaces: sink, reflector, round trip; needs root and two cores.
    Limit,
    /// Idle connections in memory: bytes, set-up, look-up, timers, close.
    Scale {
        /// How many connections.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        connections: u32,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().what {
        What::Compare { quick } => {
            compare(if quick { compare::Plan::QUICK } else { compare::Plan::THOROUGH })
        }
        What::Limit => limit::limit(),
        What::Scale { connections } => scale::scale(connections, &ALLOCATOR),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(plan: compare::Plan) -> Result<()> {
    compare::compare(&http()?, plan)
}

/// The server's program beside this one; built first when cargo started us.
fn http() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let program = own.with_file_name("http");
    if cfg!(debug_assertions) {
        println!("this is a debug build: its figures mean nothing; use cargo run --release");
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", "bywash-apps", "--bin", "http"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        if !command.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            bail!("cannot build the http server");
        }
    }
    if !program.exists() {
        bail!("{} is missing: cargo build --release --bin http", program.display());
    }
    Ok(program)
}
