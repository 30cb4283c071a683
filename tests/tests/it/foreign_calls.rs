//! Calls with WebRTC that nobody of this project made: aiortc, of Python. Each end says a tone of its own and has to hear the other's; with a
//! picture each shows a colour, in VP8 by libvpx at that end, and has to see the other's.

use serde_json::Value;
use sotto_tests::person::{Going, Person, people};
use sotto_tests::relay_process::{RelayProcess, no_error_was_logged};
use sotto_tests::{foreign, pictures, tones};
use std::path::PathBuf;

/// What aiortc says (`tests/python/voice.py`), and what the node's microphone has.
const FOREIGN_HZ: f64 = 440.0;
const OWN_HZ: f64 = 660.0;

/// What aiortc shows, and what the node's camera has.
const FOREIGN_COLOUR: [u8; 3] = [40, 60, 200];
const OWN_COLOUR: [u8; 3] = [30, 160, 60];

/// How far from it what is heard may be.
const NEAR_HZ: f64 = 8.0;

/// Alice with `sotto` and Bob with aiortc, who have written to each other.
struct World {
    folder: tempfile::TempDir,
    _relay: RelayProcess,
    alice: Person<'static>,
    bob: Person<'static>,
    conversation: String,
}

impl World {
    fn new() -> Self {
        let (folder, relay, [alice, bob]) = people(["alice", "bob"], "127.0.0.1:0", &[]);
        alice.does(&["send", "@bob", "may I call?"]);
        assert_eq!(bob.texts("alice"), ["may I call?"]);
        let rooms = bob.does(&["rooms"]);
        let conversation = rooms[0]["conversation"].as_str().expect("an id").to_owned();
        Self { folder, _relay: relay, alice, bob, conversation }
    }

    /// Bob, ready to call in a conversation, or to `answer`.
    fn foreign(&self, whom: &[&str]) -> Going {
        foreign::begins(&self.bob, "foreign-voice", whom)
    }

    fn recording(&self) -> PathBuf {
        self.folder.path().join("heard.wav")
    }

    /// Alice calls or answers, with a tone.
    fn own(&self, words: &[&str]) -> Going {
        let microphone = self.folder.path().join("said.wav");
        tones::write(&microphone, OWN_HZ, 2.0);
        let (microphone, speaker) = (microphone.to_string_lossy(), self.recording());
        let speaker = speaker.to_string_lossy();
        let sound = ["--microphone", &microphone, "--speaker", &speaker];
        self.alice.begins(&[words, &sound].concat())
    }

    /// The same, with a camera and a recorder.
    fn own_with_picture(&self, words: &[&str]) -> Going {
        let [camera, film] = ["camera.y4m", "seen.ivf"].map(|name| self.folder.path().join(name));
        pictures::write(&camera, OWN_COLOUR);
        let [camera, film] = [camera.to_string_lossy(), film.to_string_lossy()];
        self.own(&[words, &["--camera", &camera, "--record", &film]].concat())
    }

    /// They also see each other.
    fn see(&self, own: &Going, foreign: &Going) {
        foreign.says(|object| {
            let colour = |at: usize| object["colour"][at].as_u64().and_then(|part| u8::try_from(part).ok());
            let colours = [colour(0), colour(1), colour(2)].map(Option::unwrap_or_default);
            object["type"] == "seen" && pictures::are_like(colours, OWN_COLOUR)
        });
        own.says(|object| object["type"] == "call_picture" && object["width"] == 320);
        pictures::shows(&self.folder.path().join("seen.ivf"), FOREIGN_COLOUR);
    }

    /// They hear each other until Bob hangs up; both then end in good order.
    fn talk(&self, own: Going, foreign: Going, with_picture: bool) {
        own.says(|object| object["type"] == "call" && object["state"] == "connected");
        if with_picture {
            self.see(&own, &foreign);
        }
        let heard = |object: &Value| {
            let hertz = object["hertz"].as_f64().filter(|_| object["type"] == "heard");
            hertz.is_some_and(|hertz| (hertz - OWN_HZ).abs() < NEAR_HZ)
        };
        // Two whole seconds of it, so that the recording at the other end is no shorter.
        for _ in 0..2 {
            foreign.says(heard);
        }
        foreign.ends();
        let (_, over) = own.says(|object| object["type"] == "call" && object["state"] == "ended");
        assert_eq!(over["reason"], "hung_up");
        own.ends();
        let hertz = tones::heard(&self.recording());
        assert!((hertz - FOREIGN_HZ).abs() < NEAR_HZ, "it recorded {hertz} Hz");
        no_error_was_logged(&self.folder.path().join("relay.log")).expect("a log without errors");
    }
}

#[test]
fn aiortc_takes_the_call_of_a_node_and_both_hear_each_other() {
    let world = World::new();
    let foreign = world.foreign(&["answer"]);
    world.talk(world.own(&["call", "@bob"]), foreign, false);
}

#[test]
fn aiortc_calls_a_node_and_both_hear_each_other() {
    let world = World::new();
    let own = world.own(&["answer"]);
    own.says(|object| object["type"] == "waiting");
    let foreign = world.foreign(&[&world.conversation]);
    world.talk(own, foreign, false);
}

#[test]
fn aiortc_takes_the_call_of_a_node_and_both_see_each_other() {
    let world = World::new();
    let foreign = world.foreign(&["answer", "picture"]);
    let own = world.own_with_picture(&["call", "@bob"]);
    world.talk(own, foreign, true);
}

#[test]
fn aiortc_calls_a_node_and_both_see_each_other() {
    let world = World::new();
    let own = world.own_with_picture(&["answer"]);
    own.says(|object| object["type"] == "waiting");
    let foreign = world.foreign(&[&world.conversation, "picture"]);
    world.talk(own, foreign, true);
}
