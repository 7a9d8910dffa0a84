//! Other people's programs, bounded in time.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Whether a tool is installed; tells when it is not.
pub(crate) fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    if !found {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs {tool}\n"));
    }
    found
}

/// A process that is killed when dropped.
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// Starts it with its outputs piped and no input.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().expect("wait") {
                return status;
            }
            assert!(Instant::now() < end, "process {} still runs after {limit:?}", self.0.id());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Already gone in every test that passes.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Said {
    /// Its output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// Runs a tool to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command, limit: Duration) -> Said {
    let mut out = Vec::new();
    let (status, err) = consume(command, limit, |bytes| out.extend_from_slice(bytes));
    Said { status, out, err }
}

/// Runs a tool that must succeed, and answers the length and SHA-256 of what it prints.
#[track_caller]
pub(crate) fn hash_of(command: &mut Command, limit: Duration) -> (u64, [u8; 32]) {
    let (mut len, mut hash) = (0, Sha256::new());
    let (status, err) = consume(command, limit, |bytes| {
        len += bytes.len() as u64;
        hash.update(bytes);
    });
    assert!(status.success(), "{command:?}: {status}, {len} bytes, {err}");
    (len, hash.finalize().into())
}

#[track_caller]
fn consume(
    command: &mut Command,
    limit: Duration,
    mut take: impl FnMut(&[u8]) + Send,
) -> (ExitStatus, String) {
    let mut child = Guarded::spawn(command);
    let mut out = child.0.stdout.take().expect("piped");
    let mut err = child.0.stderr.take().expect("piped");
    thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(len @ 1..) = out.read(&mut buffer) {
                take(&buffer[..len]);
            }
        });
        let err = scope.spawn(move || {
            let mut text = Vec::new();
            err.read_to_end(&mut text)
                .map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&text).into_owned())
        });
        // Killed when it takes too long, so that the readers end as well.
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child.wait(limit)));
        drop(child);
        out.join().expect("reader");
        let err = err.join().expect("reader");
        match waited {
            Ok(status) => (status, err),
            Err(panic) => {
                eprintln!("{command:?} said: {err}");
                std::panic::resume_unwind(panic)
            }
        }
    })
}
