//! The look around that ends every input: what is wanted and not under way is asked for.

use crate::core::{Convo, Core, Ctx};
use crate::event::Event;
use crate::link::{Ask, Link};
use crate::rows::Joining;
use crate::view::Standing;
use bytes::Bytes;
use sotto_e2ee::archive_keys;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::Vault;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::{
    Create, GetGroup, GetWelcomes, Leave, List, SetRole, WelcomeTaken, Which, leave_bytes,
};
use sotto_protocol::body::log::{Fetch, Follow};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};
use sotto_protocol::limits::FETCH_ENTRIES_MAX;
use std::collections::BTreeSet;

/// The least time between two repairs of one conversation by joining again.
const REJOIN_PAUSE_MS: u64 = 10_000;

impl Core {
    /// Time has passed.
    pub(crate) fn timeout(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.link_timeout(ctx)?;
        for (id, convo) in &mut self.convos {
            if convo.wake.is_some_and(|wake| wake <= ctx.now) {
                convo.wake = None;
                self.dirty.insert(*id);
            }
        }
        self.typing_ends(ctx);
        self.expire(ctx)?;
        self.answers_due(ctx)?;
        self.calls_due(ctx)?;
        self.peers_due(ctx)?;
        self.index_step(ctx)?;
        self.vault(ctx)
    }

    /// When the next look is due.
    pub(crate) fn next_timeout(&self) -> Option<UnixMillis> {
        let mut next = self.link.next_deadline(&self.settings);
        let mut sooner = |at: Option<UnixMillis>| {
            if let Some(at) = at {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        };
        sooner(self.vault_due);
        sooner(self.next_expiry);
        sooner(self.convos.values().filter_map(|convo| convo.receipts.typing_until()).min());
        sooner(self.search.next_due());
        sooner(self.calls.deadline());
        sooner(self.peers.deadline());
        if self.link.is_ready() {
            sooner(self.convos.values().filter_map(|convo| convo.wake).min());
            sooner(self.answers.iter().map(|answer| answer.due).min());
        }
        next
    }

    /// A clock that jumped back must not stop everything.
    pub(crate) fn clamp_clock(&mut self, now: UnixMillis) {
        if now < self.last_now {
            self.link.clamp(now, &self.settings);
            for convo in self.convos.values_mut() {
                convo.wake = convo.wake.map(|_| now);
                convo.receipts.forget_times(now);
            }
            for answer in &mut self.answers {
                answer.due =
                    answer.due.min(UnixMillis(now.0.saturating_add(self.settings.request_timeout_ms)));
            }
            self.vault_due = self.vault_due.map(|_| now);
            self.vault_rests = now;
            self.search.clamp(now);
            self.calls.clamp(now);
            self.peers.clamp(now);
        }
        self.last_now = now;
    }

    pub(crate) fn drive(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.check_call(ctx)?;
        if !self.link.is_ready() {
            return Ok(());
        }
        self.drive_link(ctx)?;
        let mut driven = BTreeSet::new();
        // Driving one conversation may touch another; each is looked at once in an input, and again at the next.
        while let Some(id) = self.dirty.iter().find(|id| !driven.contains(*id)).copied() {
            driven.insert(id);
            self.with(id, |core, convo| core.drive_convo(ctx, convo))?;
        }
        let following = std::mem::take(&mut self.link.to_follow);
        if !following.is_empty() {
            let body =
                Follow { conversations: following.keys().copied().collect(), extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Follow(following), &body);
        }
        if !self.link.synchronised && self.is_synchronised() {
            self.link.synchronised = true;
            ctx.event(Event::Synchronised);
        }
        Ok(())
    }

    /// Every conversation has caught up on this connection, and nobody is on the way in.
    pub(crate) fn is_synchronised(&self) -> bool {
        self.link.is_ready()
            && !self.link.want_welcomes
            && !self.link.asked_welcomes
            && !self.link.want_mine
            && !self.link.asked_mine
            && self.link.arrivals.is_empty()
            && self.convos.values().all(|convo| match convo.row().standing {
                Standing::Gone => true,
                Standing::Joining => false,
                Standing::Member | Standing::Leaving => convo.row().joining.is_none() && convo.caught_up(),
            })
    }

    /// Synchronised, and nothing waits to be sent, changed, repaired or published.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_synchronised()
            && !self.link.want_stock
            && self.link.nothing_under_way()
            && self.answers.is_empty()
            && self.convos.values().all(|convo| {
                let row = convo.row();
                row.standing == Standing::Gone
                    || (convo.outbox.is_empty()
                        && convo.changes.is_empty()
                        && convo.broken.is_empty()
                        && row.staged.is_none()
                        && row.leavers.is_empty()
                        && convo.flight.name_due.is_none()
                        && !self.receipts_due(convo)
                        && row.backfill.as_ref().is_none_or(|backfill| backfill.done))
            })
    }

    fn drive_link(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        if self.link.hold.is_some_and(|hold| hold > ctx.now) {
            return Ok(());
        }
        if self.link.want_welcomes && !self.link.asked_welcomes && self.link.arrivals.is_empty() {
            self.link.want_welcomes = false;
            self.link.asked_welcomes = true;
            self.link.ask(ctx, &self.settings, Ask::Welcomes, &GetWelcomes::default());
        }
        self.drive_arrivals(ctx);
        // After the Welcomes, so that what they bring in is not taken for something to join by oneself.
        let welcomed = !self.link.want_welcomes && !self.link.asked_welcomes && self.link.arrivals.is_empty();
        if self.link.want_mine && !self.link.asked_mine && welcomed {
            self.link.asked_mine = true;
            let body = List { which: Which::Mine, extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Mine, &body);
        }
        if self.link.want_stock && !self.link.asked_stock {
            self.link.asked_stock = true;
            self.ask_stock(ctx)?;
        }
        Ok(())
    }

    fn drive_arrivals(&mut self, ctx: &mut Ctx<'_>) {
        let ids: Vec<ConversationId> = self.link.arrivals.keys().copied().collect();
        for id in ids {
            let Some(arrival) = self.link.arrivals.get_mut(&id) else { continue };
            let epoch = arrival.welcome.epoch;
            if arrival.settled {
                if !std::mem::replace(&mut arrival.asked_taken, true) {
                    let body = WelcomeTaken { conversation: id, epoch, extensions: Default::default() };
                    self.link.ask(ctx, &self.settings, Ask::WelcomeTaken(id), &body);
                }
                continue;
            }
            let ask_state = arrival.state.is_none() && !std::mem::replace(&mut arrival.asked_state, true);
            let ask_group = arrival.group.is_none() && !std::mem::replace(&mut arrival.asked_group, true);
            if ask_state {
                let body = List { which: Which::One(id), extensions: Default::default() };
                self.link.ask(ctx, &self.settings, Ask::WelcomeState(id), &body);
            }
            if ask_group {
                let body = GetGroup { conversation: id, epoch: Some(epoch), extensions: Default::default() };
                self.link.ask(ctx, &self.settings, Ask::WelcomeGroup(id), &body);
            }
        }
    }

    fn drive_convo(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        if convo.row().standing == Standing::Gone {
            return Ok(());
        }
        if let Some(hold) = convo.flight.hold {
            if hold > ctx.now {
                convo.wake_at(hold);
                return Ok(());
            }
            convo.flight.hold = None;
        }
        if convo.flight.damaged && convo.row().joining.is_none() {
            let next = convo.rejoin_began.map(|at| UnixMillis(at.0.saturating_add(REJOIN_PAUSE_MS)));
            if let Some(next) = next.filter(|next| *next > ctx.now) {
                convo.wake_at(next);
                return Ok(());
            }
            self.begin_rejoin(ctx, convo)?;
        }
        if let Some(joining) = convo.row().joining.clone() {
            return self.drive_joining(ctx, convo, joining);
        }
        if !convo.flight.followed && !convo.flight.following {
            convo.flight.following = true;
            self.link.to_follow.insert(convo.id, convo.cursor());
        }
        self.drive_fetch(ctx, convo);
        if !convo.caught_up() {
            return Ok(());
        }
        self.drive_refresh(ctx, convo);
        self.drive_leaving(ctx, convo);
        self.drive_leavers(ctx, convo);
        self.drive_name(ctx, convo);
        self.drive_repair(ctx, convo)?;
        if let Some(joining) = convo.row().joining.clone() {
            return self.drive_joining(ctx, convo, joining);
        }
        self.drive_backfill(ctx, convo);
        self.drive_keys(ctx, convo)?;
        self.drive_changes(ctx, convo)?;
        self.drive_outbox(ctx, convo)?;
        self.drive_receipts(ctx, convo);
        if convo.flight.damaged {
            convo.wake_at(ctx.now); // found while looking around: repaired by the next look
        }
        Ok(())
    }

    /// The log goes further than we have read.
    pub(crate) fn drive_fetch(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let cursor = convo.cursor();
        if let Some((head, due)) = convo.flight.expected {
            if head <= cursor {
                convo.flight.expected = None;
            } else if due <= ctx.now {
                convo.flight.expected = None;
                convo.flight.wanted = convo.flight.wanted.max(head);
            } else {
                convo.wake_at(due);
            }
        }
        if !convo.flight.fetching && convo.flight.wanted > cursor {
            convo.flight.fetching = true;
            self.fetch(ctx, convo.id, cursor);
        }
    }

    fn fetch(&mut self, ctx: &mut Ctx<'_>, conversation: ConversationId, after: Sequence) {
        let limit = u32::try_from(FETCH_ENTRIES_MAX).unwrap_or(u32::MAX);
        let body = Fetch { conversation, after, limit, extensions: Default::default() };
        self.link.ask(ctx, &self.settings, Ask::Fetch(conversation, after), &body);
    }

    fn drive_joining(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        joining: Joining,
    ) -> Result<(), StoreError> {
        match joining {
            Joining::Create { group_info, tree } => {
                if !std::mem::replace(&mut convo.flight.create, true) {
                    let row = convo.row();
                    let body = Create {
                        conversation: convo.id,
                        kind: row.kind,
                        history: row.history,
                        peer: row.peer,
                        listed_name: row.listed_name.clone(),
                        group_info: group_info.into(),
                        tree: tree.into(),
                        extensions: Default::default(),
                    };
                    self.link.ask(ctx, &self.settings, Ask::Create(convo.id), &body);
                }
            }
            Joining::Wait { until } if until > ctx.now => convo.wake_at(until),
            Joining::Wait { .. } => {
                convo.row_mut().joining = Some(Joining::External { cursor: Sequence(0), tries: 0 });
                self.drive_external(ctx, convo);
            }
            Joining::External { .. } => self.drive_external(ctx, convo),
        }
        Ok(())
    }

    fn drive_external(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        if convo.row().staged.is_some() {
            // The answer to our commit may have been lost, and the commit may be in the log.
            self.drive_fetch(ctx, convo);
            if !convo.flight.fetching {
                self.send_staged(ctx, convo);
            }
        } else if !std::mem::replace(&mut convo.flight.group, true) {
            let body = GetGroup { conversation: convo.id, epoch: None, extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Group(convo.id), &body);
        }
    }

    fn drive_refresh(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let waiting = !convo.kinds().contested.is_empty() || !convo.kinds().waiting_timers.is_empty();
        if waiting && !std::mem::replace(&mut convo.flight.contested_asked, true) {
            convo.flight.refresh_wanted = true;
        }
        if let Some(due) = convo.flight.roles_due {
            if due <= ctx.now {
                convo.flight.roles_due = None;
                convo.flight.refresh_wanted = true;
            } else {
                convo.wake_at(due);
            }
        }
        if convo.flight.refresh_wanted && !convo.flight.refreshing {
            convo.flight.refresh_wanted = false;
            convo.flight.refreshing = true;
            let body = List { which: Which::One(convo.id), extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Refresh(convo.id), &body);
        }
    }

    fn drive_leaving(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let me = self.me.account();
        let said = convo.row().leavers.contains(&me);
        if convo.row().standing == Standing::Leaving && !said && !convo.flight.leave {
            convo.flight.leave = true;
            let signature = self.me.sign(&leave_bytes(convo.id, me));
            let body = Leave { conversation: convo.id, signature, extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Leave(convo.id), &body);
        }
    }

    /// Answers to other devices, at their times.
    fn answers_due(&mut self, ctx: &Ctx<'_>) -> Result<(), StoreError> {
        if !self.link.is_ready() {
            return Ok(());
        }
        let (due, later) = std::mem::take(&mut self.answers).into_iter().partition(|a| a.due <= ctx.now);
        self.answers = later;
        for answer in due {
            let answer: crate::core::Answer = answer;
            self.with(answer.conversation, |core, convo| core.give_keys(ctx, convo, &answer))?;
        }
        Ok(())
    }

    /// Seals the vault when its time has come.
    pub(crate) fn vault(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        if self.vault_due.is_none_or(|due| due > ctx.now) {
            return Ok(());
        }
        self.vault_due = None;
        self.vault_rests = UnixMillis(ctx.now.0.saturating_add(self.settings.vault_rest_ms));
        let identity = AccountIdentity::from_secret(self.identity.secret());
        let vault = Vault { identity, archive_keys: archive_keys::export_all(ctx.tx)? };
        let sealed = self.recovery.seal_vault(&mut ctx.rng, self.me.account(), &vault);
        self.upkeep.vault_changed = false;
        self.save_upkeep(ctx);
        ctx.event(Event::VaultChanged(Bytes::from(sealed)));
        Ok(())
    }

    pub(crate) fn ask_role(&mut self, ctx: &mut Ctx<'_>, ask: Ask, body: &SetRole) {
        Link::ask(&mut self.link, ctx, &self.settings, ask, body);
    }
}
