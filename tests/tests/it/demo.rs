//! `cargo xtask demo` as a test: what everybody reads is compared with what was said, by the demo itself.
//! A fourth person sits before a browser.

use sotto_tests::programs::{program, repository};
use std::process::Command;

#[test]
fn three_people_talk_through_a_killed_relay_and_its_disk_holds_nothing_they_said() {
    let relay = program("sotto-relay");
    let programs = relay.parent().expect("a program lies in a folder");
    let _client_is_built = program("sotto");
    let demo = Command::new(program("xtask"))
        .args(["demo", "--programs"])
        .arg(programs)
        .current_dir(repository())
        .output()
        .expect("the demo starts");
    let transcript = String::from_utf8_lossy(&demo.stdout);
    let errors = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "{transcript}\n{errors}");
    assert!(transcript.contains("once and in order, and nowhere else"), "{transcript}");
}
