//! Completion while writing: `:smi` becomes an emoji, `@bo` a member's name, `/cr` a command.

use super::editor::Editor;
use super::slash::COMMANDS;
use std::ops::Range;

/// How many are offered at once.
const OFFERED_MAX: usize = 6;

/// A shorter beginning of an emoji's name says too little.
const EMOJI_LETTERS_MIN: usize = 2;

/// One that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// What is put in.
    pub(crate) with: String,
    /// What is shown.
    pub(crate) label: String,
    /// And beside it.
    pub(crate) what: String,
}

/// What can stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The part that it replaces.
    part: Range<usize>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) chosen: usize,
}

impl Completion {
    /// What the text before the cursor can become.
    pub(crate) fn at(editor: &Editor, members: &[&str]) -> Option<Self> {
        let head = editor.text().get(..editor.cursor())?;
        let start = head.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        // The space may be wider than one byte.
        let start = (start..=head.len()).find(|at| head.is_char_boundary(*at))?;
        let word = head.get(start..)?;
        let offers = match word.chars().next()? {
            ':' => emoji(word.get(1..)?),
            '@' => names(word.get(1..)?, members),
            '/' | '#' if start == 0 => commands(word),
            _ => Vec::new(),
        };
        let part = start..editor.cursor();
        (!offers.is_empty()).then_some(Self { part, offers, chosen: 0 })
    }

    /// Chooses the next one, or the one before.
    pub(crate) fn choose(&mut self, forward: bool) {
        let count = self.offers.len();
        let step = if forward { 1 } else { count.saturating_sub(1) };
        self.chosen = (self.chosen + step).checked_rem(count).unwrap_or(0);
    }

    /// Puts the chosen one in.
    pub(crate) fn accept(&self, editor: &mut Editor) {
        if let Some(offer) = self.offers.get(self.chosen) {
            editor.replace(self.part.clone(), &offer.with);
        }
    }
}

/// Emoji whose short name begins so, or has a part that does; the shortest first.
pub(crate) fn emoji(beginning: &str) -> Vec<Offer> {
    let beginning = beginning.trim_end_matches(':').to_ascii_lowercase();
    if beginning.chars().count() < EMOJI_LETTERS_MIN {
        return Vec::new();
    }
    let mut found: Vec<(bool, &str, &str)> = Vec::new();
    for emoji in emojis::iter() {
        let fits = |name: &&str| {
            name.split('_').any(|part| part.starts_with(&beginning)) || name.starts_with(&beginning)
        };
        if let Some(name) = emoji.shortcodes().find(fits) {
            found.push((!name.starts_with(&beginning), name, emoji.as_str()));
        }
    }
    found.sort_by_key(|(later, name, _)| (*later, name.len(), *name));
    let offer = |(_, name, emoji): (bool, &str, &str)| Offer {
        with: format!("{emoji} "),
        label: emoji.to_owned(),
        what: format!(":{name}:"),
    };
    found.into_iter().take(OFFERED_MAX).map(offer).collect()
}

/// What most reactions are.
const USUAL: &[&str] =
    &["+1", "heart", "joy", "tada", "open_mouth", "cry", "pray", "eyes", "white_check_mark", "-1"];

/// Every emoji with its short name, the usual reactions first.
pub(crate) fn reactions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let usual = USUAL.iter().filter_map(|name| Some((emojis::get_by_shortcode(name)?.as_str(), *name)));
    let all = emojis::iter().filter_map(|emoji| Some((emoji.as_str(), emoji.shortcode()?)));
    usual.chain(all.filter(|(_, name)| !USUAL.contains(name)))
}

fn names(beginning: &str, members: &[&str]) -> Vec<Offer> {
    if members.contains(&beginning) {
        return Vec::new();
    }
    let fitting = members.iter().filter(|name| name.starts_with(beginning));
    let offer =
        |name: &&str| Offer { with: format!("@{name} "), label: format!("@{name}"), what: String::new() };
    fitting.take(OFFERED_MAX).map(offer).collect()
}

fn commands(beginning: &str) -> Vec<Offer> {
    // What is whole already is meant, whatever longer name begins with it.
    if COMMANDS.iter().any(|row| row.name == beginning) {
        return Vec::new();
    }
    let fitting = COMMANDS.iter().filter(|row| row.name.starts_with(beginning));
    let offer = |row: &super::slash::Row| {
        let with = if row.takes.is_empty() { row.name.to_owned() } else { format!("{} ", row.name) };
        Offer {
            with,
            label: format!("{} {}", row.name, row.takes).trim_end().to_owned(),
            what: row.what.to_owned(),
        }
    };
    fitting.take(OFFERED_MAX).map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str, members: &[&str]) -> Option<String> {
        let mut editor = Editor::lines(1000);
        editor.insert(text).expect("it fits");
        let completion = Completion::at(&editor, members)?;
        completion.accept(&mut editor);
        Some(editor.text().to_owned())
    }

    #[test]
    fn the_beginning_of_a_name_becomes_an_emoji() {
        assert_eq!(completed("well done :tad", &[]).as_deref(), Some("well done 🎉 "));
        let offers = emoji("smi");
        assert!(offers.len() > 2 && offers.iter().any(|offer| offer.what == ":smile:"), "{offers:?}");
        assert_eq!(completed(":s", &[]), None, "one letter says too little");
        assert_eq!(completed("at 10:30", &[]), None, "a time is no emoji");
        assert_eq!(completed(":nosuchthing", &[]), None);
    }

    #[test]
    fn members_and_commands_are_completed_where_they_make_sense() {
        let members = ["alice", "bob"];
        assert_eq!(completed("ask @bo", &members).as_deref(), Some("ask @bob "));
        assert_eq!(completed("ask @bob", &members), None, "it is complete");
        assert_eq!(completed("/cre", &members).as_deref(), Some("/create "));
        assert_eq!(completed("#my", &members).as_deref(), Some("#my_messages"));
        assert_eq!(completed("/pin", &members), None, "not /pins");
        assert_eq!(completed("and /cre", &members), None, "a command stands first");
    }

    #[test]
    fn choosing_goes_around() {
        let mut editor = Editor::lines(1000);
        editor.insert(":smi").expect("it fits");
        let mut completion = Completion::at(&editor, &[]).expect("there are some");
        completion.choose(false);
        assert_eq!(completion.chosen, completion.offers.len() - 1);
        completion.choose(true);
        assert_eq!(completion.chosen, 0);
    }
}
