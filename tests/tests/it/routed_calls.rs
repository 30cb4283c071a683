//! Calls of nodes whose network lets no UDP out: TURN on a stream that the relay routes.

use crate::calls::{CALLEE_HZ, CALLER_HZ, World};
use crate::pictures::they_see_each_other;
use sotto_tests::network::{Internet, Nat};
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;

const LISTEN: &str = "10.99.0.1:4433";

/// It lends to everybody, and its own network is all that there is.
const SETTINGS: [(&str, &str); 2] =
    [("SOTTO_RELAY_TURN_LISTEN", "10.99.0.1:3478"), ("SOTTO_RELAY_TURN_PEERS", "10.99.0.0/16")];

/// Alice calls Bob, from behind routers of these kinds. Their call is relayed, once and again if the relay is restarted; if it is not,
/// they make another one with pictures.
fn they_talk(alice: Nat, bob: Nat, options: &[&str], is_restarted: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let internet = Internet::new().expect("a network");
    let homes = [alice, bob].map(|nat| internet.home(nat).expect("a home"));
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let relay = RelayProcess::start_in(&internet.server, &data, &log, LISTEN, &SETTINGS);
    let relay = relay.expect("the relay starts");
    let [alice, bob] = [("alice", &homes[0]), ("bob", &homes[1])]
        .map(|(name, home)| Person::register_in(&home.host, name, folder.path(), &relay.ready.link));
    assert_eq!(alice.standing(), "connected over WebSocket");
    let mut world = World::of(folder, relay, alice, bob);
    let (caller, callee) = world.call(options);
    let [rang, stood] =
        ["ringing", "connected"].map(|state| caller.going.says(|one| one["state"] == state).0);
    println!("it stood {:?} after it rang", stood.duration_since(rang));
    for end in [&caller, &callee] {
        assert_eq!(end.talks()["path"], "relayed");
    }
    if is_restarted {
        world.restarts_the_relay_under([&caller, &callee]);
    }
    caller.going.is_interrupted();
    caller.ends("ended", CALLEE_HZ);
    callee.ends("hung_up", CALLER_HZ);
    if !is_restarted {
        they_see_each_other(&world, options, "relayed");
    }
    world.no_error();
}

/// P-080.
#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn two_nodes_without_udp_hear_and_see_each_other_through_the_relays_stream() {
    they_talk(Nat::NoUdp, Nat::NoUdp, &[], false);
}

#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn a_node_without_udp_and_one_that_has_it_hear_and_see_each_other() {
    they_talk(Nat::NoUdp, Nat::PortRestricted, &[], false);
}

#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn nodes_without_udp_that_want_the_relay_only_hear_each_other_again_after_its_restart() {
    they_talk(Nat::NoUdp, Nat::NoUdp, &["--relay-only"], true);
}
