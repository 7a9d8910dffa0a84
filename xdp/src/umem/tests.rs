//! Frame memory and the ledger.

use super::*;

#[test]
fn each_frame_has_its_own_bytes() {
    let (umem, mut list) = Umem::new(FrameSize::Two, 1025).unwrap();
    let mut frames = Vec::new();
    while let Some(mut frame) = list.pop() {
        let fill = frame.index() as u8;
        umem.bytes_mut(&mut frame, 0..2048).fill(fill);
        frames.push(frame);
    }
    assert_eq!(frames.len(), 1025);
    for frame in frames {
        assert!(umem.bytes(&frame, 0..2048).iter().all(|byte| *byte == frame.index() as u8));
        list.push(frame);
    }
    assert_eq!(umem.address() % (2 << 20), 0);
    assert_eq!(umem.length(), 1025 * 2048);
}

#[test]
fn a_lent_frame_comes_back_once_and_with_its_offset() {
    let (umem, mut list) = Umem::new(FrameSize::Four, 70).unwrap();
    let mut lent = Lent::new(Arc::clone(&umem));
    let mut high = list.split_off(0);
    let frame = high.pop().unwrap();
    let index = frame.index();
    let address = lent.lend(frame, 256);
    assert_eq!((address, lent.count()), (u64::from(index) * 4096 + 256, 1));
    let (frame, offset) = lent.take_back(address + 14).unwrap();
    assert_eq!((frame.index(), offset, lent.count()), (index, 270, 0));
    assert_eq!(lent.take_back(address).unwrap_err(), NotLent);
    high.push(frame);
}

#[test]
fn addresses_never_lent_or_out_of_range_are_refused() {
    let (umem, _list) = Umem::new(FrameSize::Two, 65).unwrap();
    let mut lent = Lent::new(umem);
    for address in [0, 64 << 11, 65 << 11, 127 << 11, 128 << 11, u64::from(u32::MAX) << 11, u64::MAX] {
        assert_eq!(lent.take_back(address).unwrap_err(), NotLent, "{address:#x}");
    }
}

#[test]
fn counts_out_of_range_are_refused() {
    for frames in [0, FRAMES_MAX + 1] {
        assert!(matches!(Umem::new(FrameSize::Two, frames), Err(Error::Config { .. })));
    }
}

#[test]
#[should_panic(expected = "used with area")]
fn a_frame_of_another_area_is_misuse() {
    let (one, _frames) = Umem::new(FrameSize::Two, 1).unwrap();
    let (_other, mut list) = Umem::new(FrameSize::Two, 1).unwrap();
    let frame = list.pop().unwrap();
    let _bytes = one.bytes(&frame, 0..1);
}

#[test]
#[should_panic(expected = "of a frame of 2048")]
fn a_range_beyond_the_frame_is_misuse() {
    let (umem, mut list) = Umem::new(FrameSize::Two, 2).unwrap();
    let frame = list.pop().unwrap();
    let _bytes = umem.bytes(&frame, 0..2049);
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "was lost")]
fn a_debug_build_reports_a_lost_frame() {
    let (_umem, mut list) = Umem::new(FrameSize::Two, 1).unwrap();
    drop(list.pop());
}
