//! TURN on a WebSocket beside the API, for networks that let no UDP out.

use super::client::{TurnClient, given, turn};
use super::{PATIENCE, TestRelay, at, relay_with_peers_here};
use crate::world::{Person, answer};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sotto_protocol::limits::TURN_MESSAGE_BYTES_MAX;
use std::net::SocketAddr;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A stream, or the status with which there is none.
async fn open(relay: &TestRelay, token: &str) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/api/v1/turn", relay.http()).into_client_request().unwrap();
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", bearer);
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// Somebody's stream; there is a test's client at its near end, which sends datagrams.
pub(super) async fn bridge(relay: &TestRelay, person: &Person) -> SocketAddr {
    given(relay, person).await;
    let (mut outgoing, mut incoming) = open(relay, &person.token).await.unwrap().split();
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = near.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = vec![0; 65_536];
        let mut client = None;
        loop {
            tokio::select! {
                received = near.recv_from(&mut datagram) => {
                    let (length, from) = received.unwrap();
                    client = Some(from);
                    if outgoing.send(Message::binary(datagram[..length].to_vec())).await.is_err() {
                        return;
                    }
                }
                message = incoming.next() => match (message, client) {
                    (Some(Ok(Message::Binary(bytes))), Some(client)) => {
                        near.send_to(&bytes, client).await.unwrap();
                    }
                    (Some(Ok(_)), _) => {}
                    _ => return,
                },
            }
        }
    });
    address
}

async fn is_over(socket: &mut Socket) -> bool {
    let last = timeout(PATIENCE, async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return true,
                Some(Ok(_)) => {}
            }
        }
    });
    last.await.unwrap_or(false)
}

/// P-080.
#[tokio::test]
async fn over_a_websocket_somebody_borrows_sends_and_is_sent_to_as_over_udp() {
    let relay = relay_with_peers_here().await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    let mut client = TurnClient::new(bridge(&relay, &anna).await, Some(given)).await;
    let relayed = client.allocate().await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.bind(0x4000, peer.local_addr().unwrap()).await.unwrap();
    // Of a length that a stream would pad: here it comes as it is.
    client.send_in_channel(0x4000, b"out").await;
    let mut packet = [0; 64];
    let (length, from) = timeout(PATIENCE, peer.recv_from(&mut packet)).await.unwrap().unwrap();
    assert_eq!((&packet[..length], from), (&b"out"[..], relayed));
    peer.send_to(b"three", relayed).await.unwrap();
    assert_eq!(client.receive().await, [&[0x40, 0, 0, 5][..], b"three"].concat());
    client.refresh().await.unwrap();
    let (_, metrics) = relay.get("/metrics", None).await;
    let borrowed = "sotto_turn_allocated_total{transport=\"websocket\"}";
    assert!(metrics.as_str().unwrap().contains(borrowed));
    client.give_back().await.unwrap();
}

/// P-080.
#[tokio::test]
async fn who_may_not_is_told_why_and_gets_no_stream() {
    let relay = TestRelay::start_with(|config| turn(config).limits.allocations = 2).await;
    let (anna, bert) = (relay.person("anna").await, relay.person("bert").await);
    given(&relay, &anna).await;
    let _both = (open(&relay, &anna.token).await.unwrap(), open(&relay, &anna.token).await.unwrap());
    let forged = format!("{}x", anna.token);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let elsewhere = [&upgrade[..], &[("origin", "https://elsewhere.example")]].concat();
    for (what, method, token, headers, due) in [
        ("no token", "GET", None, &upgrade[..], (401, "token_refused")),
        ("a page of another origin, which has none", "GET", None, &elsewhere, (401, "token_refused")),
        ("a forged token", "GET", Some(&forged), &upgrade, (401, "token_refused")),
        ("no WebSocket", "GET", Some(&anna.token), &[], (400, "malformed")),
        ("another method", "POST", Some(&anna.token), &upgrade, (405, "method_not_allowed")),
        ("no credentials were asked for", "GET", Some(&bert.token), &upgrade, (403, "forbidden")),
        ("as many as there may be", "GET", Some(&anna.token), &upgrade, (409, "limit_reached")),
    ] {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
        let extra: Vec<_> = headers.iter().copied().chain(bearer).collect();
        let (status, headers, text) = answer(relay.http(), method, "/api/v1/turn", &extra, None).await;
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, json["code"].as_str().unwrap()), due, "{what}: {text}");
        assert_eq!(headers["content-type"], "application/problem+json", "{what}");
        assert!(!headers.contains_key("upgrade"), "{what}");
        let secrets = [&anna.token, &bert.token, &anna.account.to_string(), &bert.account.to_string()];
        assert!(!secrets.iter().any(|secret| text.contains(*secret)), "{what}: {text}");
    }
    let off = TestRelay::start_with(|config| config.turn = None).await;
    let olga = off.person("olga").await;
    assert_eq!(open(&off, &olga.token).await.unwrap_err(), 403, "a relay that lends nothing");
}

#[tokio::test]
async fn a_stream_that_ended_makes_room_for_another() {
    let relay = TestRelay::start_with(|config| turn(config).limits.allocations = 1).await;
    let anna = relay.person("anna").await;
    given(&relay, &anna).await;
    let mut first = open(&relay, &anna.token).await.unwrap();
    assert_eq!(open(&relay, &anna.token).await.unwrap_err(), 409);
    first.close(None).await.unwrap();
    assert!(is_over(&mut first).await);
    let again = async {
        while open(&relay, &anna.token).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("there is room again");
}

/// P-080.
#[tokio::test]
async fn a_message_that_is_too_large_or_a_text_ends_the_stream_and_nobody_elses() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    let mut other = TurnClient::new(bridge(&relay, &anna).await, Some(given)).await;
    other.allocate().await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![0; TURN_MESSAGE_BYTES_MAX + 1])] {
        let mut socket = open(&relay, &anna.token).await.unwrap();
        // The relay may hang up while this is still being sent.
        let _ = socket.send(message).await;
        assert!(is_over(&mut socket).await);
    }
    other.refresh().await.unwrap();
}

/// P-080.
#[tokio::test]
async fn who_signs_out_loses_the_stream_with_and_without_an_allocation() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    let mut borrower = TurnClient::new(bridge(&relay, &anna).await, Some(given)).await;
    borrower.allocate().await.unwrap();
    let mut idle = open(&relay, &anna.token).await.unwrap();
    let (status, _) = relay.post("/api/v1/auth/logout", Some(&anna.token), json!({})).await;
    assert_eq!(status, 204);
    assert!(borrower.refresh().await.is_err());
    assert!(is_over(&mut idle).await);
    assert_eq!(open(&relay, &anna.token).await.unwrap_err(), 401);
}

#[tokio::test]
async fn hostile_messages_are_passed_over_and_the_relay_ends_streams_when_it_stops() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let given = given(&relay, &anna).await;
    let mut borrower = TurnClient::new(bridge(&relay, &anna).await, Some(given)).await;
    borrower.allocate().await.unwrap();
    let mut stranger = open(&relay, &anna.token).await.unwrap();
    for round in 0..2_000 {
        let mut bytes = vec![0; random.random_range(0..200)];
        random.fill_bytes(&mut bytes);
        if let [first, ..] = &mut bytes[..] {
            // STUN, a channel, and what is neither.
            *first = match round % 3 {
                0 => *first & 3,
                1 => 0x40 | (*first & 0x3f),
                _ => *first,
            };
        }
        borrower.socket.send(&bytes).await.unwrap();
        stranger.send(Message::binary(bytes)).await.unwrap();
        if round % 64 == 0 {
            borrower.settle().await;
        }
    }
    borrower.refresh().await.unwrap();
    assert!(TurnClient::new(at(&relay), None).await.allocate().await.is_err(), "others are answered");
    relay.relay.stop().await.unwrap();
    assert!(is_over(&mut stranger).await);
}
