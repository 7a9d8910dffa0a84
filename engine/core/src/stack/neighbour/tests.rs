use super::*;

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x66]);
const SOLICITED: Claim = Claim::Advertisement(Occasion::Solicited, Override::Replace);

fn address(last: u8) -> Address {
    Address::v4([198, 18, 0, last])
}

fn cache(neighbours_max: u16) -> Neighbours {
    Neighbours::new(neighbours_max, &IpConfig::default(), Watch::Ours, 7)
}

/// All that is to be done until `end`, with its time in seconds.
fn until(cache: &mut Neighbours, end: Instant) -> Vec<(u64, Probe)> {
    let mut done = Vec::new();
    while let Some(at) = cache.next_event().filter(|at| *at <= end) {
        while let Some(probe) = cache.poll(at) {
            done.push((at.as_millis() / 1000, probe));
        }
    }
    done
}

#[test]
fn entries_in_use_are_not_evicted() {
    let mut cache = cache(2);
    let held = cache.hold(address(1), Some(MAC), Instant::ZERO).unwrap();
    assert_eq!(cache.learn(address(2), Some(MAC), Claim::Request, Instant::from_nanos(5)), Learned::Resolved);
    assert_eq!(cache.learn(address(3), Some(MAC), Claim::Request, Instant::from_nanos(9)), Learned::Resolved);
    assert_eq!(cache.find(address(1)), Some(held));
    assert_eq!(cache.find(address(2)), None);
    cache.hold(address(3), None, Instant::ZERO).unwrap();
    assert_eq!(cache.hold(address(4), None, Instant::ZERO), Err(CacheFull));
}

#[test]
fn a_silent_neighbour_is_asked_three_times() {
    let mut cache = cache(4);
    let index = cache.hold(address(1), None, Instant::ZERO).unwrap();
    let ask = Probe::Ask(address(1));
    let done = until(&mut cache, Instant::from_secs(60));
    assert_eq!(done, [(0, ask), (1, ask), (2, ask), (3, Probe::Failed(index))]);
    assert_eq!(cache.next_event(), None);
    let now = Instant::from_secs(60);
    assert_eq!(cache.hold(address(1), None, now), Ok(index));
    assert_eq!(cache.poll(now), Some(ask));
    assert_eq!(cache.learn(address(1), Some(MAC), Claim::Reply, now), Learned::Resolved);
    assert_eq!(cache.resolve(index), Resolution::Known(MAC));
}

#[test]
fn claims_that_nobody_asked_for_make_no_entry() {
    let mut cache = cache(4);
    for claim in [Claim::Reply, SOLICITED, Claim::Advertisement(Occasion::Unsolicited, Override::Replace)] {
        assert_eq!(cache.learn(address(1), Some(MAC), claim, Instant::ZERO), Learned::Nothing);
        assert_eq!(cache.look_up(address(1)), None);
    }
}

#[test]
fn an_entry_that_is_not_used_is_left_alone_and_one_that_is_gets_checked() {
    let mut cache = cache(4);
    let index = cache.hold(address(1), Some(MAC), Instant::ZERO).unwrap();
    let changes = cache.changes();
    assert_eq!(until(&mut cache, Instant::from_secs(100)), []);
    assert_ne!(cache.changes(), changes, "whoever uses it must come and say so");
    let start = Instant::from_secs(100);
    assert_eq!(cache.link_to_use(index, start), Some(&MAC));
    let at = Probe::AskAt(address(1), MAC);
    assert_eq!(until(&mut cache, Instant::from_secs(106)), [(105, at), (106, at)]);
    // The answer ends it.
    assert_eq!(cache.learn(address(1), Some(MAC), Claim::Reply, Instant::from_secs(106)), Learned::Nothing);
    assert_eq!(until(&mut cache, Instant::from_secs(300)), []);
    assert_eq!(cache.look_up(address(1)), Some(MAC));
}

#[test]
fn progress_of_connections_spares_the_question() {
    let mut cache = cache(4);
    let index = cache.hold(address(1), Some(MAC), Instant::ZERO).unwrap();
    for second in 0..300 {
        let now = Instant::from_secs(second);
        cache.confirm(index, now);
        cache.link_to_use(index, now);
        assert_eq!(until(&mut cache, now), []);
    }
}

#[test]
fn a_neighbour_that_has_gone_is_asked_for_anew_while_it_is_needed() {
    let mut cache = cache(4);
    let index = cache.hold(address(1), Some(MAC), Instant::ZERO).unwrap();
    until(&mut cache, Instant::from_secs(100));
    cache.link_to_use(index, Instant::from_secs(100));
    let (at, ask) = (Probe::AskAt(address(1), MAC), Probe::Ask(address(1)));
    let expected =
        [(105, at), (106, at), (107, at), (108, ask), (109, ask), (110, ask), (111, Probe::Failed(index))];
    assert_eq!(until(&mut cache, Instant::from_secs(200)), expected);
    assert_eq!(cache.link(index), None);
    // It is asked for again when a frame is to leave.
    assert_eq!(cache.link_to_use(index, Instant::from_secs(200)), None);
    assert_eq!(cache.poll(Instant::from_secs(200)), Some(ask));
    // Nobody needs it: nobody is asked.
    cache.release(index);
    cache.learn(address(1), Some(MAC), Claim::Reply, Instant::from_secs(200));
    until(&mut cache, Instant::from_secs(300));
    cache.link_to_use(index, Instant::from_secs(300));
    assert_eq!(until(&mut cache, Instant::from_secs(400)).len(), 3);
}

#[test]
fn who_was_just_believed_is_not_replaced_by_a_stranger() {
    let mut cache = cache(4);
    let index = cache.hold(address(1), None, Instant::ZERO).unwrap();
    until(&mut cache, Instant::ZERO);
    cache.learn(address(1), Some(MAC), Claim::Reply, Instant::ZERO);
    // ARP: within locktime the first one stays (and is checked soon); after it the address may move.
    let soon = Instant::from_nanos(999_000_000);
    assert_eq!(cache.learn(address(1), Some(OTHER), Claim::Reply, soon), Learned::Nothing);
    assert_eq!(cache.link(index), Some(&MAC));
    assert_eq!(cache.learn(address(1), Some(OTHER), Claim::Reply, Instant::from_secs(1)), Learned::Moved);
    assert_eq!(cache.link(index), Some(&OTHER));
}

#[test]
fn advertisements_change_an_entry_as_the_rfc_says() {
    // RFC 4861 section 7.2.5: from REACHABLE, an advertisement of another address.
    for (occasion, overriding, expected) in [
        (Occasion::Solicited, Override::Keep, MAC),
        (Occasion::Unsolicited, Override::Keep, MAC),
        (Occasion::Solicited, Override::Replace, OTHER),
        (Occasion::Unsolicited, Override::Replace, OTHER),
    ] {
        let mut cache = cache(4);
        let index = cache.hold(address(1), None, Instant::ZERO).unwrap();
        cache.learn(address(1), None, SOLICITED, Instant::ZERO);
        assert_eq!(cache.link(index), None, "no link-layer address, nothing learned");
        cache.learn(address(1), Some(MAC), SOLICITED, Instant::ZERO);
        assert!(cache.next_event().is_some(), "REACHABLE for a while");
        let claim = Claim::Advertisement(occasion, overriding);
        cache.learn(address(1), Some(OTHER), claim, Instant::from_secs(1));
        assert_eq!(cache.link(index), Some(&expected), "{claim:?}");
        // Nobody was asked, so nobody is sure any more.
        cache.link_to_use(index, Instant::from_secs(1));
        let done = until(&mut cache, Instant::from_secs(6));
        assert_eq!(done, [(6, Probe::AskAt(address(1), expected))], "{claim:?}");
    }
}

#[test]
fn what_the_kernel_tells_holds_until_it_tells_otherwise() {
    let mut cache = Neighbours::new(4, &IpConfig::default(), Watch::Kernels, 7);
    let index = cache.hold(address(1), None, Instant::ZERO).unwrap();
    cache.learn(address(1), Some(MAC), Claim::Request, Instant::ZERO);
    cache.link_to_use(index, Instant::ZERO);
    assert_eq!(until(&mut cache, Instant::from_secs(10_000)), []);
    assert_eq!(cache.learn(address(1), Some(OTHER), Claim::Request, Instant::ZERO), Learned::Moved);
    assert_eq!(cache.link(index), Some(&OTHER));
}
