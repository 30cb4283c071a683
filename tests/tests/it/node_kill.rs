//! `kill -9` of the node at random moments: nothing lost, nothing sent twice, no conversation torn.
//!
//! Alice and Bob use the real program in homes of their own, through a real relay. In turn Alice's process is killed while it
//! writes, Bob's while it reads, and Alice's while it changes who is a member. Whatever a killed process had told of as sent
//! or queued must arrive; what it had not told of may arrive or not, but never twice, never out of order, and never with a
//! line before it missing. At the end both write once more, and neither has ever met a message that it could not decrypt.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::time::{Duration, Instant};

const CYCLES: usize = 100;

/// Lines that a process is given to write in one cycle: more than it gets through before it is killed.
const LINES: usize = 60;

/// The latest moment of a kill, in times of a command that only starts and connects: most of the rest is writing. It is
/// measured, because a kill that comes before anything was written shows nothing, and machines are busy; and again and again,
/// because what else they do changes.
const KILL_STARTS_MAX: f64 = 3.0;

/// How many cycles one measurement is good for.
const MEASURED_EVERY: usize = 10;

/// A command starts and connects in a third of this where nothing else runs.
const KILL_MIN: Duration = Duration::from_millis(900);

const SEED: u64 = 0x5077_0001;

const GROUP: &str = "garden";

#[test]
fn a_node_killed_100_times_loses_doubles_and_tears_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob, _carol] =
        ["alice", "bob", "carol"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["create", GROUP, "bob"]);
    let measured = || {
        let started = Instant::now();
        bob.does(&["rooms"]);
        started.elapsed().mul_f64(KILL_STARTS_MAX).max(KILL_MIN)
    };

    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let (mut told, mut latest) = (Vec::new(), KILL_MIN);
    for cycle in 0..CYCLES {
        if cycle.is_multiple_of(MEASURED_EVERY) {
            latest = measured();
        }
        let moment = latest.mul_f64(rng.random_range(0.0..1.0));
        match cycle % 5 {
            0 | 2 => {
                let input: String = (0..LINES).map(|line| format!("{cycle:03} {line:03}\n")).collect();
                let lines = alice.is_killed_at(&["send", GROUP, "--lines"], &input, moment);
                told.push((cycle, lines.len()));
            }
            // Killed while it does so, or refused because the last attempt had come through: both are fine.
            4 => {
                let change = if cycle % 10 == 4 { "invite" } else { "remove" };
                alice.is_killed_at(&[change, GROUP, "carol"], "", moment);
            }
            _ => {
                bob.is_killed_at(&["history", GROUP], "", moment);
            }
        }
    }

    alice.empties_the_outbox();
    let written: usize = told.iter().map(|(_, count)| count).sum();
    assert!(written > CYCLES, "the kills came too early: only {written} lines were told of (seed {SEED:#x})");
    let read = bob.texts(GROUP);
    assert_eq!(read, alice.texts(GROUP), "Alice and Bob read the same (seed {SEED:#x})");
    let mut sorted = read.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(read, sorted, "each line once and in order (seed {SEED:#x})");
    for (cycle, count) in told {
        let of_cycle = read.iter().filter(|text| text.starts_with(&format!("{cycle:03} "))).count();
        assert!(
            of_cycle >= count,
            "cycle {cycle}: {count} lines were told of, {of_cycle} came (seed {SEED:#x})"
        );
        for line in 0..of_cycle {
            let text = format!("{cycle:03} {line:03}");
            assert!(read.contains(&text), "a line was lost before one that came: {text} (seed {SEED:#x})");
        }
    }
    alice.does(&["send", GROUP, "one more from Alice"]);
    bob.does(&["send", GROUP, "one more from Bob"]);
    for person in [&alice, &bob] {
        assert!(person.texts(GROUP).ends_with(&["one more from Alice".into(), "one more from Bob".into()]));
        person.never_failed_to_decrypt();
    }
}
