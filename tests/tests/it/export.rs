//! `sotto export` and `sotto import`: an account moves to another machine with everything that was said.

use serde_json::Value;
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::path::Path;

/// Runs a command with the passphrase of the export; its exit code, what it printed, and what it said on standard error.
fn run(person: &Person<'_>, words: &[&str], passphrase: &str) -> (Option<i32>, Vec<Value>, String) {
    let output = person
        .command(words)
        .env("SOTTO_EXPORT_PASSPHRASE", passphrase)
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("--json is text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("--json prints JSON")).collect();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn good(person: &Person<'_>, words: &[&str], passphrase: &str) -> Value {
    let (code, mut lines, errors) = run(person, words, passphrase);
    assert_eq!(code, Some(0), "{words:?}: {errors}");
    lines.pop().expect("it says what it did")
}

fn refused(person: &Person<'_>, words: &[&str], passphrase: &str) -> (Option<i32>, String) {
    let (code, _, errors) = run(person, words, passphrase);
    let last = errors.lines().last().expect("a sentence");
    let error: Value = serde_json::from_str(last).expect("--json says errors in JSON");
    (code, error["code"].as_str().expect("a code").to_owned())
}

/// The texts of a conversation with how they came, on one device.
fn lines(person: &Person<'_>, home: &Path, conversation: &str) -> Vec<(String, String)> {
    let home = home.to_str().expect("a path of text");
    let lines = person.does(&["history", conversation, "-n", "1000", "--home", home]);
    let texts = lines.iter().filter(|line| line["kind"] == "text");
    let word = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
    texts.map(|line| (word(line, "text"), word(line, "origin"))).collect()
}

fn texts(lines: &[(String, String)]) -> Vec<&str> {
    lines.iter().map(|(text, _)| text.as_str()).collect()
}

#[test]
fn an_account_moves_to_another_machine_with_what_no_archive_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    for i in 0..3 {
        alice.does(&["send", "@bob", &format!("direct {i}")]);
    }
    bob.does(&["send", "@alice", "answer"]);
    alice.does(&["create", "secrets", "bob", "--history", "none"]);
    alice.does(&["send", "secrets", "kept nowhere else"]);
    alice.does(&["create", "past", "bob"]);
    alice.does(&["send", "past", "long ago"]);
    alice.does(&["leave", "past"]);
    bob.does(&["rooms"]);
    alice.does(&["verify", "bob", "--confirm"]);

    let file = folder.path().join("alice.export");
    let file = file.to_str().expect("a path of text");
    let said = good(&alice, &["export", file], "a long passphrase");
    assert_eq!((&said["type"], &said["sealed"]), (&"exported".into(), &true.into()), "{said}");
    let bytes = std::fs::read(file).expect("it is there");
    for secret in ["direct 0", "kept nowhere else", "recovery_words", "alice"] {
        let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!there, "{secret} stands in the export as it is");
    }
    assert_eq!(refused(&alice, &["export", file], "again").1, "usage", "nothing is overwritten");

    // Elsewhere.
    let elsewhere = folder.path().join("elsewhere");
    let home = elsewhere.to_str().expect("a path of text");
    let import = ["import", file, "--home", home];
    assert_eq!(refused(&alice, &import, "wrong"), (Some(3), "wrong_passphrase".to_owned()));
    assert!(!elsewhere.join("default").exists(), "nothing was begun");
    let said = good(&alice, &import, "a long passphrase");
    assert_eq!((&said["type"], &said["new_device"]), (&"imported".into(), &true.into()), "{said}");
    assert_eq!(texts(&lines(&alice, &elsewhere, "@bob")), ["direct 0", "direct 1", "direct 2", "answer"]);
    let secrets = lines(&alice, &elsewhere, "secrets");
    assert_eq!(secrets, [("kept nowhere else".to_owned(), "imported".to_owned())]);
    assert_eq!(texts(&lines(&alice, &elsewhere, "past")), ["long ago"]);
    let verified = alice.does(&["verify", "bob", "--home", home]);
    assert_eq!(verified[0]["verified"], true, "{verified:?}");

    // It is a device like any other, and what is there is there once.
    alice.does(&["send", "@bob", "from the new machine", "--home", home]);
    assert_eq!(bob.texts("@alice").last().map(String::as_str), Some("from the new machine"));
    assert_eq!(good(&alice, &import, "a long passphrase")["added"], 0);
    assert_eq!(refused(&bob, &["import", file], "a long passphrase"), (Some(2), "other_account".to_owned()));
}

#[test]
fn a_plain_export_has_no_keys_and_one_that_was_cut_off_or_changed_does_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, _bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["send", "@bob", "one"]);
    let path = folder.path().join("plain.export");
    let file = path.to_str().expect("a path of text");
    assert_eq!(good(&alice, &["export", file, "--without-keys"], "")["sealed"], false);
    let plain = std::fs::read_to_string(&path).expect("text");
    assert!(plain.contains("\"one\"") && !plain.contains("recovery_words"), "{plain}");
    // Every line is JSON, for any program.
    let objects: Vec<Value> = plain.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects.last().expect("an end")["type"], "end");

    let home = folder.path().join("elsewhere");
    let home = home.to_str().expect("a path of text");
    assert_eq!(
        refused(&alice, &["import", file, "--home", home], "").1,
        "usage",
        "without keys no new device"
    );
    assert_eq!(good(&alice, &["import", file], "")["added"], 0);

    let whole: Vec<&str> = plain.lines().collect();
    let cut = whole[..whole.len() - 1].join("\n") + "\n";
    let without_a_line = [&whole[..whole.len() - 2], &whole[whole.len() - 1..]].concat().join("\n") + "\n";
    let other = plain.replace("\"kind\":\"direct\"", "\"kind\":\"crowd\"");
    let changed = path.with_extension("changed");
    let name = changed.to_str().expect("a path of text");
    for text in [&cut, &without_a_line, &other, &plain[..plain.len() - 1].to_owned()] {
        std::fs::write(&changed, text).expect("writable");
        assert_eq!(refused(&alice, &["import", name], "").1, "export_damaged", "{text}");
    }
    std::fs::write(&changed, "something else\n").expect("writable");
    assert_eq!(refused(&alice, &["import", name], ""), (Some(2), "no_export".to_owned()));
}
