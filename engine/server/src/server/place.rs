//! Where a server stands: on the host, or in a lab that it makes and removes.

use std::net::SocketAddr;

use bywash_xdp::lab::{Lab, LabBuilder, Side};

use super::choose::Place;
use crate::config::Config;
use crate::error::Error;
use crate::os::privileges::After;

/// The command that a person may try when the program names none.
const HINT: &str = "nc {host} {port}";

/// The place, entered.
pub(super) struct Standing {
    lab: Option<Lab>,
}

impl Standing {
    /// Makes the lab, if it is to be one, and moves this thread into its server's end: threads and sockets made
    /// from now on are there.
    pub(super) fn enter(
        place: Place,
        config: &Config,
        shape: impl FnOnce(LabBuilder) -> LabBuilder,
    ) -> Result<Self, Error> {
        let lab = match place {
            Place::Host => None,
            Place::Lab => {
                let lab = shape(Lab::builder(&config.lab_name)).build()?;
                lab.enter(Side::Server)?;
                Some(lab)
            }
        };
        Ok(Self { lab })
    }

    /// What this thread must still be allowed to do at the end.
    pub(super) fn after(&self) -> After {
        match self.lab {
            Some(_) => After::ServeAndRemoveLab,
            None => After::Serve,
        }
    }

    /// For the start-up lines, where there is something to say.
    pub(super) fn line(&self) -> Option<String> {
        let lab = self.lab.as_ref()?;
        let name = lab.name();
        Some(format!("lab: network namespaces {name}-server and {name}-client, removed at the end"))
    }

    /// The line to try next.
    pub(super) fn hint(&self, command: Option<&str>, address: SocketAddr) -> String {
        let command = command
            .unwrap_or(HINT)
            .replace("{address}", &address.to_string())
            .replace("{host}", &address.ip().to_string())
            .replace("{port}", &address.port().to_string());
        match &self.lab {
            Some(lab) => format!("ip netns exec {}-client {command}", lab.name()),
            None => command,
        }
    }

    /// Leaves the place as it was found.
    pub(super) fn leave(self) -> Result<(), Error> {
        self.lab.map_or(Ok(()), |lab| Ok(lab.remove()?))
    }
}
