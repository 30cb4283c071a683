//! Deciding about what was verified: a conversation begins, a commit is the first of its epoch or comes too late, a
//! member leaves.

use super::{From, describe, epoch_moved};
use crate::engine::answers;
use crate::engine::committer::{After, Committer};
use crate::engine::hub::Slot;
use crate::engine::verifier::{self, Found, FoundCommit, Verdict};
use crate::store::Row;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::conversation::{Create, Leave, Member, Role, State as Described};
use sotto_protocol::body::log::{Commit, EntryKind};
use sotto_protocol::error::WireError;
use sotto_protocol::frame;
use sotto_protocol::ids::{MessageNumber, RequestId, Sequence};
use sotto_protocol::payload::Payload;
use sotto_relay_core::authorise::Action;
use sotto_relay_core::commit::{self, Asker};
use sotto_relay_core::entry::EntryHead;
use sotto_relay_core::record::Fact;

impl Committer {
    /// Decides about what was verified. Whoever asked may have gone meanwhile; what it asked for is done all the same.
    pub(super) fn verdict(&mut self, verdict: Verdict) {
        let verifier::Asked { session, id, asker, _permit } = verdict.asked;
        let slot = self.hub.slot(session);
        let asked = slot.map(|slot| (slot, id));
        let result = match verdict.found {
            Found::Refused(error) => Err(error),
            _ if !self.draining.is_empty() => Err(answers::unavailable()),
            _ if self.is_full => Err(answers::storage_full()),
            Found::Create { create, state, row } => {
                self.may_begin(&create, asker.account).map(|()| self.begin(asked, asker, *create, state, row))
            }
            Found::Commit(found) => self.found_commit(asked, asker, *found),
            Found::Leave { leave, state } => self.found_leave(asked, asker, &leave, state),
        };
        if let (Err(error), Some(slot)) = (result, slot) {
            self.refuse(From { session, slot, id, asker }, error);
        }
    }

    fn begin(
        &mut self,
        asked: Option<(Slot, RequestId)>,
        asker: Asker,
        create: Create,
        state: PublicState,
        row: bytes::Bytes,
    ) {
        let Create { conversation, kind, history, peer, listed_name, group_info, tree, .. } = create;
        self.saving.dirty.set(Row::Group(conversation), Some(row));
        let creator = asker.account;
        self.accept_fact(Fact::Created {
            conversation,
            kind,
            history,
            creator,
            peer,
            listed_name,
            group_info,
            tree,
        });
        if let Some(place) = self.state.place(conversation) {
            self.keep_group(place, state);
        }
        let known = self.state.find(conversation).map(|known| describe(known, creator));
        if let (Some((slot, id)), Some(known)) = (asked, known) {
            let username = self.directory.username(creator).unwrap_or_default();
            let member = Member { account: creator, username, role: Role::Owner, since: Sequence(0) };
            let body = Described { members: vec![member], ..known.state };
            self.draft.after.push(After::Frame(slot, frame::encode(id, &body)));
        }
    }

    fn found_commit(
        &mut self,
        asked: Option<(Slot, RequestId)>,
        asker: Asker,
        found: FoundCommit,
    ) -> Result<(), WireError> {
        let FoundCommit { commit: body, base, verified, row, joining } = found;
        let id = body.conversation;
        let place = self.state.place(id).ok_or_else(answers::not_member)?;
        let known = self.state.get(place).ok_or_else(answers::not_member)?;
        // The compare of the compare-and-swap: the first valid commit of an epoch wins.
        if known.epoch != verified.epoch() {
            return Err(epoch_moved(known));
        }
        let change = commit::decide(&verified, &base, asker, known, &verifier::Known(&*self.directory))
            .map_err(|error| WireError::new(error.code(), error.to_string()).with_context(known.epoch.0))?;
        let (epoch, sequence) = (known.epoch, known.head.next());
        let kind = EntryKind::Commit;
        let Asker { account, device } = asker;
        let number = MessageNumber(0);
        let head = EntryHead { sequence, time: self.now, kind, account, device, number, epoch };
        let Commit { commit: message, group_info, welcome, .. } = *body;
        self.accept(place, id, asked, head, message, Payload::default());
        self.saving.dirty.set(Row::Group(id), Some(row));
        if let (Some(joining), Some(welcome)) = (joining, &welcome) {
            self.saving.dirty.set(Row::Joining(id, epoch.next()), Some(joining));
            self.saving.dirty.set(Row::Welcome(id, epoch.next()), Some(welcome.0.clone()));
        }
        if welcome.is_some() {
            let snapshot = bytes::Bytes::copy_from_slice(verified.next().snapshot()).into();
            self.accept_fact(Fact::State { conversation: id, sequence, snapshot });
        }
        self.keep_group(place, verified.next().clone());
        self.accept_fact(Fact::Committed {
            conversation: id,
            sequence,
            joined: change.joined,
            left: change.left,
            welcomed: change.welcomed.into_iter().map(|asker| asker.device).collect(),
            welcome,
            group_info,
        });
        Ok(())
    }

    fn found_leave(
        &mut self,
        asked: Option<(Slot, RequestId)>,
        asker: Asker,
        leave: &Leave,
        state: PublicState,
    ) -> Result<(), WireError> {
        let id = leave.conversation;
        let Asker { account, device } = asker;
        let (place, known) = self.find(id, asker, Action::Leave)?;
        let (sequence, epoch) = (known.head.next(), known.epoch);
        if state.epoch() == epoch {
            self.keep_group(place, state);
        }
        let kind = EntryKind::Leave;
        let number = MessageNumber(0);
        let head = EntryHead { sequence, time: self.now, kind, account, device, number, epoch };
        self.accept(place, id, asked, head, leave.signature.to_vec().into(), Payload::default());
        self.accept_fact(Fact::Leaving { conversation: id, account, sequence });
        Ok(())
    }
}
