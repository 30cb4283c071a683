//! The terminal interface in a real terminal, against a real relay: keys in, screens out.
//!
//! With `SOTTO_SCREENS=1` they write what they see to `docs/screens`.

use image::{Rgb, RgbImage};
use sotto_tests::programs::{program, repository};
use sotto_tests::relay_process::RelayProcess;
use sotto_tests::terminal::Terminal;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SIZE: (u16, u16) = (110, 32);

struct Person {
    name: &'static str,
    home: PathBuf,
}

impl Person {
    fn new(name: &'static str, folder: &Path) -> Self {
        let home = folder.join(name);
        fs::create_dir(&home).expect("a home");
        Self { name, home }
    }

    fn registered(name: &'static str, folder: &Path, link: &str) -> Self {
        let person = Self::new(name, folder);
        let email = format!("{name}@terminal.example");
        person.does(&["register", "--relay", link, "--username", name, "--email", &email]);
        person
    }

    fn does(&self, words: &[&str]) {
        self.is_told(words, "");
    }

    /// The same, with something on standard input.
    fn is_told(&self, words: &[&str], input: &str) {
        let mut child = Command::new(program("sotto"))
            .args(words)
            .env("SOTTO_HOME", &self.home)
            .env("SOTTO_PASSWORD", format!("the password of {}", self.name))
            .env("SOTTO_PASSPHRASE", "a passphrase")
            .env_remove("SOTTO_RELAY")
            .env_remove("SOTTO_PROFILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A command that wants none may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it can be waited for");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn sits_down(&self, arguments: &[&str], more: &[(&str, &str)]) -> Terminal {
        let home = self.home.to_string_lossy().into_owned();
        let environment =
            [&[("SOTTO_HOME", home.as_str()), ("SOTTO_PASSPHRASE", "a passphrase")], more].concat();
        Terminal::start(&program("sotto"), arguments, &environment, SIZE)
    }
}

fn relay(folder: &Path) -> RelayProcess {
    RelayProcess::start(&folder.join("relay"), &folder.join("relay.log"), &[]).expect("the relay starts")
}

/// Keeps a screen for the documentation, if asked.
fn keep(name: &str, screen: &str) {
    if std::env::var_os("SOTTO_SCREENS").is_some() {
        let folder = repository().join("docs/screens");
        fs::create_dir_all(&folder).expect("a folder for screens");
        fs::write(folder.join(name).with_extension("txt"), screen).expect("a screen is written");
    }
}

/// Presses Esc and waits until what it closes is gone: a key that comes right after it would be one with it.
fn closes(terminal: &Terminal, what: &str) {
    terminal.press(&["Escape"]);
    terminal.waits(&format!("{what} gone"), |screen| !screen.contains(what));
}

/// The recovery words on a screen: each stands behind its number.
fn words_on(screen: &str) -> Vec<String> {
    let parts: Vec<&str> = screen.split_whitespace().collect();
    (1..=24)
        .map(|number| {
            let place = parts
                .windows(2)
                .rev()
                .find(|pair| pair[0] == number.to_string() && !pair[1].contains(char::is_numeric));
            place.unwrap_or_else(|| panic!("word {number} is on the screen:\n{screen}"))[1].to_owned()
        })
        .collect()
}

#[test]
fn the_first_start_leads_from_the_relays_link_to_confirmed_recovery_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let alice = Person::new("alice", folder.path());
    let terminal = alice.sits_down(&[], &[]);
    keep(
        "first-start",
        &terminal.shows(&["Relay or invite", "Make a new account", "Sign in with recovery words"]),
    );
    terminal.enters("not a link");
    terminal.shows(&["This is no link of a relay"]);
    terminal.press(&["C-u"]);
    terminal.pastes(&relay.ready.link);
    terminal.press(&["Enter"]);
    terminal.shows(&["E-mail address", "The same password again"]);
    for text in ["alice", "alice@terminal.example", "a good password", "another password"] {
        terminal.enters(text);
    }
    terminal.shows(&["The two passwords are not the same."]);
    terminal.press(&["C-u"]);
    terminal.enters("a good password");
    // The last row of a step stands below everything that is read here: with it, all is drawn.
    let screen = terminal.shows(&["Your 24 recovery words", "asks for three of them"]);
    assert!(!screen.contains("a good password"), "a password is never on the screen");
    let words = words_on(&screen);
    terminal.press(&["Enter"]);
    let screen = terminal.shows(&["Three of your recovery words again", "Esc shows the words again"]);
    let asked: Vec<usize> =
        screen.lines().filter_map(|line| line.trim().strip_prefix("Word ")?.parse().ok()).collect();
    assert_eq!(asked.len(), 3, "{screen}");
    for place in asked {
        terminal.enters(&words[place - 1]);
    }
    terminal.shows(&["You are ready", "number of 60 digits"]);
    terminal.press(&["Enter"]);
    keep("welcome", &terminal.shows(&["Welcome, alice", "connected over"]));
    terminal.press(&["C-c"]);
    assert_eq!(terminal.ends(), "0");
}

#[test]
fn two_people_talk_and_find_help_palette_invite_and_safety_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    let (hers, his) = (alice.sits_down(&[], &[]), bob.sits_down(&[], &[]));
    hers.shows(&["connected over"]);
    his.shows(&["connected over"]);
    hers.enters("/create garden");
    hers.shows(&["# garden", "only you are here"]);
    hers.enters("/invite bob");
    hers.shows(&["bob came in", "2 members", "Welcome to garden, bob!"]);
    his.shows(&["# garden", "2 members"]);

    his.enters("hello alice");
    hers.shows(&["hello alice"]);
    his.shows(&["read"]);
    hers.types("typing is seen");
    his.shows(&["alice is typing"]);
    hers.press(&["Enter"]);
    his.shows(&["typing is seen"]);
    // Two lines, an emoji by its name, and wide characters.
    his.types("well done :tad");
    his.shows(&[":tada:"]);
    his.press(&["Tab"]);
    his.press(&["M-Enter"]);
    his.enters("你好, see you at the gate");
    let screen = hers.shows(&["well done 🎉", "你好, see you at the gate"]);
    assert_eq!(screen.matches("this is called garden now").count(), 1, "{screen}");
    keep("conversation", &screen);

    hers.press(&["C-k"]);
    hers.types("ren");
    keep("palette", &hers.shows(&["› ren", "/rename NAME"]));
    closes(&hers, "› ren");
    hers.press(&["F1"]);
    keep("help", &hers.shows(&["While writing", "Alt-Enter"]));
    closes(&hers, "While writing");
    hers.press(&["F3"]);
    keep("invite", &hers.shows(&["An invite to garden", "Or let them scan the code", "█"]));
    hers.resize(60, 15);
    hers.shows(&["Whoever has this link", "A larger window"]);
    hers.resize(SIZE.0, SIZE.1);
    closes(&hers, "An invite to garden");
    hers.enters("/verify bob");
    let number = |screen: &str| {
        let digits: String =
            screen.lines().filter(|line| line.matches(char::is_numeric).count() >= 20).collect();
        digits.chars().filter(char::is_ascii_digit).collect::<String>()
    };
    let mine = number(&hers.shows(&["Is it really bob?", "not verified this identity yet"]));
    his.enters("/verify alice");
    let drawn = |screen: &str| screen.contains("Is it really alice?") && number(screen).len() == 60;
    let theirs = his.waits("the whole of alice's number", drawn);
    keep("safety-number", &theirs);
    assert_eq!(mine.len(), 60, "{mine}");
    assert_eq!(mine, number(&theirs), "both see the same number");
    hers.types("vy");
    hers.shows(&["bob is verified"]);

    closes(&his, "Is it really alice?");
    his.resize(60, 15);
    keep("smallest", &his.shows(&["# garden", "you", "see you at the gate"]));
    his.resize(40, 10);
    his.shows(&["This terminal has 40 x 10"]);
    his.resize(SIZE.0, SIZE.1);
    his.shows(&["see you at the gate", "2 members"]);

    his.enters("#my_messages");
    his.waits("only bob's own messages", |screen| {
        screen.contains("only what you said")
            && screen.contains("hello alice")
            && !screen.contains("typing is seen")
    });
    his.enters("#all_messages");
    his.shows(&["typing is seen", "hello alice"]);
}

#[test]
fn texts_are_answered_edited_reacted_to_pinned_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    let (hers, his) = (alice.sits_down(&[], &[]), bob.sits_down(&[], &[]));
    hers.shows(&["connected over", "2 members"]);
    his.shows(&["connected over", "2 members"]);
    hers.enters("who brings **cake**?");
    his.shows(&["who brings cake?"]);
    // Bob chooses it and answers, then reacts to it.
    his.press(&["C-Up"]);
    his.shows(&["▸ who brings cake?", "r answer"]);
    his.types("r");
    his.shows(&["answering alice: who brings"]);
    his.enters("I do");
    hers.shows(&["┌ alice: who brings cake?", "I do", "alice you owner"]);
    his.press(&["C-Up"]);
    his.press(&["Up"]);
    his.shows(&["▸ who brings cake?"]);
    his.types("+");
    his.shows(&["React with"]);
    his.enters("tada");
    his.shows(&["[🎉 1]"]);
    hers.shows(&["🎉 1", "read"]);
    closes(&his, "▸");
    // Alice edits, pins and deletes.
    hers.enters("/edit who brings the cake?");
    his.shows(&["who brings the cake?", "edited"]);
    hers.enters("/pin");
    his.shows(&["1 pinned"]);
    his.enters("/pins");
    keep("pins", &his.shows(&["Pinned here", "bob: I do"]));
    closes(&his, "Pinned here");
    hers.enters("and a slip of the tongue");
    his.shows(&["slip of the tongue"]);
    hers.enters("/delete");
    hers.shows(&["Delete?", "y deletes"]);
    hers.types("y");
    his.waits("the deleted text no more", |screen| {
        screen.contains("alice deleted a message") && !screen.contains("slip of the tongue")
    });
    keep("marks", &hers.shows(&["alice deleted a message", "┌ alice", "1 pinned"]));
}

#[test]
fn a_file_is_sent_and_saved_with_the_keyboard_and_nothing_that_is_there_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let film = folder.path().join("my film.bin");
    fs::write(&film, &content).expect("a file is written");
    let (hers, his) = (alice.sits_down(&[], &[]), bob.sits_down(&[], &[]));
    hers.shows(&["connected over", "2 members"]);
    his.shows(&["connected over", "2 members"]);
    hers.enters("/file nowhere.bin");
    hers.shows(&["nowhere.bin: ", "No such file"]);
    hers.enters(&format!("/file '{}'", film.display()));
    hers.shows(&["Sent: my film.bin"]);
    keep("file", &his.shows(&["my film.bin", "11.5 MiB"]));
    his.press(&["C-Up"]);
    his.shows(&["▸", "s saves the file"]);
    closes(&his, "▸");
    let saved = folder.path().join("saved");
    fs::create_dir(&saved).expect("a folder");
    his.enters(&format!("/get {}", saved.display()));
    his.shows(&["Saved: "]);
    assert!(fs::read(saved.join("my film.bin")).expect("it is there") == content);
    his.enters(&format!("/get {}", saved.display()));
    his.shows(&["already;"]);
    his.enters("/stop");
    his.shows(&["No file is on its way."]);
    // A picture shows itself before it is got.
    let (colour, picture) = ([200, 60, 40], folder.path().join("brick.png"));
    RgbImage::from_pixel(800, 600, Rgb(colour)).save(&picture).expect("a picture is written");
    hers.enters(&format!("/file {}", picture.display()));
    keep("picture", &his.shows(&["brick.png", "image/png", "▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀"]));
    his.shows_colour(colour);
}

#[test]
fn a_draft_survives_and_no_word_of_it_is_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, _bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    let terminal = alice.sits_down(&[], &[]);
    terminal.shows(&["garden", "2 members"]);
    terminal.types("xylophone unsent");
    terminal.shows(&["› xylophone unsent"]);
    terminal.press(&["C-c"]);
    assert_eq!(terminal.ends(), "0");
    let terminal = alice.sits_down(&[], &[]);
    terminal.shows(&["› xylophone unsent"]);
    let mut folders = vec![alice.home.clone()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).expect("readable").flatten() {
            if file.path().is_dir() {
                folders.push(file.path());
            } else {
                let bytes = fs::read(file.path()).expect("readable");
                assert!(!bytes.windows(9).any(|part| part == b"xylophone"), "{}", file.path().display());
            }
        }
    }
}

#[test]
fn a_room_is_opened_from_the_command_line_and_made_by_its_first_visitor() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    let hers = alice.sits_down(&["--room", "pub"], &[]);
    hers.shows(&["# pub", "only you are here"]);
    let his = bob.sits_down(&["--room", "pub"], &[("NO_COLOR", "1")]);
    his.shows(&["# pub", "2 members"]);
    hers.shows(&["bob came in", "Welcome to pub, bob! 2 members now."]);
    hers.enters("hello");
    his.shows(&["alice", "hello"]);
    let coloured = |screen: &str| screen.contains("[38;5;") || screen.contains(";38;5;");
    assert!(coloured(&hers.coloured_screen()));
    assert!(!coloured(&his.coloured_screen()), "NO_COLOR is respected");
}

#[test]
fn the_mouse_opens_a_conversation_and_its_wheel_scrolls_and_a_light_theme_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let alice = Person::registered("alice", folder.path(), &relay.ready.link);
    alice.does(&["create", "garden", "--room"]);
    let lines: String = (1..=80).map(|number| format!("line {number} of the garden\n")).collect();
    alice.is_told(&["send", "garden", "--lines"], &lines);
    alice.does(&["create", "kitchen", "--room"]);
    alice.does(&["send", "kitchen", "soup"]);
    let terminal = alice.sits_down(&[], &[]);
    terminal.shows(&["# kitchen", "soup", "connected over"]);
    terminal.clicks("# garden");
    terminal.shows(&["line 80 of the garden"]);
    terminal.turns_the_wheel(true, 10);
    terminal.waits("older lines", |screen| {
        !screen.contains("line 80 of the garden") && screen.contains("older messages")
    });
    terminal.turns_the_wheel(false, 12);
    terminal.shows(&["line 80 of the garden"]);

    let dark = terminal.coloured_screen();
    assert!(dark.contains("38;5;111"), "the keys' colour on dark");
    terminal.enters("/theme light");
    terminal.waits("the light theme", |_| {
        let light = terminal.coloured_screen();
        light.contains("38;5;26") && !light.contains("38;5;111")
    });
    terminal.enters("/theme mono");
    terminal.waits("no colour", |_| !terminal.coloured_screen().contains("38;5;"));
    terminal.enters("/theme dark");
    terminal.waits("the dark theme", |_| terminal.coloured_screen().contains("38;5;111"));
}

#[test]
fn a_pasted_megabyte_is_refused_whole_and_no_character_commands_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    // Right-to-left override, an escape sequence that clears the screen, a bell, a line of its own.
    let name = "gar\u{202e}den\u{1b}[2J\u{7}";
    alice.does(&["create", name, "bob"]);
    let terminal = alice.sits_down(&[], &[]);
    terminal.shows(&["connected over", "2 members"]);
    bob.does(&["send", "@alice", "evil \u{202e}txet \u{1b}]0;title\u{7}\u{1b}[31mred\u{9b}2J end"]);
    // It may come after bob has gone.
    terminal.shows(&["@ bob"]);
    terminal.press(&["M-Down"]);
    let screen = terminal.shows(&["evil", "txet", "end"]);
    for hostile in ['\u{202e}', '\u{1b}', '\u{7}', '\u{9b}'] {
        assert!(!screen.contains(hostile), "{hostile:?} is on the screen");
    }
    assert!(screen.contains("gar") && screen.contains("Ctrl-K"), "nothing was cleared:\n{screen}");

    terminal.types("before ");
    let large = folder.path().join("large");
    fs::write(&large, "megabyte ".repeat(1_000_000 / 9)).expect("writable");
    terminal.pastes_a_file(&large);
    terminal.shows(&["a message holds at most", "Nothing was changed", "› before"]);
    // What fits comes in as text, whatever it is.
    terminal.pastes("two\nlines \u{1b}[31mred");
    terminal.shows(&["› before two", "red"]);
}

#[test]
fn a_message_rings_and_is_told_to_the_desktop_by_its_author_alone_while_one_looks_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let [alice, bob] =
        ["alice", "bob"].map(|name| Person::registered(name, folder.path(), &relay.ready.link));
    alice.does(&["create", "garden", "bob"]);
    let terminal = alice.sits_down(&[], &[]);
    terminal.shows(&["connected over", "2 members"]);
    bob.does(&["send", "garden", "while she looks"]);
    terminal.shows(&["while she looks"]);
    assert!(!terminal.has_rung(), "she saw it");
    let written = folder.path().join("written");
    terminal.writes_down(&written);
    // The terminal says that it lost the focus.
    terminal.sends("\u{1b}[O");
    bob.does(&["send", "garden", "the secret of the soup"]);
    terminal.waits("the bell", |_| terminal.has_rung());
    let told = "\u{1b}]9;A message from bob in garden\u{7}".as_bytes();
    // A program beside the terminal writes it down, at its own pace.
    terminal.waits("who wrote, told to the desktop", |_| {
        fs::read(&written).is_ok_and(|all| all.windows(told.len()).any(|part| part == told))
    });
}

#[test]
fn a_small_terminal_is_used_to_its_last_cell_and_a_smaller_one_says_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let alice = Person::registered("alice", folder.path(), &relay.ready.link);
    let terminal = alice.sits_down(&[], &[("NO_COLOR", "1")]);
    terminal.shows(&["Welcome, alice", "makes a link that lets a friend", "register"]);
    terminal.resize(60, 15);
    let screen = terminal.shows(&["Welcome, alice", "/welcome", "register", "connected over"]);
    assert!(screen.lines().all(|line| line.chars().count() <= 60), "{screen}");
    for (columns, rows) in [(59, 15), (60, 14), (30, 6), (12, 10)] {
        terminal.resize(columns, rows);
        terminal.waits("the sentence", |screen| {
            let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
            words.contains(&format!("This terminal has {columns} x {rows} cells"))
        });
    }
    terminal.resize(SIZE.0, SIZE.1);
    terminal.shows(&["Welcome, alice", "Ctrl-K"]);
    assert!(!terminal.coloured_screen().contains("38;5;"));
}

#[test]
fn a_message_is_found_by_its_words_with_a_key_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = relay(folder.path());
    let alice = Person::registered("alice", folder.path(), &relay.ready.link);
    fs::write(alice.home.join("default/tui.toml"), "[keys]\nsearch = \"ctrl-g\"\n").expect("writable");
    let terminal = alice.sits_down(&["--room", "pub"], &[]);
    terminal.shows(&["# pub", "only you are here"]);
    terminal.enters("the marmalade is on the shelf");
    terminal.enters("and the bread beside it");
    terminal.shows(&["and the bread beside it"]);
    terminal.enters("/create garden");
    terminal.shows(&["# garden", "only you are here"]);
    terminal.press(&["C-g"]);
    terminal.shows(&["Find messages: words, or how they begin"]);
    terminal.types("marma");
    let found = terminal.shows(&["the marmalade is on the shelf"]);
    assert!(!found.contains("and the bread beside it"), "{found}");
    keep("search", &found);
    terminal.press(&["Enter"]);
    // In the room where it was said, with what stands beside it.
    terminal.shows(&["# pub", "the marmalade is on the shelf", "and the bread beside it"]);
}

#[test]
fn a_broken_configuration_is_named_and_the_terminal_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let alice = Person::new("alice", folder.path());
    let profile = alice.home.join("default");
    fs::create_dir(&profile).expect("a profile");
    fs::write(profile.join("tui.toml"), "them = \"dark\"\n").expect("writable");
    let terminal = alice.sits_down(&[], &[]);
    assert_eq!(terminal.ends(), "2");
    // The sentence is longer than a row.
    terminal.shows(&["Correct it, or move it away"]);
}
