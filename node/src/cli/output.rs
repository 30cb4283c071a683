//! Lines out: for people, or one JSON object a line.

use super::exit::Failed;
use serde_json::{Value, json};
use sotto_node_core::calls::{CallRecord, outcome_name};
use sotto_node_core::format::{harmless, harmless_line};
use sotto_node_core::json::message_json;
use sotto_node_core::view::{ConversationView, Line, Message};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence, UnixMillis};
use std::collections::HashMap;
use std::io::{ErrorKind, Write as _};

/// Where a command's results go.
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    pub(crate) const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody looks at standard error while a command runs.
    pub(crate) const fn is_for_people(&self) -> bool {
        !self.json && !self.quiet
    }

    /// A result: an object for programs, or lines for people (already harmless).
    pub(crate) fn result(&self, object: &Value, lines: &str) -> Result<(), Failed> {
        let mut out = std::io::stdout().lock();
        let written = if self.json { writeln!(out, "{object}") } else { writeln!(out, "{lines}") };
        match written.and_then(|()| out.flush()) {
            // The reader has seen enough (`sotto history x | head`): what was asked for is done.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failed::internal(format!("standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// A remark for people, on standard error.
    pub(crate) fn remark(&self, sentence: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{sentence}");
        }
    }

    /// What nobody may overlook, on standard error whatever the options.
    pub(crate) fn alarm(&self, code: &str, sentence: &str) {
        let mut err = std::io::stderr().lock();
        let _ = if self.json {
            writeln!(err, "{}", json!({ "type": "alarm", "code": code, "text": sentence }))
        } else {
            writeln!(err, "!!! {sentence}")
        };
    }

    /// One line of a history.
    pub(crate) fn message(
        &self,
        message: &Message,
        title: Option<&str>,
        names: &Names,
    ) -> Result<(), Failed> {
        let notes = [notes(message, names), receipts(message, names)].concat();
        self.result(&message_json(message, title), &message_lines(message, title, names, &notes))
    }

    /// A line that was shown before and is another one now.
    pub(crate) fn changed(
        &self,
        message: &Message,
        title: Option<&str>,
        names: &Names,
    ) -> Result<(), Failed> {
        let mut object = message_json(message, title);
        if let Some(object) = object.as_object_mut() {
            object.insert("type".to_owned(), json!("changed"));
        }
        self.result(&object, &format!("{} (changed)", without_receipts(message, title, names)))
    }

    /// A line that has disappeared.
    pub(crate) fn gone(&self, conversation: ConversationId, sequence: Sequence) -> Result<(), Failed> {
        let object = json!({ "type": "gone", "conversation": conversation, "sequence": sequence });
        self.result(&object, &format!("* #{sequence} has disappeared"))
    }
}

/// A line for people, but for who has it and has read it.
pub(crate) fn without_receipts(message: &Message, title: Option<&str>, names: &Names) -> String {
    message_lines(message, title, names, &notes(message, names))
}

fn message_lines(message: &Message, title: Option<&str>, names: &Names, notes: &str) -> String {
    let text = line_text(&message.line, names);
    let place = title.map_or_else(String::new, |title| format!("[{}] ", harmless_line(title)));
    let (time, sequence) = (moment(message.time), message.sequence);
    if !message.line.is_said() {
        return format!("{time}  #{sequence} {place}* {text}");
    }
    // The lines of one message stay together, and none can pose as another message.
    let text = text.replace('\n', "\n                      | ");
    let who = names.of(message.account, &message.username);
    let quote = message.reply.as_ref().map_or_else(String::new, |quote| {
        let by = quote.account.map_or_else(String::new, |account| names.of(account, &quote.username));
        format!("[answers #{} {by}: {}] ", quote.sequence, harmless_line(&quote.excerpt))
    });
    format!("{time}  #{sequence} {place}{who}: {quote}{text}{notes}")
}

/// User names of accounts, for lines that only hold ids.
#[derive(Default, Clone)]
pub(crate) struct Names(HashMap<AccountId, String>);

impl Names {
    pub(crate) fn add(&mut self, view: &ConversationView) {
        for member in &view.members {
            if !member.username.is_empty() {
                self.0.insert(member.account, member.username.clone());
            }
        }
    }

    /// The accounts of a line that have no name here yet.
    pub(crate) fn missing(&self, message: &Message) -> Vec<AccountId> {
        let accounts = match &message.line {
            Line::Added(accounts) | Line::Removed(accounts) => accounts.clone(),
            Line::Rejoined(account) | Line::Left(account) | Line::Deleted { by: account } => vec![*account],
            _ => Vec::new(),
        };
        let quoted = message.reply.iter().filter_map(|quote| quote.account);
        let reacting = message.reactions.iter().flat_map(|reaction| reaction.accounts.iter().copied());
        let accounts = accounts.into_iter().chain(quoted).chain(reacting);
        accounts.filter(|account| !self.0.contains_key(account)).collect()
    }

    /// Remembers a name.
    pub(crate) fn insert(&mut self, account: AccountId, username: String) {
        self.0.insert(account, username);
    }

    fn of(&self, account: AccountId, known: &str) -> String {
        match (known, self.0.get(&account)) {
            ("", Some(name)) => harmless_line(name),
            ("", None) => account.to_string().chars().take(8).collect(),
            (known, _) => harmless_line(known),
        }
    }

    fn list(&self, accounts: &[AccountId]) -> String {
        accounts.iter().map(|account| self.of(*account, "")).collect::<Vec<_>>().join(", ")
    }
}

/// What there is to say about a text beside it.
fn notes(message: &Message, names: &Names) -> String {
    let mut notes = Vec::new();
    for reaction in &message.reactions {
        notes.push(format!("{} {}", harmless_line(&reaction.emoji), names.list(&reaction.accounts)));
    }
    if message.edited_at.is_some() {
        notes.push("edited".to_owned());
    }
    if message.pinned {
        notes.push("pinned".to_owned());
    }
    if let Some(at) = message.expires_at {
        notes.push(format!("disappears {}", moment(at)));
    }
    notes.into_iter().map(|note| format!(" ({note})")).collect()
}

/// Who has a text of one's own, and who has read it.
fn receipts(message: &Message, names: &Names) -> String {
    if !message.read_by.is_empty() {
        format!(" (read by {})", names.list(&message.read_by))
    } else if !message.delivered_to.is_empty() {
        format!(" (delivered to {})", names.list(&message.delivered_to))
    } else {
        String::new()
    }
}

fn line_text(line: &Line, names: &Names) -> String {
    match line {
        said if said.is_said() => harmless(&said.shown().unwrap_or_default()),
        Line::Named(name) => format!("the conversation is called \"{}\" now", harmless_line(name)),
        Line::Added(accounts) => format!("came in: {}", names.list(accounts)),
        Line::Removed(accounts) => format!("went out: {}", names.list(accounts)),
        Line::Rejoined(account) => format!("{} joined again with repaired keys", names.of(*account, "")),
        Line::Left(account) => format!("{} left", names.of(*account, "")),
        Line::Missing(why) => format!("a message cannot be read: {}", harmless_line(why)),
        Line::Deleted { by } => format!("a message was deleted by {}", names.of(*by, "")),
        Line::Timer(Some(seconds)) => format!("texts from now on disappear after {seconds} seconds"),
        Line::Timer(None) => "texts from now on stay".to_owned(),
        Line::Call(record) => call_text(record),
        _ => "a message of a kind that this version does not know; update sotto".to_owned(),
    }
}

fn call_text(record: &CallRecord) -> String {
    let what = if record.video { "a video call" } else { "a call" };
    match outcome_name(record) {
        "answered" => format!("{what} of {} min {:02} s", record.seconds / 60, record.seconds % 60),
        "missed" => format!("{what} that nobody took"),
        "declined" => format!("{what} that was declined"),
        "busy" => format!("{what} while the other one was in another one"),
        "failed" => format!("{what} that found no way from one device to the other"),
        _ => what.to_owned(),
    }
}

/// A moment in UTC, to the second: 20 characters, so that columns stand.
pub(crate) fn moment(at: UnixMillis) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let nanos = i128::from(at.0).saturating_mul(1_000_000);
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_else(|| "an impossible moment".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_node_core::view::Origin;
    use sotto_protocol::ids::{ConversationId, DeviceId, MessageNumber, Sequence};

    fn message(text: &str) -> Message {
        Message {
            conversation: ConversationId([1; 16]),
            sequence: Sequence(7),
            time: UnixMillis(1_700_000_000_000),
            sent_at: UnixMillis(1_700_000_000_000),
            account: AccountId([2; 16]),
            username: "mallory".to_owned(),
            device: DeviceId([3; 16]),
            number: MessageNumber(1),
            own: false,
            line: Line::Text(text.to_owned()),
            preview: None,
            origin: Origin::Message,
            reply: None,
            edited_at: None,
            reactions: vec![],
            pinned: false,
            mentions: vec![],
            expires_at: None,
            read_by: vec![],
            delivered_to: vec![],
        }
    }

    #[test]
    fn moments_are_utc_and_never_fail() {
        assert_eq!(moment(UnixMillis(1_700_000_000_123)), "2023-11-14 22:13:20Z");
        assert_eq!(moment(UnixMillis(u64::MAX)), "an impossible moment");
    }

    #[test]
    fn json_keeps_the_text_as_it_was_on_one_line() {
        let hostile = "a\u{1b}[2J\nb\u{202e}";
        let line = message_json(&message(hostile), None).to_string();
        assert!(!line.contains('\n') && !line.contains('\u{1b}'));
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read.get("text").and_then(Value::as_str), Some(hostile));
        assert_eq!(read.get("sequence").and_then(Value::as_u64), Some(7));
    }

    #[test]
    fn an_account_without_a_name_is_shown_by_the_start_of_its_id() {
        assert_eq!(Names::default().list(&[AccountId([0xab; 16])]), "abababab");
    }
}
