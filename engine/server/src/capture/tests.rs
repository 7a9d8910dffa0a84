use std::fs::File;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::*;

/// Interface, direction flags and bytes.
type Packet = (u32, u32, Vec<u8>);

/// The interfaces' names and all packets of a file.
fn read(file: &Path) -> (Vec<String>, Vec<Packet>) {
    let mut reader = PcapNgReader::new(File::open(file).unwrap()).unwrap();
    let (mut names, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(block) => names.push(format!("{:?}", block.options)),
            Block::EnhancedPacket(block) => {
                let flags = block.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Flags(flags) => Some(*flags),
                    _ => None,
                });
                assert!(block.timestamp.as_secs() > 1_600_000_000, "time of day in nanoseconds");
                packets.push((block.interface_id, flags.unwrap(), block.data.to_vec()));
            }
            _ => {}
        }
    }
    (names, packets)
}

#[test]
fn both_directions_of_all_queues_are_written() {
    let file = std::env::temp_dir().join(format!("bywash-capture-{}.pcapng", std::process::id()));
    let recorder = Recorder::start(&file, "v0", &[0, 3]).unwrap();
    recorder.tap(0).received(&[1; 60]);
    recorder.tap(1).sent(&[2; 61], TransmitChecksum::Complete);
    // Sum of 0x0101 and the pseudo sum 0x0203 in the field itself: 0x0304, complemented 0xfcfb.
    recorder.tap(0).sent(&[9, 9, 1, 1, 2, 3], TransmitChecksum::Partial { start: 2, offset: 2 });
    let mut report = ShardReport::default();
    while report.get("capture", "frames written") != Some(3) {
        report = ShardReport::default();
        recorder.report(&mut report);
        std::thread::yield_now();
    }
    drop(recorder);
    let (names, packets) = read(&file);
    assert!(names[0].contains("v0 queue 0") && names[1].contains("v0 queue 3"), "{names:?}");
    let last = vec![9, 9, 1, 1, 0xfc, 0xfb];
    assert_eq!(packets, [(0, 1, vec![1; 60]), (1, 2, vec![2; 61]), (0, 2, last)]);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_the_writer_cannot_take_is_counted() {
    let file = std::env::temp_dir().join(format!("bywash-capture-lost-{}.pcapng", std::process::id()));
    let recorder = Recorder::start(&file, "v0", &[0]).unwrap();
    let tap = recorder.tap(0);
    tap.received(&[0; FRAME_LEN_MAX + 1]);
    let count = RECORDS_MAX as u64 * 8;
    for _ in 0..count {
        tap.received(&[0; 64]);
    }
    let shared = Arc::clone(&recorder.shared);
    drop(recorder);
    let lost = shared.lost.load(Ordering::Relaxed);
    let (_, packets) = read(&file);
    assert!(lost > 1, "a writer that wakes every 2 ms cannot keep up with a tight loop");
    assert_eq!(packets.len() as u64 + lost, count + 1);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let error = Recorder::start(Path::new("/nonexistent/x.pcapng"), "v0", &[0]).err().unwrap();
    assert!(
        error.to_string().starts_with("cannot write the capture file /nonexistent/x.pcapng: "),
        "{error}"
    );
}
