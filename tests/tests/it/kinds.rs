//! What people do with texts, by the real program in two homes: one does it, the other sees it, and what is not allowed is
//! refused.

use serde_json::{Value, json};
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;

const GROUP: &str = "garden";

/// The exit codes of what may not be done, and of what cannot be.
const REFUSED: i32 = 5;
const USAGE: i32 = 2;

fn place(sent: &[Value]) -> String {
    sent.last().and_then(|sent| sent["sequence"].as_u64()).expect("it was sent").to_string()
}

/// Whether a line is the one at a place.
fn is_at(line: &Value, place: &str) -> bool {
    line["sequence"].as_u64() == place.parse().ok()
}

/// A line as somebody has it; nothing where it has disappeared.
fn line(person: &Person<'_>, place: &str) -> Option<Value> {
    let lines = person.does(&["history", GROUP, "-n", "1000"]);
    lines.into_iter().find(|line| is_at(line, place))
}

fn says(person: &Person<'_>, text: &str) -> String {
    let words = ["send", GROUP, text];
    place(&person.does(&words))
}

#[test]
fn what_one_does_to_texts_the_other_sees_and_what_is_not_allowed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["create", GROUP, "bob"]);
    let first = says(&alice, "dinner at seven?");
    let live = bob.begins(&["tail", GROUP]);
    let hello = says(&alice, "who is there?");
    live.says(|line| line["type"] == "message" && is_at(line, &hello));
    let changed = |at: &str| live.says(|line| line["type"] == "changed" && is_at(line, at)).1;

    alice.does(&["edit", GROUP, &first, "dinner at **eight**?"]);
    let seen = changed(&first);
    assert_eq!(seen["text"], "dinner at **eight**?");
    assert!(seen["edited_at_ms"].is_u64());
    alice.does(&["react", GROUP, &first, "👍"]);
    assert_eq!(changed(&first)["reactions"][0]["emoji"], "👍");
    alice.does(&["react", GROUP, &first, "👍", "--off"]);
    assert_eq!(changed(&first)["reactions"], json!([]));
    alice.does(&["pin", GROUP, &first]);
    assert_eq!(changed(&first)["pinned"], true);
    alice.does(&["delete", GROUP, &hello]);
    let seen = changed(&hello);
    assert_eq!((&seen["kind"], seen.get("text")), (&json!("deleted"), None));
    alice.does(&["timer", GROUP, "5s"]);
    let fleeting = says(&alice, "gone in five seconds");
    let (_, seen) = live.says(|line| is_at(line, &fleeting));
    assert!(seen["expires_at_ms"].is_u64(), "{seen}");
    live.says(|line| line["type"] == "gone" && is_at(line, &fleeting));
    drop(live);

    bob.does(&["timer", GROUP, "off"]);
    let answer = place(&bob.does(&["send", GROUP, "yes, @alice", "--reply", &first]));
    for person in [&alice, &bob] {
        assert_eq!(line(person, &fleeting), None);
        let seen = line(person, &answer).expect("it stays");
        assert_eq!(seen["reply"]["excerpt"], "dinner at **eight**?");
        assert_eq!(seen["mentions"].as_array().map(Vec::len), Some(1));
        assert_eq!(seen["expires_at_ms"], Value::Null);
        let seen = line(person, &hello).expect("what is left of it");
        assert_eq!(seen["kind"], "deleted");
        let room = person.does(&["rooms"]).remove(0);
        assert_eq!((&room["timer"], &room["pins"][0].to_string()), (&Value::Null, &first));
    }
    // Bob is a member, Alice the owner.
    for (words, exit) in [
        (["edit", GROUP, &first, "dinner at nine"].as_slice(), REFUSED),
        (&["delete", GROUP, &first], REFUSED),
        (&["react", GROUP, &first, "two words"], USAGE),
        (&["react", GROUP, &hello, "👍"], USAGE),
        (&["timer", GROUP, "1s"], USAGE),
    ] {
        assert_eq!(bob.fails_to(words).0, Some(exit), "{words:?}");
    }
    alice.does(&["delete", GROUP, &answer]);
    let seen = line(&bob, &answer).expect("what is left of it");
    assert_eq!(seen["kind"], "deleted", "an owner deletes what others wrote");
    assert_eq!(line(&bob, &first).expect("still there")["text"], "dinner at **eight**?");
    for person in [&alice, &bob] {
        person.never_failed_to_decrypt();
    }
}
