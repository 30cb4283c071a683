//! Files on their way: begun by `/file`, `/get` or a key, and shown above the editor until they are there.

use super::super::input::{Effect, FileNews};
use super::super::layout::Focus;
use super::{App, Purpose, Tone};
use crate::files::{Stage, Step};
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{Line, size};
use sotto_protocol::ids::UnixMillis;

/// Files that are on their way at once.
const AT_ONCE: usize = 4;

/// One that is.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// By which its news are known.
    number: u64,
    name: String,
    goes_out: bool,
    step: Option<Step>,
    /// When the stage that it is in began, and what was done then.
    since: (UnixMillis, u64),
}

/// Those that are, and the number of the next.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    running: Vec<Transfer>,
    begun: u64,
}

/// A path as a person writes it, or as terminals write one that is dropped onto them.
fn path_of(written: &str) -> String {
    let written = written.trim();
    let unquoted = ['"', '\''].into_iter().find_map(|sign| written.strip_prefix(sign)?.strip_suffix(sign));
    unquoted.map_or_else(|| written.replace("\\ ", " "), str::to_owned)
}

impl App {
    /// A file goes into the open conversation; it answers what an answer was begun to.
    pub(super) fn send_file(&mut self, written: &str) -> Vec<Effect> {
        let Some(conversation) = self.pane.as_ref().map(|pane| pane.id) else {
            self.say(Tone::Bad, "Open a conversation first.");
            return Vec::new();
        };
        let path = path_of(written);
        let name = path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or_default().to_owned();
        let Some(number) = self.begin(name, true) else { return Vec::new() };
        let reply_to = match self.purpose {
            Purpose::Reply(place) => Some(place),
            _ => None,
        };
        if reply_to.is_some() {
            self.purpose = Purpose::Say;
        }
        vec![Effect::SendFile { number, conversation, path, reply_to }]
    }

    /// The file of the chosen message, or the last one here, is saved.
    pub(super) fn save_file(&mut self, to: Option<&str>) -> Vec<Effect> {
        let found = self.target(|line| matches!(line.line, Line::File { .. })).map(|line| {
            let Line::File { about, .. } = &line.line else { return None };
            Some((line.conversation, about.clone()))
        });
        let Some((conversation, about)) = found.flatten() else {
            let sentence = match self.focus {
                Focus::Reading => "There is no file in this message.",
                _ => "There is no file here; Ctrl-Up goes to older messages.",
            };
            self.say(Tone::Bad, sentence);
            return Vec::new();
        };
        let Some(number) = self.begin(about.name.to_string(), false) else { return Vec::new() };
        vec![Effect::SaveFile { number, conversation, about: Box::new(about), to: to.map(path_of) }]
    }

    fn begin(&mut self, name: String, goes_out: bool) -> Option<u64> {
        if self.transfers.running.len() >= AT_ONCE {
            self.say(
                Tone::Bad,
                format!("{AT_ONCE} files are on their way; wait for one, or /stop stops them."),
            );
            return None;
        }
        self.transfers.begun = self.transfers.begun.saturating_add(1);
        let number = self.transfers.begun;
        let name = harmless_line(&name);
        let since = (self.clock.now, 0);
        self.transfers.running.push(Transfer { number, name, goes_out, step: None, since });
        Some(number)
    }

    /// All files that are on their way are stopped.
    pub(super) fn stop_files(&mut self) -> Vec<Effect> {
        if self.transfers.running.is_empty() {
            self.say(Tone::Calm, "No file is on its way.");
            return Vec::new();
        }
        self.transfers.running.clear();
        self.say(Tone::Calm, "Stopped; the same again goes on where it was.");
        vec![Effect::StopFiles]
    }

    /// Something is new of a file on its way; nothing is said of one that was stopped.
    pub(super) fn file_news(&mut self, number: u64, news: FileNews) {
        let Some(place) = self.transfers.running.iter().position(|one| one.number == number) else { return };
        if let FileNews::Step(step) = news {
            let now = self.clock.now;
            let Some(one) = self.transfers.running.get_mut(place) else { return };
            if one.step.is_none_or(|before| before.stage != step.stage) {
                one.since = (now, step.done);
            }
            one.step = Some(step);
            return;
        }
        let Transfer { name, .. } = self.transfers.running.remove(place);
        match news {
            FileNews::Step(_) => {}
            FileNews::Sent => self.say(Tone::Good, format!("Sent: {name}")),
            FileNews::Saved { path, remarks } => {
                let remarks: String = remarks.iter().map(|remark| format!(" ({remark})")).collect();
                self.say(Tone::Good, harmless_line(&format!("Saved: {}{remarks}", path.display())));
            }
            FileNews::Failed(why) => self.say(Tone::Bad, harmless_line(&format!("{name}: {why}"))),
        }
    }

    /// How far files are, for the line above the editor.
    pub(crate) fn files_shown(&self) -> Option<String> {
        let (first, others) = self.transfers.running.split_first()?;
        let Transfer { name, goes_out, step, since: (began, before), .. } = first;
        let doing = match (step.map(|step| step.stage), goes_out) {
            (Some(Stage::Checking), _) => "reading",
            (_, true) => "sending",
            (_, false) => "saving",
        };
        let mut text = format!("{doing} {name}");
        if let Some(Step { done, total, stage }) = step {
            let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(100);
            text.push_str(&format!(", {percent} % of {}", size(*total)));
            let elapsed = self.clock.now.0.saturating_sub(began.0);
            let speed = done.saturating_sub(*before).saturating_mul(1_000).checked_div(elapsed);
            if let Some(speed) = speed.filter(|speed| *stage == Stage::Moving && *speed > 0) {
                text.push_str(&format!(", {}/s", size(speed)));
            }
        }
        if !others.is_empty() {
            text.push_str(&format!(", and {} more", others.len()));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_people_and_terminals_write_it() {
        for (written, path) in [
            ("film.mkv", "film.mkv"),
            (" ~/my film.mkv ", "~/my film.mkv"),
            ("'/home/a/my film.mkv'", "/home/a/my film.mkv"),
            ("\"/home/a/it's.txt\"", "/home/a/it's.txt"),
            ("/home/a/my\\ film.mkv", "/home/a/my film.mkv"),
            ("'", "'"),
        ] {
            assert_eq!(path_of(written), path);
        }
    }
}
