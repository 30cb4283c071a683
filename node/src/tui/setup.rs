//! The first start, step by step: which relay, who one is, the recovery words; and opening what is there already.
//!
//! One step is on the screen at a time. Each goes forward with Enter and back with Esc, and says in a sentence what
//! was wrong with what was written.

use super::editor::{Edited, Editor};
use super::input::{Effect, How, NotYet, Secret, SetUp, Started};
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use sotto_protocol::invite::Invite;
use sotto_protocol::limits::INVITE_BYTES_MAX;
use zeroize::Zeroizing;

/// Room for names, addresses and passwords.
const FIELD_BYTES_MAX: usize = 320;

/// 24 words of at most 8 letters, with room for other spaces than single ones.
const WORDS_BYTES_MAX: usize = 512;

/// How many of the recovery words are asked for again.
const ASKED: usize = 3;

/// Something to fill in.
pub(crate) struct Field {
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) secret: bool,
    pub(crate) editor: Editor,
}

impl Field {
    fn new(label: &'static str, hint: &'static str) -> Self {
        Self { label, hint, secret: false, editor: Editor::line(FIELD_BYTES_MAX) }
    }

    fn secret(label: &'static str, hint: &'static str) -> Self {
        Self { secret: true, ..Self::new(label, hint) }
    }

    fn text(&self) -> &str {
        self.editor.text().trim()
    }
}

/// Fields, one of which is written in.
pub(crate) struct Form {
    pub(crate) fields: Vec<Field>,
    pub(crate) focus: usize,
    pub(crate) error: Option<String>,
}

impl Form {
    fn new(fields: Vec<Field>) -> Self {
        Self { fields, focus: 0, error: None }
    }

    fn text(&self, place: usize) -> &str {
        self.fields.get(place).map(Field::text).unwrap_or_default()
    }

    /// As it was written: a password may begin or end with a space.
    fn secret(&self, place: usize) -> &str {
        self.fields.get(place).map(|field| field.editor.text()).unwrap_or_default()
    }

    fn wrong(&mut self, place: usize, what: impl Into<String>) {
        self.focus = place;
        self.error = Some(what.into());
    }

    /// Whether the form is to be handed in.
    fn key(&mut self, key: KeyEvent) -> bool {
        let last = self.fields.len().saturating_sub(1);
        match key.code {
            KeyCode::Enter if self.focus == last => return true,
            KeyCode::Enter | KeyCode::Down | KeyCode::Tab => {
                self.focus = if self.focus == last { 0 } else { self.focus + 1 }
            }
            KeyCode::Up | KeyCode::BackTab => {
                self.focus = if self.focus == 0 { last } else { self.focus - 1 }
            }
            _ => {
                if let Some(field) = self.fields.get_mut(self.focus) {
                    match field.editor.key(key, usize::MAX) {
                        Edited::Changed => self.error = None,
                        Edited::Refused(_) => self.error = Some("That is too long.".to_owned()),
                        Edited::Moved | Edited::No => {}
                    }
                }
            }
        }
        false
    }

    fn paste(&mut self, text: &str) {
        if let Some(field) = self.fields.get_mut(self.focus) {
            let inserted = field.editor.insert(text.trim_end_matches(['\n', '\r']));
            self.error = inserted.err().map(|refused| {
                format!(
                    "What you pasted has {} bytes; at most {} fit here.",
                    refused.bytes, refused.bytes_max
                )
            });
        }
    }
}

/// What the person is going to do at the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Register,
    SignIn,
    Recover,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Register, Self::SignIn, Self::Recover];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Register => "Make a new account",
            Self::SignIn => "Sign in",
            Self::Recover => "Sign in with recovery words",
        }
    }

    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Register => "You are new here.",
            Self::SignIn => "It has no device yet.",
            Self::Recover => "You have another device.",
        }
    }

    fn form(self) -> Form {
        let user = Field::new("User name", "a-z 0-9 . _ -");
        let known = Field::new("User name or e-mail address", "");
        let password = Field::secret("Password", "at least 8 characters");
        Form::new(match self {
            Self::Register => vec![
                user,
                Field::new("E-mail address", "for codes and notices of the relay"),
                password,
                Field::secret("The same password again", ""),
            ],
            Self::SignIn => vec![known, Field::secret("Password", "")],
            Self::Recover => {
                let words = Field {
                    editor: Editor::line(WORDS_BYTES_MAX),
                    ..Field::new("Recovery words", "all 24, with spaces between; you can paste them")
                };
                vec![known, Field::secret("Password", ""), words]
            }
        })
    }
}

/// Where the person is.
pub(crate) enum Step {
    /// Something runs; a sentence says what.
    Working(&'static str),
    /// It cannot start; a sentence says why.
    Stuck(String),
    /// The store that is there needs its passphrase.
    Unlock(Form),
    /// Which relay, and what to do there.
    Relay { form: Form, way: usize, note: Option<String> },
    /// Who one is.
    Who { way: Way, link: Invite, form: Form },
    /// A new store needs a passphrase.
    Passphrase { request: Box<SetUp>, form: Form },
    /// The recovery words.
    Words,
    /// Some of them again.
    Again { asked: [usize; ASKED], form: Form },
    /// How to know who one talks to.
    Safety,
    /// Everything is said.
    Done,
}

/// The first start.
pub(crate) struct Setup {
    pub(crate) step: Step,
    link: String,
    words: Zeroizing<String>,
    /// What a failed attempt goes back to.
    attempt: Option<Attempt>,
}

enum Attempt {
    Unlock,
    SetUp { way: Way, link: Invite, form: Form },
}

impl Setup {
    /// `link` is what the relay is known by already.
    pub(crate) fn new(link: Option<&Invite>) -> Self {
        Self {
            step: Step::Working("Opening …"),
            link: link.map(ToString::to_string).unwrap_or_default(),
            words: Zeroizing::default(),
            attempt: None,
        }
    }

    /// The words to show.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.split_whitespace()
    }

    /// Whether the person has been led through.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    fn ask_for_relay(&mut self, note: Option<String>) {
        let mut form = Form::new(vec![Field {
            editor: Editor::line(INVITE_BYTES_MAX),
            ..Field::new("Relay or invite", "as the relay printed it: sotto://…")
        }]);
        if let Some(field) = form.fields.first_mut() {
            field.editor.set(&self.link);
        }
        self.step = Step::Relay { form, way: 0, note };
    }

    /// The client runs: the words of a new account are shown, everybody else is done.
    pub(crate) fn started(&mut self, started: &mut Started) {
        self.attempt = None;
        match started.words.take() {
            Some(words) => {
                self.words = words.0;
                self.step = Step::Words;
            }
            None => self.step = Step::Done,
        }
    }

    /// What came of opening or setting up, if it was not a client that runs.
    pub(crate) fn not_yet(&mut self, why: NotYet) {
        match why {
            NotYet::NoAccount => self.ask_for_relay(None),
            NotYet::Unfinished => self.ask_for_relay(Some(
                "A registration on this device was interrupted. Choose \"Sign in\" to finish it.".to_owned(),
            )),
            NotYet::Locked(error) => {
                let mut form =
                    Form::new(vec![Field::secret("Passphrase", "of what is stored on this device")]);
                form.error = error;
                self.step = Step::Unlock(form);
            }
            NotYet::PassphraseWanted => self.want_passphrase(),
            NotYet::NeedsRecovery => self.need_recovery(),
            NotYet::Failed(why) => match self.attempt.take() {
                Some(Attempt::SetUp { way, link, mut form }) => {
                    form.error = Some(why);
                    self.step = Step::Who { way, link, form };
                }
                Some(Attempt::Unlock) | None => self.step = Step::Stuck(why),
            },
        }
    }

    fn want_passphrase(&mut self) {
        if let Some(Attempt::SetUp { way, link, form }) = &self.attempt {
            let request = Box::new(request(*way, link, form));
            self.step = Step::Passphrase {
                request,
                form: Form::new(vec![
                    Field::secret("Passphrase", "for what is stored on this device"),
                    Field::secret("The same again", ""),
                ]),
            };
        }
    }

    fn need_recovery(&mut self) {
        if let Some(Attempt::SetUp { link, form, .. }) = self.attempt.take() {
            let mut with_words = Way::Recover.form();
            for (new, old) in with_words.fields.iter_mut().zip(&form.fields) {
                new.editor.set(old.editor.text());
            }
            with_words.wrong(
                2,
                "This account has devices already, so the password alone is not enough: the 24 recovery words that were \
                 shown when it was made bring its keys here.",
            );
            self.step = Step::Who { way: Way::Recover, link, form: with_words };
        }
    }

    /// A text was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        match &mut self.step {
            Step::Unlock(form)
            | Step::Relay { form, .. }
            | Step::Who { form, .. }
            | Step::Passphrase { form, .. }
            | Step::Again { form, .. } => form.paste(text),
            _ => {}
        }
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: KeyEvent, chosen: [u8; ASKED]) -> Vec<Effect> {
        let enter = key.code == KeyCode::Enter;
        match &mut self.step {
            Step::Working(_) | Step::Done => {}
            Step::Stuck(_) => {
                if enter || key.code == KeyCode::Esc {
                    return vec![Effect::Quit];
                }
            }
            Step::Unlock(form) => {
                if form.key(key) {
                    let passphrase = Secret::new(form.secret(0));
                    self.attempt = Some(Attempt::Unlock);
                    self.step = Step::Working("Opening …");
                    return vec![Effect::Open(Some(passphrase))];
                }
            }
            Step::Relay { .. } => self.relay_key(key),
            Step::Who { .. } => return self.who_key(key),
            Step::Passphrase { .. } => return self.passphrase_key(key),
            Step::Words if enter => {
                let places =
                    [0, 1, 2].map(|part| part * 8 + usize::from(chosen.get(part).copied().unwrap_or(0)) % 8);
                let field = |place: usize| Field {
                    hint: "",
                    ..Field::new(WORD_LABELS.get(place).copied().unwrap_or("Word"), "")
                };
                self.step = Step::Again { asked: places, form: Form::new(places.map(field).into()) };
            }
            Step::Words => {}
            Step::Again { asked, form } => {
                if key.code == KeyCode::Esc {
                    self.step = Step::Words;
                } else if form.key(key) {
                    let words: Vec<&str> = self.words.split_whitespace().collect();
                    let right =
                        |(number, place): (usize, &usize)| words.get(*place) == Some(&form.text(number));
                    match asked.iter().enumerate().position(|pair| !right(pair)) {
                        None => self.step = Step::Safety,
                        Some(wrong) => form.wrong(wrong, "That is another word. Esc shows the words again."),
                    }
                }
            }
            Step::Safety => {
                if enter {
                    self.step = Step::Done;
                }
            }
        }
        Vec::new()
    }

    fn relay_key(&mut self, key: KeyEvent) {
        let Step::Relay { form, way, note } = &mut self.step else { return };
        match key.code {
            KeyCode::Up => *way = way.checked_sub(1).unwrap_or(Way::ALL.len() - 1),
            KeyCode::Down | KeyCode::Tab => *way = (*way + 1) % Way::ALL.len(),
            _ => {
                if form.key(key) {
                    *note = None;
                    match form.text(0).parse::<Invite>() {
                        Ok(link) => {
                            form.text(0).clone_into(&mut self.link);
                            let way = Way::ALL.get(*way).copied().unwrap_or(Way::Register);
                            self.step = Step::Who { way, link, form: way.form() };
                        }
                        Err(error) => form.wrong(0, format!("This is no link of a relay: {error}.")),
                    }
                }
            }
        }
    }

    fn who_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.code == KeyCode::Esc {
            self.ask_for_relay(None);
            return Vec::new();
        }
        let Step::Who { way, form, .. } = &mut self.step else { return Vec::new() };
        if !form.key(key) {
            return Vec::new();
        }
        if form.text(0).is_empty() {
            form.wrong(0, "A user name is needed.");
        } else if *way == Way::Register && form.text(1).is_empty() {
            form.wrong(1, "An e-mail address is needed.");
        } else if *way == Way::Register && form.secret(2) != form.secret(3) {
            form.wrong(3, "The two passwords are not the same.");
        } else if let Step::Who { way, link, form } =
            std::mem::replace(&mut self.step, Step::Working("Asking the relay …"))
        {
            let request = request(way, &link, &form);
            self.attempt = Some(Attempt::SetUp { way, link, form });
            return vec![Effect::SetUp(Box::new(request))];
        }
        Vec::new()
    }

    fn passphrase_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.code == KeyCode::Esc {
            if let Some(Attempt::SetUp { way, link, form }) = self.attempt.take() {
                self.step = Step::Who { way, link, form };
            }
            return Vec::new();
        }
        let Step::Passphrase { form, .. } = &mut self.step else { return Vec::new() };
        if !form.key(key) {
            return Vec::new();
        }
        if form.secret(0).is_empty() {
            form.wrong(
                0,
                "A passphrase is needed: without it anybody with this disk could read your messages.",
            );
        } else if form.secret(0) != form.secret(1) {
            form.wrong(1, "The two are not the same.");
        } else if let Step::Passphrase { mut request, form } =
            std::mem::replace(&mut self.step, Step::Working("Asking the relay …"))
        {
            request.passphrase = Some(Secret::new(form.secret(0)));
            return vec![Effect::SetUp(request)];
        }
        Vec::new()
    }
}

fn request(way: Way, link: &Invite, form: &Form) -> SetUp {
    SetUp {
        link: link.clone(),
        how: match way {
            Way::Register => How::Register(form.text(1).to_owned()),
            Way::SignIn => How::SignIn,
            Way::Recover => How::Recover(Secret::new(form.text(2))),
        },
        username: form.text(0).to_owned(),
        password: Secret::new(form.secret(if way == Way::Register { 2 } else { 1 })),
        passphrase: None,
    }
}

/// What the fields of [`Step::Again`] are called.
const WORD_LABELS: [&str; 24] = [
    "Word 1", "Word 2", "Word 3", "Word 4", "Word 5", "Word 6", "Word 7", "Word 8", "Word 9", "Word 10",
    "Word 11", "Word 12", "Word 13", "Word 14", "Word 15", "Word 16", "Word 17", "Word 18", "Word 19",
    "Word 20", "Word 21", "Word 22", "Word 23", "Word 24",
];

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyModifiers;
    use sotto_protocol::ids::AccountId;
    use std::collections::BTreeMap;

    const LINK: &str =
        "sotto://relay.example:4433#abababababababababababababababababababababababababababababababab";

    fn press(setup: &mut Setup, code: KeyCode) -> Vec<Effect> {
        setup.key(KeyEvent::new(code, KeyModifiers::NONE), [2, 3, 4])
    }

    fn fill(setup: &mut Setup, texts: &[&str]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for text in texts {
            setup.paste(text);
            effects = press(setup, KeyCode::Enter);
        }
        effects
    }

    fn error(setup: &Setup) -> &str {
        let (Step::Who { form, .. }
        | Step::Relay { form, .. }
        | Step::Again { form, .. }
        | Step::Unlock(form)
        | Step::Passphrase { form, .. }) = &setup.step
        else {
            return "";
        };
        form.error.as_deref().unwrap_or_default()
    }

    fn at_the_relay() -> Setup {
        let mut setup = Setup::new(None);
        setup.not_yet(NotYet::NoAccount);
        setup
    }

    fn started(words: Option<&str>) -> Started {
        Started {
            account: AccountId([1; 16]),
            username: "alice".to_owned(),
            relay: LINK.to_owned(),
            qr_text: String::new(),
            drafts: BTreeMap::new(),
            changed: Vec::new(),
            words: words.map(Secret::new),
            holder: String::new(),
            invite: None,
        }
    }

    #[test]
    fn a_new_person_is_led_from_the_link_to_the_confirmed_words() {
        let mut setup = at_the_relay();
        fill(&mut setup, &[LINK]);
        let effects = fill(&mut setup, &["alice", "alice@example.org", "the password", "the password"]);
        let [Effect::SetUp(request)] = effects.as_slice() else { panic!("the relay is asked") };
        assert_eq!((request.username.as_str(), request.password.0.as_str()), ("alice", "the password"));
        assert!(matches!(&request.how, How::Register(email) if email == "alice@example.org"));
        setup.not_yet(NotYet::PassphraseWanted);
        let effects = fill(&mut setup, &["open sesame", "open sesame"]);
        let [Effect::SetUp(request)] = effects.as_slice() else { panic!("the relay is asked") };
        assert_eq!(request.passphrase.as_ref().map(|given| given.0.as_str()), Some("open sesame"));
        let words: Vec<String> = (1..=24).map(|number| format!("word{number}")).collect();
        setup.started(&mut started(Some(&words.join(" "))));
        assert_eq!(setup.words().count(), 24);
        press(&mut setup, KeyCode::Enter);
        fill(&mut setup, &["word3", "word12", "word1"]);
        assert!(error(&setup).starts_with("That is another word"));
        let Step::Again { form, .. } = &setup.step else { panic!("it is asked again") };
        assert_eq!(form.focus, 2, "the wrong one");
        press(&mut setup, KeyCode::Backspace);
        fill(&mut setup, &["21"]);
        assert!(matches!(setup.step, Step::Safety));
        press(&mut setup, KeyCode::Enter);
        assert!(setup.is_done());
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_that_was_written_is_lost() {
        let mut setup = at_the_relay();
        fill(&mut setup, &["relay.example"]);
        assert!(error(&setup).contains("an invite starts with sotto://"), "{}", error(&setup));
        let mut setup = at_the_relay();
        fill(&mut setup, &[LINK]);
        fill(&mut setup, &["alice", "a@x.org", "one password", "another password"]);
        assert_eq!(error(&setup), "The two passwords are not the same.");
        for _ in 0..16 {
            press(&mut setup, KeyCode::Backspace);
        }
        assert_eq!(fill(&mut setup, &["one password"]).len(), 1);
        setup.not_yet(NotYet::Failed("this name is taken".to_owned()));
        assert_eq!(error(&setup), "this name is taken");
        let Step::Who { form, .. } = &setup.step else { panic!("back at the form") };
        assert_eq!(form.text(0), "alice");
    }

    #[test]
    fn an_account_with_devices_is_asked_for_its_recovery_words() {
        let mut setup = at_the_relay();
        press(&mut setup, KeyCode::Down);
        fill(&mut setup, &[LINK]);
        fill(&mut setup, &["alice", "the password"]);
        setup.not_yet(NotYet::NeedsRecovery);
        assert!(error(&setup).contains("24 recovery words"));
        let effects = fill(&mut setup, &["some words"]);
        let [Effect::SetUp(request)] = effects.as_slice() else { panic!("the relay is asked") };
        assert!(matches!(&request.how, How::Recover(words) if words.0.as_str() == "some words"));
        assert_eq!(request.password.0.as_str(), "the password");
        setup.started(&mut started(None));
        assert!(setup.is_done());
    }

    #[test]
    fn a_locked_store_asks_for_its_passphrase_until_it_is_right() {
        let mut setup = Setup::new(None);
        setup.not_yet(NotYet::Locked(None));
        let effects = fill(&mut setup, &["wrong"]);
        assert!(matches!(effects.as_slice(), [Effect::Open(Some(given))] if given.0.as_str() == "wrong"));
        setup.not_yet(NotYet::Locked(Some("that is not it".to_owned())));
        assert_eq!(error(&setup), "that is not it");
        setup.not_yet(NotYet::Failed("the disk is gone".to_owned()));
        assert!(matches!(&setup.step, Step::Stuck(why) if why == "the disk is gone"));
        assert!(matches!(press(&mut setup, KeyCode::Enter).as_slice(), [Effect::Quit]));
    }

    #[test]
    fn megabytes_pasted_into_a_field_are_refused_with_a_sentence() {
        let mut setup = at_the_relay();
        setup.paste(&"x".repeat(1_000_000));
        assert!(error(&setup).starts_with("What you pasted has 1000000 bytes"));
    }
}
