//! Proving that batches are what a relay wrote: every record reads, and every conversation goes on where it was.
//!
//! A [`Checker`] is given all batches of a log, or all that retention has left of it, in order. It keeps for each
//! conversation where it is, so it notices what is missing, doubled or moved, not only what does not decode.

use crate::entry;
use crate::record::{self, Fact, Record, RunHeader, read_batch};
use bytes::Bytes;
use sotto_protocol::body::log::EntryKind;
use sotto_protocol::ids::{ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};
use std::collections::HashMap;

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("batch {batch}: {what}")]
pub struct Fault {
    /// Which batch.
    pub batch: u64,
    /// What does not fit.
    pub what: String,
}

/// What was found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Batches.
    pub batches: u64,
    /// Entries of all kinds.
    pub entries: u64,
    /// Application messages among them.
    pub messages: u64,
    /// Facts.
    pub facts: u64,
    /// Bytes of the batches.
    pub bytes: u64,
    /// When the last entry was taken.
    pub last_time: UnixMillis,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Checker {
    /// The last batch.
    batch: u64,
    /// Whether the log begins here: then every conversation begins with its first entry.
    from_the_beginning: bool,
    conversations: HashMap<ConversationId, Known>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Known {
    head: Option<Sequence>,
    /// The last number of each device.
    numbers: HashMap<DeviceId, MessageNumber>,
}

impl Checker {
    /// What was found so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The last batch that was given.
    #[must_use]
    pub const fn last_batch(&self) -> u64 {
        self.batch
    }

    /// How many conversations have entries.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.conversations.len()
    }

    /// The last entry of a conversation, if it has any here.
    #[must_use]
    pub fn head(&self, conversation: ConversationId) -> Option<Sequence> {
        self.conversations.get(&conversation)?.head
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// At the first thing that is not as a relay writes it.
    pub fn batch(&mut self, number: u64, bytes: &Bytes) -> Result<(), Fault> {
        let fault = |what: String| Fault { batch: number, what };
        if self.counts.batches == 0 {
            self.from_the_beginning = number == 1;
        } else if number != self.batch.saturating_add(1) {
            return Err(fault(format!("comes after batch {}", self.batch)));
        }
        for record in read_batch(bytes).map_err(|error| fault(error.to_string()))? {
            match record {
                Record::Run { header, cores, archives, .. } => {
                    self.run(&header, &cores, &archives).map_err(fault)?;
                }
                Record::Fact(fact) => self.fact(&fact).map_err(fault)?,
            }
        }
        self.batch = number;
        self.counts.batches = self.counts.batches.saturating_add(1);
        self.counts.bytes = self.counts.bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn run(&mut self, header: &RunHeader, cores: &[u8], archives: &[u8]) -> Result<(), String> {
        let id = header.conversation;
        let begins = if self.from_the_beginning { Sequence(1) } else { header.first };
        let known = self.conversations.entry(id).or_default();
        let mut due = known.head.map_or(begins, Sequence::next);
        if header.first != due {
            return Err(format!("entry {} of conversation {id} comes where {due} is due", header.first));
        }
        let (mut bytes, mut count) = (0, 0_u32);
        for entry in entry::walk(cores) {
            let head = entry.head;
            if head.sequence != due {
                return Err(format!("entry {} of conversation {id} comes where {due} is due", head.sequence));
            }
            if head.kind == EntryKind::Application {
                let before = known.numbers.insert(head.device, head.number);
                if before.is_some_and(|before| head.number != before.next()) {
                    return Err(format!("message {} of device {} is out of order", head.number, head.device));
                }
                self.counts.messages = self.counts.messages.saturating_add(1);
            }
            known.head = Some(due);
            self.counts.last_time = self.counts.last_time.max(head.time);
            due = due.next();
            bytes += entry.length;
            count = count.saturating_add(1);
        }
        let sealed = record::walk_archives(archives).map(|copy| copy.len().saturating_add(4));
        let (copies, sealed_bytes) =
            sealed.fold((0_u32, 0), |(count, bytes), length| (count.saturating_add(1), bytes + length));
        if count != header.count || bytes != cores.len() || copies != count || sealed_bytes != archives.len()
        {
            return Err(format!("the run at entry {} of conversation {id} is not whole", header.first));
        }
        self.counts.entries = self.counts.entries.saturating_add(u64::from(count));
        Ok(())
    }

    fn fact(&mut self, fact: &Fact) -> Result<(), String> {
        self.counts.facts = self.counts.facts.saturating_add(1);
        let id = fact.conversation();
        let head = self.head(id);
        match fact {
            Fact::Created { .. } if head.is_some() => Err(format!("conversation {id} begins a second time")),
            Fact::Committed { sequence, .. }
            | Fact::Leaving { sequence, .. }
            | Fact::State { sequence, .. }
                if head != Some(*sequence) =>
            {
                Err(format!("a fact of conversation {id} names entry {sequence}, which is not its last one"))
            }
            _ => Ok(()),
        }
    }
}

/// When the last entry of a batch was taken; `None` if it has none, or does not read.
#[must_use]
pub fn batch_time(batch: &Bytes) -> Option<UnixMillis> {
    let records = read_batch(batch).ok()?;
    let times = records.iter().flat_map(|record| match record {
        Record::Run { cores, .. } => entry::walk(cores).map(|entry| entry.head.time).max(),
        Record::Fact(_) => None,
    });
    times.max()
}

/// The runs of a batch with where they are in it: conversation, first entry, how many, offset, both columns.
#[must_use]
pub fn runs(batch: &Bytes) -> Vec<(RunHeader, u32)> {
    let records = read_batch(batch).unwrap_or_default();
    records
        .into_iter()
        .filter_map(|record| match record {
            Record::Run { header, offset, .. } => Some((header, offset)),
            Record::Fact(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryHead;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use sotto_protocol::ids::{AccountId, Epoch};

    const C: ConversationId = ConversationId([1; 16]);

    /// A batch with one run of messages.
    fn batch(first: u64, numbers: &[u64]) -> BytesMut {
        let mut out = BytesMut::new();
        let place = record::begin_run(&mut out);
        let start = out.len();
        for (number, sequence) in numbers.iter().zip(first..) {
            let head = EntryHead {
                sequence: Sequence(sequence),
                time: UnixMillis(sequence * 10),
                kind: EntryKind::Application,
                account: AccountId([2; 16]),
                device: DeviceId([3; 16]),
                number: MessageNumber(*number),
                epoch: Epoch(0),
            };
            entry::write(&mut out, &head, b"message");
        }
        let cores = out.len() - start;
        for _ in numbers {
            record::write_archive(&mut out, b"copy");
        }
        let header = RunHeader {
            conversation: C,
            first: Sequence(first),
            count: u32::try_from(numbers.len()).unwrap(),
            cores: u32::try_from(cores).unwrap(),
            archives: u32::try_from(out.len() - start - cores).unwrap(),
        };
        header.write_at(&mut out, place);
        out
    }

    fn check(batches: &[(u64, BytesMut)]) -> Result<Counts, String> {
        let mut checker = Checker::default();
        for (number, bytes) in batches {
            checker.batch(*number, &bytes.clone().freeze()).map_err(|fault| fault.to_string())?;
        }
        Ok(*checker.counts())
    }

    #[test]
    fn a_log_in_order_passes_and_is_counted() {
        let counts = check(&[(1, batch(1, &[1, 2])), (2, batch(3, &[3]))]).unwrap();
        assert_eq!((counts.batches, counts.messages, counts.last_time), (2, 3, UnixMillis(30)));
        // What retention has left begins anywhere.
        assert_eq!(check(&[(7, batch(40, &[9])), (8, batch(41, &[10]))]).unwrap().entries, 2);
        assert_eq!(batch_time(&batch(5, &[1, 2]).freeze()), Some(UnixMillis(60)));
    }

    #[test]
    fn what_is_missing_doubled_or_moved_is_named() {
        for (batches, expected) in [
            (vec![(1, batch(1, &[1])), (3, batch(2, &[2]))], "batch 3: comes after batch 1"),
            (vec![(1, batch(2, &[1]))], "comes where 1 is due"),
            (vec![(1, batch(1, &[1])), (2, batch(3, &[2]))], "entry 3 of conversation"),
            (vec![(1, batch(1, &[1])), (2, batch(1, &[1]))], "comes where 2 is due"),
            (vec![(1, batch(1, &[1])), (2, batch(2, &[3]))], "message 3 of device"),
        ] {
            let fault = check(&batches).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn a_batch_that_was_cut_or_lost_a_copy_is_not_whole() {
        let whole = batch(1, &[1, 2]);
        for cut in 1..whole.len() {
            let mut checker = Checker::default();
            assert!(checker.batch(1, &whole.clone().freeze().slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = Bytes::from(bytes);
            let _ = Checker::default().batch(1, &bytes);
            let _ = (batch_time(&bytes), runs(&bytes));
        }
    }
}
