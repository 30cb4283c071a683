//! Deciding about each request, in the order in which they came.
//!
//! What needs MLS is verified elsewhere first and comes back to `verdicts`.

mod verdicts;

use super::{After, Committer, LogAsk, LogRead};
use crate::engine::hub::Slot;
use crate::engine::inbox::{Asked, SessionId, Work};
use crate::engine::reader::{Known, Read};
use crate::engine::request::Request;
use crate::engine::verifier::{self, Verify, VerifyJob};
use crate::engine::{Admit, AdmitError, EngineUsage, Holders, Mark, May, Surveyed, answers};
use crate::store::{Row, StoreError};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::Done;
use sotto_protocol::body::conversation::{
    Create, GetGroup, Kind, Leave, List, Role, SetRole, State as Described, WelcomeTaken, Which,
};
use sotto_protocol::body::log::{
    Append, Commit, EntryKind, Fetch, FetchArchive, Follow, Followed, SendEphemeral,
};
use sotto_protocol::body::push::Ephemeral;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame;
use sotto_protocol::ids::{AccountId, ConversationId, MessageNumber, RequestId, Sequence};
use sotto_protocol::mls_header;
use sotto_relay_core::append::{self, Decision};
use sotto_relay_core::authorise::{Action, authorise};
use sotto_relay_core::commit::{self, Asker, Roll};
use sotto_relay_core::conversation::Conversation;
use sotto_relay_core::entry::EntryHead;
use sotto_relay_core::quota::Bucket;
use sotto_relay_core::record::Fact;
use sotto_relay_core::state::Place;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Welcomes in one answer; a device asks again after taking them.
const WELCOMES_PER_ANSWER_MAX: usize = 16;

type Permit = Option<OwnedSemaphorePermit>;
type Rooms = Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>;

/// Who asks, and under which id.
#[derive(Clone, Copy)]
struct From {
    session: SessionId,
    slot: Slot,
    id: RequestId,
    asker: Asker,
}

impl Committer {
    /// Takes one piece of work. Gives back the room that it takes in the queue, to be held until the batch is done.
    pub(super) fn take(&mut self, work: Work) -> Result<Rooms, StoreError> {
        match work {
            Work::Requests(submission) => {
                let Some(slot) = self.hub.slot(submission.session) else { return Ok(None) };
                let Some(attached) = self.hub.get(slot) else { return Ok(None) };
                let asker = Asker { account: attached.account, device: attached.device };
                for (id, request, permit) in submission.requests {
                    let from = From { session: submission.session, slot, id, asker };
                    self.request(from, (id, request, permit));
                }
                return Ok(Some(submission.room));
            }
            Work::Attach { session, account, device, outbox } => {
                self.hub.attach(session, account, device, outbox)
            }
            Work::Detach { session } => self.hub.detach(session),
            Work::Verdict(verdict) => self.verdict(*verdict),
            Work::Admit(admit, answer) => self.admit(&admit, answer),
            Work::May(ask, answer) => {
                // Whoever asked may have gone, here and below.
                let _ = answer.send(self.may(&ask));
            }
            Work::Usage(answer) => {
                let _ = answer.send(self.usage());
            }
            Work::Survey(from, limit, answer) => {
                let some = self.state.all().skip(from).take(limit).map(|(_, known)| Surveyed::of(known));
                let _ = answer.send(some.collect());
            }
            Work::Held(accounts, answer) => {
                let _ = answer.send(accounts.iter().map(|account| self.state.held_by(*account)).collect());
            }
            Work::Holders(from_bytes, answer) => {
                let _ = answer.send(self.holders(from_bytes));
            }
            Work::Export(answer) => {
                let hold = self.hold.upgrade().unwrap_or_default();
                self.hold = Arc::downgrade(&hold);
                let _ = answer.send((self.store.export(), hold));
            }
            Work::Mark(answer) => {
                let _ = answer.send(Mark { batch: self.written, time: self.now });
            }
            Work::Retain(answer) => {
                // Deleting needs a checkpoint of everything, and so nothing half done.
                self.write()?;
                let _ = answer.send(self.retain()?);
            }
            Work::Saved(result) => self.saved(result)?,
            Work::Drain(answer) => self.draining.push(answer),
        }
        Ok(None)
    }

    fn request(&mut self, from: From, (_, request, permit): Asked) {
        if !self.draining.is_empty() {
            return self.refuse(from, answers::unavailable());
        }
        let result = match request {
            Request::Append(body) => self.append(from, body),
            Request::Ephemeral(body) => self.ephemeral(from, body),
            Request::Follow(body) => self.follow(from, &body),
            Request::SetPresence(body) => {
                self.hub.set_presence(from.slot, body.invisible);
                Ok(())
            }
            Request::Fetch(body) => self.fetch(from, permit, &body),
            Request::FetchArchive(body) => self.fetch_archive(from, permit, &body),
            Request::List(body) => self.list(from, permit, &body),
            Request::GetGroup(body) => self.get_group(from, permit, &body),
            Request::GetWelcomes => self.get_welcomes(from, permit),
            Request::WelcomeTaken(body) => self.welcome_taken(from, &body),
            Request::SetRole(body) => self.set_role(from, &body),
            Request::Create(body) => self.create(from, permit, body),
            Request::Commit(body) => self.commit(from, permit, body),
            Request::Leave(body) => self.leave(from, permit, body),
        };
        if let Err(error) = result {
            self.refuse(from, error);
        }
    }

    fn refuse(&mut self, from: From, error: WireError) {
        self.draft.after.push(After::Refuse(from.slot, from.id, Box::new(error)));
    }

    fn done(&mut self, from: From) {
        let frame = frame::encode(from.id, &Done::default());
        self.draft.after.push(After::Frame(from.slot, frame));
    }

    /// Whether something may be written for an account now: there is space, and it has not been too fast.
    fn may_change(&mut self, account: AccountId) -> Result<(), WireError> {
        if self.is_full {
            return Err(answers::storage_full());
        }
        if self.quotas.account_changes_per_second == 0 {
            return Ok(());
        }
        let (quotas, now) = (self.quotas, self.now);
        let bucket = self.buckets.entry(account).or_insert_with(|| Bucket::full(&quotas, now));
        bucket.take(&quotas, now).map_err(|wait_ms| {
            WireError::new(ErrorCode::QuotaExceeded, "the account has used up its rate")
                .with_retry_after_ms(wait_ms)
        })
    }

    /// A conversation in which the asker may do something.
    fn find(
        &self,
        id: ConversationId,
        asker: Asker,
        action: Action,
    ) -> Result<(Place, &Conversation), WireError> {
        let place = self.state.place(id).ok_or_else(answers::not_member)?;
        let known = self.state.get(place).ok_or_else(answers::not_member)?;
        match authorise(action, known.standing(asker.account), known.kind) {
            Ok(()) => Ok((place, known)),
            Err(denied) if denied.code() == ErrorCode::NotMember => Err(answers::not_member()),
            Err(denied) => Err(WireError::new(denied.code(), denied.to_string())),
        }
    }

    fn append(&mut self, from: From, body: Append) -> Result<(), WireError> {
        let Asker { account, device } = from.asker;
        let place = self.state.place(body.conversation);
        let known = place.and_then(|place| self.state.get(place));
        let held = if self.quotas.account_bytes > 0 { self.state.held_by(account) } else { 0 };
        let decision = append::decide(known, account, device, &body, &self.quotas, held);
        let decision = decision.map_err(append::Refusal::wire)?;
        let (Some(place), Some(epoch)) = (place, known.map(|known| known.epoch)) else {
            return Err(answers::not_member());
        };
        match decision {
            Decision::Accept(sequence) => {
                self.may_change(account)?;
                let kind = EntryKind::Application;
                let head =
                    EntryHead { sequence, time: self.now, kind, account, device, number: body.number, epoch };
                self.accept(
                    place,
                    body.conversation,
                    Some((from.slot, from.id)),
                    head,
                    body.message,
                    body.archive,
                );
            }
            Decision::Repeat(sequence) => {
                self.metrics.repeats.add(1);
                self.repeat(from, place, body.number, sequence.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Answers with an entry that is there. Sequence 0 says that it was taken too long ago to be found.
    fn repeat(&mut self, from: From, place: Place, number: MessageNumber, sequence: Sequence) {
        self.log(from, None, place, (sequence, sequence), false, LogRead::Repeat { number });
    }

    fn log(
        &mut self,
        from: From,
        permit: Permit,
        place: Place,
        (first, last): (Sequence, Sequence),
        backwards: bool,
        kind: LogRead,
    ) {
        let From { slot, id, .. } = from;
        let ask = LogAsk { slot, id, permit, place, from: first, to: last, backwards, kind };
        self.draft.after.push(After::Log(ask));
    }

    fn ephemeral(&mut self, from: From, body: SendEphemeral) -> Result<(), WireError> {
        let (place, _) = self.find(body.conversation, from.asker, Action::Write)?;
        let body = Ephemeral {
            conversation: body.conversation,
            account: from.asker.account,
            device: from.asker.device,
            sealed: body.sealed,
            extensions: Extensions::default(),
        };
        self.hub.ephemeral(place, from.slot, &body);
        Ok(())
    }

    fn follow(&mut self, from: From, body: &Follow) -> Result<(), WireError> {
        let mut heads = Vec::with_capacity(body.conversations.len());
        for id in &body.conversations {
            let Ok((place, known)) = self.find(*id, from.asker, Action::ReadPast) else { continue };
            if known.member(from.asker.account).is_none() {
                continue;
            }
            let head = known.head;
            if !self.hub.follow(from.slot, place, *id) {
                return Err(WireError::new(
                    ErrorCode::TooLarge,
                    "this device follows as many conversations as it may",
                ));
            }
            heads.push((*id, head));
        }
        let frame = frame::encode(from.id, &Followed { heads, extensions: Extensions::default() });
        self.draft.after.push(After::Frame(from.slot, frame));
        Ok(())
    }

    fn fetch(&mut self, from: From, permit: Permit, body: &Fetch) -> Result<(), WireError> {
        let account = from.asker.account;
        let place = self.state.place(body.conversation).ok_or_else(answers::not_member)?;
        let known = self.state.get(place).ok_or_else(answers::not_member)?;
        let stretch = known.visible_after(account, body.after).ok_or_else(answers::not_member)?;
        // Who is no member any more learns nothing of what came later, its length included.
        let head = if known.member(account).is_some() { known.head } else { stretch.1 };
        self.log(from, permit, place, stretch, false, LogRead::Fetch { head, limit: body.limit });
        Ok(())
    }

    fn fetch_archive(&mut self, from: From, permit: Permit, body: &FetchArchive) -> Result<(), WireError> {
        let account = from.asker.account;
        let place = self.state.place(body.conversation).ok_or_else(answers::not_member)?;
        let known = self.state.get(place).ok_or_else(answers::not_member)?;
        let stretch = match body.backwards {
            true => known.visible_before(account, body.from),
            false => known.visible_after(account, body.from),
        };
        let stretch = stretch.ok_or_else(answers::not_member)?;
        self.log(from, permit, place, stretch, body.backwards, LogRead::Archive { limit: body.limit });
        Ok(())
    }

    fn read(&mut self, from: From, permit: Permit, read: Read) {
        self.draft.after.push(After::Read(from.slot, from.id, permit, read));
    }

    fn list(&mut self, from: From, permit: Permit, body: &List) -> Result<(), WireError> {
        let account = from.asker.account;
        let may_see = |known: &&Conversation| known.member(account).is_some() || known.is_admitted(account);
        let conversations: Vec<Known> = match &body.which {
            Which::Mine => self.state.of_account(account).map(|known| describe(known, account)).collect(),
            Which::One(id) => self
                .state
                .find(*id)
                .filter(may_see)
                .map(|known| describe(known, account))
                .into_iter()
                .collect(),
            Which::DirectWith(other) => {
                let found = self.state.direct(account, *other).filter(may_see);
                found.map(|known| describe(known, account)).into_iter().collect()
            }
            Which::ListedName(name) => {
                self.state.listed(name).map(|known| describe(known, account)).into_iter().collect()
            }
            Which::Listed => self.state.all_listed().map(|known| describe(known, account)).collect(),
        };
        self.read(from, permit, Read::States { conversations });
        Ok(())
    }

    fn get_group(&mut self, from: From, permit: Permit, body: &GetGroup) -> Result<(), WireError> {
        let id = body.conversation;
        let (_, known) = self.find(id, from.asker, Action::SeeGroup)?;
        let current = known.epoch;
        let (row, epoch, sequence) = match body.epoch {
            Some(epoch) if epoch != current => {
                let mut waiting = self.state.waiting(from.asker.device).iter();
                let found = waiting.find(|one| (one.conversation, one.epoch) == (id, epoch));
                let gone =
                    || WireError::new(ErrorCode::NotFound, "no Welcome to this epoch waits for the device");
                (Row::Joining(id, epoch), epoch, found.ok_or_else(gone)?.sequence)
            }
            _ => (Row::Group(id), current, known.epoch_began),
        };
        let source = self.row(row);
        self.read(from, permit, Read::Group { source, epoch, sequence });
        Ok(())
    }

    fn get_welcomes(&mut self, from: From, permit: Permit) -> Result<(), WireError> {
        let waiting = self.state.waiting(from.asker.device).iter().take(WELCOMES_PER_ANSWER_MAX);
        let sources =
            waiting.map(|one| (*one, self.row(Row::Welcome(one.conversation, one.epoch)))).collect();
        self.read(from, permit, Read::Welcomes { sources });
        Ok(())
    }

    fn welcome_taken(&mut self, from: From, body: &WelcomeTaken) -> Result<(), WireError> {
        let device = from.asker.device;
        let mut waiting = self.state.waiting(device).iter();
        if waiting.any(|one| (one.conversation, one.epoch) == (body.conversation, body.epoch)) {
            if self.is_full {
                return Err(answers::storage_full());
            }
            let (conversation, epoch) = (body.conversation, body.epoch);
            self.accept_fact(Fact::WelcomeTaken { conversation, epoch, device });
        }
        self.done(from);
        Ok(())
    }

    fn set_role(&mut self, from: From, body: &SetRole) -> Result<(), WireError> {
        let SetRole { conversation, account, role, .. } = *body;
        let no_owner_left = self.state.find(conversation).is_some_and(|known| {
            role != Role::Owner
                && !known.members().any(|(other, member)| other != account && member.role == Role::Owner)
        });
        let (_, known) = self.find(conversation, from.asker, Action::SetRole { no_owner_left })?;
        if known.member(account).is_none() {
            return Err(WireError::new(ErrorCode::NotFound, "this account is not a member"));
        }
        self.may_change(from.asker.account)?;
        self.accept_fact(Fact::RoleSet { conversation, account, role });
        self.done(from);
        Ok(())
    }

    fn verify(&self, from: From, permit: Permit, verify: Verify) {
        let asked =
            verifier::Asked { session: from.session, id: from.id, asker: from.asker, _permit: permit };
        self.verifiers.put(VerifyJob { asked, verify });
    }

    /// Whether a conversation may begin: asked before it is verified, and again after.
    fn may_begin(&self, create: &Create, creator: AccountId) -> Result<(), WireError> {
        let taken = |what: &str| Err(WireError::new(ErrorCode::Taken, what));
        if self.state.find(create.conversation).is_some() {
            return taken("this conversation exists");
        }
        if let Some(peer) = create.peer
            && self.state.direct(creator, peer).is_some()
        {
            return taken("the direct conversation of the two accounts exists: ask for it");
        }
        match &create.listed_name {
            Some(name) if self.state.listed(name).is_some() => taken("a listed room has this name"),
            _ => Ok(()),
        }
    }

    fn create(&mut self, from: From, permit: Permit, body: Box<Create>) -> Result<(), WireError> {
        if body.listed_name.as_ref().is_some_and(|name| name.trim() != name || name.is_empty()) {
            return Err(WireError::new(
                ErrorCode::Malformed,
                "the name of a room begins and ends with no space",
            ));
        }
        if body.peer.is_some_and(|peer| self.directory.username(peer).is_none()) {
            return Err(WireError::new(ErrorCode::NotFound, "there is no such account"));
        }
        self.may_begin(&body, from.asker.account)?;
        self.may_change(from.asker.account)?;
        self.verify(from, permit, Verify::Create(body));
        Ok(())
    }

    fn commit(&mut self, from: From, permit: Permit, body: Box<Commit>) -> Result<(), WireError> {
        let place = self.state.place(body.conversation).ok_or_else(answers::not_member)?;
        let known = self.state.get(place).ok_or_else(answers::not_member)?;
        commit::may_commit(from.asker, known).map_err(|_| answers::not_member())?;
        let (epoch, id) = (known.epoch, known.id);
        // The loser of a race learns it before anybody spends milliseconds on its commit.
        if mls_header::peek(body.commit.as_slice()).is_some_and(|header| header.epoch != epoch.0) {
            return Err(epoch_moved(known));
        }
        self.may_change(from.asker.account)?;
        let base = self.base(place, Row::Group(id));
        self.verify(from, permit, Verify::Commit { base, commit: body });
        Ok(())
    }

    fn leave(&mut self, from: From, permit: Permit, body: Box<Leave>) -> Result<(), WireError> {
        let account = from.asker.account;
        let place = self.state.place(body.conversation).ok_or_else(answers::not_member)?;
        if let Some(sequence) = self.state.get(place).and_then(|known| known.leaving.get(&account)).copied() {
            self.repeat(from, place, MessageNumber(0), sequence);
            return Ok(());
        }
        self.find(body.conversation, from.asker, Action::Leave)?;
        self.may_change(account)?;
        let base = self.base(place, Row::Group(body.conversation));
        self.verify(from, permit, Verify::Leave { base, leave: body });
        Ok(())
    }

    fn admit(&mut self, admit: &Admit, answer: oneshot::Sender<Result<(), AdmitError>>) {
        let Admit { conversation, account } = *admit;
        let known = self.state.find(conversation).filter(|known| known.kind != Kind::Direct);
        let result = match known {
            _ if !self.draining.is_empty() => Err(AdmitError::Unavailable),
            None => Err(AdmitError::NotFound),
            Some(known) if known.member(account).is_some() || known.admitted.contains(&account) => Ok(()),
            Some(_) if self.is_full => Err(AdmitError::StorageFull),
            Some(_) => {
                self.accept_fact(Fact::Admitted { conversation, account });
                Ok(())
            }
        };
        match result {
            // Even what was there already may be in the batch of this turn.
            Ok(()) => self.draft.after.push(After::Admitted(answer)),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn may(&self, ask: &May) -> bool {
        self.state
            .find(ask.conversation)
            .is_some_and(|known| authorise(ask.action, known.standing(ask.account), known.kind).is_ok())
    }

    /// Those who have at least so much in the log.
    fn holders(&self, from_bytes: u64) -> Holders {
        let mut found = Holders::default();
        for (account, holding) in self.state.holdings() {
            let bytes = holding.bytes();
            found.most_bytes = found.most_bytes.max(bytes);
            if bytes >= from_bytes {
                found.accounts.push((account, bytes));
            }
        }
        found
    }

    fn usage(&self) -> EngineUsage {
        self.count();
        EngineUsage {
            conversations: self.state.count() as u64,
            memberships: self.state.all().map(|(_, known)| known.members().count() as u64).sum(),
            stored_bytes: self.metrics.stored_bytes.get(),
            sessions: self.hub.count() as u64,
            welcomes_waiting: self.state.waiting_count() as u64,
        }
    }
}

fn epoch_moved(known: &Conversation) -> WireError {
    WireError::new(ErrorCode::EpochMoved, "another commit of this epoch was first")
        .with_context(known.epoch.0)
}

/// A conversation as an account may know it; the members are filled in by a reader.
fn describe(known: &Conversation, account: AccountId) -> Known {
    let is_member = known.member(account).is_some();
    let only_members = |sequence| if is_member { sequence } else { Sequence(0) };
    let state = Described {
        conversation: known.id,
        kind: known.kind,
        history: known.history,
        listed_name: known.listed_name.clone(),
        head: only_members(known.head),
        first: only_members(known.first()),
        epoch: known.epoch,
        members: Vec::new(),
        extensions: Extensions::default(),
    };
    Known { state, members: is_member.then(|| known.memberships.clone()) }
}
