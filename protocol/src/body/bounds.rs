//! What each body may hold: the pass that follows decoding (P-012 in `docs/protocol.md`).
//!
//! The frame bounds the bytes; this bounds what they mean: items of lists, lengths of texts, extensions. The sizes
//! of payloads that have a limit of their own (a message, a commit, a key package) are left to whoever takes
//! them, who can say to which account they belong and answer with the right error.

use super::{Extensions, connection, conversation, directory, log, push};
use crate::error::WireError;
use crate::limits::{
    CONVERSATIONS_PER_DEVICE_MAX, DEVICES_PER_ACCOUNT_MAX, ERROR_TEXT_BYTES_MAX, FETCH_ENTRIES_MAX,
    KEY_PACKAGES_PER_DEVICE_MAX, LEAVES_PER_CONVERSATION_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX,
    PRESENT_NAMED_MAX, SUITES_PER_CLAIM_MAX, TOKEN_BYTES_MAX, USERNAME_CHARS_MAX,
};

/// A body that knows its own bounds.
pub(super) trait Bounded {
    /// Whether every list, text and extension is within its limit.
    fn bounded(&self) -> bool;
}

fn name(text: &Option<String>) -> bool {
    text.as_ref().is_none_or(|text| text.len() <= NAME_BYTES_MAX)
}

impl Extensions {
    fn with(&self, others: bool) -> bool {
        others && self.within_limits()
    }
}

/// Bodies of fixed size beside their extensions.
macro_rules! only_extensions {
    ($($type:ty),* $(,)?) => {
        $(impl Bounded for $type {
            fn bounded(&self) -> bool {
                self.extensions.within_limits()
            }
        })*
    };
}

only_extensions! {
    connection::Challenge, connection::Ping, connection::Pong, connection::Done, directory::KeyPackageStock,
    conversation::GetGroup, conversation::Group, conversation::Leave, conversation::SetRole,
    conversation::GetWelcomes, conversation::WelcomeTaken, log::Append, log::Appended, log::Commit, log::Fetch,
    log::FetchArchive, log::SendEphemeral, log::SetPresence, push::Behind, push::WelcomeWaiting, push::Ephemeral,
    push::KeyPackagesLow,
}

/// Bodies with one list.
macro_rules! one_list {
    ($($type:ty: $list:ident <= $limit:expr;)*) => {
        $(impl Bounded for $type {
            fn bounded(&self) -> bool {
                self.extensions.with(self.$list.len() <= $limit)
            }
        })*
    };
}

one_list! {
    directory::PublishKeyPackages: packages <= KEY_PACKAGES_PER_DEVICE_MAX;
    directory::ClaimKeyPackages: suites <= SUITES_PER_CLAIM_MAX;
    directory::KeyPackages: packages <= DEVICES_PER_ACCOUNT_MAX;
    conversation::Welcomes: welcomes <= LIST_ITEMS_MAX;
    log::Entries: entries <= FETCH_ENTRIES_MAX;
    log::ArchiveEntries: entries <= FETCH_ENTRIES_MAX;
    log::Follow: conversations <= CONVERSATIONS_PER_DEVICE_MAX;
    log::Followed: heads <= CONVERSATIONS_PER_DEVICE_MAX;
    push::Delivered: entries <= FETCH_ENTRIES_MAX;
}

impl Bounded for connection::Hello {
    fn bounded(&self) -> bool {
        self.extensions.with(self.agent.len() <= NAME_BYTES_MAX)
    }
}

impl Bounded for connection::Authenticate {
    fn bounded(&self) -> bool {
        self.extensions.with(self.access_token.len() <= TOKEN_BYTES_MAX)
    }
}

impl Bounded for connection::Ready {
    fn bounded(&self) -> bool {
        self.extensions.with(self.observed_address.len() <= NAME_BYTES_MAX)
    }
}

impl Bounded for connection::Goodbye {
    fn bounded(&self) -> bool {
        self.extensions.with(self.reason.len() <= ERROR_TEXT_BYTES_MAX)
    }
}

impl Bounded for WireError {
    fn bounded(&self) -> bool {
        self.extensions.with(self.text.len() <= ERROR_TEXT_BYTES_MAX)
    }
}

impl Bounded for directory::LookUp {
    fn bounded(&self) -> bool {
        let within = match &self.by {
            directory::LookUpBy::Username(username) => username.len() <= USERNAME_CHARS_MAX,
            directory::LookUpBy::Account(_) => true,
        };
        self.extensions.with(within)
    }
}

impl Bounded for directory::AccountCard {
    fn bounded(&self) -> bool {
        let within =
            self.username.len() <= USERNAME_CHARS_MAX && self.devices.len() <= DEVICES_PER_ACCOUNT_MAX;
        self.extensions.with(within)
    }
}

impl Bounded for conversation::Create {
    fn bounded(&self) -> bool {
        self.extensions.with(name(&self.listed_name))
    }
}

impl Bounded for conversation::State {
    fn bounded(&self) -> bool {
        let members = self.members.len() <= LEAVES_PER_CONVERSATION_MAX
            && self.members.iter().all(|member| member.username.len() <= USERNAME_CHARS_MAX);
        self.extensions.with(members && name(&self.listed_name))
    }
}

impl Bounded for conversation::List {
    fn bounded(&self) -> bool {
        let within = match &self.which {
            conversation::Which::ListedName(name) => name.len() <= NAME_BYTES_MAX,
            conversation::Which::Mine
            | conversation::Which::One(_)
            | conversation::Which::DirectWith(_)
            | conversation::Which::Listed => true,
        };
        self.extensions.with(within)
    }
}

impl Bounded for conversation::States {
    fn bounded(&self) -> bool {
        let within = self.conversations.len() <= LIST_ITEMS_MAX;
        self.extensions.with(within && self.conversations.iter().all(Bounded::bounded))
    }
}

impl Bounded for push::Presence {
    fn bounded(&self) -> bool {
        let within = match &self.who {
            push::WhoIsHere::These(accounts) => accounts.len() <= PRESENT_NAMED_MAX,
            push::WhoIsHere::Changed { came, went } => {
                came.len() <= PRESENT_NAMED_MAX && went.len() <= PRESENT_NAMED_MAX
            }
            push::WhoIsHere::Unnamed => true,
        };
        self.extensions.with(within)
    }
}
