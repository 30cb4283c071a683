//! What travels inside frames: one type for each kind.
//!
//! Kinds are numbered in groups: `0x00..` connection, `0x10..` directory, `0x20..` conversations and their
//! log, `0x40..` what the relay pushes unasked. A request and its answer have different kinds and the same
//! [`RequestId`](crate::ids::RequestId); a failed request is answered by a [`WireError`].
//!
//! Each body ends with [`Extensions`], empty today, so that later versions can add without breaking readers.

mod bounds;
pub mod connection;
pub mod conversation;
pub mod directory;
pub mod log;
pub mod push;

use crate::error::WireError;
use crate::frame::{Body, FrameKind};
use crate::limits::{EXTENSION_BYTES_MAX, EXTENSIONS_MAX};
use crate::payload::Payload;
use bincode::{Decode, Encode};

/// What later versions add to a body: pairs of a number and bytes. Unknown numbers are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Extensions(pub Vec<(u16, Payload)>);

impl Extensions {
    /// Whether number and size are within the limits; a receiver refuses a body where they are not.
    #[must_use]
    pub fn within_limits(&self) -> bool {
        self.0.len() <= EXTENSIONS_MAX && self.0.iter().all(|(_, bytes)| bytes.len() <= EXTENSION_BYTES_MAX)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal $type:path;)*) => {
        $(impl Body for $type {
            const KIND: FrameKind = FrameKind($number);

            fn within_limits(&self) -> bool {
                bounds::Bounded::bounded(self)
            }
        })*

        /// Every kind of this version with the name of its body, for tables in tests, documents and logs.
        pub const KINDS: &[(FrameKind, &str)] = &[$((FrameKind($number), stringify!($type))),*];
    };
}

kinds! {
    0x0001 connection::Hello;
    0x0002 connection::Challenge;
    0x0003 connection::Authenticate;
    0x0004 connection::Ready;
    0x0005 connection::Ping;
    0x0006 connection::Pong;
    0x0007 WireError;
    0x0008 connection::Goodbye;
    0x0009 connection::Done;
    0x0010 directory::PublishKeyPackages;
    0x0011 directory::KeyPackageStock;
    0x0012 directory::ClaimKeyPackages;
    0x0013 directory::KeyPackages;
    0x0014 directory::LookUp;
    0x0015 directory::AccountCard;
    0x0020 conversation::Create;
    0x0021 conversation::State;
    0x0022 conversation::List;
    0x0023 conversation::States;
    0x0024 conversation::GetGroup;
    0x0025 conversation::Group;
    0x0026 conversation::Leave;
    0x0027 conversation::SetRole;
    0x0028 conversation::GetWelcomes;
    0x0029 conversation::Welcomes;
    0x002a conversation::WelcomeTaken;
    0x0030 log::Append;
    0x0031 log::Appended;
    0x0032 log::Commit;
    0x0033 log::Fetch;
    0x0034 log::Entries;
    0x0035 log::FetchArchive;
    0x0036 log::ArchiveEntries;
    0x0037 log::Follow;
    0x0038 log::Followed;
    0x0039 log::SendEphemeral;
    0x003a log::SetPresence;
    0x0040 push::Delivered;
    0x0041 push::Behind;
    0x0042 push::WelcomeWaiting;
    0x0043 push::Ephemeral;
    0x0044 push::KeyPackagesLow;
    0x0045 push::Presence;
}

/// The name of a kind, for logs.
#[must_use]
pub fn kind_name(kind: FrameKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("unknown", |(_, name)| name)
}
