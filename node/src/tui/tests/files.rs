//! Files on their way.

use super::*;
use crate::files::{Stage, Step};
use crate::tui::input::FileNews;
use crate::tui::theme::Theme;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use ratatui::style::Color;
use sotto_e2ee::file::{FileAbout, FileKey, FileName, Preview};
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

/// A JPEG of one colour, with what says so.
fn of_one_colour(colour: [u8; 3]) -> Preview {
    let mut jpeg = Vec::new();
    let picture = RgbImage::from_pixel(32, 24, Rgb(colour));
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 90)).expect("memory");
    Preview::new(3_200, 2_400, jpeg).expect("a small JPEG")
}

fn with_a_preview(mut desk: Desk, preview: Preview) -> Desk {
    let mut message = line(4, "");
    message.line = sotto_node_core::view::Line::File { about: film(), caption: "from Sunday".to_owned() };
    message.preview = Some(preview);
    desk.give(Input::Happened(Box::new(Event::Message(message))));
    desk
}

#[test]
fn a_file_with_a_preview_shows_it_in_its_colours_and_only_where_there_is_room_and_the_person_wants_it() {
    let colour = [200, 60, 40];
    let desk = with_a_preview(Desk::new(), of_one_colour(colour));
    let size = desk.app.size;
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).expect("memory");
    // What was looked at once is not looked at again, and is the same.
    for _ in 0..2 {
        terminal.draw(|frame| draw(&desk.app, frame)).expect("memory");
        let cells = terminal.backend().buffer().content().iter().filter(|cell| cell.symbol() == "▀");
        let colours: Vec<_> = cells.flat_map(|cell| [cell.fg, cell.bg]).collect();
        assert_eq!(colours.len(), 2 * 26 * 10, "{}", desk.screen());
        for seen in colours {
            let Color::Rgb(red, green, blue) = seen else { panic!("{seen:?}") };
            assert!([red, green, blue].iter().zip(colour).all(|(seen, sent)| seen.abs_diff(sent) < 12));
        }
    }
    desk.shows(&["from Sunday"]);
    let shows_none = |desk: &Desk| {
        desk.shows(&["film.mkv", "from Sunday"]);
        assert!(!desk.screen().contains('▀'), "{}", desk.screen());
    };
    shows_none(&with_a_preview(Desk::sized(70, 17), of_one_colour(colour)));
    let mut plain = Desk::new();
    plain.app.theme = Theme::new(ThemeName::Mono);
    shows_none(&with_a_preview(plain, of_one_colour(colour)));
    // It begins well, and is none.
    let mut broken = of_one_colour(colour).jpeg().to_vec();
    broken.truncate(broken.len() - 300);
    let broken = Preview::new(3_200, 2_400, broken);
    if let Some(broken) = broken {
        with_a_preview(Desk::new(), broken).shows(&["film.mkv", "from Sunday"]);
    }
}

#[test]
fn previews_are_off_by_the_persons_wish_and_without_colours() {
    for (pictures, colours, theme, shows) in [
        (true, true, ThemeName::Dark, true),
        (false, true, ThemeName::Dark, false),
        (true, false, ThemeName::Dark, false),
        (true, true, ThemeName::Mono, false),
    ] {
        let config = Config { pictures, ..Config::default() };
        let options =
            Options { config, theme, colours, link: None, room: None, size: (110, 30), clock: clock() };
        assert_eq!(App::new(options).0.album().is_some(), shows);
    }
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
