//! The lock that tells a live lab from one that a killed run left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::process;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::LabError;

const LOCK_DIRECTORY: &str = "/run/bywash";

/// An exclusive flock(2) on `/run/bywash/NAME.lock`, held for the life of the lab. The kernel lets go of it when the
/// process dies in whatever way; children do not inherit it (close-on-exec).
///
/// The file stays behind, empty: were it removed, two processes could hold locks on two files of one name.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of lab `name`, or says who holds it.
    pub(super) fn acquire(name: &str) -> Result<Self, LabError> {
        fs::create_dir_all(LOCK_DIRECTORY).map_err(|e| LabError::file("create", LOCK_DIRECTORY, e))?;
        let path = PathBuf::from(LOCK_DIRECTORY).join(format!("{name}.lock"));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| LabError::file("open", &path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LabError::InUse { name: name.to_owned(), pid: read_holder(&mut file) });
            }
            Err(errno) => return Err(LabError::file("lock", &path, errno)),
        }
        let mut lock = Self { file, path };
        lock.write(&format!("{}\n", process::id()))?;
        Ok(lock)
    }

    /// Empties the file; the lock itself goes with the value.
    pub(super) fn clear(&mut self) -> Result<(), LabError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), LabError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|e| LabError::file("write", &self.path, e))
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
