//! Files beside the log: who may do what with a blob, how much an account may keep, and when a blob goes.
//!
//! | | nobody's | own, half | own, whole | another's, half | another's, whole |
//! |---|---|---|---|---|---|
//! | begin an upload | yes | yes, it goes on | yes, nothing is left to do | it is taken | yes, nothing is left to do |
//! | put a chunk, complete | not found | yes | yes, nothing changes | not found | not the uploader |
//! | see how it stands | not found | yes | yes | not found | yes |
//! | read | not found | not found | yes | not found | yes |
//! | delete | not found | yes | yes | not found | not the uploader |
//!
//! That is for members of the conversation. To everybody else there is nothing, whatever there is: one answer, by which nobody
//! learns what exists.

use sotto_protocol::blob::{BlobPlace, BlobSize};
use sotto_protocol::ids::{AccountId, UnixMillis};
use std::collections::{BTreeMap, HashMap};

/// What a blob counts at least against the quota of its uploader: a folder and three files of a file system's blocks take about
/// 16 KiB, so an account with a quota of 20 GiB has 327,680 blobs at most, of 100 bytes in memory each.
pub const COUNTED_BYTES_MIN: u64 = 64 * 1024;

/// An upload that nobody goes on with is deleted after a day.
pub const HALF_KEPT_MS: u64 = 24 * 3600 * 1000;

/// What an operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The largest blob.
    pub blob_bytes_max: u64,
    /// What one account may have, half uploads included; 0 for no limit.
    pub account_bytes: u64,
    /// How long a whole blob is kept; `None` for ever.
    pub kept_ms: Option<u64>,
}

/// What somebody wants to do with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Begin an upload, or go on with it.
    Begin,
    /// Put a chunk.
    Put,
    /// Say that all chunks are there.
    Complete,
    /// See which chunks are there.
    See,
    /// Read the list and the chunks.
    Read,
    /// Delete it.
    Delete,
}

/// Whose a blob is, to who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// There is none.
    Nobodys,
    /// Who asks uploaded it, or is about to.
    Own,
    /// A half one of somebody else.
    OthersHalf,
    /// A whole one of somebody else.
    OthersWhole,
}

/// Why not. Each sentence says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No member, no conversation, no blob: not told apart.
    #[error("there is no such file here for you: it may have expired; ask whoever sent it to send it again")]
    NotFound,
    /// Somebody else uploads it.
    #[error("somebody else is uploading this very file; wait until that is through")]
    Taken,
    /// Only the uploader may.
    #[error("only the account that uploaded a file may change or delete it")]
    NotUploader,
    /// Another size was announced before.
    #[error("this file was announced with another size; delete that upload first")]
    OtherSize,
    /// Chunks are missing.
    #[error("{0} chunks are missing yet; put them first")]
    Missing(u32),
    /// The blob is too large for this relay.
    #[error("this relay takes files of at most {0} bytes; its operator sets `files.largest`")]
    TooLarge(u64),
    /// The account has used up what it may keep.
    #[error(
        "you keep {used} of {limit} bytes of files here, and this one takes {more}; delete some of yours, or wait until they expire"
    )]
    Quota {
        /// What it has.
        used: u64,
        /// What it may have.
        limit: u64,
        /// What it wants.
        more: u64,
    },
}

/// Decides.
///
/// # Errors
/// Why not.
pub const fn authorise(act: Act, is_member: bool, whose: Whose, is_whole: bool) -> Result<(), Refused> {
    if !is_member {
        return Err(Refused::NotFound);
    }
    match (act, whose) {
        (Act::Begin, Whose::OthersHalf) => Err(Refused::Taken),
        (Act::Begin, _) => Ok(()),
        (_, Whose::Nobodys | Whose::OthersHalf) => Err(Refused::NotFound),
        (Act::Read, Whose::Own) if !is_whole => Err(Refused::NotFound),
        (Act::See | Act::Read, _) | (_, Whose::Own) => Ok(()),
        (Act::Put | Act::Complete | Act::Delete, Whose::OthersWhole) => Err(Refused::NotUploader),
    }
}

/// One blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Who uploaded it.
    pub uploader: AccountId,
    /// How large it is.
    pub size: BlobSize,
    /// When it became whole; `None` for a half one.
    pub whole_since: Option<UnixMillis>,
    /// When somebody last did something for a half one.
    pub touched: UnixMillis,
}

/// Why a blob goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over.
    Expired,
    /// Nobody went on with the upload.
    Abandoned,
}

/// All blobs of a relay.
#[derive(Debug)]
pub struct Shelf {
    rules: Rules,
    blobs: BTreeMap<BlobPlace, Blob>,
    used: HashMap<AccountId, u64>,
    bytes: u64,
}

impl Shelf {
    /// An empty one.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, blobs: BTreeMap::new(), used: HashMap::new(), bytes: 0 }
    }

    /// What the operator allows.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// One blob, to somebody who may.
    ///
    /// # Errors
    /// Why not.
    pub fn may(
        &self,
        act: Act,
        who: AccountId,
        is_member: bool,
        place: BlobPlace,
    ) -> Result<Option<Blob>, Refused> {
        let blob = self.blobs.get(&place).copied();
        let is_whole = blob.is_some_and(|blob| blob.whole_since.is_some());
        let whose = match blob {
            None => Whose::Nobodys,
            Some(blob) if blob.uploader == who => Whose::Own,
            Some(_) if is_whole => Whose::OthersWhole,
            Some(_) => Whose::OthersHalf,
        };
        authorise(act, is_member, whose, is_whole)?;
        Ok(blob)
    }

    /// Whether an account may keep one blob more.
    ///
    /// # Errors
    /// If it is too large, or too much.
    pub fn takes(&self, who: AccountId, size: BlobSize) -> Result<(), Refused> {
        if size.bytes() > self.rules.blob_bytes_max {
            return Err(Refused::TooLarge(self.rules.blob_bytes_max));
        }
        let (used, more, limit) = (self.used(who), counted(size), self.rules.account_bytes);
        if limit > 0 && used.saturating_add(more) > limit {
            return Err(Refused::Quota { used, limit, more });
        }
        Ok(())
    }

    /// Puts a blob there, or in the place of what was there.
    pub fn insert(&mut self, place: BlobPlace, blob: Blob) {
        self.remove(place);
        self.blobs.insert(place, blob);
        let used = self.used.entry(blob.uploader).or_default();
        *used = used.saturating_add(counted(blob.size));
        self.bytes = self.bytes.saturating_add(blob.size.bytes());
    }

    /// Takes a blob away.
    pub fn remove(&mut self, place: BlobPlace) -> Option<Blob> {
        let blob = self.blobs.remove(&place)?;
        self.bytes = self.bytes.saturating_sub(blob.size.bytes());
        if let Some(used) = self.used.get_mut(&blob.uploader) {
            *used = used.saturating_sub(counted(blob.size));
            if *used == 0 {
                self.used.remove(&blob.uploader);
            }
        }
        Some(blob)
    }

    /// Somebody went on with a half one.
    pub fn touch(&mut self, place: BlobPlace, now: UnixMillis) {
        if let Some(blob) = self.blobs.get_mut(&place) {
            blob.touched = now;
        }
    }

    /// What an account has.
    #[must_use]
    pub fn used(&self, who: AccountId) -> u64 {
        self.used.get(&who).copied().unwrap_or(0)
    }

    /// When a blob goes; `None` for never.
    #[must_use]
    pub fn expires(&self, blob: &Blob) -> Option<UnixMillis> {
        match blob.whole_since {
            Some(since) => self.rules.kept_ms.map(|kept| UnixMillis(since.0.saturating_add(kept))),
            None => Some(UnixMillis(blob.touched.0.saturating_add(HALF_KEPT_MS))),
        }
    }

    /// Those whose time is over.
    #[must_use]
    pub fn due(&self, now: UnixMillis) -> Vec<BlobPlace> {
        let due = self.blobs.iter().filter(|(_, blob)| self.expires(blob).is_some_and(|at| at <= now));
        due.map(|(place, _)| *place).collect()
    }

    /// Takes a blob away if its time is over.
    pub fn end(&mut self, place: BlobPlace, now: UnixMillis) -> Option<Ended> {
        let blob = self.blobs.get(&place).filter(|blob| self.expires(blob).is_some_and(|at| at <= now))?;
        let ended = if blob.whole_since.is_some() { Ended::Expired } else { Ended::Abandoned };
        self.remove(place);
        Some(ended)
    }

    /// How many there are, and their bytes.
    #[must_use]
    pub fn figures(&self) -> (u64, u64) {
        (self.blobs.len() as u64, self.bytes)
    }
}

const fn counted(size: BlobSize) -> u64 {
    if size.bytes() > COUNTED_BYTES_MIN { size.bytes() } else { COUNTED_BYTES_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sotto_protocol::blob::BlobRoot;
    use sotto_protocol::ids::ConversationId;

    const RULES: Rules = Rules { blob_bytes_max: 1 << 30, account_bytes: 3 << 20, kept_ms: Some(1_000) };
    const ANN: AccountId = AccountId([1; 16]);
    const BOB: AccountId = AccountId([2; 16]);

    fn place(number: u8) -> BlobPlace {
        BlobPlace { conversation: ConversationId([7; 16]), root: BlobRoot([number; 32]) }
    }

    fn blob(bytes: u64, whole_since: Option<u64>) -> Blob {
        let size = BlobSize::new(bytes).expect("a size");
        Blob { uploader: ANN, size, whole_since: whole_since.map(UnixMillis), touched: UnixMillis(50) }
    }

    /// P-072.
    #[test]
    fn every_act_on_every_blob_is_decided_as_the_table_says_and_nobody_outside_learns_anything() {
        use Refused::{NotFound, NotUploader, Taken};
        let yes = Ok(());
        let (none, others, taken) = (Err(NotFound), Err(NotUploader), Err(Taken));
        // Nobody's, own half, own whole, another's half, another's whole.
        let table = [
            (Act::Begin, [yes, yes, yes, taken, yes]),
            (Act::Put, [none, yes, yes, none, others]),
            (Act::Complete, [none, yes, yes, none, others]),
            (Act::See, [none, yes, yes, none, yes]),
            (Act::Read, [none, none, yes, none, yes]),
            (Act::Delete, [none, yes, yes, none, others]),
        ];
        for (act, answers) in table {
            let mut shelf = Shelf::new(RULES);
            shelf.insert(place(1), blob(100, None));
            shelf.insert(place(2), blob(100, Some(5)));
            let asked = [(ANN, 3), (ANN, 1), (ANN, 2), (BOB, 1), (BOB, 2)];
            for ((who, number), answer) in asked.into_iter().zip(answers) {
                let got = shelf.may(act, who, true, place(number)).map(drop);
                assert_eq!(got, answer, "{act:?} of blob {number} by {who}");
                let outside = shelf.may(act, who, false, place(number));
                assert_eq!(outside, Err(NotFound), "{act:?} of blob {number} from outside");
            }
        }
    }

    #[test]
    fn an_account_keeps_so_much_and_gets_it_back_when_a_blob_goes() {
        let mut shelf = Shelf::new(RULES);
        let size = |bytes| BlobSize::new(bytes).expect("a size");
        assert_eq!(shelf.takes(ANN, size((1 << 30) + 1)), Err(Refused::TooLarge(1 << 30)));
        shelf.insert(place(1), blob(2 << 20, None));
        shelf.insert(place(2), blob(16, None));
        assert_eq!(shelf.used(ANN), (2 << 20) + COUNTED_BYTES_MIN, "a small one counts what it takes");
        let refused = Refused::Quota { used: shelf.used(ANN), limit: 3 << 20, more: 1 << 20 };
        assert_eq!(shelf.takes(ANN, size(1 << 20)), Err(refused));
        assert_eq!(shelf.takes(BOB, size(1 << 20)), Ok(()));
        shelf.insert(place(2), blob(16, Some(5)));
        assert_eq!(shelf.figures(), (2, (2 << 20) + 16), "the same one again");
        shelf.remove(place(1));
        assert_eq!(shelf.takes(ANN, size(1 << 20)), Ok(()));
        shelf.remove(place(2));
        assert_eq!((shelf.used(ANN), shelf.figures()), (0, (0, 0)));
        assert_eq!(shelf.remove(place(2)), None);
    }

    #[test]
    fn a_whole_blob_goes_when_its_time_is_over_and_a_half_one_when_nobody_goes_on() {
        let mut shelf = Shelf::new(RULES);
        shelf.insert(place(1), blob(100, Some(500)));
        shelf.insert(place(2), blob(100, None));
        assert_eq!(shelf.due(UnixMillis(1_499)), []);
        assert_eq!(shelf.due(UnixMillis(1_500)), [place(1)]);
        assert_eq!(shelf.end(place(1), UnixMillis(1_499)), None);
        assert_eq!(shelf.end(place(1), UnixMillis(1_500)), Some(Ended::Expired));
        shelf.touch(place(2), UnixMillis(10_000));
        assert_eq!(shelf.due(UnixMillis(HALF_KEPT_MS + 9_999)), []);
        assert_eq!(shelf.due(UnixMillis(HALF_KEPT_MS + 10_000)), [place(2)]);
        assert_eq!(shelf.end(place(2), UnixMillis(HALF_KEPT_MS + 10_000)), Some(Ended::Abandoned));
        let mut for_ever = Shelf::new(Rules { kept_ms: None, ..RULES });
        for_ever.insert(place(1), blob(100, Some(500)));
        assert_eq!(for_ever.due(UnixMillis(u64::MAX)), []);
    }

    proptest! {
        #[test]
        fn what_is_used_is_the_sum_of_what_is_there(acts in proptest::collection::vec((0u8..6, 16u64..300_000, any::<bool>()), 0..60)) {
            let mut shelf = Shelf::new(Rules { account_bytes: 0, ..RULES });
            let mut there = BTreeMap::new();
            for (number, bytes, puts) in acts {
                if puts {
                    shelf.insert(place(number), blob(bytes, None));
                    there.insert(number, bytes);
                } else {
                    prop_assert_eq!(shelf.remove(place(number)).is_some(), there.remove(&number).is_some());
                }
                prop_assert_eq!(shelf.used(ANN), there.values().map(|bytes| (*bytes).max(COUNTED_BYTES_MIN)).sum::<u64>());
                prop_assert_eq!(shelf.figures(), (there.len() as u64, there.values().sum()));
            }
        }
    }
}
