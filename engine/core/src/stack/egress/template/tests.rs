use super::*;
use crate::port::Medium;
use crate::stack::egress::{Head, Route, send_segment};
use crate::tcp::seq::SequenceNumber;
use crate::wire::Address;
use crate::wire::tcp::Timestamps;
use core::ops::{Deref, DerefMut};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Keeps what is sent.
#[derive(Default)]
struct Wire {
    sent: Vec<(Vec<u8>, TransmitChecksum)>,
}

struct Room<'a>(Vec<u8>, &'a mut Wire);

impl Deref for Room<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Room<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Reservation for Room<'_> {
    fn commit(mut self, len: usize, checksum: TransmitChecksum) {
        self.0.truncate(len);
        self.1.sent.push((self.0, checksum));
    }
}

impl Transmit for Wire {
    type Reservation<'a> = Room<'a>;

    fn reserve(&mut self) -> Option<Room<'_>> {
        // What lies in a frame before it is written does not matter.
        Some(Room(vec![0xa5; 2048], self))
    }
}

proptest! {
    /// The template writes what the general path writes, for whatever numbers.
    #[test]
    fn writes_what_the_general_path_writes(
        local: [u8; 4],
        remote: [u8; 4],
        ports: (u16, u16),
        numbers: (u32, u32, u32, u32),
        window: u16,
        text in prop::collection::vec(any::<u8>(), 1..1448),
        in_device: bool,
    ) {
        let offload = if in_device { ChecksumOffload::Device } else { ChecksumOffload::Software };
        let capabilities = Capabilities {
            medium: Medium::Ethernet,
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            transmit_checksum: offload,
        };
        let mac = MacAddress([2, 0, 0, 0, 0, 2]);
        let (seq, ack, ts_value, ts_echo) = numbers;
        let octets = (u32::from(ports.0) << 16 | u32::from(ports.1)).to_be_bytes();
        let plain = PlainHead { remote, ports: octets, seq, ack, window, ts_value, ts_echo, flags: Flags::ACK | Flags::PSH };
        let mut wire = Wire::default();
        let by = crate::tcp::connection::Route::new(3, 1);
        let template = Template::new(by, 7, &mac, &capabilities.mac, local);
        let other = crate::tcp::connection::Route::new(2, 1);
        prop_assert!(template.is_for(by, 7) && !template.is_for(by, 8) && !template.is_for(other, 7));
        template.send(&mut wire, &capabilities, &plain, &text).unwrap();
        let head = Head {
            local_port: ports.0,
            remote_port: ports.1,
            seq: SequenceNumber(seq),
            ack: SequenceNumber(ack),
            flags: Flags::ACK | Flags::PSH,
            window,
            timestamps: Some(Timestamps { value: ts_value, echo: ts_echo }),
        };
        let route = Route { mac, local: Address::v4(local), remote: Address::v4(remote), traffic_class: 0 };
        send_segment(&mut wire, &capabilities, &route, &head, text.len(), |to| Sum::copy(to, &text)).unwrap();
        prop_assert_eq!(&wire.sent[0], &wire.sent[1]);
    }
}
