//! The picture in calls between real programs, beside a real relay: each end shows a colour of its own and has to see the other's.

use crate::calls::World;
use serde_json::Value;
use sotto_tests::person::Going;
use sotto_tests::pictures::{self, Colour, recorded};
use sotto_tests::programs::program;
use sotto_tests::sending::text;
use sotto_tests::terminal::Terminal;
use std::path::PathBuf;

/// What those show who call, and those who answer.
const CALLER: Colour = [30, 160, 60];
const CALLEE: Colour = [200, 60, 40];

const USAGE: i32 = 2;

/// A camera that shows a colour.
fn camera(world: &World<'_>, colour: Colour) -> PathBuf {
    let path = world.path(&format!("{colour:?}.y4m"));
    pictures::write(&path, colour);
    path
}

fn comes_to(going: &Going, state: &str) -> Value {
    going.says(|object| object["type"] == "call" && object["state"] == state).1
}

/// Alice calls Bob, and each shows a colour. The call goes by this way.
pub(crate) fn they_see_each_other(world: &World<'_>, options: &[&str], path: &str) {
    let [green, red] = [CALLER, CALLEE].map(|colour| camera(world, colour));
    let films = ["seen-by-alice.ivf", "seen-by-bob.ivf"].map(|name| world.path(name));
    let [alices, bobs] = &films;
    let answer = ["answer", "--camera", text(&red), "--record", text(bobs)];
    let callee = world.bob.begins(&[&answer, options].concat());
    callee.says(|object| object["type"] == "waiting");
    let call = ["call", "@bob", "--camera", text(&green), "--record", text(alices)];
    let caller = world.alice.begins(&[&call, options].concat());
    for going in [&caller, &callee] {
        let (_, size) = going.says(|object| object["type"] == "call_picture");
        assert_eq!((&size["width"], &size["height"]), (&320.into(), &240.into()), "{size}");
        let (_, quality) = going.says(|object| object["type"] == "call_quality");
        assert_eq!(quality["path"], path);
    }
    pictures::shows(alices, CALLEE);
    pictures::shows(bobs, CALLER);
    caller.is_interrupted();
    assert_eq!(comes_to(&caller, "ended")["reason"], "ended");
    caller.ends();
    assert_eq!(comes_to(&callee, "ended")["reason"], "hung_up");
    callee.ends();
    for film in &films {
        let (said, there, _) = recorded(film);
        assert_eq!(said, u32::try_from(there).expect("a few"), "{}", film.display());
    }
}

#[test]
fn two_nodes_see_each_other_and_what_they_saw_can_be_played() {
    let world = World::new(&[]);
    they_see_each_other(&world, &[], "direct");
    let history = world.bob.does(&["history", "@alice"]);
    let record = history.iter().find(|line| line["kind"] == "call").expect("the call is in the history");
    assert_eq!(record["video"], true);
    world.no_error();
}

#[test]
fn nodes_that_want_the_relay_only_see_each_other_through_its_turn() {
    let world = World::new(&[("SOTTO_RELAY_TURN_PEERS", "loopback")]);
    they_see_each_other(&world, &["--relay-only"], "relayed");
    world.no_error();
}

#[test]
fn whoever_shows_nothing_still_sees_and_what_was_seen_outlives_the_program() {
    let world = World::new(&[]);
    let (red, film) = (camera(&world, CALLEE), world.path("seen.ivf"));
    let callee = world.bob.begins(&["answer", "--camera", text(&red)]);
    callee.says(|object| object["type"] == "waiting");
    let caller = world.alice.begins(&["call", "@bob", "--record", text(&film)]);
    caller.says(|object| object["type"] == "call_picture");
    pictures::shows(&film, CALLEE);
    // Killed, as whoever drops it does.
    drop(caller);
    pictures::shows(&film, CALLEE);
    assert!(recorded(&film).0 > 0, "it says how many pictures there are");
    assert_eq!(comes_to(&callee, "ended")["reason"], "lost");
}

#[test]
fn what_is_no_camera_is_refused_before_anybody_is_called() {
    let world = World::new(&[]);
    let film = world.path("seen.ivf");
    for camera in ["nowhere.y4m", text(&world.path("relay.log"))] {
        let (exit, why) =
            world.alice.fails_to(&["call", "@bob", "--camera", camera, "--record", text(&film)]);
        assert_eq!(exit, Some(USAGE), "{why}");
        assert!(why.contains("picture_file") && why.contains(camera), "{why}");
        assert!(!film.exists(), "nothing has happened yet");
    }
}

#[test]
fn a_terminal_shows_the_picture_and_is_as_before_when_the_call_ends() {
    let world = World::new(&[]);
    let red = camera(&world, CALLEE);
    let callee = world.bob.begins(&["answer", "--camera", text(&red)]);
    callee.says(|object| object["type"] == "waiting");
    let home = world.alice.home().to_string_lossy().into_owned();
    let environment = [("SOTTO_HOME", home.as_str()), ("SOTTO_PASSPHRASE", "a passphrase")];
    let terminal = Terminal::start(&program("sotto"), &["call", "@bob"], &environment, (60, 32));
    terminal.shows(&["connected", "a picture of 320x240", "▀▀▀▀▀▀▀▀"]);
    terminal.shows_colour(CALLEE);
    callee.is_interrupted();
    callee.ends();
    assert_eq!(terminal.ends(), "0");
    let screen = terminal.screen();
    assert!(screen.contains("bob hung up") && !screen.contains('▀'), "{screen}");
}
