//! Two namespaces and one link.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::time::Duration;

use bywash_xdp::lab::{
    CLIENT_INTERFACE, CLIENT_IPV4, CpuMask, Lab, LabError, ReceiveSteering, SERVER_INTERFACE, SERVER_IPV4,
    SERVER_IPV6, ServerAddress, Side,
};

use crate::{Privilege, echo_bytes, leftovers, mounts_of, privilege, unique, with_echo_server};

#[test]
fn kernel_talks_to_kernel_over_both_families() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = Lab::builder(&unique("plain")).server_address(ServerAddress::Kernel).build().expect("lab");
    for ip in [SERVER_IPV4.into(), SERVER_IPV6.into()] {
        let address = SocketAddr::new(ip, 5000);
        with_echo_server(&lab, address, || echo_bytes(address, 1 << 20));
    }
    lab.remove().expect("remove");
}

#[test]
fn labs_stand_side_by_side() {
    if privilege() == Privilege::None {
        return;
    }
    let build =
        |name: &str| Lab::builder(&unique(name)).server_address(ServerAddress::Kernel).build().expect("lab");
    let (one, two) = (build("side1"), build("side2"));
    let address = SocketAddr::new(SERVER_IPV4.into(), 5000);
    // Same addresses, same port, at the same time, and only one of them has a server.
    with_echo_server(&one, address, || {
        let refused = two
            .run_in(Side::Client, || TcpStream::connect_timeout(&address, Duration::from_secs(5)))
            .expect("client namespace");
        assert_eq!(refused.expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);
        echo_bytes(address, 1000)
    });
}

#[test]
fn the_link_has_the_shape_asked_for() {
    if privilege() == Privilege::None {
        return;
    }
    let queues = NonZeroU16::new(3).expect("not zero");
    let masks = ReceiveSteering::Masks { server: CpuMask::from_bits(2), client: CpuMask::from_bits(1) };
    let lab =
        Lab::builder(&unique("shape")).queues(queues).mtu(3498).receive_steering(masks).build().expect("lab");
    lab.set_xps(2, CpuMask::from_bits(3)).expect("three queues");
    assert!(matches!(
        lab.set_xps(3, CpuMask::NONE),
        Err(LabError::QueueOutOfRange { queue: 3, queues: 3, .. })
    ));

    let read = |interface: &str, file: &str| {
        let path = format!("/sys/class/net/{interface}/{file}");
        fs::read_to_string(&path).expect(&path).trim().to_owned()
    };
    let facts_of = |side, interface: &str| {
        lab.run_in(side, || {
            // /sys shows the namespace of whoever mounted it, so this thread mounts its own.
            own_sysfs();
            let mut facts: Vec<String> =
                ["mtu", "address", "operstate"].iter().map(|file| read(interface, file)).collect();
            facts.push(read(interface, "queues/rx-2/rps_cpus"));
            facts.push(read(interface, "queues/tx-2/xps_cpus"));
            facts
        })
        .expect("namespace")
    };
    let server = facts_of(Side::Server, SERVER_INTERFACE);
    assert_eq!(server, ["3498", "02:00:00:00:00:01", "up", "2", "0"]);
    let client = facts_of(Side::Client, CLIENT_INTERFACE);
    assert_eq!(client, ["3498", "02:00:00:00:00:02", "up", "1", "3"]);
}

#[test]
fn the_stacks_server_end_has_no_address_of_the_kernels() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = Lab::builder(&unique("bare")).build().expect("lab");
    let (ipv6, route) = lab
        .run_in(Side::Server, || {
            let ipv6 = fs::read_to_string("/proc/thread-self/net/if_inet6").expect("procfs");
            let route = fs::read_to_string("/proc/thread-self/net/route").expect("procfs");
            (ipv6, route)
        })
        .expect("namespace");
    assert!(!ipv6.contains(SERVER_INTERFACE), "{ipv6}");
    assert!(!route.contains(SERVER_INTERFACE), "{route}");
}

#[test]
fn commands_and_threads_run_inside() {
    if privilege() == Privilege::None {
        return;
    }
    let lab = Lab::builder(&unique("inside")).build().expect("lab");
    let output =
        lab.command(Side::Client, "cat").expect("client").arg("/proc/self/net/dev").output().expect("cat");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("v1:") && !table.contains("v0:"), "{table}");

    let bound = lab.run_in(Side::Client, || std::net::UdpSocket::bind((CLIENT_IPV4, 0)).is_ok());
    assert!(bound.expect("client"));
    lab.set_sysctl(Side::Client, "net.ipv4.ip_local_port_range", "20000 20999").expect("sysctl");
    let range = lab.run_in(Side::Client, || fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range"));
    assert_eq!(
        range.expect("client").expect("procfs").split_whitespace().collect::<Vec<_>>(),
        ["20000", "20999"]
    );
    let machine_wide = lab.set_sysctl(Side::Client, "kernel.hostname", "lab");
    assert!(matches!(machine_wide, Err(LabError::NotNetwork { .. })), "{machine_wide:?}");
    let entered = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                lab.enter(Side::Server).expect("enter");
                fs::read_to_string("/proc/thread-self/net/dev").expect("procfs")
            })
            .join()
            .expect("thread")
    });
    assert!(entered.contains("v0:") && !entered.contains("v1:"), "{entered}");
    assert!(matches!(lab.enter(Side::Middle), Err(LabError::NoMiddle { .. })));
}

#[test]
fn a_panic_leaves_nothing_behind() {
    if privilege() == Privilege::None {
        return;
    }
    let name = unique("panic");
    let panicked = std::panic::catch_unwind(|| {
        let lab = Lab::builder(&name).build().expect("lab");
        assert_eq!(leftovers(&name).len(), 2);
        lab.run_in(Side::Client, || panic!("as a failing test would")).expect("client");
    });
    assert!(panicked.is_err());
    assert_eq!(leftovers(&name), Vec::<String>::new());
    assert_eq!(mounts_of(&name), 0);
}

#[test]
fn a_half_built_lab_leaves_nothing_behind() {
    if privilege() == Privilege::None {
        return;
    }
    let name = unique("half");
    // The kernel takes no more than 4096 queues, and finds out after both namespaces exist.
    let queues = NonZeroU16::new(5000).expect("not zero");
    let error = Lab::builder(&name).queues(queues).build().expect_err("too many queues");
    assert!(matches!(error, LabError::Netlink { .. }), "{error}");
    assert_eq!(leftovers(&name), Vec::<String>::new());
    assert_eq!(mounts_of(&name), 0);
}

fn own_sysfs() {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: only this short-lived thread's mount table changes.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.expect("unshare");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("private");
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).expect("sysfs");
}
