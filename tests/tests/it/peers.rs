//! Files directly between real programs, beside a real relay: from whoever is there, from several at once, whatever they do.

use serde_json::{Value, json};
use sotto_e2ee::file::PART_BYTES;
use sotto_tests::daemon_process::DaemonProcess;
use sotto_tests::garden::{GROUP, World};
use sotto_tests::person::{Going, Person};
use sotto_tests::programs::program;
use sotto_tests::relay_process::{free_address, no_error_was_logged};
use sotto_tests::sending::{self, MIB, got, hash, sends, text};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const USAGE: i32 = 2;

/// Somebody stays and gives.
fn seeds(person: &Person<'_>) -> Going {
    let going = person.begins(&["seed"]);
    let (_, said) = going.says(|object| object["type"] == "seeding");
    assert!(said["files"].as_u64().is_some_and(|files| files > 0), "{said}");
    going
}

/// Bytes that came from somebody directly.
fn from(got: &Value, name: &str) -> u64 {
    let sources = got["sources"].as_array().expect("sources");
    let of = sources.iter().filter(|source| source["carrier"] == "direct" && source["username"] == name);
    of.filter_map(|source| source["bytes"].as_u64()).sum()
}

fn from_relay(got: &Value) -> u64 {
    let sources = got["sources"].as_array().expect("sources");
    let of = sources.iter().filter(|source| source["carrier"] == "relay");
    of.filter_map(|source| source["bytes"].as_u64()).sum()
}

/// Somebody who has the file and lies about what is in it.
struct Liar(Child);

impl Liar {
    fn starts(person: &Person<'_>, lie: &str) -> Self {
        let mut child = Command::new(program("lying-peer"))
            .arg(person.home())
            .arg(lie)
            .env("SOTTO_PASSPHRASE", "a passphrase")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says when it is ready");
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn ends(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// P-074.
#[test]
fn a_file_comes_directly_from_members_who_are_there_from_several_at_once_and_next_to_nothing_from_the_relay()
{
    // So much that the relay, which begins where a busy machine is slow to answer, has given little of it when a link stands.
    const BYTES: usize = 240 * MIB;
    let world = World::new(BYTES);
    let alice = seeds(&world.alice);
    let first = world.gets(&world.carol, &world.inbox("carols"));
    let (direct, relayed) = (from(&first, "alice"), from_relay(&first));
    assert!(direct * 10 >= BYTES as u64 * 8, "from Alice {direct}, from the relay {relayed}: {first}");
    let carol = seeds(&world.carol);
    let second = world.gets(&world.bob, &world.inbox("bobs"));
    for name in ["alice", "carol"] {
        assert!(from(&second, name) > 0, "nothing from {name}: {second}");
    }
    assert_eq!(second["dropped"], json!([]));
    drop((alice, carol));
    no_error_was_logged(&world.log()).expect("a log without errors");
}

/// P-074.
#[test]
fn a_member_who_gives_other_bytes_is_dropped_and_named_and_nothing_of_it_is_kept() {
    // Every piece is a whole one: which is asked for first is a matter of chance, and a lie is about its length. And there are so
    // many that the relay has not given all of them when a link stands, on a busy machine too.
    let bytes = 100 * PART_BYTES;
    let world = World::new(usize::try_from(bytes).expect("small"));
    world.gets(&world.carol, &world.inbox("carols"));
    for (lie, blame) in [("corrupt", "not the file's"), ("short", "less than"), ("endless", "more than")] {
        let liar = Liar::starts(&world.carol, lie);
        let inbox = world.inbox(lie);
        let got = world.gets(&world.bob, &inbox);
        let dropped = got["dropped"].as_array().expect("a list");
        assert_eq!(dropped.len(), 1, "{lie}: {got}");
        assert_eq!(dropped[0]["username"], "carol");
        assert!(dropped[0]["why"].as_str().is_some_and(|why| why.contains(blame)), "{lie}: {got}");
        assert_eq!((from(&got, "carol"), from_relay(&got)), (0, bytes));
        liar.ends();
    }
    // Beside an honest one who is there too.
    let (alice, liar) = (seeds(&world.alice), Liar::starts(&world.carol, "corrupt"));
    let got = world.gets(&world.bob, &world.inbox("both"));
    assert!(from(&got, "alice") > 0, "{got}");
    assert_eq!(from(&got, "carol"), 0);
    liar.ends();
    drop(alice);
}

#[test]
fn when_a_member_vanishes_in_the_middle_the_relay_gives_the_rest() {
    let world = World::new(300 * MIB);
    let alice = seeds(&world.alice);
    let inbox = world.inbox("bobs");
    let words = ["get", GROUP, &sending::place(&world.sent), "-o", text(&inbox)];
    let log = world.folder.path().join("bob.log");
    let told = std::fs::File::create(&log).expect("a log");
    let mut getting = world.bob.command(&words);
    getting.env("SOTTO_LOG", "sotto_node::files=debug").env("NO_COLOR", "1");
    getting.stdin(Stdio::null()).stderr(told);
    let getting = getting.spawn().expect("it starts");
    let said = || std::fs::read_to_string(&log).expect("the log");
    // The length of the file says nothing: chunks come in any order. Of so many that she was asked for, most have come.
    let since = Instant::now();
    while said().matches("is_direct=true").count() < 20 {
        assert!(since.elapsed() < PATIENCE, "she is not asked for much: {}", said());
        std::thread::sleep(Duration::from_millis(1));
    }
    // Dropped, it is killed: nobody says goodbye.
    drop(alice);
    let output = getting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said());
    let got: Value = serde_json::from_slice(&output.stdout).expect("what was got");
    assert_eq!(hash(&inbox.join("film.mkv")), hash(&world.path));
    assert!(from(&got, "alice") > 0 && from_relay(&got) > 0, "{got}");
}

#[test]
fn a_file_that_the_relay_has_deleted_is_got_from_a_member_who_still_has_it() {
    let address = free_address().expect("a free port");
    let settings = [("SOTTO_RELAY_FILES_KEEP", "1s")];
    let mut world = World::at(&address, 7 * MIB, &settings);
    world.relay_deletes_it();
    let alice = seeds(&world.alice);
    let got = world.gets(&world.bob, &world.inbox("bobs"));
    assert_eq!((from(&got, "alice"), from_relay(&got)), (7 * MIB as u64, 0));
    drop(alice);
}

#[test]
fn who_wants_the_relay_only_neither_gives_nor_takes_directly_and_a_changed_file_is_given_to_nobody() {
    let world = World::new(8 * MIB);
    let everything = 8 * MIB as u64;
    let relayed = |words: &[&str], inbox: &str| {
        let inbox = world.inbox(inbox);
        let place = sending::place(&world.sent);
        let words = [&["get", GROUP, &place, "-o", text(&inbox)], words].concat();
        let got = world.bob.does(&words).pop().expect("what was got");
        assert_eq!(hash(&inbox.join("film.mkv")), hash(&world.folder.path().join("as-sent")));
        assert_eq!(from_relay(&got), everything, "{got}");
    };
    std::fs::copy(&world.path, world.folder.path().join("as-sent")).expect("a copy");
    let alice = DaemonProcess::start(&world.alice, 0).expect("it listens");
    relayed(&["--relay-only"], "once");
    world.bob.does(&["peers", "relay-only"]);
    relayed(&[], "kept");
    let said = world.bob.does(&["peers", "direct"]).remove(0);
    assert_eq!(said["relay_only"], false);

    // As long as before, and another file.
    let mut changed = std::fs::read(&world.path).expect("the file");
    changed.iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(&world.path, changed).expect("it is written");
    relayed(&[], "changed");
    alice.terminate().expect("SIGTERM ends it in good order");

    world.alice.does(&["peers", "relay-only"]);
    let (exit, why) = world.alice.fails_to(&["seed"]);
    assert_eq!(exit, Some(USAGE), "{why}");
    assert!(why.contains("sotto peers"), "{why}");
    let alice = world.alice.begins(&["tail"]);
    relayed(&[], "hidden");
    drop(alice);
}

#[test]
fn in_a_room_which_anybody_may_enter_nobody_learns_an_address() {
    let world = World::new(MIB);
    world.alice.does(&["create", "lobby", "bob", "--room"]);
    let sent = sends(&world.alice, "lobby", &sending::file(world.folder.path(), "talk.mkv", 8 * MIB), &[]);
    let alice = seeds(&world.alice);
    let got = got(&world.bob, "lobby", &sent, &world.inbox("bobs"));
    assert_eq!(from_relay(&got), 8 * MIB as u64, "{got}");
    drop(alice);
}
