//! Files that the relay has no more, between nodes of which neither reaches the other: by way of what the relay lends.

use serde_json::Value;
use sotto_tests::network::{Internet, Nat};
use sotto_tests::person::Person;
use sotto_tests::relay_process::{RelayProcess, no_error_was_logged};
use sotto_tests::sending::{MIB, blob, file, got, hash, inbox, is_deleted, sends, text};

const LISTEN: &str = "10.99.0.1:4433";

/// It keeps files for a second and lends to everybody, and its own network is all that there is.
const SETTINGS: [(&str, &str); 3] = [
    ("SOTTO_RELAY_FILES_KEEP", "1s"),
    ("SOTTO_RELAY_TURN_LISTEN", "10.99.0.1:3478"),
    ("SOTTO_RELAY_TURN_PEERS", "10.99.0.0/16"),
];

/// Bob gets what Alice sent, from behind routers of these kinds, after the relay deleted it.
fn it_comes(alice: Nat, bob: Nat, hides: bool) {
    assert!(!alice.lets_meet(bob));
    let folder = tempfile::tempdir().expect("a folder");
    let internet = Internet::new().expect("a network");
    let homes = [alice, bob].map(|nat| internet.home(nat).expect("a home"));
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let relay = RelayProcess::start_in(&internet.server, &data, &log, LISTEN, &SETTINGS);
    let mut relay = relay.expect("the relay starts");
    let [alice, bob] = [("alice", &homes[0]), ("bob", &homes[1])]
        .map(|(name, home)| Person::register_in(&home.host, name, folder.path(), &relay.ready.link));
    let film = file(folder.path(), "film.mkv", 6 * MIB);
    let sent = sends(&alice, "@bob", &film, &[]);
    assert_eq!(bob.texts("@alice"), Vec::<String>::new());
    is_deleted(&blob(folder.path(), &sent), &mut relay);
    let seeding = alice.begins(&["seed"]);
    seeding.says(|object| object["type"] == "seeding");
    let inbox = inbox(folder.path(), "bobs");
    if hides {
        bob.does(&["peers", "relay-only"]);
        let place = sent["sequence"].to_string();
        let (_, why) = bob.fails_to(&["get", "@alice", &place, "-o", text(&inbox)]);
        assert!(why.contains("ask whoever sent it"), "{why}");
    } else {
        let got = got(&bob, "@alice", &sent, &inbox);
        assert_eq!(hash(&inbox.join("film.mkv")), hash(&film));
        let sources = got["sources"].as_array().expect("sources");
        let from: Vec<[&Value; 3]> =
            sources.iter().map(|one| ["carrier", "username", "bytes"].map(|of| &one[of])).collect();
        assert_eq!(from, [[&Value::from("routed"), &Value::from("alice"), &Value::from(6 * MIB)]]);
    }
    drop(seeding);
    relay.terminate().expect("it ends");
    no_error_was_logged(&log).expect("no error");
}

/// P-074.
#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn between_nodes_without_udp_a_file_comes_over_the_relays_streams_when_the_relay_has_it_no_more() {
    it_comes(Nat::NoUdp, Nat::NoUdp, false);
}

#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn between_symmetric_routers_a_file_comes_by_the_relays_turn_when_the_relay_has_it_no_more() {
    it_comes(Nat::Symmetric, Nat::Symmetric, false);
}

#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn from_a_node_with_udp_to_one_without_a_file_comes_when_the_relay_has_it_no_more() {
    it_comes(Nat::PortRestricted, Nat::NoUdp, false);
}

#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn who_wants_the_relay_only_is_routed_no_file_either() {
    it_comes(Nat::NoUdp, Nat::NoUdp, true);
}
