//! The lock that tells a live lab from one that a killed run left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::LabError;

const LOCK_DIRECTORY: &str = "/run/bywash";
const LOCK_SUFFIX: &str = ".lock";
/// A lock may be taken for a moment by someone who sweeps stale labs, or by a child of a killed process on its way
/// from fork to exec; only one that stays taken belongs to a live lab.
const ATTEMPTS: u32 = 25;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);

/// An exclusive flock(2) on `/run/bywash/NAME.lock`, held for the life of the lab. The kernel lets go of it when the
/// process dies in whatever way; programs that the process starts do not inherit it (close-on-exec).
#[derive(Debug)]
pub(super) struct Lock {
    /// `None` once released.
    file: Option<File>,
    path: PathBuf,
}

/// The answer to one attempt.
enum Attempt {
    Taken(File),
    Held(Option<u32>),
}

impl Lock {
    /// Takes the lock of lab `name`, or says who holds it.
    pub(super) fn acquire(name: &str) -> Result<Self, LabError> {
        fs::create_dir_all(LOCK_DIRECTORY).map_err(|e| LabError::file("create", LOCK_DIRECTORY, e))?;
        let path = path_of(name);
        let mut holder = None;
        for _ in 0..ATTEMPTS {
            let file = open(&path, OpenOptions::new().create(true).truncate(false))
                .map_err(|e| LabError::file("open", &path, e))?;
            match attempt(file, &path)? {
                Attempt::Taken(mut file) => {
                    write_holder(&mut file).map_err(|e| LabError::file("write", &path, e))?;
                    return Ok(Self { file: Some(file), path });
                }
                Attempt::Held(pid) => holder = pid,
            }
            thread::sleep(ATTEMPT_PAUSE);
        }
        Err(LabError::InUse { name: name.to_owned(), pid: holder })
    }

    /// Takes the locks of all labs that killed runs left behind, and answers them with the labs' names.
    pub(super) fn acquire_stale() -> Result<Vec<(String, Self)>, LabError> {
        let entries = match fs::read_dir(LOCK_DIRECTORY) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LabError::file("read", LOCK_DIRECTORY, error)),
        };
        let mut stale = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| LabError::file("read", LOCK_DIRECTORY, e))?;
            let file_name = entry.file_name().into_string().unwrap_or_default();
            let Some(name) = file_name.strip_suffix(LOCK_SUFFIX) else { continue };
            let path = entry.path();
            // Removed by its holder since the directory was read.
            let Ok(file) = open(&path, &mut OpenOptions::new()) else { continue };
            match attempt(file, &path)? {
                Attempt::Taken(file) => stale.push((name.to_owned(), Self { file: Some(file), path })),
                Attempt::Held(_) => {}
            }
        }
        Ok(stale)
    }

    /// Removes the file and lets go of the lock.
    pub(super) fn release(&mut self) -> Result<(), LabError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        // While the lock is still held: whoever waits for it finds another file, or none, under the name.
        let removed = fs::remove_file(&self.path).map_err(|e| LabError::file("remove", &self.path, e));
        // Closing is not enough while a child is between fork and exec.
        flock(&file, FlockOperation::Unlock).map_err(|e| LabError::file("unlock", &self.path, e))?;
        removed
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Drop has nobody to tell; `release` is the way that reports.
        let _ = self.release();
    }
}

fn path_of(name: &str) -> PathBuf {
    Path::new(LOCK_DIRECTORY).join(format!("{name}{LOCK_SUFFIX}"))
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.read(true).write(true).open(path)
}

fn attempt(mut file: File, path: &Path) -> Result<Attempt, LabError> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if is_file_at(&file, path) => Ok(Attempt::Taken(file)),
        // The former holder removed this file between our open and our lock.
        Ok(()) => Ok(Attempt::Held(None)),
        Err(Errno::WOULDBLOCK) => Ok(Attempt::Held(read_holder(&mut file))),
        Err(errno) => Err(LabError::file("lock", path, errno)),
    }
}

fn is_file_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", process::id()).as_bytes())
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
