//! Asking for privileges before they are needed, and giving them up when they no longer are.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::error::Error;

/// What `AF_XDP` needs at set-up.
const XDP: [(CapabilitySet, &str); 3] = [
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
    (CapabilitySet::BPF, "CAP_BPF"),
];

/// What removing a lab needs: entering and unmounting its namespaces, and removing its links.
const LAB: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::NET_ADMIN);

/// What a process still has to do after set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing that needs a privilege.
    Serve,
    /// It removes its lab at the end.
    ServeAndRemoveLab,
}

/// The capabilities that `AF_XDP` needs and this thread lacks, by name; empty when it has all.
///
/// # Errors
/// [`Error::Os`].
pub fn missing_for_xdp() -> Result<Vec<&'static str>, Error> {
    let effective =
        capabilities(None).map_err(Error::os("cannot ask for the process's capabilities"))?.effective;
    Ok(XDP.iter().filter(|(capability, _)| !effective.contains(*capability)).map(|(_, name)| *name).collect())
}

/// Gives up every capability that is not needed any more, for this thread and those that it starts. Programs that
/// it runs cannot get them back.
///
/// # Errors
/// [`Error::Os`].
pub fn drop_unneeded(after: After) -> Result<(), Error> {
    let keep = match after {
        After::Serve => CapabilitySet::empty(),
        After::ServeAndRemoveLab => LAB,
    };
    let now = capabilities(None).map_err(Error::os("cannot ask for the process's capabilities"))?;
    let sets = CapabilitySets {
        effective: now.effective & keep,
        permitted: now.permitted & keep,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(Error::os("cannot give up capabilities"))?;
    set_no_new_privs(true).map_err(Error::os("cannot give up gaining privileges"))
}

/// The same for a helper thread that needs none; if the kernel refuses, the thread does its work all the same.
pub(crate) fn drop_in_helper() {
    drop(drop_unneeded(After::Serve));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_stays_away() {
        // Capabilities belong to a thread: this one ends with the test.
        std::thread::spawn(|| {
            drop_unneeded(After::ServeAndRemoveLab).unwrap();
            assert!(capabilities(None).unwrap().permitted.difference(LAB).is_empty());
            drop_unneeded(After::Serve).unwrap();
            assert!(capabilities(None).unwrap().permitted.is_empty());
            assert_eq!(missing_for_xdp().unwrap().len(), XDP.len());
        })
        .join()
        .unwrap();
    }
}
