//! Calls with the microphone and the loudspeaker of the machine: a real sound server without hardware, into whose microphone a tone is
//! played. The other end has files for devices.

use crate::calls::World;
use serde_json::Value;
use sotto_tests::person::Going;
use sotto_tests::sending::text;
use sotto_tests::sound_server::{LOUDSPEAKER, MICROPHONE, SoundServer};
use sotto_tests::tones;
use std::path::Path;
use std::process::Command;

/// What the microphone of the machine hears, and what the other end says.
const OWN_HZ: u32 = 660;
const OTHER_HZ: f64 = 440.0;

/// How far from it what is heard may be.
const NEAR_HZ: f64 = 8.0;

const USAGE: i32 = 2;

/// Alice at a desktop and Bob with files.
struct Room {
    world: World<'static>,
    desktop: SoundServer,
}

impl Room {
    fn new() -> Self {
        let world = World::new(&[]);
        let pulse = world.path("pulse");
        std::fs::create_dir(&pulse).expect("a folder");
        let desktop = SoundServer::start(&pulse, OWN_HZ);
        Self { world, desktop }
    }

    /// Bob waits for a call, with a tone.
    fn bob_waits(&self) -> Going {
        let microphone = self.world.path("said.wav");
        tones::write(&microphone, OTHER_HZ, 2.0);
        let heard = self.world.path("heard.wav");
        let going =
            self.world.bob.begins(&["answer", "--microphone", text(&microphone), "--speaker", text(&heard)]);
        going.says(|object| object["type"] == "waiting");
        going
    }

    fn alice_calling(&self, options: &[&str]) -> Command {
        let (name, address) = self.desktop.address();
        let mut command = self.world.alice.command(&[&["call", "@bob"], options].concat());
        command.env(name, address);
        command
    }

    fn alice_calls(&self, options: &[&str]) -> Going {
        Going::starts(&mut self.alice_calling(options))
    }
}

/// They have talked for some seconds.
fn talks(going: &Going) {
    for _ in 0..3 {
        going.says(|object| {
            object["type"] == "call_quality" && object["received_kbit_s"].as_f64() > Some(5.0)
        });
    }
}

fn over(object: &Value) -> bool {
    object["type"] == "call" && object["state"] == "ended"
}

fn hears(path: &Path, due: f64) {
    let hertz = tones::heard(path);
    assert!((hertz - due).abs() < NEAR_HZ, "{} has {hertz} Hz", path.display());
}

#[test]
fn who_calls_at_a_desktop_speaks_into_its_microphone_and_hears_from_its_loudspeaker() {
    let room = Room::new();
    let named = [format!("device:{MICROPHONE}"), format!("device:{LOUDSPEAKER}")];
    let [microphone, speaker] = &named;
    // Those that the person has chosen at the desktop, and the same by their names.
    for options in [&[][..], &["--microphone", microphone, "--speaker", speaker]] {
        let bob = room.bob_waits();
        let alice = room.alice_calls(options);
        alice.says(|object| object["type"] == "call" && object["state"] == "connected");
        let recorded = room.world.path("loudspeaker.wav");
        let recorder = room.desktop.record(&recorded);
        talks(&alice);
        talks(&bob);
        recorder.end();
        alice.is_interrupted();
        for end in [alice, bob] {
            end.says(over);
            end.ends();
        }
        hears(&recorded, OTHER_HZ);
        hears(&room.world.path("heard.wav"), f64::from(OWN_HZ));
    }
}

#[test]
fn a_sound_server_that_ends_ends_the_sound_and_not_the_call() {
    let mut room = Room::new();
    let bob = room.bob_waits();
    let mut alice = room.alice_calls(&[]);
    talks(&alice);
    room.desktop.end();
    alice.warns_of("the microphone is silent from now on");
    talks(&alice);
    alice.is_interrupted();
    for end in [alice, bob] {
        end.says(over);
        end.ends();
    }
}

#[test]
fn without_a_sound_server_calls_are_silent_and_a_device_by_name_is_refused_with_those_there_are() {
    let room = Room::new();
    let (code, said) = room.world.alice.fails_to(&["call", "@bob", "--microphone", "device:studio"]);
    assert_eq!(code, Some(USAGE), "{said}");
    assert!(said.contains("sound server") && said.contains("sound_device"), "{said}");
    let refused = room.alice_calling(&["--microphone", "device:studio"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(USAGE) && said.contains("studio") && said.contains(MICROPHONE),
        "{said}"
    );
    let bob = room.bob_waits();
    let alice = room.world.alice.begins(&["call", "@bob"]);
    talks(&alice);
    alice.is_interrupted();
    alice.says(over);
    let said = alice.ends_having_warned();
    assert!(said.contains("no_sound_device"), "{said}");
    bob.says(over);
    bob.ends();
}
