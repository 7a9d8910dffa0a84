//! Both halves over plain memory: the test plays the kernel at the other end of the rings. The socket is one end of a
//! socket pair, at whose other end wake-ups are seen.

use rustix::{
    io::Errno,
    net::{RecvFlags, SocketFlags, recv, socketpair},
};

use super::*;
use crate::{
    abi::{Descriptor, TX_METADATA_LEN, XDP_PKT_CONTD, XDP_TX_METADATA, XskTxMetadata},
    ring::{Wakeup, pair},
    umem::FrameSize,
};

const RX_FRAMES: u32 = 8;
const TX_FRAMES: u32 = 6;

/// The kernel's ends of the four rings.
struct Kernel {
    fill: Consumer<u64>,
    rx: Producer<Descriptor>,
    tx: Consumer<Descriptor>,
    completion: Producer<u64>,
    device: OwnedFd,
    umem: Arc<Umem>,
    /// Frames taken from the fill ring and not yet filled.
    empty: Vec<u64>,
    /// Frames taken from the tx ring and not yet completed.
    sending: Vec<u64>,
}

struct World {
    kernel: Kernel,
    receiver: Receiver,
    transmitter: Transmitter,
}

#[derive(Clone, Copy)]
struct Sizes {
    fill: u32,
    tx: u32,
    start: u32,
    checksum: ChecksumOffload,
}

const SIZES: Sizes = Sizes { fill: 16, tx: 8, start: u32::MAX - 3, checksum: ChecksumOffload::Device };

fn world(sizes: Sizes) -> World {
    let Sizes { fill, tx, start, checksum } = sizes;
    let config = SocketConfig { burst_max: 4, ..SocketConfig::new(1, 0) };
    let (umem, mut rx_frames) = Umem::new(FrameSize::Two, RX_FRAMES + TX_FRAMES).unwrap();
    let tx_frames = rx_frames.split_off(RX_FRAMES as usize);
    let (fd, device) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let shared = Arc::new(Shared { fd, umem: Arc::clone(&umem) });
    let (fill, kernel_fill) = pair(fill, start);
    let (kernel_rx, rx) = pair(8, start);
    let (tx, kernel_tx) = pair(tx, start);
    let (kernel_completion, completion) = pair(8, start);
    let kernel = Kernel {
        fill: kernel_fill,
        rx: kernel_rx,
        tx: kernel_tx,
        completion: kernel_completion,
        device,
        umem,
        empty: Vec::new(),
        sending: Vec::new(),
    };
    let receiver = Receiver::new(Arc::clone(&shared), fill, rx, rx_frames, config.burst_max);
    let transmitter = Transmitter::new(shared, tx, completion, tx_frames, &config, checksum);
    let world = World { kernel, receiver, transmitter };
    world.check();
    world
}

impl World {
    /// Every frame has an owner, at any time.
    fn check(&self) {
        assert_eq!(self.receiver.frames().total(), RX_FRAMES, "{:?}", self.receiver.frames());
        assert_eq!(self.transmitter.frames().total(), TX_FRAMES, "{:?}", self.transmitter.frames());
    }
}

impl Kernel {
    fn take_fill(&mut self, count: usize) {
        for _ in 0..count {
            self.empty.push(self.fill.take().expect("the fill ring has a frame"));
        }
        self.fill.release();
    }

    /// Puts a packet of `length` times `byte` into the rx ring, at the usual headroom.
    fn deliver(&mut self, byte: u8, length: u32, options: u32) {
        let address = self.empty.pop().expect("a frame was taken from the fill ring") + 256;
        self.write(address, &vec![byte; length as usize]);
        self.rx.stage(Descriptor { addr: address, len: length, options }).unwrap();
        self.rx.publish();
    }

    fn take_tx(&mut self) -> Descriptor {
        let descriptor = self.tx.take().expect("the tx ring has a packet");
        self.tx.release();
        self.sending.push(descriptor.addr);
        descriptor
    }

    fn complete(&mut self) {
        for address in self.sending.drain(..) {
            self.completion.stage(address).unwrap();
        }
        self.completion.publish();
    }

    /// Reaches frame memory as the device does, past the handles, through a ledger of its own.
    fn write(&self, address: u64, bytes: &[u8]) {
        self.with_frame(address, |umem, frame, at| {
            umem.bytes_mut(frame, at..at + bytes.len()).copy_from_slice(bytes);
        });
    }

    fn read(&self, address: u64, length: usize) -> Vec<u8> {
        self.with_frame(address, |umem, frame, at| umem.bytes(frame, at..at + length).to_vec())
    }

    fn with_frame<T>(
        &self,
        address: u64,
        use_it: impl FnOnce(&Umem, &mut crate::umem::Frame, usize) -> T,
    ) -> T {
        let (mut frame, offset) = self.umem.device_frame(address);
        let answer = use_it(&self.umem, &mut frame, offset as usize);
        let mut list = FrameList::default();
        list.push(frame);
        answer
    }

    fn wakeups(&self) -> u32 {
        let mut seen = 0;
        loop {
            match recv(&self.device, &mut [0_u8; 8][..], RecvFlags::DONTWAIT) {
                Ok(_) => seen += 1,
                Err(Errno::AGAIN) => return seen,
                Err(errno) => panic!("{errno}"),
            }
        }
    }
}

#[test]
fn received_frames_go_round() {
    let mut world = world(SIZES);
    assert_eq!(world.receiver.frames().fill_ring, RX_FRAMES);
    for turn in 0..20_u8 {
        let World { kernel, receiver, .. } = &mut world;
        kernel.take_fill(5);
        assert_eq!(receiver.frames().kernel, 5);
        for packet in 0..5 {
            kernel.deliver(turn + packet, 60 + u32::from(packet), 0);
        }
        assert_eq!(receiver.frames(), ReceiveFrames { fill_ring: 3, rx_ring: 5, ..ReceiveFrames::default() });
        let mut burst = receiver.receive(64);
        assert_eq!(burst.len(), 4, "burst_max");
        assert_eq!(burst.bytes(3), vec![turn + 3; 63]);
        burst.bytes_mut(3)[0] = 99;
        assert_eq!((burst.bytes(3)[0], burst.bytes(3)[1]), (99, turn + 3));
        drop(burst);
        world.check();
        let World { receiver, .. } = &mut world;
        assert_eq!(receiver.receive(1).bytes(0), vec![turn + 4; 64]);
        assert!(receiver.receive(1).is_empty());
        assert_eq!(receiver.frames().fill_ring, RX_FRAMES);
        world.check();
    }
    let counters = world.receiver.counters();
    assert_eq!((counters.packets, counters.bursts, counters.wakeups), (100, 40, 0));
}

#[test]
fn a_burst_that_is_forgotten_is_given_back_by_the_next() {
    let mut world = world(SIZES);
    world.kernel.take_fill(2);
    world.kernel.deliver(1, 60, 0);
    world.kernel.deliver(2, 60, 0);
    std::mem::forget(world.receiver.receive(1));
    world.check();
    assert_eq!(world.receiver.frames().burst, 1);
    assert_eq!(world.receiver.receive(64).bytes(0), [2; 60]);
    assert_eq!(world.receiver.frames().fill_ring, RX_FRAMES);
    world.check();
}

#[test]
fn frames_that_find_the_fill_ring_full_wait() {
    let mut world = world(Sizes { fill: 8, ..SIZES });
    // The kernel publishes the packet before it gives up the fill entry.
    let address = world.kernel.fill.take().unwrap();
    world.kernel.rx.stage(Descriptor { addr: address + 256, len: 60, options: 0 }).unwrap();
    world.kernel.rx.publish();
    assert_eq!(
        world.receiver.frames(),
        ReceiveFrames { fill_ring: 7, rx_ring: 1, ..ReceiveFrames::default() }
    );
    drop(world.receiver.receive(1));
    assert_eq!(world.receiver.frames().spare, 1);
    assert_eq!(world.receiver.counters().fill_ring_full, 1);
    world.check();
    world.kernel.fill.release();
    assert!(world.receiver.receive(1).is_empty());
    assert_eq!(world.receiver.frames().fill_ring, RX_FRAMES);
    world.check();
}

#[test]
fn packets_of_several_buffers_are_dropped_whole() {
    let mut world = world(SIZES);
    world.kernel.take_fill(5);
    world.kernel.deliver(1, 60, 0);
    world.kernel.deliver(2, 1500, XDP_PKT_CONTD);
    world.kernel.deliver(3, 1500, XDP_PKT_CONTD);
    world.kernel.deliver(4, 100, 0);
    world.kernel.deliver(5, 60, 0);
    let burst = world.receiver.receive(4);
    assert_eq!((burst.len(), burst.bytes(0)), (1, &[1; 60][..]));
    drop(burst);
    world.check();
    assert_eq!(world.receiver.receive(4).bytes(0), [5; 60]);
    assert_eq!(world.receiver.counters().multi_buffer_dropped, 1);
    assert_eq!(world.receiver.frames().fill_ring, RX_FRAMES);
}

#[test]
fn descriptors_that_make_no_sense_are_counted() {
    let mut world = world(SIZES);
    world.kernel.take_fill(1);
    let address = world.kernel.empty.pop().unwrap();
    let good = Descriptor { addr: address + 256, len: 60, options: 0 };
    let beyond_frame = Descriptor { len: 1793, ..good };
    // A frame of the other half, one beyond the memory, one received twice, one that leaves its frame.
    for descriptor in [Descriptor { addr: 0, ..good }, Descriptor { addr: 1 << 40, ..good }, good, good] {
        world.kernel.rx.stage(descriptor).unwrap();
    }
    world.kernel.rx.publish();
    assert_eq!(world.receiver.receive(64).len(), 1);
    assert_eq!(world.receiver.counters().invalid_descriptors, 3);
    world.check();
    world.kernel.take_fill(8);
    let address = world.kernel.empty.pop().unwrap();
    world.kernel.rx.stage(Descriptor { addr: address + 256, ..beyond_frame }).unwrap();
    world.kernel.rx.publish();
    assert!(world.receiver.receive(64).is_empty());
    assert_eq!(world.receiver.counters().invalid_descriptors, 4);
    world.check();
}

#[test]
fn the_fill_ring_is_woken_only_when_it_asks_and_nothing_came() {
    let mut world = world(SIZES);
    assert!(world.receiver.receive(1).is_empty());
    world.kernel.fill.set_wakeup(Wakeup::Asked);
    world.kernel.take_fill(1);
    world.kernel.deliver(1, 60, 0);
    assert_eq!(world.receiver.receive(1).len(), 1);
    assert_eq!(world.receiver.counters().wakeups, 0);
    assert!(world.receiver.receive(1).is_empty());
    assert_eq!(world.receiver.counters().wakeups, 1);
}

#[test]
fn transmitted_frames_go_round() {
    let mut world = world(SIZES);
    world.kernel.tx.set_wakeup(Wakeup::Asked);
    for turn in 0..20_u8 {
        let World { kernel, transmitter, .. } = &mut world;
        for packet in 0..4 {
            let mut frame = transmitter.reserve().unwrap();
            frame[..60].fill(turn + packet);
            frame.commit(60, TxChecksum::Complete);
        }
        assert_eq!(transmitter.frames().staged, 4);
        drop(transmitter.reserve().unwrap());
        assert_eq!(transmitter.flush(), Flush { published: 4, remaining: 4, wake: Wake::Woken });
        assert_eq!(transmitter.frames().tx_ring, 4);
        assert_eq!(kernel.wakeups(), 1);
        for packet in 0..4 {
            let Descriptor { addr, len, options } = kernel.take_tx();
            assert_eq!((len, options), (60, 0));
            assert_eq!(kernel.read(addr, 60), [turn + packet; 60]);
        }
        assert_eq!(transmitter.frames(), TransmitFrames { free: 2, kernel: 4, ..TransmitFrames::default() });
        // Nothing is left for the device, so nobody is woken.
        assert_eq!(transmitter.flush(), Flush { published: 0, remaining: 0, wake: Wake::NotNeeded });
        kernel.complete();
        assert_eq!(transmitter.frames().completion_ring, 4);
        world.check();
        assert_eq!(world.transmitter.reclaim(), 4);
        assert_eq!(world.transmitter.frames().free, TX_FRAMES);
        world.check();
    }
    let counters = world.transmitter.counters();
    assert_eq!((counters.packets, counters.flushes, counters.wakeups), (80, 20, 20));
}

#[test]
fn reserve_reclaims_by_itself_and_says_when_there_is_nothing() {
    let mut world = world(Sizes { tx: 8, ..SIZES });
    for _ in 0..TX_FRAMES {
        world.transmitter.reserve().unwrap().commit(60, TxChecksum::Complete);
    }
    assert!(world.transmitter.reserve().is_none());
    assert_eq!(world.transmitter.counters().no_frame, 1);
    // The ring does not ask to be woken.
    assert_eq!(world.transmitter.flush().wake, Wake::NotNeeded);
    assert_eq!(world.kernel.wakeups(), 0);
    world.kernel.take_tx();
    world.kernel.complete();
    world.transmitter.reserve().unwrap().commit(60, TxChecksum::Complete);
    world.check();
    assert_eq!(world.transmitter.flush().remaining, 6);
}

#[test]
fn a_full_tx_ring_refuses_and_keeps_the_frame() {
    let mut world = world(Sizes { tx: 2, ..SIZES });
    for _ in 0..2 {
        world.transmitter.reserve().unwrap().commit(60, TxChecksum::Complete);
    }
    assert!(world.transmitter.reserve().is_none());
    assert_eq!(world.transmitter.counters().ring_full, 1);
    assert_eq!(
        world.transmitter.frames(),
        TransmitFrames { free: 4, staged: 2, ..TransmitFrames::default() }
    );
}

#[test]
fn a_closed_device_is_reported_and_nothing_is_lost() {
    let World { kernel, mut transmitter, .. } = world(SIZES);
    kernel.tx.set_wakeup(Wakeup::Asked);
    drop(kernel.device);
    transmitter.reserve().unwrap().commit(60, TxChecksum::Complete);
    let flush = transmitter.flush();
    assert_eq!((flush.published, flush.remaining), (1, 1));
    assert_eq!(flush.wake, Wake::Refused(Errno::PIPE));
    assert_eq!(transmitter.frames().total(), TX_FRAMES);
}

#[test]
fn a_wakeup_is_repeated_a_bounded_number_of_times() {
    let mut world = world(SIZES);
    world.kernel.tx.set_wakeup(Wakeup::Asked);
    // Fill the socket pair, so that the kernel says EAGAIN.
    while send_one(&world.transmitter) == Ok(1) {}
    world.transmitter.reserve().unwrap().commit(60, TxChecksum::Complete);
    assert_eq!(world.transmitter.flush(), Flush { published: 1, remaining: 1, wake: Wake::Again });
    assert_eq!((world.transmitter.counters().wakeups, world.transmitter.counters().again), (8, 8));
    assert!(world.kernel.wakeups() > 0);
    assert_eq!(world.transmitter.flush(), Flush { published: 0, remaining: 1, wake: Wake::Woken });
    world.check();
}

fn send_one(transmitter: &Transmitter) -> std::result::Result<usize, Errno> {
    rustix::net::send(transmitter, &[0], rustix::net::SendFlags::DONTWAIT)
}

#[test]
fn a_partial_checksum_goes_to_the_device_as_metadata() {
    let mut world = world(SIZES);
    world.transmitter.reserve().unwrap().commit(100, TxChecksum::Partial { start: 34, offset: 16 });
    let _flush = world.transmitter.flush();
    let Descriptor { addr, options, .. } = world.kernel.take_tx();
    assert_eq!(options, XDP_TX_METADATA);
    let metadata = world.kernel.read(addr - u64::from(TX_METADATA_LEN), TX_METADATA_LEN as usize);
    assert_eq!(metadata, XskTxMetadata::checksum(34, 16).to_bytes());
}

#[test]
fn without_a_device_the_checksum_is_completed_in_software() {
    let mut world = world(Sizes { checksum: ChecksumOffload::Software, ..SIZES });
    let mut frame = world.transmitter.reserve().unwrap();
    frame[..54].fill(0);
    frame[34..36].copy_from_slice(&[0x12, 0x34]);
    frame.commit(54, TxChecksum::Partial { start: 34, offset: 16 });
    let _flush = world.transmitter.flush();
    let Descriptor { addr, options, .. } = world.kernel.take_tx();
    assert_eq!(options, 0);
    assert_eq!(world.kernel.read(addr + 50, 2), [!0x12, !0x34]);
    assert_eq!(world.transmitter.counters().software_checksums, 1);
}

#[test]
fn a_reflected_packet_changes_hands_and_counts_stay() {
    let mut world = world(SIZES);
    for turn in 0..20_u8 {
        let World { kernel, receiver, transmitter } = &mut world;
        kernel.take_fill(2);
        kernel.deliver(turn, 70, 0);
        kernel.deliver(turn + 1, 80, 0);
        let mut burst = receiver.receive(64);
        burst.bytes_mut(1)[0] = 200;
        transmitter.reflect(&mut burst, 1, 64, TxChecksum::Complete).unwrap();
        assert_eq!((burst.bytes(1).len(), burst.bytes(0)), (0, &[turn; 70][..]));
        assert_eq!(transmitter.frames().staged, 1);
        drop(burst);
        let _flush = transmitter.flush();
        let Descriptor { addr, len, .. } = kernel.take_tx();
        assert_eq!(len, 64);
        assert_eq!(kernel.read(addr, 2), [200, turn + 1]);
        kernel.complete();
        world.check();
    }
    // The rest was reclaimed each time the free list ran empty.
    assert_eq!(world.transmitter.reclaim(), 20 % TX_FRAMES);
    assert_eq!(world.transmitter.counters().reflected, 20);
    assert_eq!(world.receiver.frames().fill_ring, RX_FRAMES);
    assert_eq!(world.transmitter.frames().free, TX_FRAMES);
}

#[test]
fn a_packet_that_cannot_be_reflected_stays_in_its_burst() {
    let mut world = world(Sizes { tx: 2, ..SIZES });
    let World { kernel, receiver, transmitter } = &mut world;
    kernel.take_fill(3);
    for byte in 1..=3 {
        kernel.deliver(byte, 60, 0);
    }
    let mut burst = receiver.receive(64);
    for index in 0..2 {
        transmitter.reflect(&mut burst, index, 60, TxChecksum::Complete).unwrap();
    }
    let answer = transmitter.reflect(&mut burst, 2, 60, TxChecksum::Complete);
    assert_eq!(answer, Err(NotReflected::RingFull));
    assert_eq!(burst.bytes(2), [3; 60]);
    drop(burst);
    world.check();
}

#[test]
fn completions_that_make_no_sense_are_counted() {
    let mut world = world(SIZES);
    world.kernel.completion.stage(0).unwrap();
    world.kernel.completion.stage(u64::MAX).unwrap();
    world.kernel.completion.publish();
    assert_eq!(world.transmitter.reclaim(), 0);
    assert_eq!(world.transmitter.counters().invalid_completions, 2);
    world.check();
}

#[test]
#[should_panic(expected = "another socket's")]
fn reflecting_into_another_socket_is_misuse() {
    let mut one = world(SIZES);
    let mut other = world(SIZES);
    one.kernel.take_fill(1);
    one.kernel.deliver(1, 60, 0);
    let mut burst = one.receiver.receive(1);
    let _answer = other.transmitter.reflect(&mut burst, 0, 60, TxChecksum::Complete);
}

#[test]
fn halves_may_move_to_other_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Receiver>();
    assert_send::<Transmitter>();
    assert_send::<crate::program::Program>();
}
