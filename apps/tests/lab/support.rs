//! Labs, servers, clients and tools for the tests.

pub(crate) mod load;
pub(crate) mod net;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod tools;

use std::fs::File;
use std::path::PathBuf;

use bywash_xdp::lab::{Lab, LabBuilder};

/// How much of the machine a test takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It waits more than it works.
    Light,
    /// It fills both cores.
    Heavy,
}

/// A lab and the right to use the machine.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    _turn: File,
}

/// A lab of this name (made unique), or `None` without root, which is told.
pub(crate) fn bench(name: &str, weight: Weight) -> Option<Bench> {
    bench_with(name, weight, |lab| lab)
}

/// The same, of another shape.
pub(crate) fn bench_with(
    name: &str,
    weight: Weight,
    shape: impl FnOnce(LabBuilder) -> LabBuilder,
) -> Option<Bench> {
    let turn = turn(weight)?;
    let lab = shape(Lab::builder(&unique(name))).build().expect("a lab");
    Some(Bench { lab, _turn: turn })
}

/// Waits for the machine; `None` without root, which is told. The file that is returned holds the lock.
pub(crate) fn turn(weight: Weight) -> Option<File> {
    if !rustix::process::geteuid().is_root() {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
        return None;
    }
    let path = std::env::temp_dir().join("bywash-lab-tests.lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).expect("the lock file");
    match weight {
        Weight::Light => file.lock_shared().expect("a shared lock"),
        Weight::Heavy => file.lock().expect("a lock"),
    }
    Some(file)
}

/// A lab name that no other test and no other run uses.
pub(crate) fn unique(name: &str) -> String {
    format!("t{}-{name}", std::process::id())
}

/// A file that is removed at the end of the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// The path of a file of this name that does not exist yet.
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("bywash-{}", unique(name))))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}
