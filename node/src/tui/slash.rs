//! Commands that are written: `/create garden`, and the classic `#all_messages` and `#my_messages`.
//!
//! Every command is one row of [`COMMANDS`]; help, palette and completion are made of it.

use crate::after::After;

/// A written command, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slash {
    Create { name: String, listed: bool },
    Group { name: String, users: Vec<String> },
    Write(String),
    Join(String),
    Rooms,
    Invite(Option<String>),
    Register,
    Members,
    Remove(String),
    Role(String, String),
    Rename(String),
    Leave,
    Reply(Option<String>),
    Edit(Option<String>),
    Delete,
    React(Option<String>),
    Pin(bool),
    Pins,
    File(String),
    Get(Option<String>),
    Stop,
    Search(String),
    Timer(After),
    Verify(Option<String>),
    AllMessages,
    MyMessages,
    Theme(String),
    Connection,
    Login,
    Help,
    Quit,
}

/// One command.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) takes: &'static str,
    pub(crate) what: &'static str,
}

const fn row(name: &'static str, takes: &'static str, what: &'static str) -> Row {
    Row { name, takes, what }
}

/// Every command, in the order in which help shows them.
pub(crate) const COMMANDS: &[Row] = &[
    row("/create", "NAME", "Make a room, which people enter by a link"),
    row("/publish", "NAME", "Make a room that anybody on the relay finds by its name"),
    row("/group", "NAME USER...", "Make a group of people you invite"),
    row("/write", "USER", "Write to somebody alone"),
    row("/join", "LINK or ROOM", "Enter by an invite link, or a public room by its name"),
    row("/rooms", "", "List the public rooms of the relay"),
    row("/invite", "[USER]", "Add somebody here, or make a link and a QR code"),
    row("/welcome", "", "Make a link that lets somebody register on the relay"),
    row("/members", "", "Show or hide who is in this conversation"),
    row("/remove", "USER", "Put somebody out of this conversation"),
    row("/role", "USER ROLE", "Make somebody a member, moderator or owner"),
    row("/rename", "NAME", "Give this conversation another name"),
    row("/verify", "[USER]", "Compare safety numbers with somebody"),
    row("/leave", "", "Leave this conversation; its history stays here"),
    row("/reply", "[TEXT]", "Answer the last message"),
    row("/edit", "[TEXT]", "Edit your last message"),
    row("/delete", "", "Delete your last message for everybody"),
    row("/react", "[EMOJI]", "React to the last message, or take it off"),
    row("/pin", "", "Pin the last message"),
    row("/unpin", "", "Unpin the message that was pinned last"),
    row("/pins", "", "Show what is pinned here, and go there"),
    row("/file", "PATH", "Send a file"),
    row("/get", "[FOLDER]", "Save the last file here"),
    row("/stop", "", "Stop files that are on their way"),
    row("/search", "[WORDS]", "Find messages by words, in every conversation"),
    row("/timer", "TIME or off", "Let messages from now on disappear after 30s, 5m, 8h, 7d"),
    row("#all_messages", "", "Show everything said here, from the beginning"),
    row("#my_messages", "", "Show only what you said here"),
    row("/theme", "dark, light or mono", "Change the colours"),
    row("/connection", "", "Show how the connection stands"),
    row("/login", "", "Sign in again after the session ended"),
    row("/help", "", "Show keys and commands"),
    row("/quit", "", "Leave; drafts are kept"),
];

/// Understands a text that was written to be sent; `None` if it is a message. Two slashes begin a message that
/// begins with one.
///
/// # Errors
/// One sentence if it looks like a command and is none, or lacks something.
pub(crate) fn parse(text: &str) -> Option<Result<Slash, String>> {
    let text = text.trim();
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let classic = ["#all_messages", "#my_messages"].contains(&name);
    if !classic && (!name.starts_with('/') || name.starts_with("//") || name.len() == 1) {
        return None;
    }
    let Some(row) = COMMANDS.iter().find(|row| row.name == name) else {
        // A path or a fraction is no command: those are single words of letters.
        if !name.chars().skip(1).all(|c| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        let near = |row: &&Row| (strsim::jaro_winkler(name, row.name) * 1000.0).round();
        let nearest = COMMANDS.iter().max_by(|one, other| near(one).total_cmp(&near(other)));
        let nearest = nearest.map_or("/help", |row| row.name);
        return Some(Err(format!(
            "There is no command {name}. Did you mean {nearest}? Two slashes send it as a text."
        )));
    };
    Some(understand(row, rest))
}

fn understand(row: &Row, rest: &str) -> Result<Slash, String> {
    let user = |text: &str| text.trim_start_matches('@').to_owned();
    let lacking = || format!("{} needs {}", row.name, row.takes);
    let needed = || if rest.is_empty() { Err(lacking()) } else { Ok(rest.to_owned()) };
    let some = || Some(rest.to_owned()).filter(|rest| !rest.is_empty());
    let mut words = rest.split_whitespace();
    Ok(match row.name {
        "/create" => Slash::Create { name: needed()?, listed: false },
        "/publish" => Slash::Create { name: needed()?, listed: true },
        "/group" => {
            let name = words.next().ok_or_else(lacking)?.to_owned();
            Slash::Group { name, users: words.map(user).collect() }
        }
        "/write" => Slash::Write(user(&needed()?)),
        "/join" => Slash::Join(needed()?),
        "/rooms" => Slash::Rooms,
        "/invite" => Slash::Invite(words.next().map(user)),
        "/welcome" => Slash::Register,
        "/members" => Slash::Members,
        "/remove" => Slash::Remove(user(&needed()?)),
        "/role" => match (words.next(), words.next()) {
            (Some(who), Some(role)) => Slash::Role(user(who), role.to_owned()),
            _ => return Err(lacking()),
        },
        "/rename" => Slash::Rename(needed()?),
        "/verify" => Slash::Verify(words.next().map(user)),
        "/leave" => Slash::Leave,
        "/reply" => Slash::Reply(some()),
        "/edit" => Slash::Edit(some()),
        "/delete" => Slash::Delete,
        "/react" => Slash::React(words.next().map(str::to_owned)),
        "/pin" => Slash::Pin(true),
        "/unpin" => Slash::Pin(false),
        "/pins" => Slash::Pins,
        "/file" => Slash::File(needed()?),
        "/get" => Slash::Get(some()),
        "/stop" => Slash::Stop,
        "/search" => Slash::Search(rest.to_owned()),
        "/timer" => {
            let after = words.next().ok_or_else(lacking)?.parse();
            Slash::Timer(after.map_err(|what| format!("/timer: {what}"))?)
        }
        "#all_messages" => Slash::AllMessages,
        "#my_messages" => Slash::MyMessages,
        "/theme" => Slash::Theme(needed()?),
        "/connection" => Slash::Connection,
        "/login" => Slash::Login,
        "/quit" => Slash::Quit,
        _ => Slash::Help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_understood_by_its_name() {
        for row in COMMANDS {
            let line = format!("{} 10m owner", row.name);
            let understood = parse(&line).unwrap_or_else(|| panic!("{} is a command", row.name));
            assert!(understood.is_ok(), "{understood:?}");
        }
    }

    #[test]
    fn what_they_take_is_read_as_people_write_it() {
        let said = |text: &str| parse(text).expect("a command").expect("it is right");
        assert_eq!(said("/create my garden "), Slash::Create { name: "my garden".to_owned(), listed: false });
        let users = vec!["bob".to_owned(), "carol".to_owned()];
        assert_eq!(said("/group team @bob carol"), Slash::Group { name: "team".to_owned(), users });
        assert_eq!(said("/invite"), Slash::Invite(None));
        assert_eq!(said("/invite @bob"), Slash::Invite(Some("bob".to_owned())));
        assert_eq!(said("#my_messages"), Slash::MyMessages);
    }

    #[test]
    fn a_message_is_no_command() {
        for text in ["hello", "/", "//shrug", "/etc/passwd is a file", "#topic", "a /create b", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_nearest_one() {
        let said = |text: &str| parse(text).expect("it looks like one").expect_err("it is wrong");
        assert!(said("/jion x").contains("/join"), "{}", said("/jion x"));
        assert_eq!(said("/rename"), "/rename needs NAME");
    }
}
