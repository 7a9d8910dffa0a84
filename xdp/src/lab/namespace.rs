//! Network namespaces with a name, as ip-netns(8) keeps them: bind mounts in `/run/netns`.
#![allow(unsafe_code, reason = "unshare(2) of a thread of our own, and setns(2) between fork and exec")]

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    unmount,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::error::LabError;

const NAMESPACE_DIRECTORY: &str = "/run/netns";

/// A network namespace that this process made and named.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    file: Arc<File>,
    mounted: Mounted,
}

/// Whether the name still stands in `/run/netns`.
#[derive(Debug, PartialEq, Eq)]
enum Mounted {
    Yes,
    No,
}

impl Namespace {
    /// Makes an empty namespace and its name. The name must be free.
    pub(super) fn create(name: &str) -> Result<Self, LabError> {
        let _guard = prepare_directory()?;
        let path = path_of(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| LabError::file("create", &path, e))?;
        // The thread exists to leave its own namespace; the caller stays where it is.
        let made = thread::scope(|scope| {
            let worker = thread::Builder::new().spawn_scoped(scope, || make_and_mount(name, &path))?;
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        match made {
            Ok(file) => Ok(Self { name: name.to_owned(), file: Arc::new(file), mounted: Mounted::Yes }),
            Err(error) => {
                // The first error is the one that tells; the half-made name goes either way.
                let _ = remove_name(name);
                Err(error)
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Moves the calling thread into the namespace for good.
    pub(super) fn enter(&self) -> Result<(), LabError> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| LabError::namespace("enter", &self.name, e))
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it. A panic in `work` goes on here.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        thread::scope(|scope| {
            let worker = thread::Builder::new().spawn_scoped(scope, || self.enter().map(|()| work()))?;
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Like [`Namespace::run`], and `/sys` shows the namespace's own interfaces (to this thread alone).
    pub(super) fn run_with_sysfs<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, LabError> + Send,
    ) -> Result<T, LabError> {
        self.run(|| {
            mount_own_sysfs().map_err(|e| LabError::namespace("mount /sys for", &self.name, e))?;
            work()
        })?
    }

    /// A command whose process will enter the namespace before it starts.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = Arc::clone(&self.file);
        // SAFETY: the closure runs between fork and exec and makes one setns(2) call on a descriptor that it owns; it
        // neither allocates nor locks.
        unsafe {
            command.pre_exec(move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(())
            });
        }
        command
    }

    /// Takes the name away. The namespace itself lives on while a thread or a socket is in it.
    pub(super) fn remove(&mut self) -> Result<(), LabError> {
        if self.mounted == Mounted::No {
            return Ok(());
        }
        self.mounted = Mounted::No;
        remove_name(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Drop has nobody to tell; `remove` is the way that reports.
        let _ = self.remove();
    }
}

/// Removes the name that an earlier, killed run left behind; a name that does not exist is fine.
pub(super) fn remove_name(name: &str) -> Result<(), LabError> {
    let path = path_of(name);
    match unmount(&path, UnmountFlags::DETACH) {
        // EINVAL: killed between making the file and mounting on it.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(LabError::file("unmount", &path, errno)),
    }
    fs::remove_file(&path).map_err(|e| LabError::file("remove", &path, e))
}

fn path_of(name: &str) -> PathBuf {
    Path::new(NAMESPACE_DIRECTORY).join(name)
}

/// Makes `/run/netns` a shared mount, so that a later unmount reaches mount namespaces that copied it. The lock that it
/// returns is the one iproute2 takes: without it two processes would mount the directory on itself twice.
fn prepare_directory() -> Result<File, LabError> {
    let error = |action, e: Errno| LabError::file(action, NAMESPACE_DIRECTORY, e);
    fs::create_dir_all(NAMESPACE_DIRECTORY).map_err(|e| LabError::file("create", NAMESPACE_DIRECTORY, e))?;
    let directory =
        File::open(NAMESPACE_DIRECTORY).map_err(|e| LabError::file("open", NAMESPACE_DIRECTORY, e))?;
    flock(&directory, FlockOperation::LockExclusive).map_err(|e| error("lock", e))?;
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match mount_change(NAMESPACE_DIRECTORY, shared) {
        Ok(()) => {}
        // Not a mount point yet.
        Err(Errno::INVAL) => {
            mount_bind_recursive(NAMESPACE_DIRECTORY, NAMESPACE_DIRECTORY).map_err(|e| error("bind", e))?;
            mount_change(NAMESPACE_DIRECTORY, shared).map_err(|e| error("share", e))?;
        }
        Err(errno) => return Err(error("share", errno)),
    }
    Ok(directory)
}

/// Runs on a thread of its own: leaves the old namespace for a new one and mounts that on `path`.
fn make_and_mount(name: &str, path: &Path) -> Result<File, LabError> {
    // SAFETY: NEWNET concerns only this thread's network namespace; file descriptors and memory stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|e| LabError::namespace("create", name, e))?;
    let own = "/proc/thread-self/ns/net";
    mount_bind(own, path).map_err(|e| LabError::file("mount a namespace on", path, e))?;
    File::open(path).map_err(|e| LabError::file("open", path, e))
}

/// Runs on a thread that is already in the namespace: sysfs shows the network namespace of whoever mounted it.
fn mount_own_sysfs() -> rustix::io::Result<()> {
    // SAFETY: NEWNS gives this thread its own mount table and file-system state; file descriptors and memory stay.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None)
}
