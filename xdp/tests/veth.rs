//! Real `AF_XDP` sockets on a veth pair, with the kernel's UDP and TCP at the other end. Needs root.

mod support;

use std::{
    io,
    net::{Ipv4Addr, TcpStream, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use bywash_xdp::{
    Blame, Error,
    nic::{Interface, MacAddress, Offload, Queues, Switch},
    program::{AttachedMode, Fragments, Mode, Program},
    socket::{
        ChecksumOffload, ChecksumPolicy, CopyMode, Receiver, Socket, SocketConfig, Transmitter, TxChecksum,
        ZeroCopy,
    },
    umem::FrameSize,
};
use support::{CLIENT, Pair, STACK, is_root};

const PORT: u16 = 7000;
/// UDP behind Ethernet and IPv4 without options.
const UDP_PARTIAL: TxChecksum = TxChecksum::Partial { start: 34, offset: 6 };

/// How a reflection is set up, and what the kernel's end sends.
#[derive(Clone, Copy)]
struct Reflection {
    mode: Mode,
    frame_size: FrameSize,
    policy: ChecksumPolicy,
    client_offload: Switch,
    checksum: TxChecksum,
    datagrams: u32,
    length: usize,
}

const PLAIN: Reflection = Reflection {
    mode: Mode::Native,
    frame_size: FrameSize::Two,
    policy: ChecksumPolicy::Offload,
    client_offload: Switch::Off,
    checksum: TxChecksum::Complete,
    datagrams: 5000,
    length: 64,
};

/// Sets up a reflector, sends datagrams through it and checks that each came back whole and no frame was lost.
fn reflect(pair: &Pair, reflection: Reflection) {
    let Reflection { frame_size, policy, client_offload, checksum, datagrams, length, .. } = reflection;
    let (mut program, socket) = pair.stack.run(|| {
        let interface = Interface::by_name("v0").unwrap();
        let config = SocketConfig { frame_size, checksum: policy, ..SocketConfig::new(interface.index(), 0) };
        interface.check_mtu(&config).unwrap();
        interface.check_served(1).unwrap();
        let mut program = Program::load().unwrap();
        program.attach("v0", reflection.mode).unwrap();
        let socket = Socket::open(&config).unwrap();
        (program, socket)
    });
    check_setup(&program, &socket, reflection);
    program.own(STACK.parse().unwrap()).unwrap();
    program.add_socket(0, &socket).unwrap();
    let udp = pair.client.run(|| {
        let interface = Interface::by_name("v1").unwrap();
        interface.set_offload(Offload::TxChecksum, client_offload).unwrap();
        assert_eq!(interface.offload(Offload::TxChecksum).unwrap(), client_offload);
        UdpSocket::bind((CLIENT, PORT)).unwrap()
    });
    let (mut receiver, mut transmitter) = socket.split();
    let back = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| exchange(&udp, datagrams, length, &back));
        let deadline = Instant::now() + Duration::from_secs(30);
        while back.load(Ordering::Relaxed) < datagrams && Instant::now() < deadline {
            turn(&mut receiver, &mut transmitter, checksum);
        }
    });
    assert_eq!(back.into_inner(), datagrams, "{} {:?}", program.counters().unwrap(), receiver.statistics());
    check_end(&program, &receiver, &mut transmitter, reflection);
}

fn check_setup(program: &Program, socket: &Socket, reflection: Reflection) {
    let setup = socket.setup();
    match &setup.copy_mode {
        CopyMode::Copy { why_not_zero_copy: Some(reason) } => {
            assert_eq!(reason.kind(), io::ErrorKind::Unsupported, "{reason}");
        }
        mode => panic!("veth has no zero-copy, and yet: {mode:?}"),
    }
    let expected = match reflection.policy {
        ChecksumPolicy::Offload => ChecksumOffload::Device,
        ChecksumPolicy::Software => ChecksumOffload::Software,
    };
    assert_eq!(setup.checksum, expected);
    let expected = match (reflection.mode, reflection.frame_size) {
        (Mode::Native, FrameSize::Two) => AttachedMode::Native { fragments: Fragments::Unsupported },
        (Mode::Native | Mode::Auto, _) => AttachedMode::Native { fragments: Fragments::Supported },
        (Mode::Generic, _) => AttachedMode::Generic { why_not_native: None },
    };
    assert_eq!(program.attachment().unwrap().mode(), &expected);
}

fn check_end(program: &Program, receiver: &Receiver, transmitter: &mut Transmitter, reflection: Reflection) {
    let packets = u64::from(reflection.datagrams);
    assert_eq!(program.counters().unwrap().redirect_owned_other, packets);
    assert_eq!(receiver.counters().packets, packets);
    assert_eq!(transmitter.counters().reflected, packets);
    let software = match (reflection.checksum, reflection.policy) {
        (TxChecksum::Partial { .. }, ChecksumPolicy::Software) => packets,
        (TxChecksum::Partial { .. }, ChecksumPolicy::Offload) | (TxChecksum::Complete, _) => 0,
    };
    assert_eq!(transmitter.counters().software_checksums, software);
    let statistics = receiver.statistics().unwrap();
    assert_eq!((statistics.rx_dropped, statistics.tx_invalid_descs, statistics.rx_invalid_descs), (0, 0, 0));
    transmitter.reclaim();
    assert_eq!(receiver.frames().fill_ring, receiver.frames_total(), "{:?}", receiver.frames());
    assert_eq!(transmitter.frames().free, transmitter.frames_total(), "{:?}", transmitter.frames());
}

/// The kernel's part: windows of 32 datagrams, each expected back with the same bytes.
fn exchange(udp: &UdpSocket, datagrams: u32, length: usize, back: &AtomicU32) {
    udp.connect((STACK, PORT)).unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut sent, mut buffer) = (0, vec![0; length + 1]);
    while sent < datagrams {
        let window = sent..datagrams.min(sent + 32);
        for number in window.clone() {
            udp.send(&datagram(number, length)).unwrap();
        }
        for number in window {
            let received = match udp.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) => panic!("datagram {number} did not come back: {error}"),
            };
            assert_eq!(buffer[..received], datagram(number, length));
            back.fetch_add(1, Ordering::Relaxed);
            sent += 1;
        }
    }
}

fn datagram(number: u32, length: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn turn(receiver: &mut Receiver, transmitter: &mut Transmitter, checksum: TxChecksum) {
    transmitter.reclaim();
    let mut burst = receiver.receive(64);
    let is_idle = burst.is_empty();
    for index in 0..burst.len() {
        let packet = burst.bytes_mut(index);
        let length = packet.len();
        // MAC and IPv4 addresses change places; the port is the same at both ends.
        let (destination, source) = packet[..12].split_at_mut(6);
        destination.swap_with_slice(source);
        let (source, destination) = packet[26..34].split_at_mut(4);
        source.swap_with_slice(destination);
        transmitter.reflect(&mut burst, index, length, checksum).unwrap();
    }
    drop(burst);
    while transmitter.flush().remaining > 0 {}
    assert_eq!(receiver.frames().total(), receiver.frames_total());
    assert_eq!(transmitter.frames().total(), transmitter.frames_total());
    if is_idle {
        receiver.wait(Some(Duration::from_millis(10))).unwrap();
    }
}

#[test]
fn frames_go_round_in_native_copy_mode() {
    if is_root() {
        reflect(&Pair::new(1), PLAIN);
    }
}

#[test]
fn frames_go_round_in_generic_mode() {
    if is_root() {
        reflect(&Pair::new(1), Reflection { mode: Mode::Generic, ..PLAIN });
    }
}

/// The client's offload is on, so the frames carry only the pseudo-header's sum and somebody must complete it.
#[test]
fn partial_checksums_are_completed_by_the_device() {
    if is_root() {
        let partial =
            Reflection { client_offload: Switch::On, checksum: UDP_PARTIAL, datagrams: 500, ..PLAIN };
        reflect(&Pair::new(1), partial);
    }
}

#[test]
fn partial_checksums_are_completed_in_software() {
    if is_root() {
        let partial =
            Reflection { client_offload: Switch::On, checksum: UDP_PARTIAL, datagrams: 500, ..PLAIN };
        reflect(&Pair::new(1), Reflection { policy: ChecksumPolicy::Software, length: 61, ..partial });
    }
}

#[test]
fn an_mtu_beyond_a_page_takes_the_variant_for_fragments() {
    if is_root() {
        let pair = Pair::new(1);
        pair.set_mtu(3700);
        reflect(&pair, Reflection { frame_size: FrameSize::Four, datagrams: 500, length: 3600, ..PLAIN });
    }
}

#[test]
fn a_second_owner_of_queue_or_program_is_refused() {
    if !is_root() {
        return;
    }
    let pair = Pair::new(2);
    pair.stack.run(|| {
        let interface = Interface::by_name("v0").unwrap();
        let config = SocketConfig::new(interface.index(), 1);
        let first = Socket::open(&config).unwrap();
        let error = Socket::open(&config).unwrap_err();
        assert_eq!(error.blame(), Blame::Resource);
        assert!(matches!(error, Error::QueueBusy { queue: 1, .. }), "{error}");
        // The other queue is free, and this one after its owner ended.
        let _other = Socket::open(&SocketConfig { queue: 0, ..config }).unwrap();
        drop(first);
        let _again = Socket::open(&config).unwrap();

        let mut one = Program::load().unwrap();
        let mut two = Program::load().unwrap();
        one.attach("v0", Mode::Auto).unwrap();
        for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
            assert!(matches!(two.attach("v0", mode), Err(Error::ProgramBusy { .. })), "{mode:?}");
        }
        one.detach();
        two.attach("v0", Mode::Generic).unwrap();
    });
}

#[test]
fn what_does_not_fit_the_interface_is_refused_with_the_fix() {
    if !is_root() {
        return;
    }
    let pair = Pair::new(2);
    pair.set_mtu(3800);
    pair.stack.run(|| {
        let interface = Interface::by_name("v0").unwrap();
        assert_eq!(interface.driver().unwrap(), "veth");
        assert_eq!(interface.queues().unwrap(), Queues { receive: 2, transmit: 2 });
        assert_eq!(interface.mac().unwrap(), MacAddress([2, 0, 0, 0, 0, 1]));
        assert_eq!(interface.mtu().unwrap(), 3800);
        let config = SocketConfig::new(interface.index(), 0);

        let error = Socket::open(&SocketConfig { queue: 2, ..config }).unwrap_err();
        assert!(matches!(error, Error::QueueOutOfRange { queue: 2, queues: 2, .. }), "{error}");
        assert_eq!(error.blame(), Blame::Misuse);
        let error = Socket::open(&SocketConfig { zero_copy: ZeroCopy::Required, ..config }).unwrap_err();
        assert!(matches!(error, Error::ZeroCopyRefused { .. }), "{error}");
        let error = interface.check_served(1).unwrap_err();
        assert!(error.to_string().contains("ethtool -L v0 rx 1"), "{error}");
        interface.check_served(2).unwrap();
        let error = interface.check_mtu(&config).unwrap_err();
        assert!(error.to_string().contains("ip link set v0 mtu 1770"), "{error}");
        interface.check_mtu(&SocketConfig { frame_size: FrameSize::Four, ..config }).unwrap();
        let error = Socket::open(&SocketConfig::new(9999, 0)).unwrap_err();
        assert!(matches!(error, Error::NoSuchInterface { .. }), "{error}");
    });
    let addresses = pair.client.run(|| Interface::by_name("v1").unwrap().addresses().unwrap());
    assert!(addresses.contains(&CLIENT.parse::<Ipv4Addr>().unwrap().into()), "{addresses:?}");
}

#[test]
fn without_a_socket_the_kernel_sees_nothing_of_ours_and_the_rest_passes() {
    if !is_root() {
        return;
    }
    let pair = Pair::new(1);
    let program = pair.stack.run(|| {
        let mut program = Program::load().unwrap();
        program.attach("v0", Mode::Auto).unwrap();
        program.own(STACK.parse().unwrap()).unwrap();
        program
    });
    let timeout = Duration::from_millis(300);
    let answer = pair
        .client
        .run(|| TcpStream::connect_timeout(&(STACK.parse::<Ipv4Addr>().unwrap(), 80).into(), timeout));
    // The kernel's TCP would have answered with a reset.
    assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(program.counters().unwrap().drop_no_socket >= 1);
    assert!(pair.stack.link("v0").contains("prog/xdp"));
    drop(program);
    // The kernel removes a closed link a moment later.
    let deadline = Instant::now() + Duration::from_secs(5);
    while pair.stack.link("v0").contains("prog/xdp") {
        assert!(Instant::now() < deadline, "the program outlived its owner");
    }
}
