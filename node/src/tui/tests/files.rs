//! Files on their way.

use super::*;
use crate::files::{Stage, Step};
use crate::tui::input::FileNews;
use sotto_e2ee::file::{FileAbout, FileKey, FileName};
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

fn film() -> FileAbout {
    FileAbout {
        name: FileName::lossy("film.mkv"),
        bytes: 10 * MIB,
        media_type: "video/x-matroska".to_owned(),
        root: sotto_protocol::blob::BlobRoot([7; 32]),
        key: FileKey::draw(&mut rand::rng()),
    }
}

/// A room whose last line but one is a file.
fn with_a_film() -> Desk {
    let mut desk = Desk::new();
    let mut message = line(4, "");
    message.line = sotto_node_core::view::Line::File { about: film(), caption: "from Sunday".to_owned() };
    desk.give(Input::Happened(Box::new(Event::Message(message))));
    desk.give(Input::Happened(Box::new(Event::Message(line(5, "look at that")))));
    desk
}

fn later(desk: &mut Desk, milliseconds: u64, answer: Answer) {
    let clock = Clock { now: UnixMillis(clock().now.0 + milliseconds), ..clock() };
    desk.app.update(Input::Answer(answer), clock);
}

const fn moving(done: u64) -> FileNews {
    FileNews::Step(Step { stage: Stage::Moving, done, total: 10 * MIB })
}

#[test]
fn a_file_is_sent_by_its_path_and_shows_how_far_it_is() {
    let mut desk = Desk::new();
    let effects = desk.enters("/file ~/my\\ films/film.mkv");
    assert!(
        matches!(effects.first(), Some(Effect::SendFile { conversation: ROOM, path, reply_to: None, .. })
        if path == "~/my films/film.mkv")
    );
    desk.shows(&["sending film.mkv", "/stop"]);
    desk.answer(Answer::File(1, FileNews::Step(Step { stage: Stage::Checking, done: MIB, total: 10 * MIB })));
    desk.shows(&["reading film.mkv, 10 % of"]);
    desk.answer(Answer::File(1, moving(0)));
    later(&mut desk, 2_000, Answer::File(1, moving(5 * MIB)));
    desk.shows(&["sending film.mkv, 50 % of 10.0 MiB, 2.5 MiB/s"]);
    desk.answer(Answer::File(1, FileNews::Sent));
    desk.shows(&["Sent: film.mkv"]);
    assert!(!desk.screen().contains("50 %"));
}

#[test]
fn the_last_file_is_saved_or_that_of_the_chosen_message() {
    let mut desk = with_a_film();
    let effects = desk.enters("/get ~/films");
    assert!(matches!(effects.first(), Some(Effect::SaveFile { number: 1, about, to: Some(to), .. })
        if about.name.to_string() == "film.mkv" && to == "~/films"));
    let saved = FileNews::Saved { path: PathBuf::from("/home/a/films/film.mkv"), remarks: Vec::new() };
    desk.answer(Answer::File(1, saved));
    desk.shows(&["Saved: /home/a/films/film.mkv"]);
    desk.give(Input::Key(KeyEvent::new(KeyCode::Up, KeyModifiers::CONTROL)));
    let effects = desk.press(KeyCode::Char('s'));
    assert!(effects.is_empty());
    desk.shows(&["There is no file in this message."]);
    later(&mut desk, 20_000, Answer::Outbox(ROOM, Vec::new()));
    desk.press(KeyCode::Up);
    let shown = desk.screen();
    assert!(shown.contains("s saves the file"), "{shown}");
    let effects = desk.press(KeyCode::Char('s'));
    assert!(matches!(effects.first(), Some(Effect::SaveFile { number: 2, to: None, .. })));
    desk.answer(Answer::File(2, FileNews::Failed("it is there already".to_owned())));
    desk.shows(&["film.mkv: it is there already"]);
}

#[test]
fn files_are_stopped_and_nothing_is_heard_of_them_and_too_many_at_once_are_refused() {
    let mut desk = with_a_film();
    for _ in 0..4 {
        assert!(!desk.enters("/get").is_empty());
    }
    assert!(desk.enters("/get").is_empty());
    desk.shows(&["4 files are on their way"]);
    assert!(matches!(desk.enters("/stop").first(), Some(Effect::StopFiles)));
    desk.answer(Answer::File(1, FileNews::Sent));
    desk.shows(&["the same again goes on where it was"]);
    assert!(desk.enters("/stop").is_empty());
    desk.shows(&["No file is on its way."]);
}
