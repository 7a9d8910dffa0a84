//! Live labs, stale labs, and names.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bywash_xdp::lab::{Lab, LabError, Middle};

use crate::{Privilege, leftovers, mounts_of, privilege, unique};

/// Tells the child of a test which lab to hold until it is killed.
const HOLD_VARIABLE: &str = "BYWASH_LAB_TEST_HOLD";

#[test]
fn the_lock_names_its_holder() {
    if privilege() == Privilege::None {
        return;
    }
    let held_for_parent = std::env::var(HOLD_VARIABLE).ok();
    let name = held_for_parent.clone().unwrap_or_else(|| unique("lock"));
    let lab = Lab::builder(&name).middle(Middle::default()).build().expect("lab");
    if held_for_parent.is_some() {
        println!("\nholding {name}");
        thread::sleep(Duration::from_mins(1));
    }
    let path = format!("/run/bywash/{name}.lock");
    assert_eq!(fs::read_to_string(&path).expect(&path).trim(), std::process::id().to_string());
    lab.remove().expect("remove");
    assert!(!fs::exists(&path).expect(&path));
}

#[test]
fn a_live_lab_is_refused_and_a_stale_one_replaced() {
    if privilege() == Privilege::None {
        return;
    }
    let name = unique("stale");
    let mut holder = Holder::start(&name);
    let error = Lab::builder(&name).build().expect_err("the child holds it");
    assert!(matches!(error, LabError::InUse { pid: Some(pid), .. } if pid == holder.0.id()), "{error}");
    assert_eq!(error.to_string(), format!("lab {name} is in use by pid {}", holder.0.id()));
    assert_eq!(leftovers(&name).len(), 3, "the refused one must not touch the live one");

    holder.kill();
    assert_eq!(leftovers(&name).len(), 3, "a killed process removes nothing");
    let lab = Lab::builder(&name).build().expect("stale labs are replaced");
    assert_eq!(leftovers(&name).len(), 2, "the stale middle must go too");
    lab.remove().expect("remove");
    assert_eq!(leftovers(&name), Vec::<String>::new());
    assert_eq!(mounts_of(&name), 0);

    // In the same test, because a sweep spares no stale lab of another one.
    let live = Lab::builder(&unique("live")).build().expect("lab");
    Holder::start(&name).kill();
    let removed = Lab::remove_stale().expect("sweep");
    assert!(removed.contains(&name) && !removed.contains(&live.name().to_owned()), "{removed:?}");
    assert_eq!(leftovers(&name), Vec::<String>::new());
    assert_eq!(leftovers(live.name()).len(), 2);
}

#[test]
fn a_second_lab_of_the_same_process_is_refused_too() {
    if privilege() == Privilege::None {
        return;
    }
    let name = unique("twice");
    let first = Lab::builder(&name).build().expect("lab");
    let error = Lab::builder(&name).build().expect_err("in use");
    assert!(matches!(error, LabError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    first.remove().expect("remove");
    Lab::builder(&name).build().expect("free again").remove().expect("remove");
}

#[test]
fn names_that_are_no_names_are_refused() {
    for name in ["", "a/b", "..", "a b", &"x".repeat(49)] {
        let error = Lab::builder(name).build().expect_err("no name");
        assert!(matches!(error, LabError::InvalidName { .. }), "{error}");
    }
}

#[test]
fn without_the_privilege_the_error_names_it() {
    if privilege() == Privilege::None {
        let error = Lab::builder(&unique("plain-user")).build().expect_err("no privilege");
        assert!(matches!(error, LabError::MissingCapability { .. }), "{error}");
        return;
    }
    // Capabilities belong to threads: this one gives one up, the others keep theirs.
    let name = unique("no-cap");
    let error = thread::spawn(move || {
        let mut sets = rustix::thread::capabilities(None).expect("own capabilities");
        sets.effective -= rustix::thread::CapabilitySet::NET_ADMIN;
        rustix::thread::set_capabilities(None, sets).expect("giving up is allowed");
        Lab::builder(&name).build().map(|_| ()).expect_err("no privilege")
    })
    .join()
    .expect("thread");
    assert!(matches!(error, LabError::MissingCapability { capability: "CAP_NET_ADMIN" }), "{error}");
}

/// A child that holds a lab until it is killed.
struct Holder(Child);

impl Holder {
    fn start(name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "life::the_lock_names_its_holder", "--nocapture"])
            .env(HOLD_VARIABLE, name)
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.map_while(Result::ok).any(|line| line == format!("holding {name}"));
        let holder = Self(child);
        assert!(ready, "the child ended without making its lab");
        holder
    }

    fn kill(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Already dead when the test got that far.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
