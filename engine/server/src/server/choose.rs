//! Which backend serves, and why not the better one.

#[cfg(test)]
mod tests;

use crate::config::{AddressKind, BackendChoice, Config, ConfigError, LabChoice};
use crate::error::Error;

/// What the machine and the privileges allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// Capabilities that `AF_XDP` needs and the process lacks.
    pub(super) missing: Vec<&'static str>,
    /// Whether the kernel has `AF_XDP`.
    pub(super) af_xdp: AfXdp,
}

/// Whether the kernel knows the socket family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfXdp {
    Present,
    Absent,
}

/// Where frames come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A lab that the process makes.
    Lab,
    /// The host's own interfaces.
    Host,
}

/// What serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// `AF_XDP`.
    Xdp(Place),
    /// The kernel's TCP, and why not `AF_XDP`.
    Mio(Place, String),
}

/// Chooses, by configuration and circumstances alone.
pub(super) fn choose(config: &Config, now: &Circumstances) -> Result<Choice, Error> {
    let named = config.interface.is_some() || !config.address.is_empty();
    let place = match config.lab {
        LabChoice::On => Place::Lab,
        LabChoice::Auto if !named => Place::Lab,
        LabChoice::Auto | LabChoice::Off => Place::Host,
    };
    // Only an explicit wish puts the kernel's TCP into a lab.
    let mio_place = if config.lab == LabChoice::On { Place::Lab } else { Place::Host };
    let obstacle = obstacle(config, now, place);
    match (config.backend, obstacle) {
        (BackendChoice::Mio, _) => Ok(Choice::Mio(mio_place, "backend mio was asked for".to_owned())),
        (BackendChoice::Xdp, Some(obstacle)) => Err(obstacle.into_error(now)),
        (BackendChoice::Auto, Some(obstacle)) => Ok(Choice::Mio(mio_place, obstacle.reason(now))),
        (BackendChoice::Xdp | BackendChoice::Auto, None) => Ok(Choice::Xdp(place)),
    }
}

/// Why `AF_XDP` cannot serve.
#[derive(Clone, Copy)]
enum Obstacle {
    Kernel,
    Privileges,
    NoInterface,
    NoAddress,
}

fn obstacle(config: &Config, now: &Circumstances, place: Place) -> Option<Obstacle> {
    if now.af_xdp == AfXdp::Absent {
        return Some(Obstacle::Kernel);
    }
    if !now.missing.is_empty() {
        return Some(Obstacle::Privileges);
    }
    match (place, config.interface.is_some(), config.address_kind) {
        (Place::Host, false, _) => Some(Obstacle::NoInterface),
        (Place::Host, true, AddressKind::Owned) if config.address.is_empty() => Some(Obstacle::NoAddress),
        (Place::Lab | Place::Host, ..) => None,
    }
}

impl Obstacle {
    fn into_error(self, now: &Circumstances) -> Error {
        match self {
            Self::Kernel => Error::NoAfXdp,
            Self::Privileges => Error::NoPrivileges { missing: now.missing.join(", ") },
            Self::NoInterface => Error::Config(ConfigError::Needs {
                key: "backend",
                needs: "interface",
                why: "AF_XDP serves on one interface; or say --lab on",
            }),
            Self::NoAddress => Error::Config(ConfigError::Needs {
                key: "interface",
                needs: "address",
                why: "an owned address must be one that nobody else on the network has; or say --address-kind shared",
            }),
        }
    }

    fn reason(self, now: &Circumstances) -> String {
        match self {
            Self::Kernel => "this kernel has no AF_XDP".to_owned(),
            Self::Privileges => format!("AF_XDP needs root or {}", now.missing.join(", ")),
            Self::NoInterface => "AF_XDP needs --interface".to_owned(),
            Self::NoAddress => "AF_XDP needs --address for an owned address".to_owned(),
        }
    }
}
