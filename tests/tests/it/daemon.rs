//! `sotto daemon` between real programs: a WebSocket client from npm on one side, the real relay on the other.

use serde_json::{Value, json};
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_tests::daemon_process::{DaemonProcess, good, node};
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn two_accounts_exchange_messages_through_two_daemons_by_a_websocket_client_from_npm() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let (a, b) = (
        DaemonProcess::start(&alice, 0).expect("it listens"),
        DaemonProcess::start(&bob, 0).expect("it listens"),
    );

    let exchange = node("tests/npm", "exchange.mjs")
        .args([&a.url, &a.account, &b.url, &b.account])
        .output()
        .expect("node starts");
    let told: Value = serde_json::from_str(&good(&exchange)).expect("JSON");

    // The same over HTTP: history in both directions, by cursors.
    let conversation = told["conversation"].as_str().expect("an id");
    let first = told["first"].as_u64().expect("a sequence");
    let path = format!("/conversations/{conversation}/messages");
    let (status, page) = b.http(&format!("GET {path}?after={}&limit=3", first - 1), "").expect("an answer");
    assert_eq!(status, 200, "{page}");
    let texts = |page: &Value| -> Vec<String> {
        let messages = page["messages"].as_array().expect("a list").iter();
        messages.filter_map(|message| message["content"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(texts(&page), ["Hello!", "Hi Alice", "line 0"]);
    let (_, next) = b.http(&format!("GET {path}?after={}&limit=2", page["after"]), "").expect("an answer");
    assert_eq!(texts(&next), ["line 1", "line 2"]);
    let (_, last) = a.http(&format!("GET {path}?limit=2"), "").expect("an answer");
    assert_eq!(texts(&last), ["line 98", "line 99"]);
    let (_, before) =
        a.http(&format!("GET {path}?before={}&limit=1", last["before"]), "").expect("an answer");
    assert_eq!(texts(&before), ["line 97"]);

    // A group by HTTP, with a text that the relay has on disk when the answer comes.
    let new = json!({ "name": "garden", "users": ["bob"] }).to_string();
    let (status, group) = a.http("POST /conversations", &new).expect("an answer");
    assert_eq!((status, &group["members"]), (201, &json!(2)), "{group}");
    let (status, sent) = a
        .http("POST /conversations/garden/messages", &json!({ "content": "hi all" }).to_string())
        .expect("an answer");
    assert_eq!((status, &sent["type"]), (200, &json!("sent")), "{sent}");
    let (_, members) = a.http("GET /conversations/garden/members", "").expect("an answer");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(2), "{members}");
    let (_, list) = a.http("GET /conversations", "").expect("an answer");
    assert_eq!(list["conversations"].as_array().map(Vec::len), Some(2), "{list}");
    let (status, left) = a.http("POST /conversations/garden/leave", "{}").expect("an answer");
    assert_eq!((status, &left["type"]), (200, &json!("left")), "{left}");

    for daemon in [a, b] {
        daemon.terminate().expect("SIGTERM ends it in good order");
    }
}

#[test]
fn the_daemon_turns_away_pages_strangers_and_what_it_does_not_understand() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let alice = Person::register("alice", folder.path(), &relay.ready.link);
    let daemon = DaemonProcess::start(&alice, 0).expect("it listens");
    let (port, token) = (daemon.port, daemon.token.clone());

    let ours = format!("Host: localhost:{port}");
    let bearer = format!("Authorization: Bearer {token}");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
    for (head, status, code) in [
        (format!("GET /status\r\n{ours}"), 401, "token_refused"),
        (format!("GET /status\r\n{ours}\r\nAuthorization: Bearer {}", "0".repeat(64)), 401, "token_refused"),
        (format!("GET /status?token={}\r\n{ours}", token.to_uppercase()), 401, "token_refused"),
        (format!("GET /status\r\nHost: rebound.example:{port}\r\n{bearer}"), 403, "host_refused"),
        (
            format!("GET /status\r\n{ours}\r\n{bearer}\r\nOrigin: http://localhost:{port}"),
            403,
            "origin_refused",
        ),
        (format!("GET /ws?token={token}\r\n{ours}\r\nOrigin: null\r\n{upgrade}"), 403, "origin_refused"),
        (format!("GET /ws?token=\r\n{ours}\r\n{upgrade}"), 401, "token_refused"),
        (format!("GET /ws\r\n{ours}\r\n{bearer}"), 400, "invalid_request"),
        (format!("GET /nowhere\r\n{ours}\r\n{bearer}"), 404, "not_found"),
        (format!("DELETE /status\r\n{ours}\r\n{bearer}"), 405, "method_not_allowed"),
        (format!("GET /conversations/nobody\r\n{ours}\r\n{bearer}"), 404, "unknown_conversation"),
        (format!("GET /conversations/x/messages?limit=0\r\n{ours}\r\n{bearer}"), 400, "invalid_request"),
    ] {
        let (got, problem) = daemon.raw(&head, "").expect("an answer");
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{head}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 20), "{problem}");
    }
    let (status, problem) = daemon.http("POST /messages", "{\"content\": 7}").expect("an answer");
    assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_request")), "{problem}");
    // One byte more than the longest text takes, however it is written.
    let head = "{\"recipient\":\"bob\",\"content\":\"";
    let large = format!("{head}{}", "x".repeat(6 * TEXT_BYTES_MAX + 4096 + 1 - head.len()));
    let (status, problem) = daemon.http("POST /messages", &large).expect("an answer");
    assert_eq!((status, problem["code"].as_str()), (413, Some("too_large")), "{problem}");
    let (status, good) = daemon.raw(&format!("GET /status\r\n{ours}\r\n{bearer}"), "").expect("an answer");
    assert_eq!((status, good["username"].as_str()), (200, Some("alice")), "{good}");

    for (words, code) in [
        (vec!["daemon".to_owned(), "--port".to_owned(), port.to_string()], "port_taken"),
        (vec!["daemon".to_owned(), "--bind".to_owned(), "0.0.0.0".to_owned()], "usage"),
        (vec!["daemon".to_owned(), "--port".to_owned(), "0".to_owned()], "profile_in_use"),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let refused = alice.command(&words).output().expect("the program starts");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains(&format!("\"code\":\"{code}\"")),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn a_hostile_program_gets_an_error_or_loses_its_socket_and_others_notice_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, _bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let daemon = DaemonProcess::start(&alice, 0).expect("it listens");
    let hostile = node("tests/npm", "hostile.mjs").arg(&daemon.url).output().expect("node starts");
    let _ = good(&hostile);
    daemon.terminate().expect("SIGTERM ends it in good order");
    assert_eq!(alice.does(&["rooms"]), Vec::<Value>::new(), "nothing of it was a text to anybody");
}

#[test]
fn a_program_that_does_not_read_is_left_behind_with_a_cursor_and_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let [a, b] = [&alice, &bob].map(|person| DaemonProcess::start(person, 0).expect("it listens"));
    let slow = node("tests/npm", "slow.mjs").args([&a.url, &b.url, &a.account]).output();
    let told: Value = serde_json::from_str(&good(&slow.expect("node starts"))).expect("JSON");
    assert!(told["missed"].as_u64().is_some_and(|missed| missed > 0), "{told}");
}

#[test]
fn a_daemon_tells_a_websocket_client_from_npm_who_comes_hides_shows_himself_and_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    let bobs_id = bob.does(&["whoami"])[0]["account"].as_str().expect("an id").to_owned();
    let a = DaemonProcess::start(&alice, 0).expect("it listens");

    let mut watching = node("tests/npm", "presence.mjs")
        .args([&a.url, &bobs_id])
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let mut says = |step: &str| {
        let line = lines.next().expect("the client says what it was told").expect("readable");
        assert_eq!(line, step);
    };
    says("ready");
    let b = DaemonProcess::start(&bob, 0).expect("it listens");
    says("came");
    for (body, step) in [("{\"invisible\": true}", "hid"), ("{\"invisible\": false}", "shown")] {
        let (status, done) = b.http("PUT /presence", body).expect("an answer");
        assert_eq!(status, 200, "{done}");
        let (_, standing) = b.http("GET /status", "").expect("an answer");
        assert_eq!(standing["invisible"], json!(step == "hid"));
        says(step);
    }
    b.terminate().expect("SIGTERM ends it in good order");
    says("went");
    assert!(watching.wait().expect("it can be waited for").success());
}
