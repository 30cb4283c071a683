//! The program itself, as a script sees it: exit codes, sentences, JSON, and that a failure leaves nothing behind.
//! What needs a relay is in the workspace's `tests`.

use serde_json::Value;
use sotto_node::profile::Profile;
use sotto_node::secret::{self, Keyring};
use sotto_node::store::{SqliteStore, StoreKey};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "the passphrase of a test";

fn sotto(home: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(words)
        .env("SOTTO_HOME", home)
        .env("SOTTO_PASSPHRASE", PASSPHRASE)
        .env("SOTTO_PASSWORD", "the password of a test")
        .env_remove("SOTTO_RELAY")
        .env_remove("SOTTO_PROFILE")
        .env_remove("SOTTO_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// No keyring, so that the passphrase is the key.
struct NoKeyring;

impl Keyring for NoKeyring {
    fn get(&self, _entry: &str) -> Result<Option<StoreKey>, String> {
        Err("none".to_owned())
    }
    fn set(&self, _entry: &str, _key: &StoreKey) -> Result<(), String> {
        Err("none".to_owned())
    }
}

/// A home whose profile has an empty store.
fn home_with_store() -> (tempfile::TempDir, Profile, SqliteStore) {
    let home = tempfile::tempdir().expect("a folder");
    let profile = Profile::new(home.path(), "default").expect("a good name");
    let lock = profile.lock().expect("free");
    let ask = |_| Ok(Zeroizing::new(PASSPHRASE.to_owned()));
    let (key, _) = secret::create(&profile, &NoKeyring, true, ask).expect("a key");
    let store = SqliteStore::create(&profile, lock, &key).expect("a store");
    (home, profile, store)
}

#[test]
fn help_teaches_and_is_no_failure() {
    let home = tempfile::tempdir().expect("a folder");
    let help = sotto(home.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for needle in ["Examples:", "Exit codes:", "sotto send @bob", "WRONG FINGERPRINT"] {
        assert!(text.contains(needle), "{needle}");
    }
    assert_eq!(sotto(home.path(), &["shout"]).status.code(), Some(2));
    for words in
        [["--json", "shout"].as_slice(), &["--json", "send"], &["--json", "tail", "--relay", "nowhere"]]
    {
        let wrong = sotto(home.path(), words);
        let error: Value = serde_json::from_str(said(&wrong).trim_end()).expect("--json says errors in JSON");
        assert_eq!((&error["type"], &error["exit"]), (&"error".into(), &2.into()), "{error}");
        assert!(
            error["error"].as_str().is_some_and(|text| text.len() > 10 && !text.contains("Usage")),
            "{error}"
        );
        assert_eq!(wrong.status.code(), Some(2));
    }
}

#[test]
fn completions_and_manual_pages_name_every_command_and_need_no_account() {
    let home = tempfile::tempdir().expect("a folder");
    let help = String::from_utf8_lossy(&sotto(home.path(), &["--help"]).stdout).into_owned();
    let section = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next());
    let words =
        section.expect("the help lists commands").lines().filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = words.filter(|command| *command != "help").collect();
    assert!(commands.len() > 15 && commands.contains(&"daemon"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sotto(home.path(), &["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let folder = home.path().join("man");
    let written = sotto(home.path(), &["--json", "man", &folder.to_string_lossy()]);
    let object: Value = serde_json::from_slice(&written.stdout).expect("JSON");
    assert_eq!(object.get("type").and_then(Value::as_str), Some("man"), "{}", said(&written));
    for page in commands.iter().map(|command| format!("sotto-{command}.1")).chain(["sotto.1".to_owned()]) {
        let text =
            std::fs::read_to_string(folder.join(&page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH"), "{page} is no manual page");
    }
}

#[test]
fn the_daemon_refuses_an_address_that_others_can_reach_before_it_opens_anything() {
    let (home, _profile, _store) = home_with_store();
    let output = sotto(home.path(), &["daemon", "--bind", "0.0.0.0", "--port", "0"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("loopback"), "{}", said(&output));
}

#[test]
fn without_an_account_every_command_says_how_to_begin() {
    let home = tempfile::tempdir().expect("a folder");
    for words in [
        &["whoami"][..],
        &["rooms"],
        &["send", "@bob", "x"],
        &["history", "x"],
        &["tail"],
        &["logout"],
        &["daemon", "--port", "0"],
    ] {
        let output = sotto(home.path(), words);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", said(&output));
        assert!(said(&output).contains("sotto register"), "{words:?}: {}", said(&output));
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 0, "nothing was made");
}

#[test]
fn a_registration_that_fails_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let link = format!("sotto://127.0.0.1:{port}#{}", "ab".repeat(32));
    let words = ["--json", "register", "--relay", &link, "--username", "alice", "--email", "a@x.org"];
    let output = sotto(home.path(), &words);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let last = said(&output).lines().last().unwrap_or_default().to_owned();
    let object: Value = serde_json::from_str(&last).expect("--json says errors as JSON");
    assert_eq!(object.get("exit").and_then(Value::as_u64), Some(4));
    assert_eq!(object.get("code").and_then(Value::as_str), Some("unreachable"));
    let profile = Profile::new(home.path(), "default").expect("a good name");
    assert!(!profile.exists(), "the next attempt starts from nothing");
}

#[test]
fn a_registration_without_a_relay_says_what_a_link_looks_like() {
    let home = tempfile::tempdir().expect("a folder");
    let output = sotto(home.path(), &["register", "--username", "alice", "--email", "a@x.org"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("sotto://"), "{}", said(&output));
}

#[test]
fn another_certificate_than_the_links_is_refused_loudly_and_shows_both_fingerprints() {
    let (port, got) = tls_server();
    let expected = "ab".repeat(32);
    let home = tempfile::tempdir().expect("a folder");
    let link = format!("sotto://127.0.0.1:{port}#{expected}");
    let output =
        sotto(home.path(), &["register", "--relay", &link, "--username", "alice", "--email", "a@x.org"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    for needle in ["WRONG FINGERPRINT", &expected, &got] {
        assert!(said(&output).contains(needle), "{needle}: {}", said(&output));
    }
}

#[test]
fn a_damaged_store_is_named_with_the_way_out_and_stays_as_it_is() {
    let (home, profile, store) = home_with_store();
    drop(store);
    let path = profile.store_path();
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x55);
    std::fs::write(&path, &bytes).expect("writable");
    for words in [&["whoami"][..], &["login", "--username", "a"], &["send", "@bob", "x"]] {
        let output = sotto(home.path(), words);
        assert_eq!(output.status.code(), Some(8), "{words:?}: {}", said(&output));
        assert!(said(&output).contains("sotto recover"), "{words:?}: {}", said(&output));
    }
    assert!(std::fs::read(&path).expect("readable") == bytes, "the file was touched");
}

#[test]
fn a_wrong_passphrase_is_told_apart_from_damage() {
    let (home, _profile, store) = home_with_store();
    drop(store);
    let file = home.path().join("passphrase");
    std::fs::write(&file, "not this one\n").expect("writable");
    let file = file.to_string_lossy().into_owned();
    let output = sotto(home.path(), &["--json", "--passphrase-file", &file, "whoami"]);
    assert_eq!(output.status.code(), Some(8));
    assert!(said(&output).contains("wrong_passphrase"), "{}", said(&output));
}

#[test]
fn a_profile_in_use_says_who_has_it() {
    let (home, _profile, _store) = home_with_store();
    let output = sotto(home.path(), &["whoami"]);
    assert_eq!(output.status.code(), Some(8));
    assert!(said(&output).contains(&format!("process {}", std::process::id())), "{}", said(&output));
}

#[test]
fn a_registration_that_was_interrupted_says_how_to_go_on() {
    let (home, _profile, store) = home_with_store();
    drop(store);
    let output = sotto(home.path(), &["whoami"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("sotto login"), "{}", said(&output));
}

/// Accepts TLS connections for ever; gives its port and the fingerprint of its certificate.
fn tls_server() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let fingerprint = sotto_node::tls::fingerprint_of(&certificate).to_string();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut connection = rustls::ServerConnection::new(config.clone()).expect("a connection");
            // The client refuses; how that ends here does not matter.
            let _ = connection.complete_io(&mut stream);
        }
    });
    (port, fingerprint)
}
