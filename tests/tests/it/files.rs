//! Files between real programs, by the real relay: what is sent is what is got, whatever interrupts it; and nobody else has it.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sotto_tests::daemon_process::DaemonProcess;
use sotto_tests::person::{Person, people};
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use sotto_tests::sending::{self, MIB, hash, is_deleted, place, text};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const GROUP: &str = "garden";

/// The exit codes of wrong usage, of what the relay refuses, of what is not there.
const USAGE: i32 = 2;
const REFUSED: i32 = 5;
const NOT_FOUND: i32 = 6;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a node may take in memory while it sends or gets a file of 200 MiB.
const MEMORY_KIB_MAX: u64 = 150 * 1024;

struct World {
    folder: tempfile::TempDir,
    relay: RelayProcess,
    alice: Person<'static>,
    bob: Person<'static>,
}

impl World {
    /// Two people in a group, at a relay with these settings.
    fn new(settings: &[(&str, &str)]) -> Self {
        Self::at("127.0.0.1:0", settings)
    }

    fn at(address: &str, settings: &[(&str, &str)]) -> Self {
        let (folder, relay, [alice, bob]) = people(["alice", "bob"], address, settings);
        alice.does(&["create", GROUP, "bob"]);
        Self { folder, relay, alice, bob }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("relay.log")
    }

    fn file(&self, name: &str, bytes: usize) -> PathBuf {
        sending::file(self.folder.path(), name, bytes)
    }

    fn inbox(&self, name: &str) -> PathBuf {
        sending::inbox(self.folder.path(), name)
    }

    /// Where the relay keeps a blob.
    fn blob(&self, sent: &Value) -> PathBuf {
        sending::blob(self.folder.path(), sent)
    }

    /// A figure of the relay.
    fn figure(&self, name: &str) -> u64 {
        let http = self.relay.ready.http.expect("it serves plain HTTP");
        let (_, text) = ask(http, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }
}

/// An HTTP request as it stands; status and body.
fn ask(http: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(http).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, body.to_owned())
}

fn sends(person: &Person<'_>, path: &Path, more: &[&str]) -> Value {
    sending::sends(person, GROUP, path, more)
}

fn gets(person: &Person<'_>, sent: &Value, folder: &Path) -> PathBuf {
    let got = sending::got(person, GROUP, sent, folder);
    got["path"].as_str().expect("a path").into()
}

/// P-072.
#[test]
fn a_file_is_got_as_it_was_sent_and_nobody_outside_gets_it_or_learns_of_it() {
    let world = World::new(&[]);
    let inbox = world.inbox("inbox");
    let part = MIB - 16;
    for (name, bytes) in [("empty", 0), ("one", 1), ("exact", 2 * part), ("more", 5 * part + 77)] {
        let path = world.file(name, bytes);
        let sent = sends(&world.alice, &path, &[]);
        assert_eq!(sent["file"]["bytes"], bytes, "{sent}");
        let got = gets(&world.bob, &sent, &inbox);
        assert_eq!(got, inbox.join(name));
        assert_eq!(hash(&got), hash(&path), "{name}");
    }
    let path = world.file("more", 5 * part + 77);
    let sent = sends(&world.alice, &path, &["--caption", "the **plan**"]);
    let (exit, why) = world.bob.fails_to(&["get", GROUP, "--last", "-o", text(&inbox)]);
    assert_eq!(exit, Some(USAGE), "{why}");
    assert!(why.contains("is there already"), "{why}");
    world.bob.does(&["get", GROUP, "--last", "-o", text(&inbox), "--force"]);
    let elsewhere = inbox.join("under another name");
    world.bob.does(&["get", GROUP, "-o", text(&elsewhere)]);
    assert_eq!(hash(&elsewhere), hash(&path));

    // Carol has an account here, and knows all that a request names.
    let carol = Person::register("carol", world.folder.path(), &world.relay.ready.link);
    assert_eq!(carol.fails_to(&["get", GROUP]).0, Some(NOT_FOUND));
    let http = world.relay.ready.http.expect("it serves plain HTTP");
    let token = |name: &str| {
        let email = format!("{name}@people.example");
        let body = json!({ "email": email, "password": format!("the password of {name}") }).to_string();
        let (status, answer) = ask(
            http,
            &format!(
                "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["tokens"]["access_token"].as_str().expect("a token").to_owned()
    };
    let tokens = [token("carol"), token("bob")];
    let (conversation, root) = (&sent["conversation"], &sent["file"]["root"]);
    let (conversation, root) = (conversation.as_str().expect("an id"), root.as_str().expect("a root"));
    let (nothing, nowhere) = ("0".repeat(64), "0".repeat(32));
    for (method, rest) in [
        ("GET", ""),
        ("GET", "/list"),
        ("GET", "/chunks/0"),
        ("PUT", "/chunks/0"),
        ("POST", "/complete"),
        ("DELETE", ""),
    ] {
        let request = |token: &str, conversation: &str, root: &str| {
            let head = format!("{method} /api/v1/blobs/{conversation}/{root}{rest} HTTP/1.1");
            let (status, body) = ask(
                http,
                &format!(
                    "{head}\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                     Content-Length: 0\r\n\r\n"
                ),
            );
            let mut problem: Value = serde_json::from_str(&body).unwrap_or_default();
            problem["trace"] = Value::Null;
            (status, problem)
        };
        let refused = request(&tokens[0], conversation, root);
        assert_eq!((refused.0, &refused.1["code"]), (404, &json!("not_found")), "{method} {rest}");
        assert_eq!(request(&tokens[0], conversation, &nothing), refused, "what is not there looks the same");
        assert_eq!(request(&tokens[0], &nowhere, root), refused, "nor is the conversation");
        let member = request(&tokens[1], conversation, root).0;
        assert_eq!(member, if method == "GET" { 200 } else { 403 }, "{method} {rest} by a member");
    }
    no_error_was_logged(&world.log()).expect("a log without errors");
}

#[test]
fn a_file_stands_in_the_history_and_can_be_found_answered_edited_reacted_to_and_deleted_like_a_text() {
    let world = World::new(&[]);
    let World { alice, bob, .. } = &world;
    let path = world.folder.path().join("Holiday \u{202e}gpj.exe");
    std::fs::write(&path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on").expect("a file");
    let sent = sends(alice, &path, &["--caption", "look, @bob"]);
    let place = place(&sent);
    let line = |person: &Person<'_>| {
        let lines = person.does(&["history", GROUP, "-n", "100"]);
        lines.into_iter().find(|line| line["sequence"] == sent["sequence"]).expect("it is there")
    };
    let seen = line(bob);
    assert_eq!((&seen["kind"], &seen["caption"]), (&json!("file"), &json!("look, @bob")));
    assert_eq!(seen["file"]["name"], "Holiday gpj.exe", "a name cannot turn its direction");
    assert_eq!(seen["file"]["media_type"], "image/png", "what it is, whatever it is called");
    assert_eq!(seen["mentions"].as_array().map(Vec::len), Some(1));
    assert!(!seen.to_string().contains("key"), "what opens it stays on the device: {seen}");
    for words in ["holiday", "look"] {
        let found = bob.does(&["search", words]);
        assert!(found.iter().any(|line| line["sequence"] == sent["sequence"]), "{words}: {found:?}");
    }
    bob.does(&["react", GROUP, &place, "👍"]);
    let answer = bob.does(&["send", GROUP, "nice", "--reply", &place]).remove(0);
    alice.does(&["edit", GROUP, &place, "look at this"]);
    let seen = line(bob);
    assert_eq!((&seen["kind"], &seen["caption"]), (&json!("file"), &json!("look at this")));
    assert_eq!(seen["reactions"][0]["emoji"], "👍");
    assert_eq!(seen["file"]["name"], "Holiday gpj.exe");
    let lines = alice.does(&["history", GROUP, "-n", "100"]);
    let answer = lines.iter().find(|line| line["sequence"] == answer["sequence"]).expect("the answer");
    assert!(answer["reply"]["excerpt"].as_str().is_some_and(|text| text.starts_with("Holiday")), "{answer}");
    let human = |person: &Person<'_>| {
        let mut command = person.command(&["history", GROUP]);
        let plain: Vec<_> =
            command.get_args().filter(|word| *word != "--json").map(ToOwned::to_owned).collect();
        let mut without = std::process::Command::new(command.get_program());
        without.args(plain).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null());
        String::from_utf8(without.stdin(Stdio::null()).output().expect("it ends").stdout).expect("text")
    };
    let shown = human(bob);
    assert!(shown.contains("[Holiday gpj.exe, 26 bytes, image/png]"), "{shown}");
    alice.does(&["delete", GROUP, &place]);
    assert_eq!(line(bob)["kind"], "deleted");
    assert_eq!(bob.fails_to(&["get", GROUP, &place]).0, Some(NOT_FOUND));
}

/// Kills a program when something has come so far, which it does before it ends.
fn kill_when(mut child: Child, far_enough: impl Fn() -> bool) {
    let since = Instant::now();
    while !far_enough() {
        assert!(since.elapsed() < PATIENCE, "it does not come that far");
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            assert!(status.success(), "it ended with {status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

/// Waits for the good end of a program; the most memory that it took, in KiB.
fn peak_of(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let since = Instant::now();
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(most.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child can be asked") {
            let mut why = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut why));
            assert!(ended.success(), "it ended with {ended}: {why}");
            return peak;
        }
        assert!(since.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_is_killed_on_both_ends_arrives_whole_and_hardly_a_chunk_travels_twice() {
    const CHUNKS: u64 = 200;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(&[]);
    let path = world.file("film.mkv", 200 * (MIB - 16) - 5);
    let words = ["send", GROUP, "--file", text(&path)];
    let (arrived, given) = (
        || world.figure("sotto_file_chunks_total{direction=\"in\"}"),
        || world.figure("sotto_file_chunks_total{direction=\"out\"}"),
    );
    let starts = |person: &Person<'_>, words: &[&str]| {
        person.command(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts")
    };
    for _ in 0..4 {
        let far = arrived() + random.random_range(5..40);
        kill_when(starts(&world.alice, &words), || arrived() >= far);
    }
    let peak = peak_of(starts(&world.alice, &words));
    assert!(peak < MEMORY_KIB_MAX, "sending took {peak} KiB");
    let put = arrived();
    assert!(put * 10 <= CHUNKS * 11, "{put} chunks were put for {CHUNKS}");

    let inbox = world.inbox("inbox");
    let words = ["get", GROUP, "-o", text(&inbox)];
    for _ in 0..4 {
        let far = given() + random.random_range(5..40);
        kill_when(starts(&world.bob, &words), || given() >= far);
    }
    let peak = peak_of(starts(&world.bob, &words));
    assert!(peak < MEMORY_KIB_MAX, "getting took {peak} KiB");
    let taken = given();
    assert!(taken * 10 <= CHUNKS * 11, "{taken} chunks were got for {CHUNKS}");
    assert_eq!(hash(&inbox.join("film.mkv")), hash(&path));
    assert_eq!(std::fs::read_dir(&inbox).expect("a folder").count(), 1, "nothing half is left");
    let files = |person: &Person<'_>| {
        let lines = person.does(&["history", GROUP, "-n", "100"]);
        lines.iter().filter(|line| line["kind"] == "file").count()
    };
    assert_eq!(files(&world.bob), 1, "it was said once");
    assert_eq!(world.figure("sotto_files "), 1);
    no_error_was_logged(&world.log()).expect("a log without errors");
}

#[test]
fn a_relay_that_is_killed_in_the_middle_of_an_upload_goes_on_with_it() {
    let address = free_address().expect("a free port");
    let mut world = World::at(&address, &[]);
    let path = world.file("film.mkv", 40 * MIB);
    let upload = world
        .alice
        .command(&["send", GROUP, "--file", text(&path)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let since = Instant::now();
    while world.figure("sotto_file_chunks_total{direction=\"in\"}") < 5 {
        assert!(since.elapsed() < PATIENCE, "nothing arrives");
        std::thread::sleep(Duration::from_millis(1));
    }
    world.relay.restart().expect("it starts again");
    peak_of(upload);
    let inbox = world.inbox("inbox");
    world.bob.does(&["get", GROUP, "-o", text(&inbox)]);
    assert_eq!(hash(&inbox.join("film.mkv")), hash(&path));
}

/// P-070.
#[test]
fn a_chunk_that_is_damaged_at_the_relay_is_named_and_the_rest_is_kept() {
    let world = World::new(&[]);
    let path = world.file("report.pdf", 3 * MIB);
    let sent = sends(&world.alice, &path, &[]);
    let chunk = world.blob(&sent).join("00001");
    let good = std::fs::read(&chunk).expect("the chunk");
    let mut bad = good.clone();
    bad[1000] ^= 1;
    let inbox = world.inbox("inbox");
    for damaged in [bad, good[..5_000].to_vec()] {
        std::fs::write(&chunk, damaged).expect("it is written");
        let (exit, why) = world.bob.fails_to(&["get", GROUP, "-o", text(&inbox)]);
        assert_eq!(exit, Some(REFUSED), "{why}");
        assert!(why.contains("chunk 2 of 4 is damaged"), "{why}");
        assert!(!inbox.join("report.pdf").exists());
    }
    std::fs::write(&chunk, good).expect("it is written");
    assert_eq!(hash(&gets(&world.bob, &sent, &inbox)), hash(&path));

    let list = world.blob(&sent).join("list");
    let mut other = std::fs::read(&list).expect("the list");
    other[40] ^= 1;
    std::fs::write(&list, other).expect("it is written");
    let (exit, why) = world.bob.fails_to(&["get", GROUP, "-o", text(&inbox), "--force"]);
    assert_eq!(exit, Some(REFUSED), "{why}");
    assert!(why.contains("not this file"), "{why}");
}

#[test]
fn what_is_too_large_or_too_much_is_refused_with_what_to_do_and_what_is_over_is_deleted() {
    let address = free_address().expect("a free port");
    let settings = [
        ("SOTTO_RELAY_FILES_LARGEST", "2 MiB"),
        ("SOTTO_RELAY_FILES_QUOTA", "3 MiB"),
        ("SOTTO_RELAY_FILES_KEEP", "1s"),
    ];
    let mut world = World::at(&address, &settings);
    let path = world.file("large.bin", 2 * MIB);
    let send = |world: &World, path: &Path| world.alice.fails_to(&["send", GROUP, "--file", text(path)]);
    let (exit, why) = send(&world, &path);
    assert_eq!(exit, Some(REFUSED), "{why}");
    assert!(why.contains("files.largest"), "{why}");
    let sent = sends(&world.alice, &world.file("good.bin", 3 * MIB / 2), &[]);
    let (exit, why) = send(&world, &world.file("much.bin", 3 * MIB / 2 + 5));
    assert_eq!(exit, Some(REFUSED), "{why}");
    assert!(why.contains("delete some of yours"), "{why}");
    sends(&world.bob, &world.file("bobs.bin", MIB), &[]);
    assert_eq!(world.figure("sotto_files "), 2);
    let (exit, why) = send(&world, world.folder.path());
    assert_eq!(exit, Some(USAGE), "{why}");
    assert!(why.contains("is no file"), "{why}");

    // The files of this relay are kept for a second.
    let blob = world.blob(&sent);
    assert!(blob.join("list").exists());
    is_deleted(&blob, &mut world.relay);
    let (exit, why) = world.bob.fails_to(&["get", GROUP, &place(&sent)]);
    assert_eq!(exit, Some(NOT_FOUND), "{why}");
    assert!(why.contains("ask whoever sent it"), "{why}");

    let (data, log) = (world.folder.path().join("relay"), world.log());
    world.relay.kill().expect("it can be killed");
    let off = [("SOTTO_RELAY_FILES_ENABLED", "false")];
    world.relay = RelayProcess::start_on(&data, &log, &address, &off).expect("it starts again");
    let (exit, why) = send(&world, &path);
    assert_eq!(exit, Some(REFUSED), "{why}");
    assert!(why.contains("keeps no files"), "{why}");
}

#[test]
fn a_daemon_sends_a_file_by_its_path_and_gets_one_into_a_folder() {
    let world = World::new(&[]);
    let path = world.file("data.csv", 2 * MIB + 3);
    let (a, b) = (
        DaemonProcess::start(&world.alice, 0).expect("it listens"),
        DaemonProcess::start(&world.bob, 0).expect("it listens"),
    );
    let send = |path: &str| {
        let body = json!({ "path": path, "caption": "the numbers" }).to_string();
        a.http(&format!("POST /conversations/{GROUP}/files"), &body).expect("an answer")
    };
    let (status, sent) = send(text(&path));
    assert_eq!(
        (status, &sent["type"], &sent["file"]["name"]),
        (200, &json!("sent"), &json!("data.csv")),
        "{sent}"
    );
    let (status, refused) = send("data.csv");
    assert_eq!((status, &refused["code"]), (400, &json!("invalid_request")), "{refused}");
    let inbox = world.inbox("inbox");
    let request = format!("POST /conversations/{GROUP}/files/{}", place(&sent));
    let body = json!({ "folder": text(&inbox) }).to_string();
    let since = Instant::now();
    let got = loop {
        // Bob's daemon hears of the group and of the file in a moment.
        match b.http(&request, &body).expect("an answer") {
            (200, got) => break got,
            (status, refused) => {
                assert_eq!(status, 404, "{refused}");
                assert!(since.elapsed() < PATIENCE, "it never comes");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    };
    assert_eq!(got["path"], text(&inbox.join("data.csv")));
    assert_eq!(hash(&inbox.join("data.csv")), hash(&path));
    let (status, refused) = b.http(&request, &body).expect("an answer");
    assert_eq!((status, &refused["code"]), (400, &json!("exists")), "{refused}");
    for daemon in [a, b] {
        daemon.terminate().expect("SIGTERM ends it in good order");
    }
}
