//! Two namespaces with a veth pair between them, made with `ip` and removed on drop. The stack's end is `v0` in
//! [`Pair::stack`], the kernel's `v1` with 198.18.0.2 in [`Pair::client`].

use std::{
    fs::File,
    os::fd::AsFd,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The address that belongs to the stack.
pub(crate) const STACK: &str = "198.18.0.1";
/// The kernel's address.
pub(crate) const CLIENT: &str = "198.18.0.2";

/// The two ends. Dropping it removes both namespaces and with them the pair.
pub(crate) struct Pair {
    pub(crate) stack: Namespace,
    pub(crate) client: Namespace,
}

/// A network namespace, removed on drop.
pub(crate) struct Namespace(String);

/// Whether the test may go on; prints the line that CI looks for when it may not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        // Written past the capture of the test harness, so that it is seen.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: needs root\n"));
    }
    root
}

impl Pair {
    /// A pair with this many queues at both ends.
    pub(crate) fn new(queues: u32) -> Self {
        static PAIRS: AtomicU32 = AtomicU32::new(0);
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let namespace = |end| Namespace::new(&format!("bw-xdp-{}-{number}-{end}", process::id()));
        let (stack, client) = (namespace("s"), namespace("c"));
        let link = format!(
            "link add v0 netns {0} address 02:00:00:00:00:01 numrxqueues {queues} numtxqueues {queues} \
             type veth peer name v1 netns {1} address 02:00:00:00:00:02 numrxqueues {queues} numtxqueues {queues}",
            stack.0, client.0
        );
        ip(&link);
        ip(&format!("-n {} addr add {CLIENT}/24 dev v1", client.0));
        ip(&format!("-n {} link set v0 up", stack.0));
        ip(&format!("-n {} link set v1 up", client.0));
        ip(&format!("-n {} neigh add {STACK} lladdr 02:00:00:00:00:01 dev v1", client.0));
        Self { stack, client }
    }

    /// Sets the MTU of both ends.
    pub(crate) fn set_mtu(&self, mtu: u32) {
        ip(&format!("-n {} link set v0 mtu {mtu}", self.stack.0));
        ip(&format!("-n {} link set v1 mtu {mtu}", self.client.0));
    }
}

impl Namespace {
    fn new(name: &str) -> Self {
        ip(&format!("netns add {name}"));
        Self(name.to_owned())
    }

    /// Runs `inside` on a thread of its own in this namespace. What it opens stays there.
    pub(crate) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let body = || {
            let namespace = File::open(format!("/run/netns/{}", self.0)).expect("the namespace exists");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("setns as root");
            inside()
        };
        thread::scope(|scope| match scope.spawn(body).join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// What `ip` says about a link of this namespace.
    pub(crate) fn link(&self, name: &str) -> String {
        ip(&format!("-n {} link show {name}", self.0))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _removed = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
