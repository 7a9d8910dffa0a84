//! Sleeping until a descriptor is ready, and being woken from another thread without a system call when awake.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const RUNG: u32 = 2;

/// Wakes one thread. The thread lies down, looks a last time for work, and then waits; who makes work for it
/// writes the work first and rings then. One of the two always sees the other.
pub struct Bell {
    state: AtomicU32,
    event: OwnedFd,
}

impl Bell {
    /// A bell whose thread is awake.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { state: AtomicU32::new(AWAKE), event })
    }

    /// Wakes the thread if it sleeps or is about to; after the work for it was written.
    pub fn ring_if_asleep(&self) {
        // Pairs with the fence in `lie_down`: either this load sees ASLEEP, or the thread's last look sees the work.
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == ASLEEP {
            self.ring();
        }
    }

    /// Wakes the thread, or keeps it from its next sleep.
    pub fn ring(&self) {
        if self.state.swap(RUNG, Ordering::SeqCst) == ASLEEP {
            // The counter is full only after 2^64 - 2 rings that nobody heard: it is readable then anyway.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// Announces that this thread will sleep; `None` when the bell rang meanwhile. Look for work after this and
    /// before [`Sleep::wait`]. To be called by the bell's one thread only.
    pub fn lie_down(&self) -> Option<Sleep<'_>> {
        let lain = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst);
        if lain.is_err() {
            self.state.store(AWAKE, Ordering::SeqCst);
            return None;
        }
        // Pairs with the fence in `ring_if_asleep`.
        fence(Ordering::SeqCst);
        Some(Sleep { bell: self })
    }

    fn hush(&self) {
        // Nothing to read means nobody wrote yet: nothing to do.
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

/// A thread that has lain down; getting up again is dropping this.
pub struct Sleep<'a> {
    bell: &'a Bell,
}

impl Sleep<'_> {
    /// Waits until the bell rings, one of `ready` is readable, or `timeout` has passed (none: for ever). Says whether it
    /// was woken before that. A signal wakes as well.
    ///
    /// # Errors
    /// poll(2) refuses one of the descriptors.
    pub fn wait(&self, ready: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
        const FDS_MAX: usize = 8;
        let mut fds = [const { None }; FDS_MAX];
        let all = std::iter::once(PollFd::new(&self.bell.event, PollFlags::IN))
            .chain(ready.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        let mut count = 0;
        for (slot, fd) in fds.iter_mut().zip(all) {
            *slot = Some(fd);
            count += 1;
        }
        debug_assert_eq!(count, ready.len() + 1, "more descriptors than a shard has");
        let mut fds = fds.map(|fd| fd.unwrap_or_else(|| PollFd::new(&self.bell.event, PollFlags::IN)));
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut fds[..count], timeout.as_ref()) {
            Ok(woken) => {
                if !fds[0].revents().is_empty() {
                    self.bell.hush();
                }
                Ok(woken > 0)
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if self.bell.state.swap(AWAKE, Ordering::SeqCst) == RUNG {
            // Whoever rang may not have written yet: then the next sleep is cut short once and hushes the bell itself.
            self.bell.hush();
        }
    }
}
