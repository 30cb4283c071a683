//! What a client holds in memory, and the context of one input.
//!
//! Everything that matters is in rows; this is a copy of them plus what belongs to one connection (the
//! [`Flight`] of each conversation, the [`Link`]). When a commit of the store fails, all of it is dropped and
//! loaded again.

use crate::calls::Calls;
use crate::command::Token;
use crate::event::{Event, Failure, FailureCode, Outcome, Output};
use crate::kinds::ask::HeldWish;
use crate::kinds::receipts::Receipts;
use crate::kinds::{KindsRow, expiry};
use crate::link::Link;
use crate::operation::Operations;
use crate::peers::{self, Peers};
use crate::presence::Presence;
use crate::rows::{
    self, AccountRow, BrokenRow, Change, ConversationRow, HistoryRow, MetaRow, Numbered, OutboxRow, UpkeepRow,
};
use crate::search::Search;
use crate::settings::Settings;
use bytes::BytesMut;
use rand_core::CryptoRng;
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{Alert, Conversation, ConversationError, Sender};
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_e2ee::identity::{AccountIdentity, LocalDevice};
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::ids::{AccountId, ConversationId, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one;
use std::collections::{BTreeMap, BTreeSet};

/// One input on its way through the machine: what it writes, when it is, and what it will put out.
pub(crate) struct Ctx<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) now: UnixMillis,
    pub(crate) rng: &'a mut dyn CryptoRng,
    /// Frames to send, in order.
    pub(crate) frames: BytesMut,
    pub(crate) events: Vec<Event>,
    pub(crate) disconnect: bool,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(tx: &'a Transaction<'a>, now: UnixMillis, rng: &'a mut dyn CryptoRng) -> Self {
        Self { tx, now, rng, frames: BytesMut::new(), events: Vec::new(), disconnect: false }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn done(&mut self, token: Option<Token>, outcome: Outcome) {
        if let Some(token) = token {
            self.event(Event::Done { token, outcome });
        }
    }

    pub(crate) fn failed(&mut self, token: Option<Token>, failure: Failure) {
        if let Some(token) = token {
            self.event(Event::Failed { token, failure });
        }
    }

    /// A time from now, later by a random part of `spread_ms`.
    pub(crate) fn later(&mut self, at_least_ms: u64, spread_ms: u64) -> UnixMillis {
        let random = if spread_ms == 0 { 0 } else { self.rng.next_u64() % spread_ms };
        UnixMillis(self.now.0.saturating_add(at_least_ms).saturating_add(random))
    }

    /// Frames first, events after: both exist only once the store has everything.
    pub(crate) fn into_outputs(self) -> Vec<Output> {
        let mut outputs = Vec::with_capacity(self.events.len() + 2);
        if !self.frames.is_empty() {
            outputs.push(Output::Send(self.frames.freeze()));
        }
        outputs.extend(self.events.into_iter().map(Output::Event));
        if self.disconnect {
            outputs.push(Output::Disconnect);
        }
        outputs
    }
}

/// What is under way for one conversation on this connection. Gone with the connection.
#[derive(Default)]
pub(crate) struct Flight {
    pub(crate) followed: bool,
    pub(crate) following: bool,
    pub(crate) fetching: bool,
    /// The log is known to go at least this far.
    pub(crate) wanted: Sequence,
    /// The log goes this far, and a push should bring it; else it is fetched at the time.
    pub(crate) expected: Option<(Sequence, UnixMillis)>,
    pub(crate) commit: bool,
    pub(crate) group: bool,
    pub(crate) create: bool,
    pub(crate) leave: bool,
    pub(crate) refresh_wanted: bool,
    pub(crate) refreshing: bool,
    pub(crate) archive: bool,
    pub(crate) appends: BTreeSet<u64>,
    pub(crate) claims: BTreeSet<AccountId>,
    /// The relay asked to be left alone until then.
    pub(crate) hold: Option<UnixMillis>,
    /// When to remove those who left.
    pub(crate) removal_due: Option<UnixMillis>,
    /// When to ask for the roles of now, because a member says that they changed.
    pub(crate) roles_due: Option<UnixMillis>,
    /// When to tell the name to a device that joined by itself, unless another member does before.
    pub(crate) name_due: Option<UnixMillis>,
    /// Fetches in a row that brought nothing.
    pub(crate) empty_fetches: u32,
    /// The state was found broken: join again.
    pub(crate) damaged: bool,
    /// Others were asked what they have read, or did not need to be.
    pub(crate) receipts_asked: bool,
    /// The roles were asked for because something waits for them from before.
    pub(crate) contested_asked: bool,
}

/// One conversation in memory.
pub(crate) struct Convo {
    pub(crate) id: ConversationId,
    row: ConversationRow,
    changed: bool,
    pub(crate) group: Option<Conversation>,
    pub(crate) outbox: Numbered<OutboxRow>,
    pub(crate) changes: Numbered<Change>,
    pub(crate) broken: Numbered<BrokenRow>,
    kinds: KindsRow,
    kinds_changed: bool,
    pub(crate) receipts: Receipts,
    pub(crate) flight: Flight,
    /// When to look at it again.
    pub(crate) wake: Option<UnixMillis>,
    /// When a rejoin began last, so that a repair which does not help is not repeated without a pause.
    pub(crate) rejoin_began: Option<UnixMillis>,
}

impl Convo {
    pub(crate) fn new(id: ConversationId, row: ConversationRow) -> Self {
        Self {
            id,
            row,
            changed: true,
            group: None,
            outbox: Numbered::new(),
            changes: Numbered::new(),
            broken: Numbered::new(),
            kinds: KindsRow::default(),
            kinds_changed: false,
            receipts: Receipts::default(),
            flight: Flight::default(),
            wake: None,
            rejoin_began: None,
        }
    }

    pub(crate) fn row(&self) -> &ConversationRow {
        &self.row
    }

    pub(crate) fn row_mut(&mut self) -> &mut ConversationRow {
        self.changed = true;
        &mut self.row
    }

    pub(crate) fn kinds(&self) -> &KindsRow {
        &self.kinds
    }

    pub(crate) fn kinds_mut(&mut self) -> &mut KindsRow {
        self.kinds_changed = true;
        &mut self.kinds
    }

    pub(crate) fn save(&mut self, tx: &Transaction<'_>) {
        if self.changed {
            rows::put(tx, rows::conversation_key(self.id), &self.row);
            self.changed = false;
        }
        if self.kinds_changed {
            rows::put(tx, KindsRow::key(self.id), &self.kinds);
            self.kinds_changed = false;
        }
        self.receipts.save(tx, self.id);
    }

    /// Looks again at this time at the latest.
    pub(crate) fn wake_at(&mut self, at: UnixMillis) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    pub(crate) fn cursor(&self) -> Sequence {
        self.group.as_ref().map_or(Sequence(0), Conversation::cursor)
    }

    /// In the group, by a state that works.
    pub(crate) fn is_member(&self) -> bool {
        self.row.joining.is_none() && self.group.as_ref().is_some_and(Conversation::is_member)
    }

    /// Nothing is known to be missing.
    pub(crate) fn caught_up(&self) -> bool {
        self.flight.followed && !self.flight.fetching && self.flight.wanted <= self.cursor()
    }

    pub(crate) fn members(&self) -> Vec<Sender> {
        self.group.as_ref().map(Conversation::members).unwrap_or_default()
    }

    pub(crate) fn has_account(&self, account: AccountId) -> bool {
        self.members().iter().any(|member| member.account == account)
    }
}

/// What waits for a conversation's change of state.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) sends: BTreeMap<(ConversationId, MessageNumber), Token>,
    pub(crate) changes: BTreeMap<u64, Token>,
    /// Until the conversation stands: created, its first members added; or joined.
    pub(crate) opening: BTreeMap<ConversationId, Vec<Token>>,
    pub(crate) leaving: BTreeMap<ConversationId, Token>,
    pub(crate) history: BTreeMap<ConversationId, Token>,
    pub(crate) wishes: Vec<HeldWish>,
}

/// An answer to another device's request for keys, at its time.
pub(crate) struct Answer {
    pub(crate) conversation: ConversationId,
    pub(crate) to: Sender,
    pub(crate) request: Content,
    pub(crate) due: UnixMillis,
}

/// The whole client but its store.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) me: LocalDevice,
    pub(crate) username: String,
    pub(crate) identity: AccountIdentity,
    pub(crate) recovery: RecoveryKey,
    pub(crate) token: String,
    pub(crate) link: Link,
    /// Each in a box of its own: in browsers the code of a map is large, and maps of boxes share it.
    pub(crate) convos: BTreeMap<ConversationId, Box<Convo>>,
    pub(crate) accounts: BTreeMap<AccountId, String>,
    pub(crate) upkeep: UpkeepRow,
    pub(crate) dirty: BTreeSet<ConversationId>,
    pub(crate) waiting: Waiting,
    pub(crate) operations: Operations,
    pub(crate) answers: Vec<Answer>,
    pub(crate) presence: Presence,
    pub(crate) calls: Calls,
    pub(crate) peers: Peers,
    pub(crate) search: Search,
    pub(crate) vault_due: Option<UnixMillis>,
    /// The vault is not sealed before, since it was a while ago.
    pub(crate) vault_rests: UnixMillis,
    /// When the next text disappears.
    pub(crate) next_expiry: Option<UnixMillis>,
    pub(crate) last_now: UnixMillis,
}

impl Core {
    /// Everything from its rows.
    pub(crate) fn load(
        tx: &Transaction<'_>,
        settings: Settings,
        meta: &MetaRow,
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        let me = LocalDevice::from_bytes(&meta.device)
            .map_err(|error| StoreError::Damaged(format!("the device's keys: {error}")))?;
        let mut convos = BTreeMap::new();
        for (id, row) in rows::conversations(tx)? {
            let mut convo = Convo::new(id, row);
            convo.changed = false;
            convo.outbox = rows::outbox(tx, id)?;
            convo.changes = rows::changes(tx, id)?;
            convo.broken = rows::broken(tx, id)?;
            convo.kinds = rows::get(tx, &KindsRow::key(id))?.unwrap_or_default();
            convo.receipts = Receipts::load(tx, id)?;
            load_group(tx, &mut convo)?;
            convos.insert(id, Box::new(convo));
        }
        let calls = Calls::new(me.device(), me.account(), now).load(tx)?;
        let peers = Peers::new(me.device(), peers::relay_only(tx)?, now);
        let accounts = one_by_one(rows::accounts(tx)?.into_iter().map(|(id, row)| (id, row.username)));
        let upkeep: UpkeepRow = rows::get(tx, &rows::upkeep_key())?.unwrap_or_default();
        let vault_due = upkeep.vault_changed.then_some(now);
        Ok(Self {
            settings,
            me,
            username: meta.username.clone(),
            identity: AccountIdentity::from_secret(&meta.identity),
            recovery: RecoveryKey::from_secret(&meta.recovery),
            token: String::new(),
            link: Link::default(),
            convos,
            accounts,
            upkeep,
            dirty: BTreeSet::new(),
            waiting: Waiting::default(),
            operations: Operations::default(),
            answers: Vec::new(),
            presence: Presence::load(tx)?,
            calls,
            peers,
            search: Search::load(tx)?,
            vault_due,
            vault_rests: now,
            next_expiry: expiry::next(tx)?,
            last_now: now,
        })
    }

    /// Runs `work` on one conversation, taken out of the map meanwhile so that both can be changed.
    pub(crate) fn with<T>(
        &mut self,
        id: ConversationId,
        work: impl FnOnce(&mut Self, &mut Convo) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(mut convo) = self.convos.remove(&id) else { return Ok(None) };
        let result = work(self, &mut convo);
        self.convos.insert(id, convo);
        self.dirty.insert(id);
        result.map(Some)
    }

    pub(crate) fn add_convo(&mut self, convo: Convo) {
        self.dirty.insert(convo.id);
        self.convos.insert(convo.id, Box::new(convo));
    }

    /// Writes the rows of what was touched.
    pub(crate) fn save(&mut self, ctx: &Ctx<'_>) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(convo) = self.convos.get_mut(&id) {
                convo.save(ctx.tx);
            }
        }
    }

    pub(crate) fn save_upkeep(&self, ctx: &Ctx<'_>) {
        rows::put(ctx.tx, rows::upkeep_key(), &self.upkeep);
    }

    /// Learns a user name; true if it is new.
    pub(crate) fn learn_name(&mut self, ctx: &Ctx<'_>, account: AccountId, username: &str) -> bool {
        if username.is_empty() || self.accounts.get(&account).is_some_and(|known| known == username) {
            return false;
        }
        self.accounts.insert(account, username.to_owned());
        rows::put(ctx.tx, rows::account_key(account), &AccountRow { username: username.to_owned() });
        true
    }

    pub(crate) fn name_of(&self, account: AccountId) -> String {
        if account == self.me.account() {
            return self.username.clone();
        }
        self.accounts.get(&account).cloned().unwrap_or_default()
    }

    /// The contents of the vault changed: seal it soon.
    pub(crate) fn vault_changed(&mut self, ctx: &Ctx<'_>) {
        if !self.upkeep.vault_changed {
            self.upkeep.vault_changed = true;
            self.save_upkeep(ctx);
        }
        if self.vault_due.is_none() {
            let moment = UnixMillis(ctx.now.0.saturating_add(self.settings.vault_moment_ms));
            self.vault_due = Some(moment.max(self.vault_rests));
        }
    }

    /// What goes to the person, loudly.
    pub(crate) fn alerts(&self, ctx: &mut Ctx<'_>, conversation: ConversationId, alerts: Vec<Alert>) {
        for alert in alerts {
            let event = match alert {
                Alert::IdentityChanged { account, was_verified, .. } => {
                    Event::IdentityChanged { account, username: self.name_of(account), was_verified }
                }
                Alert::LogForked { by, at } => Event::LogTampered {
                    conversation,
                    what: format!(
                        "the relay shows {} another log than this device (entry {at})",
                        self.name_of(by.account)
                    ),
                },
                Alert::LogRewritten { at } => Event::LogTampered {
                    conversation,
                    what: format!("the relay gave another entry for place {at}, which was read before"),
                },
                Alert::HistoryDiffers { by, .. } => Event::LogTampered {
                    conversation,
                    what: format!(
                        "the relay told {} another history policy of the conversation",
                        self.name_of(by.account)
                    ),
                },
                Alert::Withheld { device, due, got } => Event::LogTampered {
                    conversation,
                    what: format!(
                        "the relay withheld contents {due} to {} of device {device}",
                        got.0.saturating_sub(1)
                    ),
                },
                Alert::LogRewound { cursor, head } => Event::LogTampered {
                    conversation,
                    what: format!("the relay's log ends at {head}, but this device has read up to {cursor}"),
                },
                other => Event::LogTampered { conversation, what: format!("{other:?}") },
            };
            ctx.event(event);
        }
    }

    /// Adds a line to the local history. Only a `live` one is an event of its own.
    pub(crate) fn add_line(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        line: &HistoryRow,
        live: bool,
    ) -> Result<(), StoreError> {
        rows::put(ctx.tx, rows::history_key(convo.id, sequence), line);
        self.line_added(ctx, convo, sequence, line, live)
    }

    /// What a new line means for the conversation.
    pub(crate) fn line_added(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        line: &HistoryRow,
        live: bool,
    ) -> Result<(), StoreError> {
        let own = line.account == self.me.account();
        let is_text = line.line.is_said();
        let is_news = line.line.is_news();
        if is_text && own && convo.kinds().last_own.0 < sequence {
            convo.kinds_mut().last_own = (sequence, line.time);
        }
        if is_text && !own && convo.kinds().last_others < sequence {
            convo.kinds_mut().last_others = sequence;
        }
        if convo.row().last_line < sequence {
            convo.row_mut().last_line = sequence;
        }
        if is_news && !own && sequence > convo.row().read_upto {
            let row = convo.row_mut();
            row.unread = row.unread.saturating_add(1);
        }
        if live {
            let message = self.message_of(ctx.tx, convo, sequence, line.clone())?;
            ctx.event(Event::Message(message));
        }
        Ok(())
    }
}

/// Loads the group of a conversation; one that is damaged is marked so.
pub(crate) fn load_group(tx: &Transaction<'_>, convo: &mut Convo) -> Result<(), StoreError> {
    match store_or(Conversation::load(tx, convo.id))? {
        Ok(group) => {
            let lost = group.is_none()
                && convo.row.joining.is_none()
                && convo.row.standing != crate::view::Standing::Gone;
            convo.flight.damaged = lost;
            convo.group = group;
        }
        Err(_) => convo.flight.damaged = true,
    }
    Ok(())
}

/// Tells a failing store from everything else that can go wrong in a group. A damaged row of a group is among
/// the latter: joining again replaces it, and everything else in the store is still good.
pub(crate) fn store_or<T>(
    result: Result<T, ConversationError>,
) -> Result<Result<T, ConversationError>, StoreError> {
    match result {
        Err(ConversationError::Store(error)) if !matches!(error, StoreError::Damaged(_)) => Err(error),
        other => Ok(other),
    }
}

impl From<ConversationError> for Failure {
    fn from(error: ConversationError) -> Self {
        let code = match error {
            ConversationError::Store(_) => FailureCode::Store,
            ConversationError::NotMember => FailureCode::NotMember,
            ConversationError::Content(_) => FailureCode::TooLarge,
            ConversationError::ForgedCertificate => FailureCode::Identity,
            _ => FailureCode::Encryption,
        };
        Self::new(code, error.to_string())
    }
}
