//! Who is here, with real programs: a node that is killed is gone for the others, and a relay that is killed and comes
//! back is known as such at once.

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint, TransportConfig};
use sotto_node::tls::Trust;
use sotto_protocol::invite::Invite;
use sotto_tests::person::{Going, Person};
use sotto_tests::relay_process::{RelayProcess, free_address};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// P-063 says up to 29 s; the rest is for a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// A node that stays: it has caught up when this returns, because it printed what was sent to it.
fn stays(person: &Person<'_>, conversation: &str, sender: &Person<'_>) -> Going {
    let running = person.begins(&["tail"]);
    sender.does(&["send", conversation, "are you there?"]);
    running.says(|line| line["text"] == "are you there?");
    running
}

/// Whether somebody is here, as `members` of a person says. It waits for the relay's word for a second and then says nothing about
/// that: on a busy machine it is asked again.
fn sees(person: &Person<'_>, conversation: &str, username: &str) -> bool {
    let since = Instant::now();
    loop {
        let members = person.does(&["members", conversation]);
        let member = members.iter().find(|member| member["username"] == username).expect("a member");
        if let Some(here) = member["here"].as_bool() {
            return here;
        }
        assert!(since.elapsed() < GONE_WITHIN, "the relay does not say who is here: {members:?}");
    }
}

/// P-063.
#[test]
fn a_node_that_is_killed_is_seen_to_leave_and_one_that_hides_is_never_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    assert!(!sees(&alice, "garden", "bob"), "Bob has not come yet");
    assert!(sees(&alice, "garden", "alice"));

    let running = stays(&bob, "garden", &alice);
    assert!(sees(&alice, "garden", "bob"));
    let rooms = alice.does(&["rooms"]);
    assert_eq!(rooms[0]["present"], 2, "{rooms:?}");
    // Killed: it has no time to say goodbye.
    drop(running);
    let since = Instant::now();
    while sees(&alice, "garden", "bob") {
        assert!(since.elapsed() < GONE_WITHIN, "Bob was killed {:?} ago and is still shown", since.elapsed());
    }

    bob.does(&["presence", "invisible"]);
    let hidden = stays(&bob, "garden", &alice);
    assert!(!sees(&alice, "garden", "bob"), "Bob hides");
    drop(hidden);
}

/// P-064.
#[tokio::test]
async fn a_connection_ends_by_a_reset_when_the_relay_was_killed_and_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let address = free_address().expect("a free port");
    let relay = RelayProcess::start_on(&data, &log, &address, &[]).expect("the relay starts");
    let link: Invite = relay.ready.link.parse().expect("the relay's own link");
    let trust = Trust::new(link.fingerprint).expect("a provider");
    let crypto: QuicClientConfig = trust.config(&[b"sotto/1"]).try_into().expect("TLS 1.3");
    let mut transport = TransportConfig::default();
    // It has no idle time of its own to end by, and the relay's is a minute.
    transport.max_idle_timeout(None).keep_alive_interval(Some(Duration::from_millis(100)));
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
    let address_of_relay = address.parse().expect("an address");
    let connecting = endpoint.connect_with(config, address_of_relay, "localhost").expect("a dial");
    let connection = connecting.await.expect("a connection");
    relay.kill().expect("it was running");
    let relay = RelayProcess::start_on(&data, &log, &address, &[]).expect("the relay comes back");
    assert_eq!(connection.closed().await, ConnectionError::Reset);
    relay.kill().expect("it was running");
}
