//! `AF_PACKET` sockets of the relay (packet(7), `linux/if_packet.h`), a batch to a system call.
#![allow(unsafe_code, reason = "AF_PACKET options and recvmmsg/sendmmsg have no safe wrapper")]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::delay_line::{Frame, VLAN_TAG_LEN};

/// Frames per system call.
pub(super) const BATCH: usize = 64;
/// Bytes of frames that wait in the kernel for a lane.
const RECEIVE_BUFFER_LEN: libc::c_int = 32 << 20;
const ETH_P_ALL_BE: u16 = (libc::ETH_P_ALL as u16).to_be();

// linux/if_packet.h; libc has no names for these.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const PACKET_FANOUT_FLAG_IGNORE_OUTGOING: libc::c_int = 0x4000;

/// Receives every frame that arrives on one queue of an interface, and none that leaves.
pub(super) struct PacketReceiver {
    fd: OwnedFd,
    control: Box<[ControlBuffer; BATCH]>,
}

/// One of several receivers of an interface: which, and the group that they form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fanout {
    /// Number of the group, unique in the namespace.
    pub(super) group: u16,
}

/// What came with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole frame.
    Frame {
        /// First byte in its buffer.
        start: usize,
        /// One past its last byte.
        end: usize,
        /// Whether the sender finished the checksum.
        checksum: Checksum,
    },
    /// A frame that did not fit its buffer.
    Oversized,
}

/// The state of the checksum of a received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Finished, or none needed.
    Full,
    /// The sender left it to a device that is not there.
    Partial,
}

impl PacketReceiver {
    /// Opens a receiver in the calling thread's namespace. With a fanout group, the receivers share the interface's
    /// frames by queue: the n-th to join gets queue n.
    pub(super) fn open(interface_index: u32, fanout: Option<Fanout>) -> io::Result<Self> {
        let fd = packet_socket()?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER_LEN)?;
        set_option(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1)?;
        set_option(&fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1)?;
        let membership = libc::packet_mreq {
            mr_ifindex: interface_index as libc::c_int,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)?;
        bind(&fd, interface_index, ETH_P_ALL_BE)?;
        if let Some(Fanout { group }) = fanout {
            let kind = libc::PACKET_FANOUT_QM as libc::c_int | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
            set_option(
                &fd,
                libc::SOL_PACKET,
                libc::PACKET_FANOUT,
                &(libc::c_int::from(group) | (kind << 16)),
            )?;
        }
        Ok(Self { fd, control: Box::new([ControlBuffer([0; CONTROL_LEN]); BATCH]) })
    }

    /// Takes up to [`BATCH`] waiting frames, one into each buffer; answers in the same order. Does not wait.
    pub(super) fn receive(
        &mut self,
        buffers: &mut [Box<[u8]>],
        received: &mut Vec<Received>,
    ) -> io::Result<()> {
        received.clear();
        let count = buffers.len().min(BATCH);
        // SAFETY: `iovec` and `mmsghdr` are plain data for which all zeroes are valid.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for (i, buffer) in buffers.iter_mut().take(count).enumerate() {
            let room = &mut buffer[VLAN_TAG_LEN..];
            vectors[i] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            let header = &mut messages[i].msg_hdr;
            header.msg_iov = &raw mut vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = self.control[i].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN as _;
        }
        // SAFETY: each of the first `count` headers points to a live vector, buffer and control buffer with their true
        // lengths, set just above; all outlive the call.
        let taken = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        for (message, buffer) in messages.iter().take(taken).zip(buffers) {
            received.push(finish_frame(message, buffer));
        }
        Ok(())
    }

    /// Frames that the kernel dropped for this receiver since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the option writes at most `len` bytes of a tpacket_stats, to which the pointer leads.
        let answer = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut len,
            )
        };
        if answer == 0 { u64::from(statistics.tp_drops) } else { 0 }
    }
}

impl AsFd for PacketReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sends whole frames out of one interface.
pub(super) struct PacketSender {
    fd: OwnedFd,
}

impl PacketSender {
    /// Opens a sender in the calling thread's namespace.
    pub(super) fn open(interface_index: u32) -> io::Result<Self> {
        let fd = packet_socket()?;
        // Protocol 0: nothing is received, and the kernel reads the type of each frame from its header.
        bind(&fd, interface_index, 0)?;
        Ok(Self { fd })
    }

    /// Sends frames in order, up to [`BATCH`] of them, and says how many went; an error is about the first.
    pub(super) fn send(&self, frames: &[Frame]) -> io::Result<usize> {
        let count = frames.len().min(BATCH);
        // SAFETY: `iovec` and `mmsghdr` are plain data for which all zeroes are valid.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for (i, frame) in frames.iter().take(count).enumerate() {
            let bytes = frame.bytes();
            vectors[i] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            messages[i].msg_hdr.msg_iov = &raw mut vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each of the first `count` headers points to a live vector and frame with their true lengths; sending
        // only reads them.
        let sent =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Room for one `tpacket_auxdata` in a control message.
const CONTROL_LEN: usize = 64;

/// A control buffer, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct ControlBuffer([u8; CONTROL_LEN]);

/// Reads what the kernel says about a received frame and puts a VLAN tag back that it took off.
fn finish_frame(message: &libc::mmsghdr, buffer: &mut [u8]) -> Received {
    if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
        return Received::Oversized;
    }
    let end = VLAN_TAG_LEN + message.msg_len as usize;
    let Some(auxdata) = auxdata_of(&message.msg_hdr) else {
        return Received::Frame { start: VLAN_TAG_LEN, end, checksum: Checksum::Full };
    };
    let checksum = if auxdata.tp_status & libc::TP_STATUS_CSUMNOTREADY != 0 {
        Checksum::Partial
    } else {
        Checksum::Full
    };
    if auxdata.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return Received::Frame { start: VLAN_TAG_LEN, end, checksum };
    }
    let tpid = if auxdata.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
        auxdata.tp_vlan_tpid
    } else {
        libc::ETH_P_8021Q as u16
    };
    buffer.copy_within(VLAN_TAG_LEN..VLAN_TAG_LEN + 12, 0);
    buffer[12..14].copy_from_slice(&tpid.to_be_bytes());
    buffer[14..16].copy_from_slice(&auxdata.tp_vlan_tci.to_be_bytes());
    Received::Frame { start: 0, end, checksum }
}

fn auxdata_of(header: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: the kernel filled `msg_control` up to `msg_controllen`, and the control buffers are aligned for cmsghdr;
    // CMSG_FIRSTHDR answers null when there is no room for a header, and the length is checked before the data is read.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null()
            || (*control).cmsg_level != libc::SOL_PACKET
            || (*control).cmsg_type != libc::PACKET_AUXDATA
            || ((*control).cmsg_len as usize)
                < libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as u32) as usize
        {
            return None;
        }
        Some(libc::CMSG_DATA(control).cast::<libc::tpacket_auxdata>().read_unaligned())
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    // Protocol 0: nothing arrives before `bind` names an interface.
    // SAFETY: no pointers are involved; the descriptor is checked and owned by nobody else.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn bind(fd: &OwnedFd, interface_index: u32, protocol_be: u16) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data for which all zeroes are valid.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol_be;
    address.sll_ifindex = interface_index as libc::c_int;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer leads to a live sockaddr_ll of this length.
    let answer = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set_option<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer leads to `len` live bytes of plain data (every caller passes an integer or a packet_mreq).
    let answer = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, ptr::from_ref(value).cast(), len) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
