//! Data channels with WebRTC that nobody of this project made: aiortc, of Python. A file goes over one piece by piece, from a node and to one.

use serde_json::{Value, json};
use sotto_tests::foreign;
use sotto_tests::person::{Going, Person};
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use sotto_tests::sending::{self, MIB, got, hash, sends, text};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const GROUP: &str = "garden";
const PATIENCE: Duration = Duration::from_secs(60);

/// More chunks than a relay gives before a link to anybody would stand, and the last one is short.
const BYTES: usize = 6 * MIB + 5;

/// Alice and Carol with `sotto` and Bob with aiortc, in a group. Alice has sent a file.
struct World {
    folder: tempfile::TempDir,
    relay: RelayProcess,
    alice: Person<'static>,
    bob: Person<'static>,
    carol: Person<'static>,
    path: PathBuf,
    sent: Value,
}

impl World {
    fn at(address: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
        let relay = RelayProcess::start_on(&data, &log, address, settings).expect("the relay starts");
        let [alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
        alice.does(&["create", GROUP, "bob", "carol"]);
        let path = sending::file(folder.path(), "film.mkv", BYTES);
        let sent = sends(&alice, GROUP, &path, &[]);
        // Bob has heard of the file, and does not have it.
        bob.does(&["history", GROUP, "-n", "1"]);
        Self { folder, relay, alice, bob, carol, path, sent }
    }

    /// Bob with aiortc, who takes the file into a path or gives what lies there.
    fn foreign(&self, way: &str, path: &Path) -> Going {
        let conversation = self.sent["conversation"].as_str().expect("an id");
        let words = [conversation, &sending::place(&self.sent), way, text(path)];
        foreign::begins(&self.bob, "foreign-link", &words)
    }
}

#[test]
fn aiortc_takes_a_file_from_a_node_over_a_data_channel_piece_by_piece_and_it_is_the_file() {
    let world = World::at("127.0.0.1:0", &[]);
    let seeds = world.alice.begins(&["seed"]);
    seeds.says(|object| object["type"] == "seeding");
    let taken = world.folder.path().join("taken.mkv");
    let foreign = world.foreign("take", &taken);
    let (_, open) = foreign.says(|object| object["type"] == "open");
    assert_eq!(open["label"], "sotto-peer/1");
    let (_, said) = foreign.says(|object| object["type"] == "got");
    assert_eq!(said["bytes"], BYTES);
    foreign.ends();
    assert_eq!(hash(&taken), hash(&world.path));
    drop(seeds);
    no_error_was_logged(&world.folder.path().join("relay.log")).expect("a log without errors");
}

#[test]
fn a_node_takes_a_file_from_aiortc_that_the_relay_does_not_have_any_more() {
    let address = free_address().expect("a free port");
    let settings = [("SOTTO_RELAY_FILES_KEEP", "1s")];
    let mut world = World::at(&address, &settings);
    let conversation = world.sent["conversation"].as_str().expect("an id");
    let blob = world.folder.path().join("relay/blobs").join(conversation);
    let blob = blob.join(world.sent["file"]["root"].as_str().expect("a root"));
    let since = Instant::now();
    let (data, log) = (world.folder.path().join("relay"), world.folder.path().join("relay.log"));
    while blob.exists() {
        assert!(since.elapsed() < PATIENCE, "it is not deleted");
        world.relay.kill().expect("it can be killed");
        world.relay = RelayProcess::start_on(&data, &log, &address, &settings).expect("it starts again");
        std::thread::sleep(Duration::from_millis(200));
    }
    let foreign = world.foreign("give", &world.path);
    let inbox = sending::inbox(world.folder.path(), "carols");
    let got = got(&world.carol, GROUP, &world.sent, &inbox);
    assert_eq!(hash(&inbox.join("film.mkv")), hash(&world.path));
    let sources = got["sources"].as_array().expect("sources");
    let from: Vec<_> = sources.iter().map(|one| (&one["carrier"], &one["username"], &one["bytes"])).collect();
    assert_eq!(from, [(&json!("direct"), &json!("bob"), &json!(BYTES))]);
    assert_eq!(got["dropped"], json!([]));
    let (_, asked) = foreign.says(|object| object["for"] == "Chunk(0)");
    assert_eq!(asked["type"], "asked");
    foreign.ends();
}
