//! What comes into the application and what it asks for. Between the two lies [`App::update`](super::App::update).

use ratatui::crossterm::event::{KeyEvent, MouseEvent};
use sotto_e2ee::file::FileAbout;
use sotto_node_core::client::Contact;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{Event, Failure, Outcome};
use sotto_node_core::view::{ConversationView, Message, Queued};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence};
use sotto_protocol::invite::Invite;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use zeroize::Zeroizing;

use crate::files::Step;
use crate::node::Status;

/// Something happened.
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse moved over, clicked or turned.
    Mouse(MouseEvent),
    /// A text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize {
        /// Cells across.
        columns: u16,
        /// Cells down.
        rows: u16,
    },
    /// The terminal came into, or went out of, focus.
    Focus(bool),
    /// Time has passed.
    Tick,
    /// The client tells of something.
    Happened(Box<Event>),
    /// The client told of more than was listened to: the store has to be read again.
    Missed,
    /// The connection stands otherwise.
    Status(Status),
    /// What came of an effect.
    Answer(Answer),
    /// The system asks the program to end.
    End,
}

/// What the application asks of its shell.
pub enum Effect {
    /// Put the terminal back and end.
    Quit,
    /// Open the store of the profile, with this passphrase or what the environment gives.
    Open(Option<Secret>),
    /// Make or restore an account.
    SetUp(Box<SetUp>),
    /// Sign in again after the session ended.
    SignIn(Secret),
    /// Give a command to the client.
    Command {
        /// Why; comes back with the answer.
        about: About,
        /// What.
        command: Command,
    },
    /// Read every conversation.
    Conversations,
    /// Read lines of a conversation.
    Lines(Lines),
    /// Read lines again that are others now.
    Refresh(ConversationId, Vec<Sequence>),
    /// Read what is pinned.
    Pins(ConversationId),
    /// Read who is here.
    Present(ConversationId),
    /// Look for words in everything that was said.
    Search(String),
    /// Read what waits to be sent.
    Outbox(ConversationId),
    /// Read what is known of an account.
    Contact(Who),
    /// A person compared the identity of an account.
    Verified(AccountId),
    /// Make an invite: into a conversation, or onto the relay.
    Invite(Option<ConversationId>),
    /// Use an invite and go in.
    Redeem(Invite),
    /// Read counters and the like.
    Connection,
    /// Keep what is being written.
    KeepDraft(ConversationId, String),
    /// Send a file; news of it bear this number.
    SendFile {
        /// By which it is known.
        number: u64,
        /// Where to.
        conversation: ConversationId,
        /// Which, as it was written: `~` is not resolved.
        path: String,
        /// What it answers.
        reply_to: Option<Sequence>,
    },
    /// Save a file.
    SaveFile {
        /// By which it is known.
        number: u64,
        /// Of what.
        conversation: ConversationId,
        /// Which.
        about: Box<FileAbout>,
        /// Where to, as it was written; where files usually go without.
        to: Option<String>,
    },
    /// Stop every file that is on its way.
    StopFiles,
    /// Put a text on the clipboard, through the terminal.
    CopyText(String),
    /// Ring, and let the desktop tell of this.
    Notify(String),
    /// Draw everything again.
    Redraw,
}

/// What came of an effect.
pub enum Answer {
    /// The client runs.
    Started(Box<Started>),
    /// It does not.
    NotYet(NotYet),
    /// A command ended.
    Command(About, Result<Outcome, Failure>),
    /// The conversations.
    Conversations(Vec<ConversationView>),
    /// Lines of a conversation.
    Lines(Lines, Vec<Message>),
    /// Lines as they are now; `None` for those that are gone.
    Refreshed(ConversationId, Vec<(Sequence, Option<Message>)>),
    /// What is pinned.
    Pins(Vec<Message>),
    /// Who is here, or how many, where that is known.
    Present(ConversationId, Present),
    /// Lines that have these words, the newest first.
    Hits(String, Vec<Message>),
    /// What waits to be sent.
    Outbox(ConversationId, Vec<Queued>),
    /// What is known of an account.
    Contact(Option<Contact>),
    /// An invite was made.
    Invite(Result<String, String>),
    /// An invite was used; what to go into.
    Redeemed(Result<ConversationId, String>),
    /// Facts about the connection, each with its name.
    Connection(Vec<(String, String)>),
    /// Something is new of a file on its way.
    File(u64, FileNews),
    /// Something failed that nobody waits for.
    Failed(String),
}

/// What is new of a file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileNews {
    /// How far it is.
    Step(Step),
    /// The relay has it, and the message that says so is safe.
    Sent,
    /// It is there.
    Saved {
        /// Where.
        path: PathBuf,
        /// What there is to say about it.
        remarks: Vec<String>,
    },
    /// Nothing comes of it, and why.
    Failed(String),
}

/// Why there is no client that runs, and so what to ask the person for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotYet {
    /// There is no account on this device yet.
    NoAccount,
    /// A registration was interrupted: signing in finishes it.
    Unfinished,
    /// The store needs its passphrase; `Some` says what was wrong with the one that was given.
    Locked(Option<String>),
    /// A new store needs a passphrase: no keyring answers.
    PassphraseWanted,
    /// The account has devices already: the recovery words are needed.
    NeedsRecovery,
    /// It could not start, and why.
    Failed(String),
}

/// A client that runs, as the application has to know it.
pub struct Started {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub username: String,
    /// The relay's link, without a code.
    pub relay: String,
    /// What a QR code of this account shows.
    pub qr_text: String,
    /// What was being written.
    pub drafts: BTreeMap<ConversationId, String>,
    /// Accounts whose verified identity changed.
    pub changed: Vec<AccountId>,
    /// The recovery words, where the account is new.
    pub words: Option<Secret>,
    /// Who holds the key of the store.
    pub holder: String,
    /// A conversation's invite that registering was begun with.
    pub invite: Option<Invite>,
}

/// Who is here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// The accounts; none where there are too many to name.
    pub accounts: BTreeSet<AccountId>,
    /// How many; `None` while it is not known.
    pub count: Option<u32>,
}

/// Why a command was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A text; shown again if it fails.
    Send(ConversationId, String),
    /// Going into a conversation that this opens.
    Enter,
    /// The same for a name: if there is no such room it is made.
    EnterOrMake(String),
    /// Something that deserves a sentence when done.
    Told(String),
    /// Something whose end is seen by itself; a sentence only if it fails.
    Done,
    /// Older lines from the archive.
    Archive(ConversationId),
    /// The list of rooms.
    Rooms,
    /// Nobody waits for it.
    Quietly,
}

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Of what.
    pub conversation: ConversationId,
    /// Where.
    pub place: LinesPlace,
    /// How many.
    pub limit: usize,
    /// Only one's own.
    pub own: bool,
}

/// Where lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinesPlace {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
    /// Before a place.
    Before(Sequence),
    /// After a place.
    After(Sequence),
    /// On both sides of a place.
    Around(Sequence),
}

/// A text that is wiped when it is dropped and cannot be printed.
pub struct Secret(pub Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

/// A new account, or a known one on a device that has none.
pub struct SetUp {
    /// Where.
    pub link: Invite,
    /// What.
    pub how: How,
    /// User name, or e-mail address where the account is known.
    pub username: String,
    /// The account's password.
    pub password: Secret,
    /// For the new store, where no keyring answers.
    pub passphrase: Option<Secret>,
}

/// How an account comes onto a device.
pub enum How {
    /// A new one, with an e-mail address.
    Register(String),
    /// A known one that has no device yet.
    SignIn,
    /// A known one, with its recovery words.
    Recover(Secret),
}
