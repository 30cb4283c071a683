//! HTTP on the plain listener and over TLS: what is served where.

use crate::world::{TestRelay, answer, registration};
use serde_json::{Value, json};
use sotto_protocol::body::connection::{Ping, Pong};

#[tokio::test(flavor = "multi_thread")]
async fn the_well_known_requests_work_as_they_stand() {
    let relay = TestRelay::start().await;
    let (status, answer) = relay.post("/api/v1/auth/register", None, registration("anna")).await;
    assert_eq!(status, 201, "{answer}");
    assert!(answer["tokens"]["access_token"].is_string() && answer["tokens"]["refresh_token"].is_string());
    let login = json!({ "email": "anna@example.org", "password": "correct horse battery" });
    let (status, answer) = relay.post("/api/v1/auth/login", None, login).await;
    assert_eq!(status, 200, "{answer}");
    let refresh = json!({ "refresh_token": answer["tokens"]["refresh_token"] });
    let (status, answer) = relay.post("/api/v1/auth/refresh", None, refresh).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = relay.get("/api/v1/auth/me", answer["tokens"]["access_token"].as_str()).await;
    assert_eq!((status, &answer["user"]["username"]), (200, &json!("anna")));
    assert_eq!(relay.get("/api/v1/health", None).await.0, 200);
    assert_eq!(relay.get("/api/v1/ready", None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_this_machine_and_explain_each_figure() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = crate::client::Client::of(&relay, &anna).await;
    client.request::<_, Pong>(&Ping::default()).await;
    let (status, text) = relay.get("/metrics", None).await;
    assert_eq!(status, 200);
    let text = text.as_str().unwrap();
    for metric in sotto_relay::metrics::all() {
        // A counter with labels appears with its first value.
        if metric.labels.is_empty() {
            assert!(text.contains(&format!("# TYPE {} ", metric.name)), "{} is missing", metric.name);
        }
    }
    assert!(text.contains("sotto_connections_opened_total{transport=\"quic\"}"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_port_answers_to_its_names_and_not_to_a_page_that_pointed_its_own_there() {
    let relay = TestRelay::start_with(|config| {
        config.public_address = Some("chat.example.org:4433".parse().unwrap());
    })
    .await;
    let port = relay.http().port();
    for path in ["/", "/metrics", "/api/v1/about", "/api/v1/health", "/i/abc"] {
        for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "chat.example.org".to_owned()]
        {
            let (status, ..) = answer(relay.http(), "GET", path, &[("host", &host)], None).await;
            assert_ne!(status, 421, "{path} of {host}");
        }
        for host in [format!("evil.example:{port}"), "localhost.evil.example".to_owned(), String::new()] {
            let (status, headers, text) = answer(relay.http(), "GET", path, &[("host", &host)], None).await;
            assert_eq!(
                (status, &headers["content-type"]),
                (421, &"application/problem+json".parse().unwrap())
            );
            let problem: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&problem["code"], &problem["status"]),
                (&json!("misdirected"), &json!(421)),
                "{path}"
            );
        }
    }
    let both = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(answer(relay.http(), "GET", "/api/v1/about", &both, None).await.0, 421);
}
