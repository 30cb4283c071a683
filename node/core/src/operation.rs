//! Commands that begin with questions to the relay: whose name is this, which room is that.
//!
//! An operation lives in memory only. What it leads to (a conversation, a change) is kept in rows.

use crate::command::{NewConversation, Token, Who};
use crate::core::{Convo, Core, Ctx, store_or};
use crate::event::{Failure, FailureCode, Outcome, Room};
use crate::link::{Ask, Trouble};
use crate::rows::{self, Change, Joining};
use sotto_e2ee::content::Ephemeral;
use sotto_e2ee::conversation::Conversation;
use sotto_e2ee::store::StoreError;
use sotto_mls::suite::Suite;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, List, Role, SetRole, States, Which};
use sotto_protocol::body::directory::{AccountCard, LookUp, LookUpBy};
use sotto_protocol::body::log::FetchArchive;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::Frame;
use sotto_protocol::ids::{AccountId, ConversationId, Sequence};
use sotto_protocol::ordered::one_by_one;
use std::collections::{BTreeMap, BTreeSet};

/// What an operation is for.
pub(crate) enum What {
    Create(NewConversation),
    Direct(Suite),
    Add(ConversationId),
    Remove(ConversationId),
    SetRole(ConversationId, Role),
    LookUp,
    ListRooms,
    Join,
    History(ConversationId),
}

struct Operation {
    token: Token,
    what: What,
    /// What was asked for by name, for the sentence when there is no such account.
    names: Vec<String>,
    open: usize,
    cards: Vec<AccountCard>,
}

/// The operations under way.
#[derive(Default)]
pub(crate) struct Operations {
    last: u64,
    running: BTreeMap<u64, Operation>,
}

impl Operations {
    fn begin(&mut self, token: Token, what: What) -> u64 {
        self.last = self.last.wrapping_add(1);
        let operation = Operation { token, what, names: Vec::new(), open: 0, cards: Vec::new() };
        self.running.insert(self.last, operation);
        self.last
    }

    /// Ends one; gives who waits for it.
    pub(crate) fn end(&mut self, id: u64) -> Option<Token> {
        self.running.remove(&id).map(|operation| operation.token)
    }

    pub(crate) fn take_tokens(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.running).into_values().map(|operation| operation.token).collect()
    }
}

impl Core {
    fn online(&self, ctx: &mut Ctx<'_>, token: Token) -> bool {
        let ready = self.link.is_ready();
        if !ready {
            let text = "there is no connection to the relay";
            ctx.failed(Some(token), Failure::new(FailureCode::Offline, text));
        }
        ready
    }

    /// Begins an operation that needs accounts.
    pub(crate) fn resolve(&mut self, ctx: &mut Ctx<'_>, token: Token, what: What, who: Vec<Who>) {
        if !self.online(ctx, token) {
            return;
        }
        let id = self.operations.begin(token, what);
        for (question, who) in who.into_iter().enumerate() {
            let (name, by) = match who {
                Who::Username(name) => (name.clone(), LookUpBy::Username(name)),
                Who::Account(account) => (self.name_of(account), LookUpBy::Account(account)),
            };
            if let Some(operation) = self.operations.running.get_mut(&id) {
                operation.names.push(name);
                operation.open += 1;
            }
            let body = LookUp { by, extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Operation(id, question), &body);
        }
    }

    /// Begins an operation that is one question about conversations.
    pub(crate) fn list(&mut self, ctx: &mut Ctx<'_>, token: Token, what: What, which: Which) {
        if self.online(ctx, token) {
            let id = self.operations.begin(token, what);
            let body = List { which, extensions: Default::default() };
            self.link.ask(ctx, &self.settings, Ask::Operation(id, 0), &body);
        }
    }

    pub(crate) fn fetch_history(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        id: ConversationId,
        before: Option<Sequence>,
        limit: u32,
    ) -> Result<(), StoreError> {
        if !self.convos.contains_key(&id) {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
            return Ok(());
        }
        if !self.online(ctx, token) {
            return Ok(());
        }
        let from = match before {
            Some(before) => before,
            None => match rows::oldest_line(ctx.tx, id)? {
                Some(oldest) => oldest,
                None => self.convos.get(&id).map_or(Sequence(0), |convo| convo.cursor().next()),
            },
        };
        let operation = self.operations.begin(token, What::History(id));
        let body =
            FetchArchive { conversation: id, from, backwards: true, limit, extensions: Default::default() };
        self.link.ask(ctx, &self.settings, Ask::Operation(operation, 0), &body);
        Ok(())
    }

    pub(crate) fn operation_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u64,
        _question: usize,
        frame: &Frame,
    ) -> Result<(), Trouble> {
        let Some(operation) = self.operations.running.get_mut(&id) else { return Ok(()) };
        let token = operation.token;
        match &operation.what {
            What::ListRooms => {
                let states: States = frame.decode()?;
                self.operations.end(id);
                let rooms = states.conversations.into_iter().map(|state| Room {
                    conversation: state.conversation,
                    name: state.listed_name.unwrap_or_default(),
                    members: state.members.len(),
                });
                ctx.done(Some(token), Outcome::Rooms(rooms.collect()));
            }
            What::Join => {
                let states: States = frame.decode()?;
                self.operations.end(id);
                match states.conversations.first() {
                    Some(state) => self.begin_join(ctx, state, token)?,
                    None => ctx.failed(
                        Some(token),
                        Failure::new(
                            FailureCode::Relay(ErrorCode::NotFound),
                            "the relay shows this account no such conversation",
                        ),
                    ),
                }
            }
            What::History(conversation) => {
                let conversation = *conversation;
                let copies = frame.decode()?;
                self.operations.end(id);
                self.history_read(ctx, token, conversation, &copies)?;
            }
            What::SetRole(conversation, _) if operation.open == 0 => {
                let conversation = *conversation;
                self.operations.end(id);
                self.with(conversation, |core, convo| {
                    convo.flight.refresh_wanted = true;
                    // Nothing in the log says so. Who is away asks anyway when it comes back.
                    core.send_ephemeral(ctx, convo, Ephemeral::RolesChanged);
                    Ok(())
                })?;
                ctx.done(Some(token), Outcome::Nothing);
            }
            _ => {
                let card: AccountCard = frame.decode()?;
                operation.open = operation.open.saturating_sub(1);
                let complete = operation.open == 0;
                operation.cards.push(card.clone());
                self.learn_name(ctx, card.account, &card.username);
                if complete {
                    self.resolved(ctx, id)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn operation_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u64,
        question: usize,
        error: WireError,
    ) -> Result<(), StoreError> {
        let Some(operation) = self.operations.running.remove(&id) else { return Ok(()) };
        let asked_for_account = operation.names.get(question).filter(|_| operation.open > 0);
        let failure = match (error.code(), asked_for_account) {
            (Some(ErrorCode::NotFound), Some(name)) => {
                Failure::new(FailureCode::UnknownAccount, format!("there is no account named {name:?}"))
            }
            _ => error.into(),
        };
        ctx.failed(Some(operation.token), failure);
        Ok(())
    }

    /// Every account is known: on with it.
    fn resolved(&mut self, ctx: &mut Ctx<'_>, id: u64) -> Result<(), StoreError> {
        let Some(operation) = self.operations.running.get_mut(&id) else { return Ok(()) };
        let token = operation.token;
        let cards = std::mem::take(&mut operation.cards);
        if let What::SetRole(conversation, role) = operation.what {
            let Some(card) = cards.first() else { return Ok(()) };
            let body = SetRole { conversation, account: card.account, role, extensions: Default::default() };
            self.ask_role(ctx, Ask::Operation(id, 0), &body);
            return Ok(());
        }
        let Some(Operation { what, .. }) = self.operations.running.remove(&id) else { return Ok(()) };
        let me = self.me.account();
        // Own further devices come along into what this one creates.
        let own_devices = cards.iter().any(|card| card.account == me && card.devices.len() > 1);
        let others: BTreeSet<AccountId> =
            one_by_one(cards.iter().map(|card| card.account).filter(|account| *account != me));
        let mut accounts: Vec<AccountId> = others.into_iter().collect();
        match what {
            What::Create(new) => {
                if own_devices {
                    accounts.push(me);
                }
                self.create(ctx, token, new, accounts)
            }
            What::Direct(suite) => {
                let Some(peer) = accounts.first().copied() else {
                    let text = "a direct conversation needs somebody else";
                    ctx.failed(Some(token), Failure::new(FailureCode::Invalid, text));
                    return Ok(());
                };
                let no_device = cards.iter().any(|card| card.account == peer && card.devices.is_empty());
                self.open_direct(ctx, token, peer, suite, own_devices, no_device)
            }
            What::Add(conversation) => self.wish(ctx, token, conversation, add(accounts)),
            What::Remove(conversation) => self.wish(ctx, token, conversation, Change::Remove { accounts }),
            What::LookUp => {
                if let Some(card) = cards.into_iter().next() {
                    let AccountCard { account, username, identity_key, .. } = card;
                    ctx.done(Some(token), Outcome::Account { account, username, identity_key });
                }
                Ok(())
            }
            What::SetRole(..) | What::ListRooms | What::Join | What::History(_) => Ok(()),
        }
    }

    fn create(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        new: NewConversation,
        accounts: Vec<AccountId>,
    ) -> Result<(), StoreError> {
        let kind = if new.room { Kind::Room } else { Kind::Group };
        let mut row = self.new_row(kind, new.history, ctx.now);
        row.name = new.name;
        row.listed_name = new.listed_name;
        self.begin(ctx, token, row, new.suite, accounts)
    }

    fn open_direct(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        peer: AccountId,
        suite: Suite,
        own_devices: bool,
        no_device: bool,
    ) -> Result<(), StoreError> {
        if let Some(id) = self.direct_with(peer) {
            self.with(id, |core, convo| {
                if convo.is_member() && convo.has_account(peer) {
                    ctx.done(Some(token), Outcome::Conversation(id));
                    return Ok(());
                }
                core.waiting.opening.entry(id).or_default().push(token);
                if convo.row().joining.is_none() && convo.changes.is_empty() {
                    core.add_change(ctx, convo, add(vec![peer]), None);
                }
                Ok(())
            })?;
            return Ok(());
        }
        if no_device {
            let text = format!("{} has no device that could be written to yet", self.name_of(peer));
            ctx.failed(Some(token), Failure::new(FailureCode::NoDevice, text));
            return Ok(());
        }
        let mut accounts = vec![peer];
        if own_devices {
            accounts.push(self.me.account());
        }
        let mut row = self.new_row(Kind::Direct, HistoryPolicy::SinceJoining, ctx.now);
        row.peer = Some(peer);
        self.begin(ctx, token, row, suite, accounts)
    }

    /// Creates the group here and has it created at the relay.
    fn begin(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        mut row: rows::ConversationRow,
        suite: Suite,
        accounts: Vec<AccountId>,
    ) -> Result<(), StoreError> {
        let mut bytes = [0; 16];
        ctx.rng.fill_bytes(&mut bytes);
        let id = ConversationId(bytes);
        let created = Conversation::create(ctx.tx, &mut ctx.rng, &self.me, id, suite, row.history, ctx.now);
        let (group, genesis) = match store_or(created)? {
            Ok(created) => created,
            Err(error) => {
                ctx.failed(Some(token), error.into());
                return Ok(());
            }
        };
        row.joining = Some(Joining::Create {
            group_info: genesis.group_info.0.to_vec(),
            tree: genesis.tree.0.to_vec(),
        });
        let mut convo = Convo::new(id, row);
        convo.group = Some(group);
        if !accounts.is_empty() {
            self.add_change(ctx, &mut convo, add(accounts), None);
        }
        self.add_convo(convo);
        self.waiting.opening.entry(id).or_default().push(token);
        Ok(())
    }
}

pub(crate) fn add(accounts: Vec<AccountId>) -> Change {
    Change::Add {
        accounts,
        claimed: Vec::new(),
        asked: Vec::new(),
        added: Vec::new(),
        without_device: Vec::new(),
    }
}
