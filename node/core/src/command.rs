//! What a person or a program asks of a client.

use crate::calls::{CallCommand, GroupCommand};
use crate::peers::PeerCommand;
use sotto_e2ee::archive_keys::ArchiveKey;
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_mls::suite::Suite;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};

/// Pairs a command with its [`Event::Done`](crate::event::Event::Done) or
/// [`Event::Failed`](crate::event::Event::Failed). Drawn by the shell; not kept across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// An account as people and programs name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By user name.
    Username(String),
    /// By id.
    Account(AccountId),
}

/// What to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// What members call it; empty for none.
    pub name: String,
    /// A room (joinable by link) instead of a group (invited members).
    pub room: bool,
    /// With a room: its public name, by which anybody on the relay finds and joins it.
    pub listed_name: Option<String>,
    /// Who may read what was said before they joined.
    pub history: HistoryPolicy,
    /// The cipher suite.
    pub suite: Suite,
    /// Who else is in it from the start, by user name.
    pub members: Vec<String>,
}

/// A command. Each ends with exactly one `Done` or `Failed` event with its token, unless the process ends first.
///
/// Commands that change something (marked *kept*) survive a restart and a lost connection: they are carried out
/// once the relay can be reached, with or without somebody waiting for the event. The others fail with
/// [`FailureCode::Offline`](crate::event::FailureCode::Offline) when there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// The access token to authenticate with, from the HTTP API. Needed before the first connection is of use;
    /// on a ready connection it re-authenticates at once. Done: `Outcome::Nothing`, when taken over.
    SetAccessToken(String),
    /// Creates a group or a room. Done: `Outcome::Conversation`, when the relay has it and the members are added.
    CreateConversation(NewConversation),
    /// Opens the direct conversation with an account, creating it when there is none.
    /// Done: `Outcome::Conversation`, when both are in it.
    OpenDirect {
        /// The other one's user name.
        username: String,
        /// The suite, if it has to be created.
        suite: Suite,
    },
    /// Sends a text. *Kept.* Done: `Outcome::Sent`, when the relay has it on disk. Use
    /// [`Event::Queued`](crate::event::Event::Queued) to learn that it is safe on this device.
    Send {
        /// Where to.
        conversation: ConversationId,
        /// At most [`TEXT_BYTES_MAX`](sotto_e2ee::content::TEXT_BYTES_MAX) bytes. Members whom it names with
        /// `@username` are mentioned.
        text: String,
        /// The place of the text that it answers.
        reply_to: Option<Sequence>,
    },
    /// Sends a file whose blob the relay has already, whole. *Kept.* Done: `Outcome::Sent`. What is kept of its upload
    /// ([`uploads`](crate::account::uploads)) goes in the same commit.
    SendFile {
        /// Where to.
        conversation: ConversationId,
        /// What it is, and what opens it.
        about: FileAbout,
        /// What there is to say about it, at most [`CAPTION_BYTES_MAX`](sotto_e2ee::content::CAPTION_BYTES_MAX) bytes.
        caption: String,
        /// The place of what it answers.
        reply_to: Option<Sequence>,
        /// What it looks like, small. Left out where the caption leaves no room for it.
        preview: Option<Preview>,
    },
    /// Puts another text in the place of an own one. *Kept.* Done: `Outcome::Sent`.
    Edit {
        /// Where.
        conversation: ConversationId,
        /// Which.
        target: Sequence,
        /// The new text.
        text: String,
    },
    /// Deletes a text from every client's store: an own one; in groups and rooms moderators and owners delete those of
    /// others too. *Kept.* Done: `Outcome::Sent`.
    Delete {
        /// Where.
        conversation: ConversationId,
        /// Which.
        target: Sequence,
    },
    /// Puts a reaction on a text, or takes it off. *Kept.* Done: `Outcome::Sent`.
    React {
        /// Where.
        conversation: ConversationId,
        /// To what.
        target: Sequence,
        /// One emoji: one grapheme of at most [`EMOJI_BYTES_MAX`](crate::kinds::EMOJI_BYTES_MAX) bytes.
        emoji: String,
        /// On, or off.
        on: bool,
    },
    /// Pins a text to the conversation, or unpins it. In rooms moderators and owners do. *Kept.* Done: `Outcome::Sent`.
    Pin {
        /// Where.
        conversation: ConversationId,
        /// Which.
        target: Sequence,
        /// On, or off.
        on: bool,
    },
    /// Lets texts from now on disappear after so many seconds, counted from the relay's time of each. In rooms
    /// moderators and owners do. *Kept.* Done: `Outcome::Sent`.
    SetTimer {
        /// Where.
        conversation: ConversationId,
        /// From [`TIMER_SECONDS_MIN`](crate::kinds::TIMER_SECONDS_MIN) to
        /// [`TIMER_SECONDS_MAX`](crate::kinds::TIMER_SECONDS_MAX); `None` for never.
        seconds: Option<u32>,
    },
    /// Adds accounts. *Kept* once their names are resolved. Done: `Outcome::Added`.
    AddMembers {
        /// Where to.
        conversation: ConversationId,
        /// Whom, by user name.
        usernames: Vec<String>,
    },
    /// Removes an account. *Kept.* Done: `Outcome::Nothing`, when the relay accepted it.
    RemoveMember {
        /// Where from.
        conversation: ConversationId,
        /// Whom.
        who: Who,
    },
    /// Removes one device of one's own account, after it was lost, from every conversation. *Kept.*
    RemoveDevice(DeviceId),
    /// Leaves. *Kept.* The next member who sees it removes this account's devices.
    Leave {
        /// What.
        conversation: ConversationId,
    },
    /// Joins a conversation that one was admitted to by an invite, or a listed room. *Kept.*
    /// Done: `Outcome::Conversation`.
    Join {
        /// What.
        conversation: ConversationId,
    },
    /// Joins a listed room by its public name. Done: `Outcome::Conversation`.
    JoinListed {
        /// The public name.
        name: String,
    },
    /// Lists the relay's listed rooms. Done: `Outcome::Rooms`.
    ListRooms,
    /// Changes a member's role. Done: `Outcome::Nothing`.
    SetRole {
        /// Where.
        conversation: ConversationId,
        /// Whose.
        who: Who,
        /// The new one.
        role: Role,
    },
    /// About a call. Done at once: what comes of it is told by [`Event::Call`](crate::event::Event::Call).
    Call(CallCommand),
    /// About the call of a group. Done at once, as well: see [`Event::GroupCall`](crate::event::Event::GroupCall).
    GroupCall(GroupCommand),
    /// About direct links to other devices.
    Peer(PeerCommand),
    /// Tells the members a new name of the conversation. *Kept.* Done: `Outcome::Sent`.
    Rename {
        /// Which.
        conversation: ConversationId,
        /// The new name.
        name: String,
    },
    /// Gives this device fresh keys in a conversation, so that what an attacker may have copied is worth
    /// nothing from now on. *Kept.* Done: `Outcome::Nothing`.
    RenewKeys {
        /// Where.
        conversation: ConversationId,
    },
    /// Finds an account. Done: `Outcome::Account`.
    LookUp(Who),
    /// Reads the archive towards the past and keeps what it can open. Done: `Outcome::History`.
    FetchHistory {
        /// Which.
        conversation: ConversationId,
        /// Entries before this place; `None` starts before the oldest local message.
        before: Option<Sequence>,
        /// How many entries to look at, at most.
        limit: u32,
    },
    /// Adds lines that the person brings along, as from an export of another device. They replace nothing that is here.
    /// Done: `Outcome::History`.
    ImportHistory {
        /// Which; where this device does not know it, it is kept as one that was left.
        conversation: PastConversation,
        /// At most [`PAST_LINES_MAX`](crate::past::PAST_LINES_MAX).
        lines: Vec<PastLine>,
    },
    /// Marks the key of an account as compared by the person. Fails if it is not the key that the account is
    /// known by here.
    /// Done: `Outcome::Nothing`.
    Verify {
        /// Whose.
        who: Who,
        /// The key that was compared.
        identity_key: [u8; 32],
    },
    /// What is up to here was read by the person; tells the own devices, and the members unless
    /// [`Settings::receipts`](crate::settings::Settings::receipts) is off.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// Up to here.
        upto: Sequence,
    },
    /// Tells those who are connected that the person is typing; give it as often as a key is pressed, it goes out every
    /// few seconds. Not kept, not acknowledged: Done at once.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
    /// Whether the others are told that this device is here. Kept on this device. Done at once: `Outcome::Nothing`.
    SetInvisible(bool),
    /// Publishes a fresh last-resort key package and fills the stock up. Done: `Outcome::Nothing`.
    RepublishKeyPackages,
    /// Takes archive keys from a vault that the shell opened. Done: `Outcome::Nothing`.
    ImportArchiveKeys(ArchiveKeys),
    /// Seals the vault now; it comes as [`Event::VaultChanged`](crate::event::Event::VaultChanged).
    SealVault,
}

/// A conversation as an export describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastConversation {
    /// Its id.
    pub conversation: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// Who could read the past.
    pub history: HistoryPolicy,
    /// The name that members gave it.
    pub name: String,
    /// The other account of a direct one.
    pub peer: Option<AccountId>,
}

/// A text as an export has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastLine {
    /// Its place.
    pub sequence: Sequence,
    /// The relay's time of it.
    pub time: UnixMillis,
    /// The sender's time of it.
    pub sent_at: UnixMillis,
    /// Who.
    pub account: AccountId,
    /// The user name, where known.
    pub username: String,
    /// Which device.
    pub device: DeviceId,
    /// The device's number of it.
    pub number: MessageNumber,
    /// What.
    pub text: String,
}

/// Archive keys from a vault. Equality is by their places alone; there is no way to print them.
#[derive(Clone, Default)]
pub struct ArchiveKeys(pub Vec<ArchiveKey>);

impl std::fmt::Debug for ArchiveKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ArchiveKeys({})", self.0.len())
    }
}

impl PartialEq for ArchiveKeys {
    fn eq(&self, other: &Self) -> bool {
        let places = |keys: &Self| keys.0.iter().map(|key| (key.conversation, key.epoch)).collect::<Vec<_>>();
        places(self) == places(other)
    }
}

impl Eq for ArchiveKeys {}
