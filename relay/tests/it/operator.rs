//! The operator's commands, on the program itself: while it runs, and while it is stopped.

use crate::client::Client;
use crate::program::{Running, program, says};
use crate::world::{TestRelay, ask, registration};
use serde_json::{Value, json};
use sotto_relay::config::Config;
use sotto_relay::operator::{self, DeleteAccount, DisableAccount, ListAccounts, SetRole};
use sotto_signaling_core::account::Role;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// What a command prints with `--json`.
#[track_caller]
fn run(folder: &Path, words: &[&str]) -> Vec<Value> {
    let output = program(folder).args(words).arg("--json").output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["username"].as_str().unwrap()).collect()
}

/// Everything that the commands do, in one order, on whatever state the relay is in.
fn administers(folder: &Path) {
    let made = run(folder, &["account", "create", "anna", "--email", "anna@example.org"]);
    assert_eq!((made[0]["type"].as_str(), made[0]["role"].as_str()), (Some("account_created"), Some("user")));
    assert_eq!(made[0]["password"].as_str().unwrap().len(), 24);
    let file = folder.join("../password");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    let file = file.to_str().unwrap();
    let bert = [
        "account",
        "create",
        "bert",
        "--email",
        "b@example.org",
        "--role",
        "operator",
        "--password-file",
        file,
    ];
    let made = run(folder, &bert);
    assert_eq!((made[0]["role"].as_str(), &made[0]["password"]), (Some("operator"), &Value::Null));
    says(&program(folder).args(bert).output().unwrap(), 1, "this user name is taken");
    assert_eq!(names(&run(folder, &["account", "list"])), ["anna", "bert"]);

    assert_eq!(run(folder, &["account", "role", "anna", "operator"])[0]["role"], "operator");
    assert!(run(folder, &["account", "disable", "@anna"])[0]["disabled_ms"].is_u64());
    assert_eq!(run(folder, &["account", "disable", "anna", "--undo"])[0]["disabled_ms"], Value::Null);
    says(&program(folder).args(["account", "delete", "anna"]).output().unwrap(), 1, "add --yes");
    run(folder, &["account", "delete", "anna", "--yes"]);
    assert_eq!(names(&run(folder, &["account", "list"])), ["bert"]);
    says(&program(folder).args(["account", "role", "anna", "user"]).output().unwrap(), 1, "no such account");
    let again = ["account", "create", "anna", "--email", "other@example.org"];
    says(&program(folder).args(again).output().unwrap(), 1, "this user name is taken");

    let made = run(folder, &["invite", "create", "--uses", "3"]);
    let id = made[0]["invite"].as_str().unwrap();
    let listed = run(folder, &["invite", "list"]);
    assert_eq!(
        (listed.len(), listed[0]["invite"].as_str(), &listed[0]["uses_left"]),
        (1, Some(id), &json!(3))
    );
    assert!(listed[0]["link"].is_null(), "a code is shown once");
    run(folder, &["invite", "revoke", id]);
    assert_eq!(run(folder, &["invite", "list"]), Vec::<Value>::new());
    says(&program(folder).args(["invite", "revoke", id]).output().unwrap(), 1, "no such invite");
    says(&program(folder).args(["invite", "revoke", "x"]).output().unwrap(), 1, "`invite list` shows them");
    assert_eq!(run(folder, &["room", "list"]), Vec::<Value>::new());

    let stats = &run(folder, &["stats"])[0];
    assert_eq!((&stats["accounts"], &stats["backups"]), (&json!(1), &json!(0)));
    assert!(stats["log_disk_bytes"].as_u64() > Some(0) && stats["disk_free_bytes"].as_u64() > Some(0));
    let made = run(folder, &["backup"]);
    let stats = &run(folder, &["stats"])[0];
    assert_eq!((&stats["backups"], &stats["newest_backup_ms"]), (&json!(1), &made[0]["mark_ms"]));
    let verified = run(folder, &["verify"]);
    assert_eq!(verified[0]["mark_ms"], made[0]["mark_ms"]);
}

#[test]
fn a_running_relay_carries_out_every_command_even_without_plain_http() {
    let home = tempfile::tempdir().unwrap();
    // Longer than a socket's path may be.
    let folder = home.path().join("x".repeat(120));
    let (running, _) = Running::start(&folder, &["--set", "http=off"]);
    administers(&folder);
    assert_eq!(running.terminate().0, Some(0));
    assert!(!folder.join("control.sock").exists());
}

#[test]
fn the_folder_of_a_stopped_relay_takes_every_command() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    says(&program(&folder).args(["account", "list"]).output().unwrap(), 5, "there is no relay's data");
    assert!(!folder.exists(), "asking made nothing");
    administers(&folder);
    let (running, ready) = Running::start(&folder, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let login = json!({ "username": "bert", "password": "correct horse battery" });
    let login = ask(ready.http.unwrap(), "POST", "/api/v1/auth/login", None, Some(login));
    let (status, answer) = runtime.block_on(login);
    assert_eq!((status, &answer["user"]["role"]), (200, &json!("operator")), "{answer}");
    assert_eq!(running.terminate().0, Some(0));
}

#[test]
fn an_error_with_json_is_an_object_on_standard_error() {
    let home = tempfile::tempdir().unwrap();
    let output = program(&home.path().join("none")).args(["room", "list", "--json"]).output().unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["type"], &error["exit"]), (&json!("error"), &json!(5)));
    assert_eq!(output.status.code(), Some(5));
}

fn of(relay: &TestRelay) -> Config {
    relay.relay.config().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_an_account_ends_its_connections_and_sessions_and_nobody_signs_in_to_it() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::of(&relay, &anna).await;
    let order = |disabled| DisableAccount { username: "anna".to_owned(), disabled };
    let row = operator::give(&of(&relay), order(true)).await.unwrap();
    assert_eq!((row.devices, row.sessions), (1, 0));
    client.expect_goodbye().await;
    client.expect_end().await;
    assert_eq!(relay.get("/api/v1/auth/me", Some(&anna.token)).await.0, 401);
    let refresh = json!({ "refresh_token": anna.refresh });
    assert_eq!(relay.post("/api/v1/auth/refresh", None, refresh).await.0, 401);
    let login = json!({ "username": "anna", "password": "correct horse battery" });
    let (status, answer) = relay.post("/api/v1/auth/login", None, login.clone()).await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
    let wrong = json!({ "username": "anna", "password": "another one entirely" });
    let (status, _) = relay.post("/api/v1/auth/login", None, wrong).await;
    assert_eq!(status, 401, "only who knows the password learns that the account is disabled");

    operator::give(&of(&relay), order(false)).await.unwrap();
    assert_eq!(relay.post("/api/v1/auth/login", None, login).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_leaves_no_session_device_or_way_in_and_its_name_stays_taken() {
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let mut client = Client::of(&relay, &anna).await;
    operator::give(&of(&relay), DeleteAccount { username: "anna".to_owned() }).await.unwrap();
    client.expect_goodbye().await;
    client.expect_end().await;
    assert_eq!(relay.get("/api/v1/auth/me", Some(&anna.token)).await.0, 401);
    let login = json!({ "username": "anna", "password": "correct horse battery" });
    assert_eq!(relay.post("/api/v1/auth/login", None, login).await.0, 401);
    assert_eq!(relay.post("/api/v1/auth/register", None, registration("anna")).await.0, 409);
    assert_eq!(operator::give(&of(&relay), ListAccounts { after: None }).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_token_carries_the_role_and_the_relay_goes_by_todays() {
    let relay = TestRelay::start_with(|config| {
        config.invites = sotto_signaling_core::rights::InviteMakers::Operators;
    })
    .await;
    let anna = relay.person("anna").await;
    assert_eq!(relay.post("/api/v1/invites", Some(&anna.token), json!({})).await.0, 403);
    let set = SetRole { username: "anna".to_owned(), role: Role::Operator };
    operator::give(&of(&relay), set).await.unwrap();
    assert_eq!(relay.post("/api/v1/invites", Some(&anna.token), json!({})).await.0, 201);
    let refresh = json!({ "refresh_token": anna.refresh });
    let (_, answer) = relay.post("/api/v1/auth/refresh", None, refresh).await;
    let token = answer["tokens"]["access_token"].as_str().unwrap();
    let claims = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["role"], "operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_its_owners_and_bad_bytes_get_a_sentence() {
    use std::os::unix::fs::PermissionsExt as _;
    let relay = TestRelay::start().await;
    let socket = relay.home.path().join("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let long = vec![b'x'; 70_000];
    let told = tokio::task::spawn_blocking(move || {
        let tell = |bytes: &[u8]| {
            let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            // The relay may close before it has read all of too much.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        [
            &b""[..],
            b"{}",
            b"\xff\x00",
            br#"{"order":"dance","with":null}"#,
            br#"{"order":"account role","with":7}"#,
            &long,
        ]
        .map(tell)
    });
    let told = told.await.unwrap();
    for answer in &told[..5] {
        assert!(answer.starts_with(r#"{"refused":""#), "{answer}");
    }
    assert!(told[3].contains("restart it with this program"), "{}", told[3]);
    let rows = operator::give(&of(&relay), ListAccounts { after: None }).await.unwrap();
    assert_eq!(rows, [], "the relay takes orders as before");
}
