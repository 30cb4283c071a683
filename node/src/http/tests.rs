//! The client against a small server with a self-signed certificate.

use super::*;
use crate::testing::{Answer, Server};
use sotto_node_core::account::Vault;

#[tokio::test]
async fn a_registration_is_sent_and_its_answer_read() {
    let account = "11".repeat(16);
    let answer = format!(
        r#"{{"user":{{"id":"{account}","email":"a@x.org","username":"alice","role":"user","created_at":"2026-11-20T00:00:00Z"}},
            "tokens":{{"access_token":"A","refresh_token":"R","token_type":"Bearer","expires_in":900}},"later":1}}"#
    );
    let server = Server::http(Answer::json(201, &answer)).await;
    let signed_in =
        server.api().register("a@x.org", "alice", "correct horse", Some("CODE")).await.expect("an account");
    assert_eq!(signed_in.user.username, "alice");
    assert_eq!(signed_in.tokens.expires_in, 900);
    let request = server.last_request();
    assert!(request.starts_with("POST /api/v1/auth/register HTTP/1.1"), "{request}");
    assert!(request.contains(r#""invite":"CODE""#), "{request}");
}

#[tokio::test]
async fn a_refusal_carries_status_code_sentence_and_when_to_come_back() {
    let server = Server::http(Answer {
        status: 429,
        headers: "content-type: application/problem+json\r\nretry-after: 7\r\n".to_owned(),
        body: br#"{"title":"Too many","status":429,"detail":"slow \u001b[2Jdown","code":"rate_limited"}"#
            .to_vec(),
    })
    .await;
    let Err(HttpError::Refused(problem)) = server.api().login("alice", "x").await else { panic!("refused") };
    assert_eq!((problem.status, problem.code.as_str()), (429, "rate_limited"));
    assert_eq!(problem.detail, "slow \u{fffd}[2Jdown", "a relay cannot command the terminal");
    assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
}

/// P-001.
#[tokio::test]
async fn another_certificate_is_refused_and_nothing_is_sent() {
    let server = Server::http(Answer::json(200, "{}")).await;
    let wrong = sotto_protocol::invite::Fingerprint([7; 32]);
    let nobody = api(server.address(), Trust::new(Some(wrong)).expect("a provider"));
    let Err(HttpError::WrongFingerprint(seen)) = nobody.login("alice", "secret").await else {
        panic!("refused")
    };
    assert_eq!((seen.expected, seen.got), (wrong, server.fingerprint()));
    assert!(seen.to_string().contains(&server.fingerprint().to_string()), "both are shown");
    assert_eq!(server.last_request(), "");
}

#[tokio::test]
async fn a_self_signed_certificate_without_a_fingerprint_is_not_trusted() {
    let server = Server::http(Answer::json(200, "{}")).await;
    let nobody = api(server.address(), Trust::new(None).expect("authorities"));
    assert!(matches!(nobody.login("alice", "secret").await, Err(HttpError::Untrusted(_))));
    assert_eq!(server.last_request(), "");
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_a_refusal() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let relay = RelayAddress { host: "127.0.0.1".to_owned(), port };
    let nobody = api(relay, Trust::new(None).expect("authorities"));
    assert!(matches!(nobody.login("alice", "secret").await, Err(HttpError::Unreachable { .. })));
}

#[tokio::test]
async fn an_answer_of_another_shape_is_malformed_and_not_a_panic() {
    for body in ["", "[]", "{", r#"{"tokens":3}"#, "<html>"] {
        let server = Server::http(Answer::json(200, body)).await;
        assert!(matches!(server.api().refresh("R").await, Err(HttpError::Malformed(_))), "{body}");
    }
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_none_and_one_that_is_comes_whole() {
    let server = Server::http(Answer::json(404, r#"{"code":"not_found"}"#)).await;
    assert_eq!(server.api().vault("A").await.expect("an answer"), None);
    let server = Server::http(Answer::json(200, r#"{"version":3,"data":"AQID"}"#)).await;
    let vault = server.api().vault("A").await.expect("an answer");
    assert_eq!(vault, Some(Vault { version: 3, data: vec![1, 2, 3] }));
}

#[test]
fn a_date_of_http_is_read_and_anything_else_is_none() {
    let read = |text| moment_of(text).map(|moment| moment.0);
    assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
    assert_eq!(read("yesterday"), None);
    assert_eq!(read("Sun, 06 Nov 1900 08:49:37 GMT"), None);
}
