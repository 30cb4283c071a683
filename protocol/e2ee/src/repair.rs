//! What to do about an envelope that does not decrypt, and the counters of it.
use crate::conversation::Reason;
use crate::store::{StoreError, Transaction};
use sotto_protocol::ids::ConversationId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repair {
    Archive,
    Resent,
    Rejoined,
}

/// What is known about an envelope that could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    pub reason: Reason,
    /// The archive key of its epoch is at hand and the relay has (or may have) a copy.
    pub archive_key: bool,
    pub archive_tried: bool,
    pub resend_asked: bool,
    pub resend_timed_out: bool,
    pub rejoined: bool,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hostile or doubled: nothing is missing.
    Ignore,
    ReadArchive,
    AskResend,
    Wait,
    Rejoin,
    /// Shown as missing, counted.
    GiveUp,
}
pub fn next_step(situation: &Situation) -> Step {
    unimplemented!()
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    pub failures: std::collections::BTreeMap<String, u64>,
    pub repairs: std::collections::BTreeMap<String, u64>,
}
pub fn count_failure(tx: &Transaction<'_>, reason: Reason) -> Result<(), StoreError> {
    unimplemented!()
}
pub fn count_repair(tx: &Transaction<'_>, repair: Repair) -> Result<(), StoreError> {
    unimplemented!()
}
pub fn counters(tx: &Transaction<'_>) -> Result<Counters, StoreError> {
    unimplemented!()
}
