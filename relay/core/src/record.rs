//! What a batch on the disk holds: runs of entries, and facts.
//!
//! ```text
//! batch  = record*
//! record = 1 run  : conversation 16 | first 8 | count 4 | cores 4 | archives 4 | core bytes | archive bytes
//!        | 2 fact : length 4 | a Fact in bincode 2 standard
//! core bytes    = entries as they travel (see `entry`), consecutive from `first`
//! archive bytes = for each entry in the same order: length 4 | sealed copy
//! ```
//! Numbers are little-endian. The order of records is the order in which they are applied, live and at
//! recovery, by the same code ([`crate::state::State::apply`]).

use crate::entry::{self, RawEntry};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, Sequence};
use sotto_protocol::payload::Payload;

const RUN: u8 = 1;
const FACT: u8 = 2;

/// Bytes of a run before its entries.
pub const RUN_HEADER_BYTES: usize = 1 + 16 + 8 + 4 + 4 + 4;

/// A fact is at most a tree, a group info and change; what is larger on the disk is damage.
const FACT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A change of what the relay knows, apart from entries. New ones are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub enum Fact {
    /// A conversation began, at epoch 0.
    Created {
        /// Its id.
        conversation: ConversationId,
        /// What kind.
        kind: Kind,
        /// Who may read the past.
        history: HistoryPolicy,
        /// Who made it: its first member, an owner.
        creator: AccountId,
        /// The other account of a direct conversation.
        peer: Option<AccountId>,
        /// The public name of a listed room.
        listed_name: Option<String>,
        /// A `GroupInfo` of epoch 0.
        group_info: Payload,
        /// The tree of epoch 0.
        tree: Payload,
    },
    /// The commit at `sequence` was accepted: the next epoch begins. Its entry comes before it in the batch.
    Committed {
        /// The conversation.
        conversation: ConversationId,
        /// The commit's entry.
        sequence: Sequence,
        /// Accounts that have leaves now and had none.
        joined: Vec<AccountId>,
        /// Accounts that had leaves and have none now.
        left: Vec<AccountId>,
        /// Devices for which the Welcome is.
        welcomed: Vec<DeviceId>,
        /// The Welcome.
        welcome: Option<Payload>,
        /// A `GroupInfo` of the epoch that begins.
        group_info: Payload,
    },
    /// The account has said that it leaves; a member will commit its removal.
    Leaving {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// The entry that says so.
        sequence: Sequence,
    },
    /// A member has another role now.
    RoleSet {
        /// The conversation.
        conversation: ConversationId,
        /// Whose.
        account: AccountId,
        /// The new one.
        role: Role,
    },
    /// An account may join by external commit.
    Admitted {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
    },
    /// A device needs a Welcome no more.
    WelcomeTaken {
        /// The conversation.
        conversation: ConversationId,
        /// The epoch that the Welcome leads to.
        epoch: Epoch,
        /// Whose it was.
        device: DeviceId,
    },
    /// The public state of the group that the commit at `sequence` leads to, before that commit's own fact. Kept
    /// for commits that add devices by key package: such a commit cannot be checked again once a package has
    /// expired, and a log is read again long after (a backup, a relay that was off for weeks).
    State {
        /// The conversation.
        conversation: ConversationId,
        /// The commit's entry.
        sequence: Sequence,
        /// As `sotto_mls::public_state::PublicState::snapshot` writes it.
        snapshot: Payload,
    },
}

impl Fact {
    /// The conversation that it is about.
    #[must_use]
    pub const fn conversation(&self) -> ConversationId {
        match self {
            Self::Created { conversation, .. }
            | Self::Committed { conversation, .. }
            | Self::Leaving { conversation, .. }
            | Self::RoleSet { conversation, .. }
            | Self::Admitted { conversation, .. }
            | Self::WelcomeTaken { conversation, .. }
            | Self::State { conversation, .. } => *conversation,
        }
    }
}

/// What stands before the entries of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunHeader {
    /// Whose entries.
    pub conversation: ConversationId,
    /// The sequence of the first one.
    pub first: Sequence,
    /// How many.
    pub count: u32,
    /// Bytes of the core column.
    pub cores: u32,
    /// Bytes of the archive column.
    pub archives: u32,
}

impl RunHeader {
    /// Writes it over the place that [`begin_run`] left, when the columns behind it are complete.
    pub fn write_at(&self, batch: &mut BytesMut, place: usize) {
        if let Some(mut at) = batch.get_mut(place..place.saturating_add(RUN_HEADER_BYTES)) {
            at.put_u8(RUN);
            at.put_slice(self.conversation.as_bytes());
            at.put_u64_le(self.first.0);
            at.put_u32_le(self.count);
            at.put_u32_le(self.cores);
            at.put_u32_le(self.archives);
        }
    }
}

/// Leaves room for the header of a run; returns its place.
pub fn begin_run(batch: &mut BytesMut) -> usize {
    let place = batch.len();
    batch.put_bytes(0, RUN_HEADER_BYTES);
    place
}

/// Appends one copy to an archive column; an empty one where there is none.
pub fn write_archive(batch: &mut BytesMut, sealed: &[u8]) {
    batch.put_u32_le(u32::try_from(sealed.len()).expect("archive copies are under ARCHIVE_BYTES_MAX"));
    batch.put_slice(sealed);
}

/// The copies of an archive column, one for each entry; ends at the first that is not whole.
pub fn walk_archives(column: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = column;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (sealed, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some(sealed)
    })
}

/// The entries of a run with the copy of each; ends at the first that is not whole.
pub fn walk_run<'a>(cores: &'a [u8], archives: &'a [u8]) -> impl Iterator<Item = (RawEntry<'a>, &'a [u8])> {
    entry::walk(cores).zip(walk_archives(archives))
}

/// Appends a fact.
pub fn write_fact(batch: &mut BytesMut, fact: &Fact) {
    batch.put_u8(FACT);
    let place = batch.len();
    batch.put_u32_le(0);
    bincode::encode_into_std_write(fact, &mut batch.writer(), bincode::config::standard())
        .expect("writing to memory does not fail, and a fact has no part that cannot be encoded");
    let length = batch.len() - place - 4;
    if let Some(mut at) = batch.get_mut(place..place + 4) {
        at.put_u32_le(u32::try_from(length).expect("a fact is a tree and change, under 4 GiB"));
    }
}

/// One record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Entries.
    Run {
        /// What stands before them.
        header: RunHeader,
        /// Where the core column begins in the batch.
        offset: u32,
        /// The core column.
        cores: Bytes,
        /// The archive column.
        archives: Bytes,
    },
    /// A fact.
    Fact(Box<Fact>),
}

/// A batch does not read as records: the disk has changed what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record at byte {0} of the batch is damaged")]
pub struct Damaged(pub usize);

/// Reads the records of a batch, in order.
///
/// # Errors
/// At the first byte that makes no sense.
pub fn read_batch(batch: &Bytes) -> Result<Vec<Record>, Damaged> {
    let mut rest = batch.clone();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let place = batch.len() - rest.len();
        records.push(read_record(&mut rest, batch.len()).ok_or(Damaged(place))?);
    }
    Ok(records)
}

fn read_record(rest: &mut Bytes, whole: usize) -> Option<Record> {
    match rest.try_get_u8().ok()? {
        RUN => {
            if rest.len() < RUN_HEADER_BYTES - 1 {
                return None;
            }
            let mut id = [0; 16];
            rest.copy_to_slice(&mut id);
            let header = RunHeader {
                conversation: ConversationId(id),
                first: Sequence(rest.get_u64_le()),
                count: rest.get_u32_le(),
                cores: rest.get_u32_le(),
                archives: rest.get_u32_le(),
            };
            let offset = u32::try_from(whole - rest.len()).ok()?;
            let columns = (header.cores as usize).checked_add(header.archives as usize)?;
            if rest.len() < columns {
                return None;
            }
            let cores = rest.split_to(header.cores as usize);
            let archives = rest.split_to(header.archives as usize);
            Some(Record::Run { header, offset, cores, archives })
        }
        FACT => {
            let length = rest.try_get_u32_le().ok()? as usize;
            if rest.len() < length {
                return None;
            }
            decode_fact(&rest.split_to(length)).map(|fact| Record::Fact(Box::new(fact)))
        }
        _ => None,
    }
}

type FactConfig = Configuration<LittleEndian, Varint, Limit<FACT_BYTES_MAX>>;

fn decode_fact(bytes: &Bytes) -> Option<Fact> {
    const CONFIG: FactConfig = bincode::config::standard().with_limit::<FACT_BYTES_MAX>();
    let decoded = bincode::decode_from_slice_with_context::<Bytes, Fact, _>(bytes, CONFIG, bytes.clone());
    let (fact, read) = decoded.ok()?;
    (read == bytes.len()).then_some(fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_and_facts_are_read_as_they_were_written() {
        let mut batch = BytesMut::new();
        let fact = Fact::Admitted { conversation: ConversationId([1; 16]), account: AccountId([2; 16]) };
        write_fact(&mut batch, &fact);
        let place = begin_run(&mut batch);
        batch.put_slice(b"cores");
        write_archive(&mut batch, b"sealed");
        write_archive(&mut batch, b"");
        let header = RunHeader {
            conversation: ConversationId([3; 16]),
            first: Sequence(7),
            count: 2,
            cores: 5,
            archives: 14,
        };
        header.write_at(&mut batch, place);
        write_fact(&mut batch, &fact);
        let batch = batch.freeze();
        let offset = u32::try_from(place + RUN_HEADER_BYTES).unwrap();
        let records = read_batch(&batch).unwrap();
        let sealed = batch.slice(offset as usize + 5..offset as usize + 19);
        let run = Record::Run { header, offset, cores: Bytes::from_static(b"cores"), archives: sealed };
        assert_eq!(records, [Record::Fact(Box::new(fact.clone())), run, Record::Fact(Box::new(fact))]);
        let archives = &batch[offset as usize + 5..offset as usize + 19];
        assert_eq!(walk_archives(archives).collect::<Vec<_>>(), [&b"sealed"[..], b""]);
        for cut in 1..batch.len() {
            let whole_records = [place, offset as usize + 19];
            assert_eq!(read_batch(&batch.slice(..cut)).is_ok(), whole_records.contains(&cut), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_batch(&bytes.into());
        }
    }
}
