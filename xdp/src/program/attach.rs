//! Attaching: native mode, native with frames of several buffers, or generic mode.

use std::{
    thread,
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    programs::{ProgramError, Xdp, XdpMode, links::FdLink, xdp::XdpLinkId},
    util::KernelVersion,
};

use super::{chain, is_permission, join, program_error};
use crate::{Error, Result, nic::Interface};

/// Largest MTU of a native program that takes single-buffer frames only, on drivers that give each frame one 4096-byte
/// page, as veth does: the page less headroom, Ethernet header and the kernel's bookkeeping.
const NATIVE_MTU_MAX: u32 = 3506;

/// How long an attach is repeated while the last owner's program is still being removed.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Where the program is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Native if the driver can, else generic.
    #[default]
    Auto,
    /// In the driver, before the kernel allocates anything.
    Native,
    /// In the kernel's general receive path: any interface, but slower, and on veth always queue 0.
    Generic,
}

/// Where the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// In the driver.
    Native {
        /// Which variant of the program the driver took.
        fragments: Fragments,
    },
    /// In the kernel's general receive path.
    Generic {
        /// Why not native: the driver's answer, or `None` when generic was asked for.
        why_not_native: Option<String>,
    },
}

/// Whether the program declares that frames may span several buffers (`BPF_F_XDP_HAS_FRAGS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// It does not: the variant for ordinary MTUs.
    Unsupported,
    /// It does: the driver took it because the MTU needs more than one page.
    Supported,
}

/// A program attached to an interface; dropping it detaches.
#[derive(Debug)]
pub struct Attachment {
    interface: String,
    mode: AttachedMode,
    _link: FdLink,
}

impl Attachment {
    /// The interface's name.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The mode in use.
    pub fn mode(&self) -> &AttachedMode {
        &self.mode
    }
}

pub(super) fn attach(ebpf: &mut Ebpf, name: &str, mode: Mode) -> Result<Attachment> {
    let interface = Interface::by_name(name)?;
    // Before 5.9 there is no link for XDP, and a program attached without one outlives a crash.
    if KernelVersion::current().is_ok_and(|version| version < KernelVersion::new(5, 9, 0)) {
        let reason = "this needs Linux 5.9, for a program that ends with its process".to_owned();
        return Err(Error::Program { what: "attaching", reason });
    }
    let (link, mode) = match mode {
        Mode::Generic => generic(ebpf, &interface, None)?,
        Mode::Native => match native(ebpf, &interface)? {
            Ok(attached) => attached,
            Err(error) => return Err(native_error(&interface, &error)),
        },
        Mode::Auto => match native(ebpf, &interface)? {
            Ok(attached) => attached,
            Err(error) => generic(ebpf, &interface, Some(join(&error)))?,
        },
    };
    Ok(Attachment { interface: name.to_owned(), mode, _link: link })
}

type Attached = (FdLink, AttachedMode);

/// Tries both variants; the inner error is the driver's, which generic mode may heal.
fn native(ebpf: &mut Ebpf, interface: &Interface) -> Result<std::result::Result<Attached, ProgramError>> {
    let mut refused = None;
    for fragments in [Fragments::Unsupported, Fragments::Supported] {
        match link(ebpf, interface, fragments, XdpMode::Driver)? {
            Ok(link) => return Ok(Ok((link, AttachedMode::Native { fragments }))),
            // The first answer says what is wrong; the second only that fragments do not mend it.
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    Ok(Err(refused.expect("two attempts were refused")))
}

fn generic(ebpf: &mut Ebpf, interface: &Interface, why_not_native: Option<String>) -> Result<Attached> {
    match link(ebpf, interface, Fragments::Unsupported, XdpMode::Skb)? {
        Ok(link) => Ok((link, AttachedMode::Generic { why_not_native })),
        Err(error) => Err(Error::Program { what: "attaching in generic mode", reason: join(&error) }),
    }
}

/// Loads the variant if it is not loaded yet, and attaches it.
fn link(
    ebpf: &mut Ebpf,
    interface: &Interface,
    fragments: Fragments,
    mode: XdpMode,
) -> Result<std::result::Result<FdLink, ProgramError>> {
    let program = variant(ebpf, fragments)?;
    match attach_patiently(program, interface, mode) {
        Ok(id) => {
            let link = program.take_link(id).map_err(|error| program_error("attaching", &error))?;
            FdLink::try_from(link)
                .map(Ok)
                .map_err(|error| Error::Program { what: "attaching", reason: join(&error) })
        }
        Err(error) => {
            let errnos = chain(&error);
            if is_busy(&errnos) {
                return Err(Error::ProgramBusy { interface: interface.name().to_owned() });
            }
            if is_permission(&errnos) {
                return Err(Error::NotPermitted {
                    what: "attaching a BPF program",
                    missing: "CAP_NET_ADMIN",
                });
            }
            Ok(Err(error))
        }
    }
}

/// Attaches, repeating EBUSY: the kernel removes a closed link some time after its process ended.
fn attach_patiently(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
) -> std::result::Result<XdpLinkId, ProgramError> {
    let start = Instant::now();
    loop {
        match program.attach_to_if_index(interface.index(), mode) {
            Err(error) if is_busy(&chain(&error)) && start.elapsed() < BUSY_WAIT_MAX => {
                thread::sleep(BUSY_PAUSE);
            }
            answer => return answer,
        }
    }
}

/// EEXIST: the other program runs in the other mode.
fn is_busy(errnos: &[i32]) -> bool {
    errnos.contains(&libc::EBUSY) || errnos.contains(&libc::EEXIST)
}

/// The loaded program of a variant.
pub(super) fn variant(ebpf: &mut Ebpf, fragments: Fragments) -> Result<&mut Xdp> {
    let name = match fragments {
        Fragments::Unsupported => "bywash",
        Fragments::Supported => "bywash_frags",
    };
    let missing =
        || Error::Program { what: "looking for the program", reason: format!("the object has no {name}") };
    let program: &mut Xdp = ebpf
        .program_mut(name)
        .ok_or_else(missing)?
        .try_into()
        .map_err(|error: ProgramError| program_error("looking for the program", &error))?;
    match program.load() {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(program),
        Err(error) => Err(program_error("loading the program", &error)),
    }
}

fn native_error(interface: &Interface, error: &ProgramError) -> Error {
    match interface.mtu() {
        Ok(mtu) if mtu > NATIVE_MTU_MAX => Error::MtuTooLarge {
            interface: interface.name().to_owned(),
            mtu,
            max: NATIVE_MTU_MAX,
            mode: "native mode".to_owned(),
        },
        Ok(_) | Err(_) => Error::Program { what: "attaching in native mode", reason: join(error) },
    }
}
