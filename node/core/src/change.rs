//! Changing a group: wishes are kept until the log shows them done.
//!
//! One commit per conversation is on its way at a time. The relay takes the first one of an epoch; whoever
//! comes second processes the winner's commit from the log and looks at its wish again: it may be done already.

use crate::command::Token;
use crate::core::{Convo, Core, Ctx, store_or};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::link::Ask;
use crate::rows::{self, Change, Claimed, Joining, Kept, StagedRow};
use crate::view::Standing;
use sotto_e2ee::conversation::{self, Conversation, ConversationError};
use sotto_e2ee::key_package::{self, VerifiedKeyPackage};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::directory::{ClaimKeyPackages, ClaimedKeyPackage, KeyPackages};
use sotto_protocol::body::log::{Appended, Commit};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, UnixMillis};
use sotto_protocol::limits::ADDS_PER_COMMIT_MAX;
use sotto_protocol::ordered::one_by_one;
use std::collections::BTreeSet;

/// Claims of one conversation that are under way at once.
const CLAIMS_AT_ONCE: usize = 32;

/// How long to wait before joining again after a join did not verify.
const JOIN_PAUSE_MS: u64 = 1_000;

/// After so many refused joins in a row it is given up.
pub(crate) const JOIN_TRIES_MAX: u32 = 20;

/// What to do about a wish now.
enum Plan {
    Wait,
    Done,
    Stage(conversation::Change),
}

impl Core {
    pub(crate) fn add_change(
        &mut self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        change: Change,
        token: Option<Token>,
    ) {
        self.upkeep.last_change = self.upkeep.last_change.saturating_add(1);
        self.save_upkeep(ctx);
        let id = self.upkeep.last_change;
        convo.changes.insert(id, change);
        self.save_change(ctx, convo, id);
        if let Some(token) = token {
            self.waiting.changes.insert(id, token);
        }
    }

    pub(crate) fn save_change(&self, ctx: &Ctx<'_>, convo: &Convo, id: u64) {
        if let Some(change) = convo.changes.get(&id) {
            rows::put(ctx.tx, rows::change_key(convo.id, id), change);
        }
    }

    /// Makes the first wish come true, as far as that is possible now.
    pub(crate) fn drive_changes(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        if !convo.is_member() {
            return Ok(());
        }
        if convo.row().staged.is_some() {
            self.send_staged(ctx, convo);
            return Ok(());
        }
        // The answer to a commit that lost is still on its way: after it, the next one.
        while !convo.flight.commit {
            let Some(id) = convo.changes.keys().next().copied() else { return Ok(()) };
            match self.plan(ctx, convo, id)? {
                Plan::Wait => return Ok(()),
                Plan::Done => self.change_done(ctx, convo, id)?,
                Plan::Stage(change) => self.stage(ctx, convo, id, change)?,
            }
        }
        Ok(())
    }

    fn plan(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, id: u64) -> Result<Plan, StoreError> {
        let Some(change) = convo.changes.get(&id) else { return Ok(Plan::Done) };
        Ok(match change {
            Change::Add { .. } => return self.plan_add(ctx, convo, id),
            Change::Remove { accounts } => {
                let still: Vec<AccountId> =
                    accounts.iter().copied().filter(|account| convo.has_account(*account)).collect();
                if still.is_empty() {
                    Plan::Done
                } else {
                    Plan::Stage(conversation::Change::RemoveAccounts(still))
                }
            }
            Change::RemoveDevice { device } => {
                if convo.members().iter().any(|member| member.device == *device) {
                    Plan::Stage(conversation::Change::RemoveDevices(vec![*device]))
                } else {
                    Plan::Done
                }
            }
            Change::Update => Plan::Stage(conversation::Change::Update),
        })
    }

    fn plan_add(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, id: u64) -> Result<Plan, StoreError> {
        let Some(Change::Add { accounts, claimed, asked, .. }) = convo.changes.get(&id).cloned() else {
            return Ok(Plan::Done);
        };
        let me = self.me.account();
        let missing: Vec<AccountId> = accounts
            .iter()
            .copied()
            .filter(|account| !asked.contains(account))
            .filter(|account| *account == me || !convo.has_account(*account))
            .collect();
        let Some(suite) = convo.group.as_ref().map(Conversation::suite) else { return Ok(Plan::Wait) };
        if !missing.is_empty() && claimed.len() < ADDS_PER_COMMIT_MAX {
            for account in missing {
                if convo.flight.claims.len() >= CLAIMS_AT_ONCE || !convo.flight.claims.insert(account) {
                    continue;
                }
                let body = ClaimKeyPackages {
                    account,
                    suites: vec![suite.code_point()],
                    extensions: Default::default(),
                };
                self.link.ask(ctx, &self.settings, Ask::Claim(convo.id, id, account), &body);
            }
            return Ok(Plan::Wait);
        }
        let packages = self.verified(ctx, convo, &claimed);
        if packages.is_empty() {
            Ok(Plan::Done)
        } else {
            Ok(Plan::Stage(conversation::Change::Add(packages)))
        }
    }

    /// Of the packages in hand those of devices that are not in yet, checked.
    fn verified(&self, ctx: &mut Ctx<'_>, convo: &Convo, claimed: &[Claimed]) -> Vec<VerifiedKeyPackage> {
        let Some(suite) = convo.group.as_ref().map(Conversation::suite) else { return Vec::new() };
        let mut seen: BTreeSet<_> = one_by_one(convo.members().iter().map(|member| member.device));
        let mut verified = Vec::new();
        for package in claimed {
            if verified.len() >= ADDS_PER_COMMIT_MAX || !seen.insert(package.device) {
                continue;
            }
            let wire = ClaimedKeyPackage {
                device: package.device,
                package: package.package.clone().into(),
                last_resort: package.last_resort,
            };
            match key_package::verify(&wire, package.account, suite, ctx.now) {
                Ok(package) => verified.push(package),
                Err(error) => ctx.event(Event::LogTampered {
                    conversation: convo.id,
                    what: format!(
                        "the relay handed out a key package of {} that does not verify: {error}",
                        self.name_of(package.account)
                    ),
                }),
            }
        }
        verified
    }

    pub(crate) fn claimed(
        &mut self,
        ctx: &Ctx<'_>,
        id: ConversationId,
        change: u64,
        account: AccountId,
        answer: KeyPackages,
    ) -> Result<(), StoreError> {
        let me = self.me.device();
        self.with(id, |core, convo| {
            convo.flight.claims.remove(&account);
            let Some(Change::Add { claimed, asked, without_device, .. }) = convo.changes.get_mut(&change)
            else {
                return Ok(());
            };
            if asked.contains(&account) {
                return Ok(());
            }
            asked.push(account);
            if answer.packages.is_empty() && account != core.me.account() {
                without_device.push(account);
            }
            claimed.extend(answer.packages.into_iter().filter(|package| package.device != me).map(
                |package| Claimed {
                    account,
                    device: package.device,
                    package: package.package.0.to_vec(),
                    last_resort: package.last_resort,
                },
            ));
            core.save_change(ctx, convo, change);
            Ok(())
        })?;
        Ok(())
    }

    /// No package for this account: it is left out.
    pub(crate) fn claim_refused(
        &mut self,
        ctx: &Ctx<'_>,
        id: ConversationId,
        change: u64,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let nothing = KeyPackages { packages: Vec::new(), extensions: Default::default() };
        self.claimed(ctx, id, change, account, nothing)
    }

    fn stage(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        id: u64,
        change: conversation::Change,
    ) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_mut() else { return Ok(()) };
        match store_or(group.stage(ctx.tx, &mut ctx.rng, &self.me, change, ctx.now))? {
            Ok(staged) => {
                self.alerts(ctx, convo.id, staged.alerts);
                convo.row_mut().staged = Some(StagedRow {
                    epoch: staged.epoch,
                    commit: staged.commit.0.to_vec(),
                    group_info: staged.group_info.0.to_vec(),
                    welcome: staged.welcome.map(|welcome| welcome.0.to_vec()),
                    change: id,
                });
                self.send_staged(ctx, convo);
                Ok(())
            }
            Err(ConversationError::Damaged(_)) => {
                convo.flight.commit = true; // ends the caller's loop; a rejoin begins with a fresh flight
                convo.flight.damaged = true;
                Ok(())
            }
            Err(error) => {
                self.change_failed(ctx, convo, id, &error.into());
                Ok(())
            }
        }
    }

    /// Hands the staged commit to the relay; the same bytes as often as it takes.
    pub(crate) fn send_staged(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let Some(staged) = convo.row().staged.clone() else { return };
        if std::mem::replace(&mut convo.flight.commit, true) {
            return;
        }
        let body = Commit {
            conversation: convo.id,
            commit: staged.commit.into(),
            group_info: staged.group_info.into(),
            welcome: staged.welcome.map(Into::into),
            extensions: Default::default(),
        };
        self.link.ask(ctx, &self.settings, Ask::Commit(convo.id), &body);
    }

    /// The relay took our commit as this entry.
    pub(crate) fn committed(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        answer: &Appended,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.commit = false;
            if convo.row().staged.is_none() {
                return Ok(()); // found in the log before
            }
            let Some(group) = convo.group.as_mut() else { return Ok(()) };
            match store_or(group.confirm(ctx.tx, answer.sequence))? {
                Ok(processed) => {
                    core.alerts(ctx, id, processed.alerts);
                    match processed.outcome {
                        conversation::Outcome::OwnCommit(summary) => {
                            core.own_commit(ctx, convo, answer.sequence, answer.time, summary)
                        }
                        _ => Ok(()),
                    }
                }
                // What stands before it comes first; the commit is then found in the log by its bytes.
                Err(ConversationError::Gap { .. }) => {
                    convo.flight.wanted = convo.flight.wanted.max(answer.sequence);
                    Ok(())
                }
                Err(_) => {
                    convo.flight.damaged = true;
                    Ok(())
                }
            }
        })?;
        Ok(())
    }

    pub(crate) fn commit_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        error: WireError,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            let Some(staged) = convo.row().staged.clone() else { return Ok(()) };
            if error.code() == Some(ErrorCode::EpochMoved) {
                // Either another commit was first, or ours was and the answer got lost: the log knows.
                let epoch = convo.group.as_ref().map_or(Epoch(0), Conversation::epoch);
                if convo.row().joining.is_some() || error.context != epoch.0 {
                    convo.flight.wanted = convo.flight.wanted.max(convo.cursor().next());
                }
                return Ok(());
            }
            if convo.row().joining.is_some() {
                let failure = Failure::from(error);
                return core.join_refused(ctx, convo, &failure);
            }
            if let Some(group) = convo.group.as_mut()
                && store_or(group.abandon(ctx.tx))?.is_err()
            {
                convo.flight.damaged = true;
                return Ok(());
            }
            convo.row_mut().staged = None;
            core.change_failed(ctx, convo, staged.change, &error.into());
            Ok(())
        })?;
        Ok(())
    }

    /// A join by external commit was refused: again after a pause, or for good.
    pub(crate) fn join_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        failure: &Failure,
    ) -> Result<(), StoreError> {
        self.join_lost(convo);
        let tries = match &convo.row().joining {
            Some(Joining::External { tries, .. }) => *tries,
            _ => 0,
        };
        let forbidden = matches!(
            failure.code,
            FailureCode::Relay(ErrorCode::Forbidden | ErrorCode::NotMember | ErrorCode::NotFound)
        );
        if forbidden || tries >= JOIN_TRIES_MAX {
            return self.end(ctx, convo, failure);
        }
        let until = ctx.later(JOIN_PAUSE_MS.saturating_mul(u64::from(tries.max(1))), JOIN_PAUSE_MS);
        convo.flight.hold = Some(until);
        convo.wake_at(until);
        Ok(())
    }

    /// The log shows the wish fulfilled, by us or by somebody else.
    pub(crate) fn change_done(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        id: u64,
    ) -> Result<(), StoreError> {
        let Some(change) = convo.changes.remove(&id) else { return Ok(()) };
        ctx.tx.delete(rows::change_key(convo.id, id));
        let token = self.waiting.changes.remove(&id);
        let Change::Add { accounts, added, without_device, .. } = change else {
            ctx.done(token, Outcome::Nothing);
            return Ok(());
        };
        let me = self.me.account();
        let inside: Vec<AccountId> =
            accounts.into_iter().filter(|account| *account != me && convo.has_account(*account)).collect();
        if inside.is_empty() && !without_device.is_empty() {
            let failure = Failure::new(FailureCode::NoDevice, self.no_device(&without_device));
            ctx.failed(token, failure.clone());
            if convo.row().kind == sotto_protocol::body::conversation::Kind::Direct {
                for token in self.waiting.opening.remove(&convo.id).unwrap_or_default() {
                    ctx.failed(Some(token), failure.clone());
                }
            }
        } else {
            if !without_device.is_empty() {
                ctx.event(Event::NotAdded { conversation: convo.id, accounts: without_device.clone() });
            }
            ctx.done(token, Outcome::Added { added: inside, without_device });
        }
        if !added.is_empty() && !convo.row().name.is_empty() {
            let name = convo.row().name.clone();
            self.queue(ctx, convo, Kept::Info(name));
        }
        if !convo.changes.values().any(|change| matches!(change, Change::Add { .. })) {
            self.opened(ctx, convo.id);
        }
        Ok(())
    }

    fn no_device(&self, accounts: &[AccountId]) -> String {
        let names: Vec<String> = accounts.iter().map(|account| self.name_of(*account)).collect();
        format!("no device can be added yet for: {}", names.join(", "))
    }

    fn change_failed(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, id: u64, failure: &Failure) {
        let change = convo.changes.remove(&id);
        ctx.tx.delete(rows::change_key(convo.id, id));
        let token = self.waiting.changes.remove(&id);
        ctx.failed(token, failure.clone());
        if matches!(change, Some(Change::Add { .. })) {
            for token in self.waiting.opening.remove(&convo.id).unwrap_or_default() {
                ctx.failed(Some(token), failure.clone());
            }
        }
        if let Some(Change::Remove { accounts }) = change {
            // Removing one who left may have been refused for a reason that passes; not to be tried in a circle.
            let rest = UnixMillis(ctx.now.0.saturating_add(60_000));
            if accounts.iter().any(|account| convo.row().leavers.contains(account)) {
                convo.flight.removal_due = Some(rest);
                convo.wake_at(rest);
            }
        }
    }

    /// Adds a wish on behalf of somebody who waits for it, if this device may make one.
    pub(crate) fn wish(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        id: ConversationId,
        change: Change,
    ) -> Result<(), StoreError> {
        let known = self.with(id, |core, convo| {
            if matches!(convo.row().standing, Standing::Gone | Standing::Leaving) {
                let text = "this device is not a member of the conversation";
                ctx.failed(Some(token), Failure::new(FailureCode::NotMember, text));
            } else {
                core.add_change(ctx, convo, change, Some(token));
            }
            Ok(())
        })?;
        if known.is_none() {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
        }
        Ok(())
    }
}
