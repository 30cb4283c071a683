//! What is kept in the store, and under which keys.
//!
//! Rows are in the bincode 2 standard format, the ids in keys big-endian, so that a scan is in the order of
//! the log. The number in [`FORMAT`] stands in the first row; a store of a newer format is not touched.

use crate::calls::CallRecord;
use crate::view::{Line, Origin, Standing};
use bincode::{Decode, Encode};
use sotto_e2ee::content::{Content, RequestTag, Text};
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_protocol::ordered::one_by_one_or;

/// The format of the rows. 2 added, beside what was there and without changing it, what the `kinds` module keeps, and
/// kinds of lines and of waiting contents; a program of format 1 would take those for damage, hence the number. So it is with 3,
/// which added calls and files, and with 4, which added previews of files.
pub(crate) const FORMAT: u32 = 4;

const META: u8 = 0x40;
const CONVERSATION: u8 = 0x41;
const OUTBOX: u8 = 0x42;
const CHANGE: u8 = 0x43;
pub(crate) const HISTORY: u8 = 0x44;
const ACCOUNT: u8 = 0x45;
const UPKEEP: u8 = 0x46;
const BROKEN: u8 = 0x47;
// 0x50 to 0x56 are what `kinds` keeps, 0x57 is of `presence`, 0x58 to 0x5a are of `search`, 0x5f is of `calls`, 0x60 of `peers`.

/// The one row that says whose store this is.
#[derive(Encode, Decode)]
pub(crate) struct MetaRow {
    pub(crate) format: u32,
    pub(crate) username: String,
    pub(crate) device: Vec<u8>,
    pub(crate) identity: [u8; 32],
    pub(crate) recovery: [u8; 32],
}

impl Drop for MetaRow {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.device.zeroize();
        self.identity.zeroize();
        self.recovery.zeroize();
    }
}

/// What is done in the background, for the whole client.
#[derive(Encode, Decode, Default, Clone, PartialEq, Eq)]
pub(crate) struct UpkeepRow {
    /// When key packages were last published; 0 for never.
    pub(crate) published: UnixMillis,
    /// The vault's contents changed since it was last sealed.
    pub(crate) vault_changed: bool,
    /// Highest id given to a change.
    pub(crate) last_change: u64,
}

/// One conversation.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct ConversationRow {
    pub(crate) kind: Kind,
    pub(crate) history: HistoryPolicy,
    pub(crate) listed_name: Option<String>,
    pub(crate) name: String,
    /// The other account of a direct conversation.
    pub(crate) peer: Option<AccountId>,
    pub(crate) standing: Standing,
    pub(crate) joining: Option<Joining>,
    /// The number of the last content that was queued.
    pub(crate) last_number: MessageNumber,
    /// The highest number that the relay acknowledged.
    pub(crate) acknowledged: MessageNumber,
    pub(crate) roles: Vec<(AccountId, Role)>,
    pub(crate) read_upto: Sequence,
    pub(crate) last_line: Sequence,
    pub(crate) unread: u32,
    /// A commit that was handed to the relay, or is about to be.
    pub(crate) staged: Option<StagedRow>,
    /// Accounts that asked to leave and are still in.
    pub(crate) leavers: Vec<AccountId>,
    /// What is to be read from the archive.
    pub(crate) backfill: Option<Backfill>,
    /// The archive keys that were asked for.
    pub(crate) keys_asked: Option<KeysAsked>,
    pub(crate) created: UnixMillis,
}

/// How this device gets in.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) enum Joining {
    /// It creates the conversation.
    Create { group_info: Vec<u8>, tree: Vec<u8> },
    /// A Welcome may come; after this time it joins by itself.
    Wait { until: UnixMillis },
    /// By external commit. `cursor` is where it stood when its state broke; 0 for a first join.
    External { cursor: Sequence, tries: u32 },
}

/// A commit on its way.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct StagedRow {
    pub(crate) epoch: Epoch,
    pub(crate) commit: Vec<u8>,
    pub(crate) group_info: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    /// The change that it makes; 0 for a join by external commit.
    pub(crate) change: u64,
}

/// A stretch of the log that is read from the archive, newest first.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Backfill {
    /// Only entries after this.
    pub(crate) floor: Sequence,
    /// The next read goes on before this.
    pub(crate) before: Sequence,
    /// The first place of it, to begin again when keys arrive.
    pub(crate) top: Sequence,
    /// How many entries to read yet.
    pub(crate) left: u32,
    /// How many that was at the top.
    pub(crate) span: u32,
    /// Copies that no key was at hand for.
    pub(crate) locked: u32,
    /// It came to its end for now.
    pub(crate) done: bool,
    /// It brings back what a repaired device missed.
    pub(crate) repair: bool,
}

/// A request for archive keys.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct KeysAsked {
    pub(crate) from: Epoch,
    pub(crate) until: Epoch,
    pub(crate) at: UnixMillis,
    pub(crate) tries: u32,
}

/// A content on its way to the log; its number is in the key.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) content: Kept,
    pub(crate) queued: UnixMillis,
    /// The cursor when it was first encrypted: what the log has up to here cannot be it.
    pub(crate) first_seen: Option<Sequence>,
    pub(crate) sealed: Option<SealedRow>,
}

/// The encrypted form, kept so that a repeated append has the same bytes.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct SealedRow {
    pub(crate) epoch: Epoch,
    pub(crate) message: Vec<u8>,
    pub(crate) archive: Vec<u8>,
}

/// A content as it is kept in the outbox.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Text(String),
    Info(String),
    KeyRequest { hpke_key: Vec<u8>, from: Epoch, until: Epoch },
    KeyAnswer { to: DeviceId, request: RequestTag, sealed: Vec<u8> },
    ResendRequest { hpke_key: Vec<u8>, sequences: Vec<Sequence> },
    Resent { to: DeviceId, request: RequestTag, sequence: Sequence, sealed: Vec<u8> },
    // Since format 2.
    Said(Text),
    Edit { target: Sequence, text: Text },
    Delete { target: Sequence },
    React { target: Sequence, emoji: String, on: bool },
    Pin { target: Sequence, on: bool },
    Timer { seconds: Option<u32> },
    // Since format 3.
    Call(CallRecord),
    File { about: FileAbout, caption: Text },
    // Since format 4.
    Pictured { about: FileAbout, caption: Text, preview: Preview },
}

impl Kept {
    /// `None` for a kind that this version cannot send.
    pub(crate) fn of(content: Content) -> Option<Self> {
        Some(match content {
            Content::Text(text) => Self::Said(text),
            Content::Info { name } => Self::Info(name),
            Content::KeyRequest { hpke_key, from, until } => Self::KeyRequest { hpke_key, from, until },
            Content::KeyAnswer { to, request, sealed } => Self::KeyAnswer { to, request, sealed },
            Content::ResendRequest { hpke_key, sequences } => Self::ResendRequest { hpke_key, sequences },
            Content::Resent { to, request, sequence, sealed } => {
                Self::Resent { to, request, sequence, sealed }
            }
            Content::Edit { target, text } => Self::Edit { target, text },
            Content::Delete { target } => Self::Delete { target },
            Content::React { target, emoji, on } => Self::React { target, emoji, on },
            Content::Pin { target, on } => Self::Pin { target, on },
            Content::Timer { seconds } => Self::Timer { seconds },
            Content::Call(record) => Self::Call(record),
            Content::File { about, caption, preview } => Self::file(about, caption, preview),
            _ => return None,
        })
    }

    pub(crate) fn file(about: FileAbout, caption: Text, preview: Option<Preview>) -> Self {
        match preview {
            None => Self::File { about, caption },
            Some(preview) => Self::Pictured { about, caption, preview },
        }
    }

    pub(crate) fn content(&self) -> Content {
        match self.clone() {
            Self::Text(body) => Content::text(body),
            Self::Said(text) => Content::Text(text),
            Self::Info(name) => Content::Info { name },
            Self::KeyRequest { hpke_key, from, until } => Content::KeyRequest { hpke_key, from, until },
            Self::KeyAnswer { to, request, sealed } => Content::KeyAnswer { to, request, sealed },
            Self::ResendRequest { hpke_key, sequences } => Content::ResendRequest { hpke_key, sequences },
            Self::Resent { to, request, sequence, sealed } => {
                Content::Resent { to, request, sequence, sealed }
            }
            Self::Edit { target, text } => Content::Edit { target, text },
            Self::Delete { target } => Content::Delete { target },
            Self::React { target, emoji, on } => Content::React { target, emoji, on },
            Self::Pin { target, on } => Content::Pin { target, on },
            Self::Timer { seconds } => Content::Timer { seconds },
            Self::Call(record) => Content::Call(record),
            Self::File { about, caption } => Content::File { about, caption, preview: None },
            Self::Pictured { about, caption, preview } => {
                Content::File { about, caption, preview: Some(preview) }
            }
        }
    }
}

/// A wish to change the group, until the log shows it done.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Add {
        accounts: Vec<AccountId>,
        /// Key packages that were claimed, with the accounts they are of.
        claimed: Vec<Claimed>,
        /// Accounts whose claim was answered.
        asked: Vec<AccountId>,
        added: Vec<AccountId>,
        without_device: Vec<AccountId>,
    },
    Remove {
        accounts: Vec<AccountId>,
    },
    RemoveDevice {
        device: DeviceId,
    },
    Update,
}

/// A key package in hand.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) package: Vec<u8>,
    pub(crate) last_resort: bool,
}

/// One line of history.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub(crate) struct HistoryRow {
    pub(crate) time: UnixMillis,
    pub(crate) sent_at: UnixMillis,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) number: MessageNumber,
    pub(crate) epoch: Epoch,
    pub(crate) line: Line,
    pub(crate) origin: Origin,
}

/// An entry that could not be read yet.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct BrokenRow {
    pub(crate) code: u8,
    pub(crate) time: UnixMillis,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) number: MessageNumber,
    pub(crate) epoch: Epoch,
    pub(crate) archive_tried: bool,
    pub(crate) resend_asked: Option<UnixMillis>,
    pub(crate) rejoined: bool,
}

/// What is known of an account beside its pin.
#[derive(Encode, Decode, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) username: String,
}

pub(crate) fn meta_key() -> Vec<u8> {
    vec![META]
}

pub(crate) fn upkeep_key() -> Vec<u8> {
    vec![UPKEEP]
}

pub(crate) fn conversation_key(conversation: ConversationId) -> Vec<u8> {
    under(CONVERSATION, conversation)
}

pub(crate) fn account_key(account: AccountId) -> Vec<u8> {
    let mut key = vec![ACCOUNT];
    key.extend_from_slice(account.as_bytes());
    key
}

pub(crate) fn outbox_key(conversation: ConversationId, number: MessageNumber) -> Vec<u8> {
    numbered(OUTBOX, conversation, number.0)
}

pub(crate) fn change_key(conversation: ConversationId, change: u64) -> Vec<u8> {
    numbered(CHANGE, conversation, change)
}

pub(crate) fn history_key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    numbered(HISTORY, conversation, sequence.0)
}

pub(crate) fn broken_key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    numbered(BROKEN, conversation, sequence.0)
}

pub(crate) fn under(prefix: u8, conversation: ConversationId) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend_from_slice(conversation.as_bytes());
    key
}

pub(crate) fn numbered(prefix: u8, conversation: ConversationId, number: u64) -> Vec<u8> {
    let mut key = under(prefix, conversation);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number that ends a key.
pub(crate) fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(|| damaged("a key is too short"))
}

pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

const fn config() -> impl bincode::config::Config {
    // Rows hold at most what came in one frame; the limit keeps a damaged row from asking for all memory.
    bincode::config::standard().with_limit::<{ 2 * FRAME_BODY_BYTES_MAX }>()
}

/// Encodes a row.
pub(crate) fn encode<T: Encode>(row: &T) -> Vec<u8> {
    bincode::encode_to_vec(row, bincode::config::standard())
        .expect("writing to memory does not fail, and no row has a type that cannot be encoded")
}

/// Decodes a row, to the last byte.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, StoreError> {
    match bincode::decode_from_slice(bytes, config()) {
        Ok((row, read)) if read == bytes.len() => Ok(row),
        _ => Err(damaged(&format!("a row of {} does not decode", std::any::type_name::<T>()))),
    }
}

/// Decodes what a row starts with.
pub(crate) fn decode_start<T: Decode<()>>(bytes: &[u8]) -> Result<T, StoreError> {
    let decoded = bincode::decode_from_slice(bytes, config());
    decoded.map(|(start, _)| start).map_err(|_| damaged("a row does not decode"))
}

pub(crate) fn put<T: Encode>(tx: &Transaction<'_>, key: Vec<u8>, row: &T) {
    tx.put(key, encode(row));
}

pub(crate) fn get<T: Decode<()>>(tx: &Transaction<'_>, key: &[u8]) -> Result<Option<T>, StoreError> {
    tx.get(key)?.map(|value| decode(&value)).transpose()
}

/// The rows of one conversation under a prefix, by the number that ends their keys.
fn numbered_rows<T: Decode<()>>(
    tx: &Transaction<'_>,
    prefix: u8,
    conversation: ConversationId,
) -> Result<std::collections::BTreeMap<u64, T>, StoreError> {
    let rows = tx.scan(&Scan::prefix(under(prefix, conversation)))?;
    one_by_one_or(rows.iter().map(|row| Ok((number_of(&row.key)?, decode(&row.value)?))))
}

pub(crate) type Numbered<T> = std::collections::BTreeMap<u64, T>;

pub(crate) fn outbox(
    tx: &Transaction<'_>,
    conversation: ConversationId,
) -> Result<Numbered<OutboxRow>, StoreError> {
    numbered_rows(tx, OUTBOX, conversation)
}

pub(crate) fn changes(
    tx: &Transaction<'_>,
    conversation: ConversationId,
) -> Result<Numbered<Change>, StoreError> {
    numbered_rows(tx, CHANGE, conversation)
}

pub(crate) fn broken(
    tx: &Transaction<'_>,
    conversation: ConversationId,
) -> Result<Numbered<BrokenRow>, StoreError> {
    numbered_rows(tx, BROKEN, conversation)
}

/// Every conversation.
pub(crate) fn conversations(
    tx: &Transaction<'_>,
) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError> {
    let rows = tx.scan(&Scan::prefix([CONVERSATION]))?;
    rows.iter().map(|row| Ok((ConversationId(last_id(&row.key)?), decode(&row.value)?))).collect()
}

/// Every account.
pub(crate) fn accounts(tx: &Transaction<'_>) -> Result<Vec<(AccountId, AccountRow)>, StoreError> {
    let rows = tx.scan(&Scan::prefix([ACCOUNT]))?;
    rows.iter().map(|row| Ok((AccountId(last_id(&row.key)?), decode(&row.value)?))).collect()
}

pub(crate) fn last_id(key: &[u8]) -> Result<[u8; 16], StoreError> {
    key.last_chunk::<16>().copied().ok_or_else(|| damaged("a key is too short"))
}

/// Lines before a place (`None`: the newest), in the order of the log.
pub(crate) fn history(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    before: Option<Sequence>,
    limit: usize,
) -> Result<Vec<(Sequence, HistoryRow)>, StoreError> {
    let mut scan = Scan::prefix(under(HISTORY, conversation)).backwards().limit(limit);
    if let Some(before) = before {
        scan = scan.before(history_key(conversation, before));
    }
    let mut rows = tx.scan(&scan)?;
    rows.reverse();
    rows.iter().map(|row| Ok((Sequence(number_of(&row.key)?), decode(&row.value)?))).collect()
}

/// Lines after a place, the oldest of them, in the order of the log.
pub(crate) fn history_after(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    after: Sequence,
    limit: usize,
) -> Result<Vec<(Sequence, HistoryRow)>, StoreError> {
    let scan =
        Scan::prefix(under(HISTORY, conversation)).after(history_key(conversation, after)).limit(limit);
    let rows = tx.scan(&scan)?;
    rows.iter().map(|row| Ok((Sequence(number_of(&row.key)?), decode(&row.value)?))).collect()
}

/// The place of the newest line; 0 for none.
pub(crate) fn newest_line(
    tx: &Transaction<'_>,
    conversation: ConversationId,
) -> Result<Sequence, StoreError> {
    let rows = tx.scan(&Scan::prefix(under(HISTORY, conversation)).backwards().limit(1))?;
    rows.first().map_or(Ok(Sequence(0)), |row| Ok(Sequence(number_of(&row.key)?)))
}

/// The lines from one place to another, both included.
pub(crate) fn history_within(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    (first, last): (Sequence, Sequence),
) -> Result<Vec<(Sequence, HistoryRow)>, StoreError> {
    let mut scan = Scan::prefix(under(HISTORY, conversation)).before(history_key(conversation, last.next()));
    if let Some(before) = first.0.checked_sub(1) {
        scan = scan.after(history_key(conversation, Sequence(before)));
    }
    let rows = tx.scan(&scan)?;
    rows.iter().map(|row| Ok((Sequence(number_of(&row.key)?), decode(&row.value)?))).collect()
}

/// The place of the oldest line.
pub(crate) fn oldest_line(
    tx: &Transaction<'_>,
    conversation: ConversationId,
) -> Result<Option<Sequence>, StoreError> {
    let rows = tx.scan(&Scan::prefix(under(HISTORY, conversation)).limit(1))?;
    rows.first().map(|row| Ok(Sequence(number_of(&row.key)?))).transpose()
}

/// How many lines of others that are news stand after a place.
pub(crate) fn count_unread(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    after: Sequence,
    me: AccountId,
) -> Result<u32, StoreError> {
    let rows =
        tx.scan(&Scan::prefix(under(HISTORY, conversation)).after(history_key(conversation, after)))?;
    let mut count = 0_u32;
    for row in &rows {
        let row: HistoryRow = decode(&row.value)?;
        if row.account != me && row.line.is_news() {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}
