//! What a person can look at: conversations, members, lines, queued texts, counters.

use crate::calls::{CallOutcome, CallRecord};
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_mls::suite::Suite;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How this device stands to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Standing {
    /// It is being created or joined; nothing can be read yet, sends queue.
    Joining,
    /// It is a member.
    Member,
    /// It asked to leave and has not been removed yet.
    Leaving,
    /// It left or was removed; the local history stays.
    Gone,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationView {
    /// Its id.
    pub conversation: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// Who may read the past.
    pub history: HistoryPolicy,
    /// What to call it: its name, else the other one's user name, else the first members.
    pub title: String,
    /// The name that members gave it.
    pub name: String,
    /// How this device stands to it.
    pub standing: Standing,
    /// The cipher suite, once joined.
    pub suite: Option<Suite>,
    /// The epoch, once joined.
    pub epoch: Option<Epoch>,
    /// The last entry that was processed.
    pub cursor: Sequence,
    /// Lines from others after the last one marked as read.
    pub unread: u32,
    /// The last line.
    pub last: Option<Message>,
    /// Texts in the outbox.
    pub queued: usize,
    /// The accounts in it.
    pub members: Vec<MemberView>,
    /// Texts from now on disappear after so many seconds.
    pub timer: Option<u32>,
    /// What is pinned, the newest pin first; at most [`PINS_MAX`](crate::kinds::PINS_MAX).
    pub pins: Vec<Sequence>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The account.
    pub account: AccountId,
    /// Its user name, where known.
    pub username: String,
    /// Its role by the relay's word, where known.
    pub role: Option<Role>,
    /// Its devices in the group.
    pub devices: Vec<DeviceId>,
    /// The person compared its key.
    pub verified: bool,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub conversation: ConversationId,
    /// Its place.
    pub sequence: Sequence,
    /// The relay's time of it.
    pub time: UnixMillis,
    /// The sender's time of it, as said inside the encryption.
    pub sent_at: UnixMillis,
    /// Who.
    pub account: AccountId,
    /// The user name, where known.
    pub username: String,
    /// Which device.
    pub device: DeviceId,
    /// The device's number of it; 0 for what is no text.
    pub number: MessageNumber,
    /// Sent by this account.
    pub own: bool,
    /// What.
    pub line: Line,
    /// What a file looks like, small, as its sender made it: a stranger's picture.
    pub preview: Option<Preview>,
    /// How it came here.
    pub origin: Origin,
    /// What it answers.
    pub reply: Option<Quote>,
    /// When it was edited last, by the relay's time.
    pub edited_at: Option<UnixMillis>,
    /// The reactions, in the order in which the first of each came.
    pub reactions: Vec<Reaction>,
    /// It is pinned to the conversation.
    pub pinned: bool,
    /// The accounts that the sender named with `@`.
    pub mentions: Vec<AccountId>,
    /// When it disappears from here.
    pub expires_at: Option<UnixMillis>,
    /// Of an own text: the other accounts that have read it.
    pub read_by: Vec<AccountId>,
    /// Of an own text: the other accounts of which a device has it; those that have read it are among them.
    pub delivered_to: Vec<AccountId>,
}

/// What a text answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Its place.
    pub sequence: Sequence,
    /// Who wrote it; `None` if this device does not have it (yet, or any more).
    pub account: Option<AccountId>,
    /// The user name, where known.
    pub username: String,
    /// How it begins, on one line; empty if it was deleted or is not here. Taken from what it quotes each time it is
    /// asked for: what is deleted there is gone here.
    pub excerpt: String,
}

/// One reaction to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// One emoji.
    pub emoji: String,
    /// Whose, in the order in which they came.
    pub accounts: Vec<AccountId>,
}

/// What a line of history says.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[non_exhaustive]
pub enum Line {
    /// A text.
    Text(String),
    /// The conversation has this name now.
    Named(String),
    /// Accounts or devices came in.
    Added(Vec<AccountId>),
    /// Accounts or devices went out.
    Removed(Vec<AccountId>),
    /// A device repaired itself by joining again.
    Rejoined(AccountId),
    /// An account left.
    Left(AccountId),
    /// A content that could not be read, for good, and why.
    Missing(String),
    /// A content of a kind that this version does not know.
    Unknown,
    /// A text that was deleted; nothing of it is left here.
    Deleted {
        /// By its author or somebody who may.
        by: AccountId,
    },
    /// Texts from then on disappear after so many seconds, or stay.
    Timer(Option<u32>),
    /// A call that is over; whoever called says so, of a call of a group whoever left last.
    Call(CallRecord),
    /// A file.
    File {
        /// What it is, and what opens it.
        about: FileAbout,
        /// What was said about it; often nothing.
        caption: String,
    },
}

impl Line {
    /// Worth a mark until it is read, when it is somebody else's: what was said, and a call that nobody took.
    pub(crate) const fn is_news(&self) -> bool {
        match self {
            Self::Text(_) | Self::File { .. } => true,
            Self::Call(record) => matches!(record.outcome(), Some(CallOutcome::Missed | CallOutcome::Busy)),
            _ => false,
        }
    }

    /// Whether a person said it: it can be answered, edited, deleted, reacted to, pinned and found.
    #[must_use]
    pub const fn is_said(&self) -> bool {
        matches!(self, Self::Text(_) | Self::File { .. })
    }

    /// The words in it: of a text the text, of a file its name and its caption; `None` for what nobody said.
    #[must_use]
    pub fn words(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::File { about, caption } if caption.is_empty() => Some(Cow::Borrowed(about.name.as_str())),
            Self::File { about, caption } => Some(Cow::Owned(format!("{}\n{caption}", about.name))),
            _ => None,
        }
    }

    /// What is shown of it: of a text the text, of a file what it is and its caption; `None` for what nobody said.
    #[must_use]
    pub fn shown(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::File { about, caption } => {
                let gap = if caption.is_empty() { "" } else { "\n" };
                Some(Cow::Owned(format!("[{}]{gap}{caption}", describe(about))))
            }
            said => said.words(),
        }
    }
}

/// A file in a few words: `holiday.jpg, 1.2 MiB, image/jpeg`.
#[must_use]
pub fn describe(about: &FileAbout) -> String {
    let FileAbout { name, bytes, media_type, .. } = about;
    let gap = if media_type.is_empty() { "" } else { ", " };
    format!("{name}, {}{gap}{media_type}", size(*bytes))
}

/// A number of bytes for people: `1.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    // Tenths, rounded; a unit further where that would be 1024.
    let (mut tenths, mut unit) = (bytes.saturating_mul(10).div_ceil(1024), "KiB");
    for next in UNITS.iter().skip(1) {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths.div_ceil(1024), next);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// How a line came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Origin {
    /// As an MLS message.
    Message,
    /// From the archive.
    Archive,
    /// Sent again by a member on request.
    Resent,
    /// Written here.
    Own,
    /// Brought along by the person, from an export.
    Imported,
}

/// A text that waits for the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number.
    pub number: MessageNumber,
    /// When it was queued.
    pub since: UnixMillis,
    /// What, of a file its name and its caption; `None` for a control content.
    pub text: Option<String>,
}

/// Counters since the store was created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Envelopes that could not be decrypted, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Repairs, by way.
    pub repairs: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_say_them() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_258_291, "1.2 MiB"),
            (10 << 30, "10.0 GiB"),
            (64 << 30, "64.0 GiB"),
        ] {
            assert_eq!(size(bytes), said, "{bytes}");
        }
    }
}
