//! What browsers get: the pages, what they are told of the relay, and WebTransport.

use crate::certificate::write_certificate;
use crate::client::{Client, h3_connection, h3_connection_to};
use crate::world::{TestRelay, answer};
use data_encoding::BASE64;
use http::HeaderMap;
use serde_json::json;
use sotto_protocol::body::connection::{Ping, Pong};
use sotto_relay::config::Origins;
use std::net::SocketAddr;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn asked(
    address: SocketAddr,
    method: &str,
    path: &str,
    extra: &[(&str, &str)],
) -> (u16, HeaderMap, String) {
    answer(address, method, path, extra, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_comes_with_a_policy_that_lets_it_talk_to_this_relay_only() {
    let relay = TestRelay::start().await;
    let port = relay.relay.addresses().quic.port();
    let (status, headers, text) = asked(relay.http(), "GET", "/", &[("host", "127.0.0.1:8080")]).await;
    assert_eq!(status, if sotto_relay::site::is_built() { 200 } else { 503 }, "{text}");
    let policy = header(&headers, "content-security-policy");
    assert!(policy.contains(&format!("connect-src 'self' https://127.0.0.1:{port};")), "{policy}");
    assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
    assert_eq!(header(&headers, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&headers, "cross-origin-opener-policy"), "same-origin");
    // What the page names is there, and typed; in a relay without its client it names nothing.
    let named = text.split(['"', '\'']).filter_map(|word| word.strip_prefix("./"));
    for path in named.filter(|path| path.contains('.')) {
        let (status, headers, _) = asked(relay.http(), "GET", &format!("/{path}"), &[]).await;
        assert_eq!(status, 200, "{path}");
        assert_ne!(header(&headers, "content-type"), "application/octet-stream", "{path}");
    }
    let (status, headers, _) = asked(relay.http(), "GET", "/api/nothing", &[]).await;
    assert_eq!((status, header(&headers, "content-type")), (404, "application/problem+json"));
    assert_eq!(relay.relay.addresses().web, format!("http://{}", relay.http()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_told_what_it_has_to_know_before_anybody_signs_in() {
    let relay = TestRelay::start().await;
    let (status, about) = relay.get("/api/v1/about", None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&about["version"], &about["registration"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!("open"))
    );
    let door = &about["webtransport"];
    assert_eq!(door["port"], relay.relay.addresses().quic.port());
    assert_eq!(door["path"], "/api/v1/wt");
    let hash = BASE64.decode(door["certificate_hashes"][0].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(hash.len(), 32);
    assert_ne!(hash, relay.relay.fingerprint().0, "browsers refuse a certificate that lasts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_has_a_link_for_browsers_that_leads_to_the_client() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let (status, made) = relay.post("/api/v1/invites", Some(&anna.token), json!({})).await;
    assert_eq!(status, 201, "{made}");
    let code = made["code"].as_str().unwrap();
    assert_eq!(made["web"], format!("http://{}/#/i/{code}", relay.http()));
    let (status, headers, _) = asked(relay.http(), "GET", &format!("/i/{code}"), &[]).await;
    assert_eq!((status, header(&headers, "location")), (303, format!("/#/i/{code}").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_elsewhere_may_call_a_relay_that_only_this_machine_reaches_if_they_are_named() {
    let from = ("origin", "https://elsewhere.example");
    let preflight = [
        from,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let by_default = TestRelay::start().await;
    let (_, headers, _) = asked(by_default.http(), "GET", "/api/v1/about", &[from]).await;
    assert_eq!(header(&headers, "access-control-allow-origin"), "");

    let named = TestRelay::start_with(|config| {
        config.web.origins = Origins::Only(vec!["https://elsewhere.example".parse().unwrap()]);
    })
    .await;
    let (status, headers, _) = asked(named.http(), "OPTIONS", "/api/v1/auth/me", &preflight).await;
    assert_eq!((status, header(&headers, "access-control-allow-origin")), (200, "https://elsewhere.example"));
    assert!(header(&headers, "access-control-allow-headers").contains("authorization"));
    assert_eq!(header(&headers, "access-control-allow-credentials"), "");
    let stranger = [("origin", "https://stranger.example")];
    let (_, headers, _) = asked(named.http(), "GET", "/api/v1/about", &stranger).await;
    assert_eq!(header(&headers, "access-control-allow-origin"), "");
    let (_, headers, _) = asked(named.http(), "GET", "/metrics", &[from]).await;
    assert_eq!(header(&headers, "access-control-allow-origin"), "", "figures are for this machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_talks_over_webtransport_and_is_told_when_the_relay_stops() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::webtransport(&relay).await.sign_in(&anna.device, &anna.token).await;
    let _: Pong = client.request(&Ping::default()).await;
    let (_, text) = relay.get("/metrics", None).await;
    assert!(text.as_str().unwrap().contains("sotto_connections_opened_total{transport=\"webtransport\"}"));
    // A node on the same port at the same time.
    let mut node = Client::of(&relay, &relay.person("bert").await).await;
    let _: Pong = node.request(&Ping::default()).await;
    let TestRelay { relay, home } = relay;
    let (stopped, goodbye) = tokio::join!(relay.stop(), async {
        let goodbye = client.expect_goodbye().await;
        client.expect_end().await;
        goodbye
    });
    stopped.unwrap();
    assert!(goodbye.reconnect_after_ms > 0);
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_asks_for_anything_else_or_speaks_no_http_is_let_go() {
    // The two that are refused have to be in that time, on a busy machine too.
    let relay = TestRelay::start_with(|config| {
        config.authentication_timeout = std::time::Duration::from_secs(3);
    })
    .await;
    for asks in ["/api/v1/other", "/"] {
        let refused = Client::try_webtransport(&relay, asks).await.err().expect(asks);
        assert!(refused.contains("404"), "{refused}");
    }
    let connection = h3_connection(&relay).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&[0xff; 64]).await.unwrap();
    let end = tokio::time::timeout(std::time::Duration::from_secs(20), connection.closed()).await;
    assert!(end.is_ok(), "the relay keeps a connection that says nothing sensible");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_authority_vouches_for_the_certificate_browsers_are_shown_that_one_and_need_no_hash() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (files, hash) = write_certificate(elsewhere.path());
    let relay = TestRelay::start_with(|config| {
        config.certificate = Some(files);
        config.certificate_pinned = false;
    })
    .await;
    let (_, about) = relay.get("/api/v1/about", None).await;
    assert_eq!(about["webtransport"]["certificate_hashes"], json!([]));
    h3_connection_to(&relay, hash).await.expect("the certificate of the authority");

    let own = TestRelay::start().await;
    let fingerprint = own.relay.fingerprint().0;
    assert!(h3_connection_to(&own, fingerprint).await.is_err(), "browsers would refuse the relay's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_ends_its_session_is_gone_at_once() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let client = Client::webtransport(&relay).await.sign_in(&anna.device, &anna.token).await;
    let connections = async |wanted: usize| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while relay.relay.connections() != wanted {
            assert!(tokio::time::Instant::now() < deadline, "not {wanted} connections in time");
            tokio::task::yield_now().await;
        }
    };
    connections(1).await;
    drop(client);
    connections(0).await;
}
