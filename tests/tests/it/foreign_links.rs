//! Data channels with WebRTC that nobody of this project made: aiortc, of Python. A file goes over one piece by piece, from a node and to one.

use serde_json::json;
use sotto_tests::foreign;
use sotto_tests::garden::{GROUP, World};
use sotto_tests::person::Going;
use sotto_tests::relay_process::{free_address, no_error_was_logged};
use sotto_tests::sending::{self, MIB, hash, text};
use std::path::Path;

/// More chunks than a relay gives before a link to anybody would stand, and the last one is short.
const BYTES: usize = 6 * MIB + 5;

/// Alice and Carol with `sotto` and Bob with aiortc, who has heard of the file, and does not have it.
fn world_at(address: &str, settings: &[(&str, &str)]) -> World {
    let world = World::at(address, BYTES, settings);
    world.bob.does(&["history", GROUP, "-n", "1"]);
    world
}

/// Bob, who takes the file into a path or gives what lies there.
fn with_aiortc(world: &World, way: &str, path: &Path) -> Going {
    let conversation = world.sent["conversation"].as_str().expect("an id");
    let words = [conversation, &sending::place(&world.sent), way, text(path)];
    foreign::begins(&world.bob, "foreign-link", &words)
}

#[test]
fn aiortc_takes_a_file_from_a_node_over_a_data_channel_piece_by_piece_and_it_is_the_file() {
    let world = world_at("127.0.0.1:0", &[]);
    let seeds = world.alice.begins(&["seed"]);
    seeds.says(|object| object["type"] == "seeding");
    let taken = world.folder.path().join("taken.mkv");
    let foreign = with_aiortc(&world, "take", &taken);
    let (_, open) = foreign.says(|object| object["type"] == "open");
    assert_eq!(open["label"], "sotto-peer/1");
    let (_, said) = foreign.says(|object| object["type"] == "got");
    assert_eq!(said["bytes"], BYTES);
    foreign.ends();
    assert_eq!(hash(&taken), hash(&world.path));
    drop(seeds);
    no_error_was_logged(&world.log()).expect("a log without errors");
}

#[test]
fn a_node_takes_a_file_from_aiortc_that_the_relay_does_not_have_any_more() {
    let address = free_address().expect("a free port");
    let settings = [("SOTTO_RELAY_FILES_KEEP", "1s")];
    let mut world = world_at(&address, &settings);
    world.relay_deletes_it();
    let foreign = with_aiortc(&world, "give", &world.path);
    let got = world.gets(&world.carol, &world.inbox("carols"));
    let sources = got["sources"].as_array().expect("sources");
    let from: Vec<_> = sources.iter().map(|one| (&one["carrier"], &one["username"], &one["bytes"])).collect();
    assert_eq!(from, [(&json!("direct"), &json!("bob"), &json!(BYTES))]);
    assert_eq!(got["dropped"], json!([]));
    let (_, asked) = foreign.says(|object| object["for"] == "Chunk(0)");
    assert_eq!(asked["type"], "asked");
    foreign.ends();
}
