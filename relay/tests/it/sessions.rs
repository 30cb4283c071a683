//! Connections of devices, over both transports.

use crate::client::Client;
use crate::world::{Person, TestRelay, device};
use bytes::{BufMut as _, BytesMut};
use serde_json::json;
use sotto_mls::suite::Suite;
use sotto_mls::test_group::{TestDevice, tree};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{Authenticate, Hello, Ping, Pong, Ready};
use sotto_protocol::body::conversation::{Create, HistoryPolicy, Kind, State};
use sotto_protocol::body::directory::{
    AccountCard, ClaimKeyPackages, KeyPackageStock, KeyPackages, LookUp, LookUpBy, PublishKeyPackages,
};
use sotto_protocol::body::log::{Append, Appended, Entries, Fetch};
use sotto_protocol::body::push::KeyPackagesLow;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Body as _, FrameKind, Header, VERSION};
use sotto_protocol::ids::{ConversationId, DeviceId, MessageNumber, RequestId, Sequence};
use sotto_protocol::limits::FRAME_BODY_BEFORE_AUTH_BYTES_MAX;
use sotto_protocol::mls_header::private_application_prefix;
use std::time::Duration;

const CONVERSATION: ConversationId = ConversationId([7; 16]);

async fn writes_and_reads(mut client: Client, person: &Person) {
    let group = person.device.create_in(Suite::X25519, CONVERSATION);
    let state: State = client
        .request(&Create {
            conversation: CONVERSATION,
            kind: Kind::Group,
            history: HistoryPolicy::None,
            peer: None,
            listed_name: None,
            group_info: person.device.group_info(&group).into(),
            tree: tree(&group).into(),
            extensions: Extensions::default(),
        })
        .await;
    assert_eq!(state.members[0].username, person.name);

    let mut message = private_application_prefix(CONVERSATION.as_bytes(), 0).to_vec();
    message.extend_from_slice(b"sealed");
    for number in 1..=3 {
        let appended: Appended = client
            .request(&Append {
                conversation: CONVERSATION,
                number: MessageNumber(number),
                message: message.clone().into(),
                archive: Vec::new().into(),
                extensions: Extensions::default(),
            })
            .await;
        assert_eq!(appended.sequence, Sequence(number));
    }
    let fetch = |after| Fetch {
        conversation: CONVERSATION,
        after: Sequence(after),
        limit: 10,
        extensions: Extensions::default(),
    };
    let entries: Entries = client.request(&fetch(1)).await;
    assert_eq!(entries.entries.len(), 2);
    assert_eq!(entries.entries[1].message.as_slice(), message);
    assert_eq!(entries.entries[1].account, person.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_signs_in_over_quic_and_writes_to_a_conversation() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let client = Client::of(&relay, &anna).await;
    writes_and_reads(client, &anna).await;
    relay.relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_signs_in_over_websocket_and_writes_to_a_conversation() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let client = Client::websocket(&relay).await.sign_in(&anna.device, &anna.token).await;
    writes_and_reads(client, &anna).await;
    relay.relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_with_another_token_device_signature_or_connection() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let bert = relay.person("bert").await;
    let stranger = device(anna.account, 9);
    let refused = async |device: &TestDevice, token: &str, change: fn(&mut Authenticate)| {
        let mut client = Client::quic(&relay).await;
        let nonce = client.challenge().await;
        let mut proof = client.proof(device, token, &nonce);
        change(&mut proof);
        client.send(&proof).await;
        let code = client.expect_error().await.code().unwrap();
        client.expect_end().await;
        code
    };
    let keep: fn(&mut Authenticate) = |_| {};
    assert_eq!(refused(&anna.device, "not a token", keep).await, ErrorCode::TokenRefused);
    assert_eq!(refused(&anna.device, &format!("{}x", anna.token), keep).await, ErrorCode::TokenRefused);
    assert_eq!(refused(&anna.device, &bert.token, keep).await, ErrorCode::DeviceRefused);
    assert_eq!(refused(&stranger, &anna.token, keep).await, ErrorCode::DeviceRefused);
    assert_eq!(refused(&anna.device, &anna.token, |p| p.signature[3] ^= 1).await, ErrorCode::DeviceRefused);
    assert_eq!(
        refused(&anna.device, &anna.token, |p| p.device = DeviceId([1; 16])).await,
        ErrorCode::DeviceRefused
    );

    // A proof made for one connection is worth nothing on another, even for the same nonce's owner.
    let mut one = Client::quic(&relay).await;
    let nonce = one.challenge().await;
    let stolen = one.proof(&anna.device, &anna.token, &nonce);
    let mut other = Client::quic(&relay).await;
    other.challenge().await;
    other.send(&stolen).await;
    assert_eq!(other.expect_error().await.code(), Some(ErrorCode::DeviceRefused));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_first_bytes_are_answered_and_the_connection_ends() {
    let relay = TestRelay::start().await;
    let large = Header {
        version: VERSION,
        kind: Hello::KIND,
        id: RequestId(1),
        length: u32::try_from(FRAME_BODY_BEFORE_AUTH_BYTES_MAX).unwrap() + 1,
    };
    let too_new = Hello { version_min: 99, version_max: 99, ..Hello::new("future/1") };
    for (bytes, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ErrorCode::Malformed),
        (large.encode().to_vec(), ErrorCode::TooLarge),
        (frame::encode(RequestId(1), &Ping::default()).to_vec(), ErrorCode::Unexpected),
        (frame::encode(RequestId(1), &too_new).to_vec(), ErrorCode::VersionTooOld),
    ] {
        let mut client = Client::quic(&relay).await;
        client.send_raw(bytes).await;
        assert_eq!(client.expect_error().await.code(), Some(code));
        client.expect_end().await;
    }
    assert_eq!(relay.relay.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_himself_in_time_is_turned_away() {
    // The handshake and the challenge are to come in that time, on a busy machine too.
    let relay = TestRelay::start_with(|config| config.authentication_timeout = Duration::from_secs(3)).await;
    let mut client = Client::quic(&relay).await;
    client.challenge().await;
    let error = client.expect_error().await;
    assert_eq!(error.code(), Some(ErrorCode::Unexpected), "{error}");
    client.expect_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_request_is_answered_and_skipped_and_malformed_bytes_end_the_connection() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::of(&relay, &anna).await;
    let header = Header { version: VERSION, kind: FrameKind(0x7abc), id: RequestId(77), length: 5 };
    let mut bytes = BytesMut::from(&header.encode()[..]);
    bytes.put_bytes(0xff, 5);
    frame::encode_into(&mut bytes, RequestId(78), &Ping::default());
    client.send_raw(bytes).await;
    let answer = client.next().await.unwrap();
    assert_eq!(answer.header.id, RequestId(77));
    assert_eq!(answer.decode::<WireError>().unwrap().code(), Some(ErrorCode::Unsupported));
    assert_eq!(client.next().await.unwrap().header.id, RequestId(78));

    // A frame that only a relay sends is refused, and does no harm.
    client.send(&Pong::default()).await;
    assert_eq!(client.expect_error().await.code(), Some(ErrorCode::Unexpected));
    client.request::<_, Pong>(&Ping::default()).await;

    client.send_raw(vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]).await;
    assert_eq!(client.expect_error().await.code(), Some(ErrorCode::Malformed));
    client.expect_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_of_a_device_replaces_the_older() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut older = Client::of(&relay, &anna).await;
    let mut newer = Client::of(&relay, &anna).await;
    let goodbye = older.expect_goodbye().await;
    assert!(goodbye.reason.contains("connected again"), "{}", goodbye.reason);
    older.expect_end().await;
    newer.request::<_, Pong>(&Ping::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_session_or_removing_a_device_ends_its_connections_at_once() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::of(&relay, &anna).await;
    let (status, _) = relay.post("/api/v1/auth/logout", Some(&anna.token), json!({})).await;
    assert_eq!(status, 204);
    client.expect_goodbye().await;
    client.expect_end().await;

    let bert = relay.person("bert").await;
    let login = json!({ "email": "bert@example.org", "password": "correct horse battery" });
    let (_, other) = relay.post("/api/v1/auth/login", None, login).await;
    let other_token = other["tokens"]["access_token"].as_str().unwrap();
    let mut client = Client::of(&relay, &bert).await;
    let path = format!("/api/v1/devices/{}", bert.device.certificate.device());
    let (status, answer) = crate::world::ask(relay.http(), "DELETE", &path, Some(other_token), None).await;
    assert_eq!(status, 204, "{answer}");
    client.expect_goodbye().await;
    client.expect_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_its_token_with_a_fresh_one() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::quic(&relay).await;
    let nonce = client.challenge().await;
    let proof = client.proof(&anna.device, &anna.token, &nonce);
    client.request::<_, Ready>(&proof).await;

    let refresh = json!({ "refresh_token": anna.refresh });
    let (status, answer) = relay.post("/api/v1/auth/refresh", None, refresh).await;
    assert_eq!(status, 200, "{answer}");
    let fresh = answer["tokens"]["access_token"].as_str().unwrap();
    let proof = client.proof(&anna.device, fresh, &nonce);
    let ready: Ready = client.request(&proof).await;
    assert_eq!(ready.account, anna.account);

    let proof = client.proof(&anna.device, "expired", &nonce);
    client.send(&proof).await;
    assert_eq!(client.expect_error().await.code(), Some(ErrorCode::TokenRefused));
    client.request::<_, Pong>(&Ping::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_are_published_claimed_once_and_their_owner_is_told_when_few_are_left() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let bert = relay.person("bert").await;
    let mut of_anna = Client::of(&relay, &anna).await;
    let mut of_bert = Client::of(&relay, &bert).await;
    let packages: Vec<_> = (0..2).map(|_| anna.device.key_package(Suite::X25519).into()).collect();
    let publish = PublishKeyPackages { packages, last_resort: None, extensions: Extensions::default() };
    let stock: KeyPackageStock = of_anna.request(&publish).await;
    assert_eq!(stock.count, 2);

    let look_up = LookUp { by: LookUpBy::Username("anna".to_owned()), extensions: Extensions::default() };
    let card: AccountCard = of_bert.request(&look_up).await;
    assert_eq!(card.account, anna.account);
    assert_eq!(card.devices[0].as_slice(), anna.device.certificate.to_bytes());

    let claim = ClaimKeyPackages {
        account: card.account,
        suites: vec![Suite::X25519.code_point()],
        extensions: Extensions::default(),
    };
    let one: KeyPackages = of_bert.request(&claim).await;
    let two: KeyPackages = of_bert.request(&claim).await;
    assert_ne!(one.packages[0].package, two.packages[0].package);
    let none: KeyPackages = of_bert.request(&claim).await;
    assert!(none.packages.is_empty());
    // The latest count is what is told; it may be that of either claim.
    let told = of_anna.next().await.unwrap();
    assert!(told.decode::<KeyPackagesLow>().unwrap().count < 2);

    let nobody = LookUp { by: LookUpBy::Username("nobody".to_owned()), extensions: Extensions::default() };
    of_bert.send(&nobody).await;
    assert_eq!(of_bert.expect_error().await.code(), Some(ErrorCode::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_says_goodbye_with_a_time_to_come_back_and_everything_is_there_after() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut over_quic = Client::of(&relay, &anna).await;
    let second = device(anna.account, 2);
    relay.register_device(&anna.token, &second).await;
    let mut over_websocket = Client::websocket(&relay).await.sign_in(&second, &anna.token).await;
    let TestRelay { relay, home } = relay;
    let ready_file = home.path().join("ready.json");
    assert!(ready_file.exists());
    let stopped = tokio::spawn(relay.stop());
    for client in [&mut over_quic, &mut over_websocket] {
        let goodbye = client.expect_goodbye().await;
        assert!(goodbye.reconnect_after_ms <= 3_000);
        client.expect_end().await;
    }
    stopped.await.unwrap().unwrap();
    assert!(!ready_file.exists());

    let relay = sotto_relay::Relay::start(crate::world::config(home.path())).await.unwrap();
    let relay = TestRelay { relay, home };
    let (status, answer) = relay.get("/api/v1/auth/me", Some(&anna.token)).await;
    // The tokens name the address as their issuer, and this relay found another port.
    assert!(status == 401 || answer["user"]["username"] == "anna", "{answer}");
    let login = json!({ "email": "anna@example.org", "password": "correct horse battery" });
    let (status, answer) = relay.post("/api/v1/auth/login", None, login).await;
    assert_eq!(status, 200, "{answer}");
    let token = answer["tokens"]["access_token"].as_str().unwrap();
    Client::quic(&relay).await.sign_in(&anna.device, token).await;
}
