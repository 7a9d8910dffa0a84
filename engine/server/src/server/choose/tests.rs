use super::*;
use crate::config::Cidr;

fn able() -> Circumstances {
    Circumstances { missing: vec![], af_xdp: AfXdp::Present }
}

fn unprivileged() -> Circumstances {
    Circumstances { missing: vec!["CAP_NET_ADMIN", "CAP_BPF"], ..able() }
}

fn named() -> Config {
    let address: Cidr = "198.18.0.1/24".parse().unwrap();
    Config { interface: Some("v0".to_owned()), address: vec![address], ..Config::default() }
}

#[test]
fn root_with_no_arguments_gets_a_lab() {
    assert_eq!(choose(&Config::default(), &able()).unwrap(), Choice::Xdp(Place::Lab));
}

#[test]
fn a_named_interface_is_served_where_it_is() {
    assert_eq!(choose(&named(), &able()).unwrap(), Choice::Xdp(Place::Host));
    let shared = Config { address: vec![], address_kind: AddressKind::Shared, ..named() };
    assert_eq!(choose(&shared, &able()).unwrap(), Choice::Xdp(Place::Host));
    let lab = Config { lab: LabChoice::On, ..named() };
    assert_eq!(choose(&lab, &able()).unwrap(), Choice::Xdp(Place::Lab));
}

#[test]
fn auto_says_why_not_the_better_one() {
    let without = |config: &Config, now: &Circumstances| match choose(config, now).unwrap() {
        Choice::Mio(Place::Host, why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(without(&Config::default(), &unprivileged()), "AF_XDP needs root or CAP_NET_ADMIN, CAP_BPF");
    let old = Circumstances { af_xdp: AfXdp::Absent, ..able() };
    assert_eq!(without(&named(), &old), "this kernel has no AF_XDP");
    let no_interface = Config { interface: None, ..named() };
    assert_eq!(without(&no_interface, &able()), "AF_XDP needs --interface");
    let no_address = Config { address: vec![], ..named() };
    assert_eq!(without(&no_address, &able()), "AF_XDP needs --address for an owned address");
}

#[test]
fn what_was_asked_for_and_cannot_be_is_an_error() {
    let xdp = |config: Config| Config { backend: BackendChoice::Xdp, ..config };
    let error = choose(&xdp(named()), &unprivileged()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "backend xdp needs root or CAP_NET_ADMIN, CAP_BPF; run it with sudo, or choose --backend mio"
    );
    assert_eq!(error.exit_code(), 3);
    let old = Circumstances { af_xdp: AfXdp::Absent, ..able() };
    assert_eq!(choose(&xdp(named()), &old).unwrap_err().exit_code(), 4);
    let no_interface = Config { interface: None, ..named() };
    let error = choose(&xdp(no_interface), &able()).unwrap_err();
    assert!(error.to_string().starts_with("`backend` needs `interface`: "), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn the_kernels_tcp_is_in_a_lab_only_on_demand() {
    let mio = Config { backend: BackendChoice::Mio, ..Config::default() };
    let why = "backend mio was asked for".to_owned();
    assert_eq!(choose(&mio, &able()).unwrap(), Choice::Mio(Place::Host, why.clone()));
    let lab = Config { lab: LabChoice::On, ..mio };
    assert_eq!(choose(&lab, &able()).unwrap(), Choice::Mio(Place::Lab, why));
}
