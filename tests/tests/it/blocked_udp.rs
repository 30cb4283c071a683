//! A firewall that drops UDP: the real program reaches the real relay over WebSocket, and over QUIC again without it.

use anyhow::Result;
use sotto_tests::network::Cable;
use sotto_tests::person::Person;
use sotto_tests::relay_process::{RelayProcess, no_error_was_logged};

const PORT: u16 = 4433;

#[test]
#[ignore = "needs root: makes network namespaces with a firewall"]
fn behind_a_firewall_that_drops_udp_people_talk_over_websocket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let cable = Cable::new()?;
    let listen = format!("{}:{PORT}", Cable::SERVER);
    cable.server.drops_udp()?;
    let relay = RelayProcess::start_in(&cable.server, &data, &log, &listen, &[])?;
    let link = &relay.ready.link;
    let alice = Person::register_in(&cable.client, "alice", folder.path(), link);
    let bob = Person::register_in(&cable.client, "bob", folder.path(), link);
    assert_eq!(alice.standing(), "connected over WebSocket");
    alice.does(&["send", "@bob", "through the wall"]);
    bob.does(&["send", "@alice", "and back"]);

    cable.server.takes_udp()?;
    // The first attempt gives QUIC no head start, because it lost the last race; whoever wins, everything is there.
    assert_eq!(alice.texts("@bob"), ["through the wall", "and back"]);
    alice.does(&["send", "@bob", "without the wall"]);
    assert_eq!(bob.texts("@alice"), ["through the wall", "and back", "without the wall"]);
    for person in [&alice, &bob] {
        person.never_failed_to_decrypt();
    }
    let carol = Person::register_in(&cable.client, "carol", folder.path(), link);
    assert_eq!(carol.standing(), "connected over QUIC");
    relay.terminate()?;
    no_error_was_logged(&log)
}
