//! Both transports against small servers that echo frames.

use super::*;
use crate::testing::Server;
use crate::tls::Trust;
use sotto_protocol::body::connection::{Hello, Ping};
use sotto_protocol::body::conversation::Group;
use sotto_protocol::ids::{Epoch, RequestId, Sequence};
use sotto_protocol::invite::{Fingerprint, RelayAddress};
use std::time::{Duration, Instant};

fn target(server: &Server) -> Target {
    let trust = Trust::new(Some(server.fingerprint())).expect("a provider");
    Target { relay: server.address(), trust, udp_doubtful: false }
}

async fn echo(link: &mut Link) {
    let big = Group {
        epoch: Epoch(3),
        sequence: Sequence(1),
        group_info: vec![4; 1000].into(),
        tree: vec![5; 300_000].into(),
        extensions: sotto_protocol::body::Extensions::default(),
    };
    let mut frames = vec![
        sotto_protocol::frame::encode(RequestId(1), &Hello::new("test")),
        sotto_protocol::frame::encode(RequestId(2), &big),
        sotto_protocol::frame::encode(RequestId(3), &Ping::default()),
    ];
    link.sender.send(&mut frames).await.expect("sent");
    assert!(frames.is_empty());
    let mut got = Vec::new();
    while got.len() < 3 {
        link.receiver.receive(&mut got).await.expect("echoed");
    }
    let ids: Vec<_> = got.iter().map(|frame| frame.header.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(got.get(1).and_then(|frame| frame.decode::<Group>().ok()), Some(big));
}

#[tokio::test]
async fn quic_wins_where_udp_passes_and_frames_of_any_size_come_whole_and_in_order() {
    let server = Server::both().await;
    let mut dialled = dial(&target(&server)).await.expect("a relay");
    assert_eq!(dialled.carrier(), Carrier::Quic);
    assert!(!dialled.udp_doubtful);
    echo(&mut dialled.link).await;
    dialled.link.sender.close().await;
}

#[tokio::test]
async fn a_websocket_takes_over_where_udp_is_blocked_and_the_next_time_it_starts_at_once() {
    let server = Server::websocket().await;
    let mut dialled = dial(&target(&server)).await.expect("a relay");
    assert_eq!(dialled.carrier(), Carrier::WebSocket);
    assert!(dialled.udp_doubtful);
    echo(&mut dialled.link).await;
    // QUIC is dialled with the same settings, but quinn does not tell the group.
    assert_eq!(server.group(), "X25519MLKEM768", "the hybrid is negotiated");
    dialled.link.sender.close().await;
    let again = Target { udp_doubtful: true, ..target(&server) };
    // Each dial would take the head start at least; how much longer one takes is the machine's business.
    let mut quickest = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        dial(&again).await.expect("a relay");
        quickest = quickest.min(start.elapsed());
        if quickest < race::HEAD_START {
            return;
        }
    }
    panic!("QUIC has a head start: the quickest of 50 took {quickest:?}");
}

#[tokio::test]
async fn a_proof_is_bound_to_its_connection() {
    let server = Server::both().await;
    let first = dial(&target(&server)).await.expect("a relay").link.binding;
    let second = dial(&target(&server)).await.expect("a relay").link.binding;
    assert_ne!(first, second);
}

/// P-001.
#[tokio::test]
async fn a_wrong_fingerprint_ends_both_attempts_and_shows_both_fingerprints() {
    for server in [Server::both().await, Server::websocket().await] {
        let wrong = Fingerprint([9; 32]);
        let target = Target { trust: Trust::new(Some(wrong)).expect("a provider"), ..target(&server) };
        let Err(DialError::WrongFingerprint(seen)) = dial(&target).await else { panic!("it connected") };
        assert_eq!((seen.expected, seen.got), (wrong, server.fingerprint()));
    }
}

/// A man in the middle can copy a certificate, but not sign with its key.
#[tokio::test]
async fn a_copied_certificate_without_its_key_is_refused() {
    let honest = Server::both().await;
    let impostor = Server::with_certificate_of(&honest).await;
    let target = Target { relay: impostor.address(), ..target(&honest) };
    let Err(error) = dial(&target).await else { panic!("it connected") };
    assert!(
        matches!(&error, DialError::Untrusted(sentence) if sentence.contains("without its key")),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_where_nobody_is_fails_within_seconds_and_says_why() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let relay = RelayAddress { host: "127.0.0.1".to_owned(), port };
    let trust = Trust::new(Some(Fingerprint([0; 32]))).expect("a provider");
    let start = Instant::now();
    let Err(error) = dial(&Target { relay, trust, udp_doubtful: false }).await else {
        panic!("it connected")
    };
    assert!(
        matches!(&error, DialError::Unreachable { websocket, .. } if websocket.contains("refused")),
        "{error}"
    );
    assert!(start.elapsed() < race::ATTEMPT, "not the whole time of an attempt");
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    let server = Server::both().await;
    let mut link = dial(&target(&server)).await.expect("a relay").link;
    // The echo server sends back what it gets: a header with its reserved byte set.
    link.sender
        .send(&mut vec![Bytes::from_static(&[1, 9, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0])])
        .await
        .expect("sent");
    let error = link.receiver.receive(&mut Vec::new()).await.expect_err("no frame");
    assert_eq!(error, LinkError::Frame(FrameError::Reserved));
}
