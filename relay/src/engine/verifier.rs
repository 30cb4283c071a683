//! MLS verification, off the committer thread: milliseconds of CPU for each commit, on a snapshot.

use super::group::{GroupRow, RowSource};
use super::inbox::{Inbox, SessionId, Work};
use super::metrics::{EngineMetrics, micros};
use super::{Directory, answers};
use bytes::Bytes;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::conversation::{Create, Leave, leave_bytes};
use sotto_protocol::body::log::Commit;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, DeviceId, RequestId};
use sotto_relay_core::commit::{self, Asker, Identities, VerifiedCommit};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// Who asked, and the permit that the answer gives back.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) session: SessionId,
    pub(super) id: RequestId,
    pub(super) asker: Asker,
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// Where the state to verify against is.
#[derive(Clone)]
pub(super) enum Base {
    Loaded(PublicState),
    Stored(RowSource),
}

/// What to verify.
pub(super) enum Verify {
    Create(Box<Create>),
    Commit { base: Base, commit: Box<Commit> },
    Leave { base: Base, leave: Box<Leave> },
}

/// One verification with who asked for it.
pub(super) struct VerifyJob {
    pub(super) asked: Asked,
    pub(super) verify: Verify,
}

/// What verification found. The committer decides.
pub(super) struct Verdict {
    pub(super) asked: Asked,
    pub(super) found: Found,
}

pub(super) enum Found {
    Refused(WireError),
    Create { create: Box<Create>, state: PublicState, row: Bytes },
    Commit(Box<FoundCommit>),
    Leave { leave: Box<Leave>, state: PublicState },
}

pub(super) struct FoundCommit {
    pub(super) commit: Box<Commit>,
    pub(super) base: PublicState,
    pub(super) verified: VerifiedCommit,
    /// The row of the group after the commit, and what joiners by its Welcome need.
    pub(super) row: Bytes,
    pub(super) joining: Option<Bytes>,
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verdict").field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// [`Directory`] as the rules ask it.
pub(super) struct Known<'a>(pub(super) &'a dyn Directory);

impl Identities for Known<'_> {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        self.0.identity_key(account)
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        self.0.device_is_registered(account, device, device_key)
    }
}

/// What verifiers need.
pub(super) struct Verifiers {
    pub(super) inbox: Arc<Inbox>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) metrics: Arc<EngineMetrics>,
}

impl Verifiers {
    pub(super) fn work(&self, job: VerifyJob) {
        let begin = Instant::now();
        let found = match job.verify {
            Verify::Create(create) => self.create(create, job.asked.asker),
            Verify::Commit { base, commit } => verify_commit(&base, commit),
            Verify::Leave { base, leave } => verify_leave(&base, leave, job.asked.asker),
        };
        self.metrics.verify_us.record(micros(begin.elapsed()));
        let verdict = Verdict { asked: job.asked, found: found.unwrap_or_else(Found::Refused) };
        // An error means that the committer has ended; the session is told by its connection's end.
        let _ = self.inbox.put(Work::Verdict(Box::new(verdict)));
    }

    fn create(&self, create: Box<Create>, asker: Asker) -> Result<Found, WireError> {
        let state = commit::verify_create(&create, asker, &Known(&*self.directory))
            .map_err(|error| WireError::new(error.code(), error.to_string()))?;
        let row = GroupRow::current(&state, &create.group_info).to_bytes();
        Ok(Found::Create { create, state, row })
    }
}

impl Base {
    fn state(&self, conversation: sotto_protocol::ids::ConversationId) -> Result<PublicState, WireError> {
        match self {
            Self::Loaded(state) => Ok(state.clone()),
            Self::Stored(source) => source.group().and_then(|row| row.state(conversation)).map_err(|error| {
                tracing::error!(%error, %conversation, "the public state of a group could not be read");
                answers::internal("the group's state could not be read")
            }),
        }
    }
}

fn verify_commit(base: &Base, commit: Box<Commit>) -> Result<Found, WireError> {
    let base = base.state(commit.conversation)?;
    let refused = |error: commit::CommitRefused| {
        WireError::new(error.code(), error.to_string()).with_context(base.epoch().0)
    };
    let verified = commit::verify(&base, &commit).map_err(refused)?;
    let (row, joining) = rows(verified.next(), &commit);
    Ok(Found::Commit(Box::new(FoundCommit { commit, base, verified, row, joining })))
}

/// The rows that a commit leads to.
pub(super) fn rows(next: &PublicState, commit: &Commit) -> (Bytes, Option<Bytes>) {
    let row = GroupRow::current(next, &commit.group_info);
    let joining = commit.welcome.is_some().then(|| row.joining().to_bytes());
    (row.to_bytes(), joining)
}

fn verify_leave(base: &Base, leave: Box<Leave>, asker: Asker) -> Result<Found, WireError> {
    let state = base.state(leave.conversation)?;
    let refused =
        || WireError::new(ErrorCode::Forbidden, "the leave is not signed by a device of yours in the group");
    let leaf = state.leaf_of(asker.device).filter(|leaf| leaf.certificate.account() == asker.account);
    let key = leaf.ok_or_else(refused)?.certificate.device_key();
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| refused())?;
    let signature = ed25519_dalek::Signature::from_bytes(&leave.signature);
    key.verify_strict(&leave_bytes(leave.conversation, asker.account), &signature).map_err(|_| refused())?;
    Ok(Found::Leave { leave, state })
}
