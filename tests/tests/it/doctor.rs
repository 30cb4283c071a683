//! `sotto doctor` on a machine that is well, and on several that are not.

use serde_json::Value;
use sotto_tests::daemon_process::DaemonProcess;
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::net::TcpListener;

/// What a person is told, by the name of the check; and the exit code.
fn told(person: &Person<'_>, words: &[&str]) -> (Vec<(String, String)>, Option<i32>) {
    let words: Vec<&str> = ["doctor"].iter().chain(words).copied().collect();
    let output = person.command(&words).output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("--json is text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("--json prints JSON"));
    let checks = lines.filter(|line| line["type"] == "check").map(|line| {
        let word = |name: &str| line[name].as_str().expect("a text").to_owned();
        assert!(word("text").len() > 5, "{line}");
        let bad = matches!(line["verdict"].as_str(), Some("failed" | "warning"));
        assert!(
            !bad || line["advice"].is_string() || line["text"].as_str().is_some_and(|t| t.len() > 40),
            "{line}"
        );
        (word("check"), word("verdict"))
    });
    (checks.collect(), output.status.code())
}

const CHECKS: [&str; 11] = [
    "profile",
    "key",
    "store",
    "session",
    "address",
    "tcp",
    "certificate",
    "clock",
    "udp",
    "account",
    "room",
];

/// The first checks with how they come out.
fn verdicts(wanted: &[&str]) -> Vec<(String, String)> {
    CHECKS.iter().zip(wanted).map(|(check, verdict)| ((*check).to_owned(), (*verdict).to_owned())).collect()
}

#[test]
fn the_doctor_finds_nothing_on_a_machine_that_is_well_and_names_what_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let relay = RelayProcess::start(&data, &log, &[]).expect("the relay starts");
    let link = relay.ready.link.clone();
    let alice = Person::register("alice", folder.path(), &link);
    assert_eq!(told(&alice, &[]), (verdicts(&["good"; 11]), Some(0)));

    // A daemon has the profile: the store is its business, the relay is looked at where it is named.
    let daemon = DaemonProcess::start(&alice, 0).expect("it listens");
    let here = ["good", "good", "warning", "skipped"];
    let wanted = verdicts(&[here.as_slice(), &["good"; 5], &["skipped"; 2]].concat());
    assert_eq!(told(&alice, &["--relay", &link]), (wanted, Some(0)));
    let wanted = verdicts(&[here.as_slice(), &["skipped"; 7]].concat());
    assert_eq!(told(&alice, &[]), (wanted, Some(0)));
    daemon.terminate().expect("it ends in good order");

    // Another certificate than the link's.
    let (address, fingerprint) = link.split_once('#').expect("a fingerprint");
    let wrong = format!("{address}#{}", fingerprint.replace(|c: char| c.is_ascii_hexdigit(), "a"));
    let (checks, code) = told(&alice, &["--relay", &wrong]);
    assert_eq!(code, Some(7));
    assert_eq!(checks[6], ("certificate".to_owned(), "failed".to_owned()));

    // Nobody there.
    relay.kill().expect("it is killed");
    let (checks, code) = told(&alice, &[]);
    assert_eq!(code, Some(4));
    let way = ["failed", "skipped", "skipped", "failed", "skipped", "skipped"];
    assert_eq!(checks, verdicts(&[["good"; 5].as_slice(), &way].concat()));

    // A name that is none.
    let (checks, code) = told(&alice, &["--relay", "sotto://nobody.invalid:4433"]);
    assert_eq!((code, &checks[4]), (Some(4), &("address".to_owned(), "failed".to_owned())));
}

#[test]
fn the_doctor_tells_a_stranger_on_the_port_a_damaged_store_and_an_empty_home_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let bob = Person::register("bob", folder.path(), &relay.ready.link);

    let (checks, code) = told(&bob, &["--profile", "elsewhere"]);
    assert_eq!((code, &checks[0]), (Some(3), &("profile".to_owned(), "failed".to_owned())));

    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = stranger.local_addr().expect("bound").port();
    std::thread::spawn(move || stranger.incoming().for_each(drop));
    let (checks, code) = told(&bob, &["--relay", &format!("sotto://127.0.0.1:{port}")]);
    assert_eq!((code, &checks[5]), (Some(4), &("tcp".to_owned(), "failed".to_owned())));

    let store = folder.path().join("bob/default/store.db");
    let mut bytes = std::fs::read(&store).expect("it is there");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&store, &bytes).expect("writable");
    let (checks, code) = told(&bob, &[]);
    assert_eq!((code, &checks[2]), (Some(8), &("store".to_owned(), "failed".to_owned())));
    assert_eq!(
        std::fs::read(&store).expect("it is there"),
        bytes,
        "nothing is repaired behind anybody's back"
    );
}

#[test]
fn two_accounts_live_beside_each_other_in_two_profiles_of_one_home() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let link = relay.ready.link.as_str();
    let alice = Person::register("alice", folder.path(), link);
    let work = ["--profile", "work"];
    let register = ["register", "--relay", link, "--username", "alice.work", "--email", "alice@work.example"];
    alice.does(&[register.as_slice(), &work].concat());
    alice.does(&["send", "@alice.work", "to myself at work"]);
    let read = alice.does(&[["history", "@alice"].as_slice(), &work].concat());
    assert_eq!(read.iter().filter(|line| line["text"] == "to myself at work").count(), 1, "{read:?}");
    let who = |words: &[&str]| alice.does(words)[0]["username"].as_str().expect("a name").to_owned();
    assert_eq!(who(&["whoami"]), "alice");
    assert_eq!(who(&["whoami", "--profile", "work"]), "alice.work");

    let daemon = DaemonProcess::start(&alice, 0).expect("it listens");
    let profiles = alice.does(&["profiles", "--profile", "work"]);
    let names: Vec<_> = profiles.iter().map(|line| (&line["profile"], &line["chosen"])).collect();
    assert_eq!(names, [(&"default".into(), &false.into()), (&"work".into(), &true.into())]);
    assert!(profiles[0]["in_use_by"].is_string() && profiles[1]["in_use_by"].is_null(), "{profiles:?}");
    daemon.terminate().expect("it ends in good order");
}
