//! The program in the kernel's test runner (`BPF_PROG_TEST_RUN`): frames in, verdicts out. Needs root.

mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::programs::{TestRun, TestRunOptions};
use frames::{LISTENED, OWNED4, OWNED6, SHARED4, SHARED6, table as frame_table, tcp4, tcp6};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::*;

/// `enum xdp_action`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

/// A loaded program that owns, shares and listens as the frames of the table want it; `None` without root.
fn program() -> Option<Program> {
    if !rustix::process::geteuid().is_root() {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
        return None;
    }
    let mut program = Program::load().unwrap();
    program.own(OWNED4.into()).unwrap();
    program.own(OWNED6.into()).unwrap();
    program.share(SHARED4.into()).unwrap();
    program.share(SHARED6.into()).unwrap();
    program.listen(LISTENED).unwrap();
    program.reserve_ports(50_000..=50_063).unwrap();
    Some(program)
}

/// Runs both variants over a frame; checks that they agree and count the same verdict once each.
fn run(program: &mut Program, frame: &[u8]) -> (u32, Verdict) {
    let before = program.counters().unwrap();
    let actions = [Fragments::Unsupported, Fragments::Supported].map(|fragments| {
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        attach::variant(&mut program.ebpf, fragments).unwrap().test_run(options).unwrap().return_value
    });
    assert_eq!(actions[0], actions[1]);
    let after = program.counters().unwrap();
    let counted: Vec<Verdict> =
        Verdict::ALL.into_iter().filter(|verdict| after.of(*verdict) != before.of(*verdict)).collect();
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!(after.of(counted[0]) - before.of(counted[0]), 2);
    (actions[0], counted[0])
}

#[test]
fn each_frame_gets_its_verdict() {
    let Some(mut program) = program() else { return };
    let socket = socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    program.add_socket(0, &socket).unwrap();
    for (name, frame, verdict) in frame_table() {
        let expected = match verdict {
            Verdict::PassNotIp | Verdict::PassNotOurs | Verdict::PassSharedOther | Verdict::PassMalformed => {
                XDP_PASS
            }
            Verdict::RedirectOwnedTcp
            | Verdict::RedirectOwnedIcmp
            | Verdict::RedirectOwnedArp
            | Verdict::RedirectOwnedNd
            | Verdict::RedirectOwnedOther
            | Verdict::RedirectSharedTcp
            | Verdict::RedirectSharedIcmpError => XDP_REDIRECT,
            Verdict::DropNoSocket => XDP_DROP,
        };
        assert_eq!(run(&mut program, &frame), (expected, verdict), "{name}");
    }
}

#[test]
fn without_a_socket_ours_is_dropped_and_the_rest_passes() {
    let Some(mut program) = program() else { return };
    for (name, frame, verdict) in frame_table() {
        let answer = run(&mut program, &frame);
        if (verdict as u32) < Verdict::RedirectOwnedTcp as u32 {
            assert_eq!(answer, (XDP_PASS, verdict), "{name}");
        } else {
            assert_eq!(answer, (XDP_DROP, Verdict::DropNoSocket), "{name}");
        }
    }
}

#[test]
fn a_socket_that_closes_leaves_no_way_to_the_kernel() {
    let Some(mut program) = program() else { return };
    let socket = socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    program.add_socket(0, &socket).unwrap();
    let frame = tcp4(OWNED4, 1000, 80);
    assert_eq!(run(&mut program, &frame).0, XDP_REDIRECT);
    drop(socket);
    assert_eq!(run(&mut program, &frame), (XDP_DROP, Verdict::DropNoSocket));
    // Removing what is gone already is no error.
    program.remove_socket(0).unwrap();
    assert!(matches!(program.remove_socket(QUEUES_MAX), Err(Error::Config { .. })));
}

/// Every truncation of every frame is looked at without reading past its end: the verifier proves that, and this shows
/// that nothing truncated before its addresses is taken.
#[test]
fn truncated_frames_pass_unless_their_address_is_owned() {
    let Some(mut program) = program() else { return };
    let socket = socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    program.add_socket(0, &socket).unwrap();
    for (name, frame, verdict) in frame_table() {
        for length in 14..frame.len() {
            let (action, truncated) = run(&mut program, &frame[..length]);
            let is_weaker = action == XDP_PASS
                || truncated == verdict
                || matches!(truncated, Verdict::RedirectOwnedIcmp | Verdict::RedirectOwnedOther);
            assert!(is_weaker, "{name} cut to {length}: {truncated:?}");
        }
    }
}

#[test]
fn ports_and_addresses_come_and_go() {
    let Some(mut program) = program() else { return };
    let shared = tcp4(SHARED4, 1000, LISTENED);
    assert_eq!(run(&mut program, &shared).1, Verdict::DropNoSocket);
    program.unlisten(LISTENED).unwrap();
    assert_eq!(run(&mut program, &shared).1, Verdict::PassSharedOther);
    program.own(SHARED4.into()).unwrap();
    assert_eq!(run(&mut program, &shared).1, Verdict::DropNoSocket);
    program.disown(SHARED4.into()).unwrap();
    assert_eq!(run(&mut program, &shared).1, Verdict::PassNotOurs);
    program.disown(SHARED4.into()).unwrap();
    let reserved = tcp6(SHARED6, 80, 50_063);
    assert_eq!(run(&mut program, &reserved).1, Verdict::DropNoSocket);
    program.reserve_ports(60_000..=60_001).unwrap();
    assert_eq!(run(&mut program, &reserved).1, Verdict::PassSharedOther);
}

#[test]
fn a_full_table_says_so() {
    let Some(mut program) = program() else { return };
    let first = u32::from(Ipv4Addr::new(198, 19, 0, 0));
    let refused =
        (0..ADDRESSES_MAX).find_map(|number| program.own(Ipv4Addr::from(first + number).into()).err());
    assert!(matches!(refused, Some(Error::TableFull { max: ADDRESSES_MAX, .. })), "{refused:?}");
}

#[test]
fn an_unknown_interface_is_refused() {
    let Some(mut program) = program() else { return };
    assert!(matches!(program.attach("bywash-none", Mode::Auto), Err(Error::NoSuchInterface { .. })));
    assert!(program.attachment().is_none());
}
