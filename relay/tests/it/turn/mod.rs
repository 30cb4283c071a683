//! STUN and TURN of a real relay, by coturn's client and by one of the tests' own.

mod client;
mod coturn;
mod hostile;
mod quotas;
mod routed;

use crate::world::{TestRelay, ask};
use client::{Given, TurnClient, given, turn};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use turn_server_proto::types::attribute::{EvenPort, RequestedTransport};

const PATIENCE: Duration = Duration::from_secs(20);

/// With peers on loopback, which an operator has to name.
async fn relay_with_peers_here() -> TestRelay {
    TestRelay::start_with(|config| turn(config).peers = "127.0.0.0/8".parse().unwrap()).await
}

fn at(relay: &TestRelay) -> SocketAddr {
    relay.relay.addresses().turn.unwrap()
}

#[tokio::test]
async fn a_signed_in_device_is_told_where_stun_and_turn_are_and_borrows_with_what_it_is_given() {
    let relay = TestRelay::start_with(|config| {
        let turn = turn(config);
        turn.peers = "loopback".parse().unwrap();
        turn.tls = Some("127.0.0.1:0".parse().unwrap());
    });
    let relay = relay.await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    let (port, tls) = (at(&relay).port(), relay.relay.addresses().turns.unwrap().port());
    let expected = [
        format!("stun:127.0.0.1:{port}"),
        format!("turn:127.0.0.1:{port}?transport=udp"),
        format!("turn:127.0.0.1:{port}?transport=tcp"),
        format!("turns:127.0.0.1:{tls}?transport=tcp"),
    ];
    assert_eq!((&given.urls[..], given.ttl), (&expected[..], 6 * 3600));
    let (status, _) = relay.get("/api/v1/ice", None).await;
    assert_eq!(status, 401, "nobody else is told");

    let mut client = TurnClient::new(at(&relay), Some(given)).await;
    let relayed = client.allocate().await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let peer_at = peer.local_addr().unwrap();
    client.bind(0x4000, peer_at).await.unwrap();
    client.send_in_channel(0x4000, b"out").await;
    let mut packet = [0; 64];
    let (length, from) = tokio::time::timeout(PATIENCE, peer.recv_from(&mut packet)).await.unwrap().unwrap();
    assert_eq!((&packet[..length], from), (&b"out"[..], relayed));
    peer.send_to(b"back", relayed).await.unwrap();
    assert_eq!(client.receive().await, [&[0x40, 0, 0, 4][..], b"back"].concat());
    client.refresh().await.unwrap();

    let (_, metrics) = relay.get("/metrics", None).await;
    let metrics = metrics.as_str().unwrap();
    for name in ["sotto_turn_allocated_total{transport=\"udp\"}", "sotto_turn_bytes_total{to=\"peers\"}"] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_relay_whose_turn_is_off_says_so_with_an_empty_list() {
    let relay = TestRelay::start_with(|config| config.turn = None).await;
    let anna = relay.person("anna").await;
    let (status, answer) = relay.get("/api/v1/ice", Some(&anna.token)).await;
    assert_eq!((status, &answer["ice_servers"]), (200, &json!([])));
    assert_eq!(relay.relay.addresses().turn, None);
}

#[tokio::test]
async fn missing_forged_and_foreign_credentials_are_refused() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let good = given(&relay, &anna).await;
    let allocate = async |given: Option<Given>| TurnClient::new(at(&relay), given).await.allocate().await;
    assert_eq!(allocate(None).await, Err(401));
    let (expires, user) = good.username.split_once(':').unwrap();
    let later = format!("{}:{user}", expires.parse::<u64>().unwrap() + 1);
    let (past, stranger) = (format!("1:{user}"), format!("{expires}:{0}.{0}", "00".repeat(16)));
    for username in [later, past, stranger, user.to_owned(), "anna".to_owned()] {
        let forged = Given { username: username.clone(), ..good.clone() };
        assert_eq!(allocate(Some(forged)).await, Err(401), "{username}");
    }
    let forged = Given { credential: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(), ..good.clone() };
    assert_eq!(allocate(Some(forged)).await, Err(401));
    let other = TestRelay::start().await;
    let mut elsewhere = TurnClient::new(at(&other), Some(good.clone())).await;
    assert_eq!(elsewhere.allocate().await, Err(401), "another relay gave them");
    assert!(allocate(Some(good)).await.is_ok());
}

#[tokio::test]
async fn credentials_that_expire_during_an_allocation_stop_its_refresh() {
    let relay = TestRelay::start_with(|config| turn(config).lifetime = Duration::from_secs(3)).await;
    let anna = relay.person("anna").await;
    let (mut client, _) = TurnClient::borrowing(&relay, &anna).await;
    client.refresh().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while client.refresh().await != Err(401) {
        assert!(Instant::now() < deadline, "refreshed for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let fresh = given(&relay, &anna).await;
    let mut again = TurnClient::new(at(&relay), Some(fresh)).await;
    again.allocate().await.unwrap();
}

#[tokio::test]
async fn who_signs_out_or_is_disabled_borrows_no_longer_and_gets_nothing_new() {
    let relay = TestRelay::start_with(|config| config.first_account_is_operator = true).await;
    let operator = relay.person("olga").await;
    let (anna, bert) = (relay.person("anna").await, relay.person("bert").await);
    let (mut hers, _) = TurnClient::borrowing(&relay, &anna).await;
    let (mut his, _) = TurnClient::borrowing(&relay, &bert).await;
    let (status, _) = relay.post("/api/v1/auth/logout", Some(&anna.token), json!({})).await;
    assert_eq!(status, 204);
    let path = format!("/api/v1/operator/accounts/{}", bert.account);
    let body = Some(json!({ "disabled": true }));
    let (status, _) = ask(relay.http(), "PATCH", &path, Some(&operator.token), body).await;
    assert_eq!(status, 200);
    for (client, person) in [(&mut hers, &anna), (&mut his, &bert)] {
        assert!(client.refresh().await.is_err(), "{}", person.name);
        let (status, _) = relay.get("/api/v1/ice", Some(&person.token)).await;
        assert_eq!(status, 401, "{}", person.name);
    }
    let deadline = Instant::now() + PATIENCE;
    while hers.allocate().await != Err(401) {
        assert!(Instant::now() < deadline, "what was given still counts");
    }
}

/// Forms of addresses that are no peers, for an allocation of their family.
const REFUSED: [&str; 16] = [
    "127.0.0.1:9",
    "10.0.0.1:9",
    "100.64.0.1:9",
    "169.254.169.254:80",
    "192.168.0.1:9",
    "0.0.0.0:9",
    "224.0.0.1:9",
    "255.255.255.255:9",
    "[::1]:9",
    "[::ffff:127.0.0.1]:9",
    "[64:ff9b::7f00:1]:9",
    "[2002:7f00:1::]:9",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:9",
    "[fe80::1]:9",
    "[fd00:ec2::254]:80",
    "[ff02::1]:9",
];

#[tokio::test]
async fn no_permission_no_channel_and_no_indication_leads_to_an_inside_address() {
    let relay = TestRelay::start_with(|config| {
        turn(config).relay = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    });
    let relay = relay.await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    for is_routed in [false, true] {
        let near = async || if is_routed { routed::bridge(&relay, &anna).await } else { at(&relay) };
        let mut v4 = TurnClient::new(near().await, Some(given.clone())).await;
        assert!(v4.allocate().await.unwrap().is_ipv4());
        let mut v6 = TurnClient::new(near().await, Some(given.clone())).await;
        assert!(v6.allocate_ipv6().await.unwrap().is_ipv6());
        reach_nothing_inside(&mut v4, &mut v6).await;
    }
}

async fn reach_nothing_inside(v4: &mut TurnClient, v6: &mut TurnClient) {
    for (number, peer) in REFUSED.iter().enumerate() {
        let peer: SocketAddr = peer.parse().unwrap();
        let client = if peer.is_ipv4() { &mut *v4 } else { &mut *v6 };
        let channel = 0x4000 + u16::try_from(number).unwrap();
        assert_eq!(client.permit(peer).await, Err(403), "{peer}");
        assert_eq!(client.bind(channel, peer).await, Err(403), "{peer}");
    }
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let inside = UdpSocket::bind(listen).await.unwrap();
        let peer = inside.local_addr().unwrap();
        let client = if peer.is_ipv4() { &mut *v4 } else { &mut *v6 };
        client.indicate(peer, b"in").await;
        client.send_in_channel(0x4000, b"in").await;
        client.settle().await;
        assert!(inside.try_recv_from(&mut [0; 9]).is_err(), "{peer} was reached");
    }
    v4.permit("8.8.8.8:9".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_is_not_lent_is_refused_with_its_own_code() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let fresh = async || TurnClient::new(at(&relay), Some(given(&relay, &anna).await)).await;
    assert_eq!(fresh().await.allocate_ipv6().await, Err(440), "no IPv6 is lent here");
    assert_eq!(fresh().await.allocate_with(&[&EvenPort::new(true)]).await, Err(508), "nor pairs of ports");
    let even = fresh().await.allocate_with(&[&EvenPort::new(false)]).await.unwrap();
    assert!(even.port().is_multiple_of(2));
    let tcp = RequestedTransport::new(RequestedTransport::TCP);
    assert_eq!(fresh().await.allocate_as(&[&tcp]).await, Err(442), "peers are reached by UDP");
    assert_eq!(fresh().await.allocate_with(&[&tcp]).await, Err(400), "it is one or the other");
    assert_eq!(fresh().await.allocate_as(&[]).await, Err(400), "and one has to be said");
    let (mut client, _) = TurnClient::borrowing(&relay, &anna).await;
    assert_eq!(client.allocate().await, Err(437), "there is one");
}

#[tokio::test]
async fn a_relay_that_stops_lends_to_the_end_and_does_not_wait_for_it() {
    use tokio::io::AsyncReadExt as _;
    let relay = relay_with_peers_here().await;
    let anna = relay.person("anna").await;
    let (mut client, _) = TurnClient::borrowing(&relay, &anna).await;
    client.refresh().await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(at(&relay)).await.unwrap();
    let begun = Instant::now();
    relay.relay.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(9), "it took the whole drain");
    let ended = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 9])).await.unwrap();
    assert!(ended.is_err() || ended.is_ok_and(|length| length == 0));
}
