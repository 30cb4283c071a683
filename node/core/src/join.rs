//! Getting in: creating, by a Welcome, by external commit, and back in after damage.

use crate::command::Token;
use crate::core::{Convo, Core, Ctx, Flight, store_or};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::link::{Arrival, Ask};
use crate::rows::{Backfill, ConversationRow, Joining, KeysAsked, StagedRow};
use crate::view::Standing;
use sotto_e2ee::conversation::{Conversation, Reason};
use sotto_e2ee::repair::{self, Repair};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::{Group, HistoryPolicy, Kind, List, State, States, Welcomes, Which};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};

/// How many entries a new device reads back by itself; further ones when the person scrolls.
const FIRST_BACKFILL: u32 = 200;

/// How long the loser of two direct conversations waits for the winner to add it before it asks again.
const DIRECT_WAIT_MS: u64 = 5_000;

impl Core {
    pub(crate) fn new_row(&self, kind: Kind, history: HistoryPolicy, now: UnixMillis) -> ConversationRow {
        ConversationRow {
            kind,
            history,
            listed_name: None,
            name: String::new(),
            peer: None,
            standing: Standing::Joining,
            joining: None,
            last_number: MessageNumber(0),
            acknowledged: MessageNumber(0),
            roles: Vec::new(),
            read_upto: Sequence(0),
            last_line: Sequence(0),
            unread: 0,
            staged: None,
            leavers: Vec::new(),
            backfill: None,
            keys_asked: None,
            created: now,
        }
    }

    fn row_of(&self, state: &State, now: UnixMillis) -> ConversationRow {
        let mut row = self.new_row(state.kind, state.history, now);
        row.listed_name.clone_from(&state.listed_name);
        if state.kind == Kind::Direct {
            let me = self.me.account();
            row.peer = state.members.iter().map(|member| member.account).find(|account| *account != me);
        }
        row
    }

    // Creating.

    pub(crate) fn created(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        state: &State,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.create = false;
            if !matches!(convo.row().joining, Some(Joining::Create { .. })) {
                return Ok(());
            }
            let row = convo.row_mut();
            row.joining = None;
            row.standing = Standing::Member;
            core.learn_state(ctx, convo, state)?;
            if convo.row().history != HistoryPolicy::None {
                core.vault_changed(ctx);
            }
            core.conversation_event(ctx, convo)?;
            if convo.changes.is_empty() {
                if !convo.row().name.is_empty() {
                    let name = convo.row().name.clone();
                    core.queue(ctx, convo, crate::rows::Kept::Info(name));
                }
                core.opened(ctx, id);
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(crate) fn create_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        error: WireError,
    ) -> Result<(), StoreError> {
        if error.code() != Some(ErrorCode::Taken) {
            return self.opening_failed(ctx, id, error.into());
        }
        // Either our own earlier try was taken and its answer lost, or another conversation stands there.
        self.with(id, |core, convo| {
            convo.flight.create = true;
            let which = match (convo.row().kind, convo.row().peer) {
                (Kind::Direct, Some(peer)) => Which::DirectWith(peer),
                _ => Which::One(id),
            };
            let body = List { which, extensions: Default::default() };
            core.link.ask(ctx, &core.settings, Ask::Taken(id), &body);
            Ok(())
        })?;
        Ok(())
    }

    /// The answer to: what stands where ours was to be?
    pub(crate) fn direct_taken(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        states: States,
    ) -> Result<(), StoreError> {
        let Some(state) = states.conversations.into_iter().next() else {
            let text = "the relay says that the conversation exists, and does not show it";
            let failure = Failure::new(FailureCode::Relay(ErrorCode::Taken), text);
            return self.opening_failed(ctx, id, failure);
        };
        if state.conversation == id {
            return self.created(ctx, id, &state);
        }
        // The other side was first: its conversation is the one. Ours never had more than us in it.
        let tokens = self.waiting.opening.remove(&id).unwrap_or_default();
        self.discard(ctx, id)?;
        let theirs = state.conversation;
        self.waiting.opening.entry(theirs).or_default().extend(tokens);
        if self.convos.get(&theirs).is_some_and(|convo| convo.is_member()) {
            self.opened(ctx, theirs);
        } else if !self.convos.contains_key(&theirs) {
            let mut row = self.row_of(&state, ctx.now);
            row.joining = Some(Joining::Wait { until: ctx.later(DIRECT_WAIT_MS, DIRECT_WAIT_MS) });
            self.add_convo(Convo::new(theirs, row));
        }
        Ok(())
    }

    /// Forgets a conversation that never was.
    fn discard(&mut self, ctx: &Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        let Some(mut convo) = self.convos.remove(&id) else { return Ok(()) };
        convo.group = None;
        let _ = store_or(Conversation::forget(ctx.tx, id))?;
        for number in convo.outbox.keys() {
            ctx.tx.delete(crate::rows::outbox_key(id, MessageNumber(*number)));
        }
        for change in convo.changes.keys() {
            ctx.tx.delete(crate::rows::change_key(id, *change));
        }
        ctx.tx.delete(crate::rows::conversation_key(id));
        self.dirty.remove(&id);
        Ok(())
    }

    // What the relay says we are in.

    pub(crate) fn mine(&mut self, ctx: &mut Ctx<'_>, states: States) -> Result<(), StoreError> {
        self.link.asked_mine = false;
        self.link.want_mine = false;
        let me = self.me.account();
        for state in states.conversations {
            let id = state.conversation;
            let member = state.members.iter().any(|member| member.account == me);
            let known = self.with(id, |core, convo| {
                core.learn_state(ctx, convo, &state)?;
                if member && convo.row().standing == Standing::Gone {
                    // Added again while away; a Welcome may still come.
                    let until = ctx.later(core.settings.welcome_wait_ms, core.settings.welcome_wait_ms);
                    let row = convo.row_mut();
                    row.standing = Standing::Joining;
                    row.joining = Some(Joining::Wait { until });
                }
                Ok(())
            })?;
            if known.is_some() {
                continue;
            }
            let mut row = self.row_of(&state, ctx.now);
            row.joining = Some(if member {
                let until = ctx.later(self.settings.welcome_wait_ms, self.settings.welcome_wait_ms);
                Joining::Wait { until }
            } else {
                // An invite was redeemed, here or elsewhere, and nobody went in yet.
                ctx.event(Event::Admitted { conversation: id });
                Joining::External { cursor: Sequence(0), tries: 0 }
            });
            let mut convo = Convo::new(id, row);
            self.learn_state(ctx, &mut convo, &state)?;
            self.add_convo(convo);
        }
        Ok(())
    }

    // Welcomes.

    pub(crate) fn welcomes(&mut self, answer: Welcomes) {
        self.link.asked_welcomes = false;
        // There may be more behind these: ask again after they are taken.
        self.link.want_welcomes |= !answer.welcomes.is_empty();
        for welcome in answer.welcomes {
            let known = self.convos.get(&welcome.conversation);
            let settled = known.is_some_and(|convo| {
                convo.is_member() && convo.group.as_ref().is_some_and(|group| group.epoch() >= welcome.epoch)
            });
            let newer = self
                .link
                .arrivals
                .get(&welcome.conversation)
                .is_none_or(|arrival: &Arrival| arrival.welcome.epoch < welcome.epoch);
            if newer {
                let arrival = Arrival {
                    welcome,
                    state: None,
                    group: None,
                    asked_state: false,
                    asked_group: false,
                    asked_taken: false,
                    settled,
                };
                self.link.arrivals.insert(arrival.welcome.conversation, arrival);
            }
        }
    }

    pub(crate) fn arrival_mut(&mut self, id: ConversationId, change: impl FnOnce(&mut Arrival)) {
        if let Some(arrival) = self.link.arrivals.get_mut(&id) {
            change(arrival);
        }
    }

    pub(crate) fn welcome_taken(&mut self, id: ConversationId) {
        self.link.arrivals.remove(&id);
    }

    pub(crate) fn welcome_state(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        states: States,
    ) -> Result<(), StoreError> {
        let state = states.conversations.into_iter().find(|state| state.conversation == id);
        if state.is_none() {
            // Removed again meanwhile: there is nothing to join.
            self.arrival_mut(id, |arrival| arrival.settled = true);
        }
        self.arrival_mut(id, |arrival| arrival.state = state);
        self.try_welcome(ctx, id)
    }

    pub(crate) fn welcome_group(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        group: Group,
    ) -> Result<(), StoreError> {
        self.arrival_mut(id, |arrival| arrival.group = Some(group));
        self.try_welcome(ctx, id)
    }

    /// What the Welcome needs is not to be had (its epoch is long gone): join by oneself.
    pub(crate) fn welcome_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        until: Option<UnixMillis>,
    ) -> Result<(), StoreError> {
        if let Some(until) = until {
            self.link.hold = Some(until);
            self.arrival_mut(id, |arrival| {
                arrival.asked_group = arrival.group.is_some();
                arrival.asked_state = arrival.state.is_some();
            });
            return Ok(());
        }
        self.welcome_useless(ctx, id)
    }

    fn welcome_useless(&mut self, ctx: &mut Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        let Some(arrival) = self.link.arrivals.get_mut(&id) else { return Ok(()) };
        arrival.settled = true;
        let Some(state) = arrival.state.take() else {
            self.link.want_mine = true; // it will name the conversation if we are in it
            return Ok(());
        };
        let external = Joining::External { cursor: Sequence(0), tries: 0 };
        let known = self.with(id, |_, convo| {
            if !convo.is_member() {
                let row = convo.row_mut();
                row.standing = Standing::Joining;
                row.joining.get_or_insert_with(|| external.clone());
            }
            Ok(())
        })?;
        if known.is_none() {
            let mut row = self.row_of(&state, ctx.now);
            row.joining = Some(external);
            let mut convo = Convo::new(id, row);
            self.learn_state(ctx, &mut convo, &state)?;
            self.add_convo(convo);
        }
        Ok(())
    }

    fn try_welcome(&mut self, ctx: &mut Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        let Some(arrival) = self.link.arrivals.get_mut(&id) else { return Ok(()) };
        if arrival.settled {
            return Ok(());
        }
        let (Some(state), Some(group)) = (&arrival.state, &arrival.group) else { return Ok(()) };
        let (state, group, welcome) = (state.clone(), group.clone(), arrival.welcome.clone());
        let working = self.convos.get(&id).is_some_and(|convo| {
            convo.is_member() && convo.group.as_ref().is_some_and(|group| group.epoch() >= welcome.epoch)
        });
        if working {
            self.arrival_mut(id, |arrival| arrival.settled = true);
            return Ok(());
        }
        let joined = Conversation::join_welcome(ctx.tx, &self.me, state.history, &welcome, &group, ctx.now);
        match store_or(joined)? {
            Ok((group, alerts)) => {
                self.arrival_mut(id, |arrival| arrival.settled = true);
                self.link.want_stock |= sotto_e2ee::key_package::last_resort_is_due(ctx.tx, ctx.now)?;
                if !self.convos.contains_key(&id) {
                    let row = self.row_of(&state, ctx.now);
                    self.add_convo(Convo::new(id, row));
                }
                self.with(id, |core, convo| {
                    convo.group = Some(group);
                    core.learn_state(ctx, convo, &state)?;
                    core.alerts(ctx, id, alerts);
                    core.stands(ctx, convo, Sequence(0), false)
                })?;
                Ok(())
            }
            Err(_) => self.welcome_useless(ctx, id),
        }
    }

    // By external commit.

    /// The group's state does not work: join again, and read what was missed from the archive.
    pub(crate) fn begin_rejoin(&self, ctx: &Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        let cursor = convo.group.as_ref().map_or_else(|| convo.row().last_line, Conversation::cursor);
        if convo.flight.damaged {
            // An envelope that could not be read was counted when it came; a state that does not work is counted here.
            repair::count_failure(ctx.tx, Reason::KeyGone)?;
        }
        // The broken state stays in the store until the new one replaces it: by it the new one is a *re*join.
        convo.group = None;
        convo.rejoin_began = Some(ctx.now);
        convo.flight = Flight::default();
        for (sequence, row) in &mut convo.broken {
            row.rejoined = true;
            crate::rows::put(ctx.tx, crate::rows::broken_key(convo.id, Sequence(*sequence)), row);
        }
        let row = convo.row_mut();
        row.staged = None;
        row.joining = Some(Joining::External { cursor, tries: 0 });
        Ok(())
    }

    pub(crate) fn group_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        error: WireError,
    ) -> Result<(), StoreError> {
        let failure = Failure::from(error);
        self.with(id, |core, convo| {
            if convo.row().joining.is_none() {
                return Ok(());
            }
            let waits_for_peer =
                convo.row().kind == Kind::Direct && convo.row().standing == Standing::Joining;
            if waits_for_peer {
                // Whoever created it has not added us yet.
                let until = ctx.later(DIRECT_WAIT_MS, DIRECT_WAIT_MS);
                convo.row_mut().joining = Some(Joining::Wait { until });
                return Ok(());
            }
            core.end(ctx, convo, &failure)
        })?;
        Ok(())
    }

    /// The relay gave the current group: commit ourselves into it.
    pub(crate) fn join_on(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        group: &Group,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.group = false;
            let wanted = matches!(convo.row().joining, Some(Joining::External { .. }));
            if !wanted || convo.row().staged.is_some() {
                return Ok(());
            }
            let history = convo.row().history;
            let joined =
                Conversation::join_external(ctx.tx, &mut ctx.rng, &core.me, id, history, group, ctx.now);
            match store_or(joined)? {
                Ok((group, staged)) => {
                    core.alerts(ctx, id, staged.alerts);
                    convo.flight.wanted = group.cursor();
                    convo.group = Some(group);
                    convo.row_mut().staged = Some(StagedRow {
                        epoch: staged.epoch,
                        commit: staged.commit.0.to_vec(),
                        group_info: staged.group_info.0.to_vec(),
                        welcome: None,
                        change: 0,
                    });
                    Ok(())
                }
                Err(error) => core.join_refused(ctx, convo, &error.into()),
            }
        })?;
        Ok(())
    }

    /// Another commit was first: again, on the group as it is now.
    pub(crate) fn join_lost(&self, convo: &mut Convo) {
        convo.group = None;
        convo.flight = Flight::default();
        let row = convo.row_mut();
        row.staged = None;
        if let Some(Joining::External { tries, .. }) = &mut row.joining {
            *tries = tries.saturating_add(1);
        }
    }

    /// Our external commit is in the log: we are in.
    pub(crate) fn joined(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        let cursor = match convo.row().joining {
            Some(Joining::External { cursor, .. }) => cursor,
            _ => Sequence(0),
        };
        let again = convo.row().standing != Standing::Joining;
        if again {
            repair::count_repair(ctx.tx, Repair::Rejoined)?;
            ctx.event(Event::Repaired { conversation: convo.id, by: Repair::Rejoined });
        }
        self.stands(ctx, convo, cursor, true)
    }

    /// This device is in, one way or the other. `missed_from` is where an earlier state stopped.
    fn stands(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        missed_from: Sequence,
        external: bool,
    ) -> Result<(), StoreError> {
        let top = convo.cursor();
        let epoch = convo.group.as_ref().map_or(Epoch(0), Conversation::epoch);
        let me = (self.me.account(), self.me.device());
        let own_device_inside = convo.members().iter().any(|m| m.account == me.0 && m.device != me.1);
        let again = convo.row().standing != Standing::Joining;
        convo.flight = Flight { refresh_wanted: true, ..Flight::default() };
        for (number, row) in &mut convo.outbox {
            if row.sealed.take().is_some() {
                let key = crate::rows::outbox_key(convo.id, MessageNumber(*number));
                crate::rows::put(ctx.tx, key, row);
            }
        }
        let row = convo.row_mut();
        row.joining = None;
        row.staged = None;
        if row.standing != Standing::Leaving {
            row.standing = Standing::Member;
        }
        let readable = match row.history {
            HistoryPolicy::None => false,
            HistoryPolicy::All => true,
            // A further device of a member, or one that repaired itself; a new member has nothing before its joining.
            HistoryPolicy::SinceJoining => external && (own_device_inside || again || missed_from.0 > 0),
        };
        if readable && top.0 > missed_from.0.saturating_add(1) {
            let span = if again { u32::MAX } else { FIRST_BACKFILL };
            row.backfill = Some(Backfill {
                floor: missed_from,
                before: top,
                top,
                left: span,
                span,
                locked: 0,
                done: false,
                repair: again,
            });
            let until = Epoch(epoch.0.saturating_sub(1));
            row.keys_asked = Some(KeysAsked { from: Epoch(0), until, at: UnixMillis(0), tries: 0 });
        }
        if row.history != HistoryPolicy::None {
            self.vault_changed(ctx);
        }
        self.conversation_event(ctx, convo)?;
        if convo.changes.is_empty() {
            self.opened(ctx, convo.id);
        }
        Ok(())
    }

    /// Joins what the relay showed, for somebody who waits for it.
    pub(crate) fn begin_join(
        &mut self,
        ctx: &mut Ctx<'_>,
        state: &State,
        token: Token,
    ) -> Result<(), StoreError> {
        let id = state.conversation;
        let external = Joining::External { cursor: Sequence(0), tries: 0 };
        let known = self.with(id, |core, convo| {
            if convo.row().standing == Standing::Member {
                ctx.done(Some(token), Outcome::Conversation(id));
                return Ok(());
            }
            core.waiting.opening.entry(id).or_default().push(token);
            let row = convo.row_mut();
            row.standing = Standing::Joining;
            if !matches!(row.joining, Some(Joining::External { .. })) {
                row.joining = Some(external.clone());
            }
            Ok(())
        })?;
        if known.is_none() {
            let mut row = self.row_of(state, ctx.now);
            row.joining = Some(external);
            let mut convo = Convo::new(id, row);
            self.learn_state(ctx, &mut convo, state)?;
            self.add_convo(convo);
            self.waiting.opening.entry(id).or_default().push(token);
        }
        Ok(())
    }

    /// The direct conversation with an account, if this device has one.
    pub(crate) fn direct_with(&self, peer: AccountId) -> Option<ConversationId> {
        self.convos
            .values()
            .find(|convo| {
                convo.row().kind == Kind::Direct
                    && convo.row().standing != Standing::Gone
                    && (convo.row().peer == Some(peer) || convo.has_account(peer))
            })
            .map(|convo| convo.id)
    }
}
