//! Signals as messages to the control plane.

use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};

use super::privileges;
use crate::error::Error;

/// What a person or a service manager asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM, SIGINT or SIGHUP (the terminal is gone): end in order; a second one ends at once with this exit code (128 and the signal's number).
    End {
        /// 130, 143, or 129.
        exit_code: u8,
    },
    /// SIGUSR1: print the report.
    Report,
}

/// Listens to signals until dropped.
pub struct Listener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Calls `tell` for each signal, from a thread of its own.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn start(mut tell: impl FnMut(Request) + Send + 'static) -> Result<Self, Error> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])
            .map_err(Error::os("cannot listen to signals"))?;
        let handle = signals.handle();
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                privileges::drop_in_helper();
                for signal in signals.forever() {
                    tell(match signal {
                        SIGUSR1 => Request::Report,
                        SIGINT => Request::End { exit_code: 130 },
                        SIGHUP => Request::End { exit_code: 129 },
                        _ => Request::End { exit_code: 143 },
                    });
                }
            })
            .map_err(Error::os("cannot start a thread"))?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It only passes messages on; if it panicked there is nothing left to save.
            let _ = thread.join();
        }
    }
}
