//! Ids are newtypes, so that an account is never mistaken for a device nor a sequence for an epoch.
//!
//! The 16-byte ids are written as 32 lower-case hex digits wherever people or JSON see them.

use bincode::{Decode, Encode};
use core::fmt;
use core::str::FromStr;

/// A text that is not an id: not 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is written as 32 hex digits")]
pub struct BadId;

macro_rules! make_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The id as bytes, for keys and signatures.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                crate::hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                crate::hex::read(text).map(Self).ok_or(BadId)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

make_id!(
    /// A person or a bot on one relay; drawn at random by the relay when the account registers.
    AccountId
);
make_id!(
    /// One installation of a client with keys of its own; drawn at random by the device.
    DeviceId
);
make_id!(
    /// What messages belong to; drawn at random by the device that creates it. It is also the MLS group id.
    ConversationId
);
make_id!(
    /// One question for a file among the members of a conversation; drawn at random by the device that asks.
    AskId
);
make_id!(
    /// One link between two devices; drawn at random by the device that has the file.
    LinkId
);
make_id!(
    /// One sign-in of an account: a family of refresh tokens that is listed and revoked together.
    SessionId
);

macro_rules! make_counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Encode, Decode,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this. Saturates: 2^64 of anything is out of reach.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

make_counter!(
    /// A position in a conversation's log. The first entry has 1; 0 means "before everything".
    Sequence
);
make_counter!(
    /// One MLS epoch of a conversation; 0 when it is created.
    Epoch
);
make_counter!(
    /// A device's own count of the contents it appended to one conversation: 1, 2, 3 with no gap.
    /// It makes an append idempotent without a window: a number that is not above the last is a repeat.
    MessageNumber
);
make_counter!(
    /// Milliseconds since 1970-01-01 00:00 UTC.
    UnixMillis
);

/// Pairs an answer with its request on one connection. 0 marks what was not asked for (a push).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Encode, Decode)]
pub struct RequestId(pub u32);

impl RequestId {
    /// The id of everything that a relay sends unasked.
    pub const PUSH: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = AccountId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("AB".repeat(16).parse(), Ok(id));
        assert_eq!("ab".parse::<AccountId>(), Err(BadId));
        assert_eq!("zz".repeat(16).parse::<AccountId>(), Err(BadId));
    }
}
