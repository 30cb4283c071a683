//! Voice calls between real programs, beside a real relay. Each end says a tone of its own and has to hear the other's.

use serde_json::Value;
use sotto_tests::person::{Going, Person, people};
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use sotto_tests::sending::text;
use sotto_tests::tones;
use std::path::{Path, PathBuf};

/// What those say who call, and those who answer.
pub(crate) const CALLER_HZ: f64 = 440.0;
pub(crate) const CALLEE_HZ: f64 = 660.0;

/// How far from it what is heard may be.
const NEAR_HZ: f64 = 8.0;

const USAGE: i32 = 2;
const NO_CALL: i32 = 11;

/// Alice and Bob, who have written to each other.
pub(crate) struct World<'n> {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) relay: RelayProcess,
    pub(crate) alice: Person<'n>,
    pub(crate) bob: Person<'n>,
}

/// One end of a call, with its sound.
pub(crate) struct End {
    pub(crate) going: Going,
    recording: PathBuf,
}

impl World<'static> {
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        Self::at("127.0.0.1:0", settings)
    }

    fn at(address: &str, settings: &[(&str, &str)]) -> Self {
        let (folder, relay, [alice, bob]) = people(["alice", "bob"], address, settings);
        Self::of(folder, relay, alice, bob)
    }
}

impl<'n> World<'n> {
    /// They write to each other.
    pub(crate) fn of(
        folder: tempfile::TempDir,
        relay: RelayProcess,
        alice: Person<'n>,
        bob: Person<'n>,
    ) -> Self {
        alice.does(&["send", "@bob", "may I call?"]);
        assert_eq!(bob.texts("@alice"), ["may I call?"]);
        Self { folder, relay, alice, bob }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Somebody begins a command of a call, with a tone for the other one.
    fn begins(&self, person: &Person<'_>, words: &[&str], hertz: f64) -> End {
        let microphone = self.path(&format!("{hertz}.wav"));
        tones::write(&microphone, hertz, 2.0);
        let recording = self.path(&format!("heard-by-{hertz}.wav"));
        let sound = ["--microphone", text(&microphone), "--speaker", text(&recording)];
        End { going: person.begins(&[words, &sound].concat()), recording }
    }

    /// Alice calls Bob, who waits for it; both with these options.
    pub(crate) fn call(&self, options: &[&str]) -> (End, End) {
        let callee = self.begins(&self.bob, &[&["answer"], options].concat(), CALLEE_HZ);
        callee.going.says(|object| object["type"] == "waiting");
        let caller = self.begins(&self.alice, &[&["call", "@bob"], options].concat(), CALLER_HZ);
        (caller, callee)
    }

    /// The relay is killed and started again under a relayed call: both ends notice, and then hear each other again.
    pub(crate) fn restarts_the_relay_under(&mut self, ends: [&End; 2]) {
        self.relay.restart().expect("it starts again");
        for end in ends {
            end.state("reconnecting");
            end.state("connected");
            assert_eq!(end.talks()["path"], "relayed");
        }
    }

    pub(crate) fn no_error(&self) {
        no_error_was_logged(&self.path("relay.log")).expect("a log without errors");
    }
}

impl End {
    pub(crate) fn state(&self, state: &str) -> Value {
        self.going.says(|object| object["type"] == "call" && object["state"] == state).1
    }

    /// They have talked for some seconds; how good the connection was in the last two of them.
    pub(crate) fn talks(&self) -> Value {
        let quality = |object: &Value| {
            object["type"] == "call_quality" && object["received_kbit_s"].as_f64() > Some(5.0)
        };
        for _ in 0..2 {
            self.going.says(quality);
        }
        self.going.says(quality).1
    }

    /// It ends for this reason, in good order, and had heard the other one's tone.
    pub(crate) fn ends(self, reason: &str, heard: f64) {
        assert_eq!(self.state("ended")["reason"], reason);
        self.going.ends();
        hears(&self.recording, heard);
    }
}

fn hears(recording: &Path, due: f64) {
    let hertz = tones::heard(recording);
    assert!((hertz - due).abs() < NEAR_HZ, "{} has {hertz} Hz", recording.display());
}

#[test]
fn two_nodes_hear_each_other_directly_until_one_hangs_up() {
    let world = World::new(&[]);
    let (caller, callee) = world.call(&[]);
    let ringing = caller.state("ringing");
    assert_eq!(ringing["peer"], "bob");
    assert_eq!(callee.state("connected")["call"], caller.state("connected")["call"]);
    for end in [&caller, &callee] {
        let quality = end.talks();
        assert_eq!(quality["path"], "direct", "{quality}");
        assert!(quality["round_trip_ms"].as_f64().is_some_and(|time| time < 1_000.0), "{quality}");
        assert!(quality["lost"].as_f64().is_some_and(|lost| lost < 0.1), "{quality}");
        assert!(quality["sent_kbit_s"].as_f64().is_some_and(|rate| (5.0..80.0).contains(&rate)), "{quality}");
    }
    caller.going.is_interrupted();
    caller.ends("ended", CALLEE_HZ);
    callee.ends("hung_up", CALLER_HZ);
    let history = world.bob.does(&["history", "@alice"]);
    let record = history.iter().find(|line| line["kind"] == "call").expect("the call is in the history");
    assert_eq!(record["outcome"], "answered");
    assert!(record["seconds"].as_u64().is_some_and(|seconds| seconds >= 4), "{record}");
    world.no_error();
}

#[test]
fn nodes_that_want_the_relay_only_hear_each_other_through_its_turn() {
    let world = World::new(&[("SOTTO_RELAY_TURN_PEERS", "loopback")]);
    let (caller, callee) = world.call(&["--relay-only"]);
    for end in [&caller, &callee] {
        assert_eq!(end.talks()["path"], "relayed");
    }
    callee.going.is_interrupted();
    callee.ends("ended", CALLER_HZ);
    caller.ends("hung_up", CALLEE_HZ);
    world.no_error();
}

#[test]
fn a_relayed_call_of_nodes_outlives_a_restart_of_its_relay() {
    let (address, settings) =
        (free_address().expect("a free port"), [("SOTTO_RELAY_TURN_PEERS", "loopback")]);
    let mut world = World::at(&address, &settings);
    let (caller, callee) = world.call(&["--relay-only"]);
    caller.talks();
    callee.talks();
    world.restarts_the_relay_under([&caller, &callee]);
    caller.going.is_interrupted();
    caller.ends("ended", CALLEE_HZ);
    callee.ends("hung_up", CALLER_HZ);
}

#[test]
fn a_call_goes_on_when_the_relay_is_killed_and_the_other_end_is_killed_in_the_end() {
    let world = World::new(&[]);
    let (caller, callee) = world.call(&[]);
    caller.talks();
    callee.talks();
    let World { folder: _folder, relay, .. } = world;
    relay.kill().expect("it can be killed");
    for end in [&caller, &callee] {
        for _ in 0..3 {
            assert_eq!(end.talks()["path"], "direct");
        }
    }
    // Killed, it says nothing; what it had heard until the second before can be played.
    let End { going, recording } = callee;
    drop(going);
    hears(&recording, CALLER_HZ);
    assert_eq!(caller.state("ended")["reason"], "lost");
    let End { going, recording } = caller;
    going.ends_with(NO_CALL);
    // It has been quiet for the last half minute: what counts is that the file is whole.
    hound::WavReader::open(&recording).expect("a whole WAV file");
}

#[test]
fn whoever_declines_or_is_in_another_call_is_told_apart_and_both_are_failures() {
    let world = World::new(&[]);
    let answer = world.bob.begins(&["answer", "--decline"]);
    answer.says(|object| object["type"] == "waiting");
    let (exit, why) = world.alice.fails_to(&["call", "@bob"]);
    assert_eq!(exit, Some(NO_CALL), "{why}");
    assert!(why.contains(r#""code":"declined""#), "{why}");
    answer.ends();

    let carol = Person::register("carol", world.folder.path(), &world.relay.ready.link);
    carol.does(&["send", "@bob", "may I call too?"]);
    assert_eq!(world.bob.texts("@carol"), ["may I call too?"]);
    let (caller, callee) = world.call(&[]);
    callee.talks();
    let (exit, why) = carol.fails_to(&["call", "@bob"]);
    assert_eq!(exit, Some(NO_CALL), "{why}");
    assert!(why.contains(r#""code":"busy""#), "{why}");
    // And that call has not noticed anything.
    callee.talks();
    caller.going.is_interrupted();
    caller.ends("ended", CALLEE_HZ);
    callee.ends("hung_up", CALLER_HZ);
    world.no_error();
}

#[test]
fn a_call_that_nobody_takes_ends_by_itself_and_by_ctrl_c_and_is_missed() {
    let world = World::new(&[]);
    let (exit, why) = world.bob.fails_to(&["answer", "--wait", "0.2"]);
    assert_eq!(exit, Some(NO_CALL), "{why}");
    let tail = world.bob.begins(&["tail"]);
    let caller = world.begins(&world.alice, &["call", "@bob"], CALLER_HZ);
    caller.state("ringing");
    assert_eq!(caller.state("ended")["reason"], "unanswered");
    caller.going.ends_with(NO_CALL);
    tail.says(|object| object["kind"] == "call" && object["outcome"] == "missed");

    let caller = world.begins(&world.alice, &["call", "@bob"], CALLER_HZ);
    caller.state("ringing");
    caller.going.is_interrupted();
    assert_eq!(caller.state("ended")["reason"], "ended");
    caller.going.ends();
    tail.says(|object| object["kind"] == "call" && object["outcome"] == "missed");
    world.no_error();
}

#[test]
fn a_time_for_the_call_ends_it_and_what_is_no_sound_is_refused_before_anybody_is_called() {
    let world = World::new(&[]);
    let (caller, callee) = world.call(&["--for", "1.5"]);
    // Both have the limit; whoever is first hangs up.
    for end in [caller, callee] {
        let reason = end.state("ended")["reason"].clone();
        assert!(reason == "ended" || reason == "hung_up", "{reason}");
        end.going.ends();
    }
    let (exit, why) = world.alice.fails_to(&["call", "@bob", "--microphone", "nowhere.wav"]);
    assert_eq!(exit, Some(USAGE), "{why}");
    assert!(why.contains("sound_file"), "{why}");
    world.alice.does(&["create", "garden", "bob"]);
    let (exit, why) = world.alice.fails_to(&["call", "garden"]);
    assert_eq!(exit, Some(USAGE), "{why}");
    assert!(why.contains("calls one person"), "{why}");
}

#[test]
fn two_who_call_each_other_at_the_same_moment_are_in_one_call() {
    let world = World::new(&[]);
    let alice = world.begins(&world.alice, &["call", "@bob"], CALLER_HZ);
    let bob = world.begins(&world.bob, &["call", "@alice"], CALLEE_HZ);
    for end in [&alice, &bob] {
        end.talks();
    }
    alice.going.is_interrupted();
    alice.ends("ended", CALLEE_HZ);
    bob.ends("hung_up", CALLER_HZ);
    world.no_error();
}
