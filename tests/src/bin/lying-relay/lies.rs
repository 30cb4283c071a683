//! The lies: what a frame of the real relay becomes on its way to the browser.

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::key_package;
use sotto_e2ee::store::{MemoryStore, Transaction};
use sotto_mls::suite::Suite;
use sotto_protocol::body::directory::{ClaimKeyPackages, ClaimedKeyPackage, KeyPackages};
use sotto_protocol::body::log::{ArchiveEntries, Entries, Entry, EntryKind, Followed};
use sotto_protocol::body::push::Delivered;
use sotto_protocol::frame::{Body, Frame, encode};
use sotto_protocol::ids::{AccountId, DeviceId, RequestId, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;
use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

/// What is done to what the relay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// What is pushed comes twice.
    Repeat,
    /// What is pushed comes after what is pushed next.
    Reorder,
    /// What is pushed does not come.
    Drop,
    /// A bit of each ciphertext is another one.
    Alter,
    /// The same, and of its copy in the archive.
    AlterBoth,
    /// A ciphertext comes under the name of another member.
    Relabel,
    /// The log is shorter than it was.
    Rewind,
    /// Key packages are those of another account.
    Swap,
    /// Key packages are of an identity that the relay made itself, in the name of the account that was asked for.
    Forge,
}

const NAMES: [(Lie, &str); 10] = [
    (Lie::None, "none"),
    (Lie::Repeat, "repeat"),
    (Lie::Reorder, "reorder"),
    (Lie::Drop, "drop"),
    (Lie::Alter, "alter"),
    (Lie::AlterBoth, "alter-both"),
    (Lie::Relabel, "relabel"),
    (Lie::Rewind, "rewind"),
    (Lie::Swap, "swap"),
    (Lie::Forge, "forge"),
];

impl Lie {
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(lie, _)| *lie)
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    const fn alters(self) -> bool {
        matches!(self, Self::Alter | Self::AlterBoth)
    }
}

/// What goes to the browser in place of a frame.
pub(crate) struct Told {
    pub(crate) frames: Vec<Bytes>,
    pub(crate) is_a_lie: bool,
}

/// What was seen on one connection.
#[derive(Default)]
pub(crate) struct Conversation {
    /// Whose key packages were asked for.
    claims: HashMap<RequestId, AccountId>,
    /// Who said something.
    senders: BTreeSet<(AccountId, DeviceId)>,
    held: Option<Bytes>,
}

impl Conversation {
    /// Looks at what the browser says.
    pub(crate) fn asked(&mut self, frame: &Frame) {
        if let Ok(claim) = frame.decode::<ClaimKeyPackages>() {
            self.claims.insert(frame.header.id, claim.account);
        }
    }

    /// What the browser is told.
    pub(crate) fn answered(&mut self, frame: &Frame, lie: Lie) -> Result<Told> {
        let id = frame.header.id;
        let truth = whole(frame);
        let other = if frame.header.kind == Delivered::KIND {
            return self.pushed(&frame.decode()?, id, truth, lie);
        } else if frame.header.kind == Entries::KIND {
            let mut answer: Entries = frame.decode()?;
            if lie == Lie::Rewind {
                answer.head = Sequence(answer.head.0.saturating_sub(1));
            }
            self.entries(&mut answer.entries, lie);
            encode(id, &answer)
        } else if frame.header.kind == Followed::KIND && lie == Lie::Rewind {
            let mut answer: Followed = frame.decode()?;
            for (_, head) in &mut answer.heads {
                head.0 = head.0.saturating_sub(1);
            }
            encode(id, &answer)
        } else if frame.header.kind == ArchiveEntries::KIND && lie == Lie::AlterBoth {
            let mut answer: ArchiveEntries = frame.decode()?;
            answer.entries.iter_mut().for_each(|entry| flip(&mut entry.sealed));
            encode(id, &answer)
        } else if frame.header.kind == KeyPackages::KIND {
            let mut answer: KeyPackages = frame.decode()?;
            if let Some(account) = self.claims.remove(&id) {
                answer.packages.iter_mut().try_for_each(|package| forged(package, account, lie))?;
            }
            encode(id, &answer)
        } else {
            truth.clone()
        };
        Ok(Told { is_a_lie: other != truth, frames: vec![other] })
    }

    fn pushed(&mut self, truth: &Delivered, id: RequestId, bytes: Bytes, lie: Lie) -> Result<Told> {
        let frames = match lie {
            Lie::Repeat => vec![bytes.clone(), bytes.clone()],
            Lie::Drop => Vec::new(),
            Lie::Reorder => match self.held.take() {
                Some(before) => vec![bytes.clone(), before],
                None => {
                    self.held = Some(bytes.clone());
                    Vec::new()
                }
            },
            _ => {
                let mut pushed = truth.clone();
                self.entries(&mut pushed.entries, lie);
                vec![encode(id, &pushed)]
            }
        };
        Ok(Told { is_a_lie: frames != [bytes], frames })
    }

    fn entries(&mut self, entries: &mut [Entry], lie: Lie) {
        for entry in entries.iter_mut().filter(|entry| entry.kind == EntryKind::Application) {
            let sender = (entry.account, entry.device);
            self.senders.insert(sender);
            if lie.alters() {
                flip(&mut entry.message);
            }
            let other = self.senders.iter().find(|(account, _)| *account != sender.0);
            if let (Lie::Relabel, Some((account, device))) = (lie, other) {
                (entry.account, entry.device) = (*account, *device);
            }
        }
    }
}

/// A key package that is not what was asked for.
fn forged(package: &mut ClaimedKeyPackage, account: AccountId, lie: Lie) -> Result<()> {
    let whose = match lie {
        Lie::Swap => AccountId([0xee; 16]),
        Lie::Forge => account,
        _ => return Ok(()),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = UnixMillis(u64::try_from(now.as_millis())?);
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let device = AccountIdentity::generate(&mut rng).issue_device(&mut rng, whose, package.device, now);
    let store = MemoryStore::new();
    let mut made =
        key_package::generate(&Transaction::new(&store), &mut rng, &device, Suite::default(), 1, now)?;
    package.package = made.remove(0);
    Ok(())
}

fn flip(payload: &mut Payload) {
    let mut bytes = payload.as_slice().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    *payload = bytes.into();
}

fn whole(frame: &Frame) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(&frame.header.encode());
    bytes.put_slice(&frame.body);
    bytes.freeze()
}
