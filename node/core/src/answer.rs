//! Answers, refusals and missing answers, each led to what asked.

use crate::core::{Core, Ctx};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::link::{Ask, Trouble};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::States;
use sotto_protocol::error::{Blame, ErrorCode, WireError};
use sotto_protocol::frame::{Body, Frame};
use sotto_protocol::ids::UnixMillis;

/// How long to leave a relay alone that is busy or full and names no time.
const REST_MS: u64 = 2_000;

impl Core {
    pub(crate) fn answer(&mut self, ctx: &mut Ctx<'_>, ask: Ask, frame: &Frame) -> Result<(), Trouble> {
        if frame.header.kind == WireError::KIND {
            let error: WireError = frame.decode()?;
            self.refused(ctx, ask, error)?;
            return Ok(());
        }
        match ask {
            Ask::Authenticate => {}
            Ask::Ping => self.ponged(),
            Ask::Welcomes => self.welcomes(frame.decode()?),
            Ask::Mine => self.mine(ctx, frame.decode()?)?,
            Ask::Stock => self.stock(ctx, &frame.decode()?)?,
            Ask::Publish => self.published(ctx, &frame.decode()?),
            Ask::Follow(asked) => self.followed(ctx, &asked, &frame.decode()?),
            Ask::Fetch(id, after) => self.fetched(ctx, id, after, &frame.decode()?)?,
            Ask::Append(id, number) => self.appended(ctx, id, number, &frame.decode()?)?,
            Ask::Commit(id) => self.committed(ctx, id, &frame.decode()?)?,
            Ask::Create(id) => self.created(ctx, id, &frame.decode()?)?,
            Ask::Taken(id) => self.direct_taken(ctx, id, frame.decode()?)?,
            Ask::Group(id) => self.join_on(ctx, id, &frame.decode()?)?,
            Ask::WelcomeGroup(id) => self.welcome_group(ctx, id, frame.decode()?)?,
            Ask::WelcomeState(id) => self.welcome_state(ctx, id, frame.decode()?)?,
            Ask::WelcomeTaken(id) => self.welcome_taken(id),
            Ask::Claim(id, change, account) => self.claimed(ctx, id, change, account, frame.decode()?)?,
            Ask::Leave(id) => self.left(ctx, id)?,
            Ask::Refresh(id) => {
                let states: States = frame.decode()?;
                self.refreshed(ctx, id, states)?;
            }
            Ask::Backfill(id) => self.backfilled(ctx, id, &frame.decode()?)?,
            Ask::RepairCopy(id, sequence) => self.copy_read(ctx, id, sequence, &frame.decode()?)?,
            Ask::Operation(operation, question) => self.operation_answer(ctx, operation, question, frame)?,
        }
        Ok(())
    }

    /// The relay refused. Races are run again, a tired relay is left to rest, the rest is final.
    fn refused(&mut self, ctx: &mut Ctx<'_>, ask: Ask, error: WireError) -> Result<(), StoreError> {
        let code = error.code();
        let rest = match code.map(ErrorCode::blame) {
            // Also to an account that was too fast: what it wrote is to be sent, only later.
            _ if error.retry_after_ms > 0 => Some(u64::from(error.retry_after_ms)),
            Some(Blame::Relay) => Some(REST_MS),
            _ => None,
        };
        let until = rest.map(|rest| UnixMillis(ctx.now.0.saturating_add(rest)));
        if let Ask::Refresh(id) = &ask {
            self.fail_wishes(ctx, Some(*id), &error.clone().into());
        }
        match ask {
            Ask::Authenticate => self.proved_again(ctx, Some(error)),
            Ask::Ping => self.ponged(),
            Ask::Welcomes | Ask::Mine | Ask::Stock | Ask::Publish | Ask::Follow(_) => {
                self.background_refused(ctx, &ask, error, until);
            }
            Ask::Operation(operation, question) => {
                self.operation_refused(ctx, operation, question, error)?;
            }
            Ask::WelcomeGroup(id) | Ask::WelcomeState(id) => self.welcome_refused(ctx, id, until)?,
            Ask::WelcomeTaken(id) => self.welcome_taken(id),
            Ask::Fetch(id, _)
            | Ask::Append(id, _)
            | Ask::Commit(id)
            | Ask::Create(id)
            | Ask::Taken(id)
            | Ask::Group(id)
            | Ask::Claim(id, ..)
            | Ask::Leave(id)
            | Ask::Refresh(id)
            | Ask::Backfill(id)
            | Ask::RepairCopy(id, _) => {
                if let Some(until) = until {
                    self.release(&ask);
                    if let Some(convo) = self.convos.get_mut(&id) {
                        convo.flight.hold = Some(until);
                        convo.wake_at(until);
                    }
                } else {
                    self.conversation_refused(ctx, id, ask, error)?;
                }
            }
        }
        Ok(())
    }

    fn background_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        ask: &Ask,
        error: WireError,
        until: Option<UnixMillis>,
    ) {
        self.release(ask);
        // Not to be asked again in a circle: a refusal that is not the relay's tiredness rests a while too.
        self.link.hold = until.or_else(|| Some(UnixMillis(ctx.now.0.saturating_add(REST_MS))));
        if matches!(ask, Ask::Publish) {
            let token = self.link.publish_token.take();
            ctx.failed(token, error.into());
            self.link.want_stock = false;
        }
    }

    fn conversation_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: sotto_protocol::ids::ConversationId,
        ask: Ask,
        error: WireError,
    ) -> Result<(), StoreError> {
        self.release(&ask);
        match ask {
            Ask::Fetch(..) => self.fetch_refused(ctx, id, error),
            Ask::Append(_, number) => self.append_refused(ctx, id, number, error),
            Ask::Commit(_) => self.commit_refused(ctx, id, error),
            Ask::Create(_) => self.create_refused(ctx, id, error),
            Ask::Taken(_) => self.opening_failed(ctx, id, error.into()),
            Ask::Group(_) => self.group_refused(ctx, id, error),
            Ask::Claim(_, change, account) => self.claim_refused(ctx, id, change, account),
            Ask::Leave(_) => {
                let token = self.waiting.leaving.remove(&id);
                ctx.failed(token, error.into());
                self.with(id, |_, convo| {
                    convo.row_mut().standing = crate::view::Standing::Member;
                    Ok(())
                })?;
                Ok(())
            }
            Ask::Backfill(_) => self.backfill_refused(ctx, id, error),
            Ask::RepairCopy(_, sequence) => self.copy_refused(id, sequence, ctx),
            _ => Ok(()),
        }
    }

    /// What was asked is not under way any more.
    pub(crate) fn release(&mut self, ask: &Ask) {
        match ask {
            Ask::Authenticate | Ask::Operation(..) => {}
            Ask::Ping => self.ponged(),
            Ask::Welcomes => self.link.asked_welcomes = false,
            Ask::Mine => self.link.asked_mine = false,
            Ask::Stock | Ask::Publish => self.link.asked_stock = false,
            Ask::Follow(asked) => {
                for id in asked.keys() {
                    if let Some(convo) = self.convos.get_mut(id) {
                        convo.flight.following = false;
                    }
                }
                self.dirty.extend(asked.keys());
            }
            Ask::WelcomeGroup(id) => self.arrival_mut(*id, |arrival| arrival.asked_group = false),
            Ask::WelcomeState(id) => self.arrival_mut(*id, |arrival| arrival.asked_state = false),
            Ask::WelcomeTaken(id) => self.arrival_mut(*id, |arrival| arrival.asked_taken = false),
            Ask::Fetch(id, _)
            | Ask::Append(id, _)
            | Ask::Commit(id)
            | Ask::Create(id)
            | Ask::Taken(id)
            | Ask::Group(id)
            | Ask::Claim(id, ..)
            | Ask::Leave(id)
            | Ask::Refresh(id)
            | Ask::Backfill(id)
            | Ask::RepairCopy(id, _) => {
                self.dirty.insert(*id);
                let Some(convo) = self.convos.get_mut(id) else { return };
                let flight = &mut convo.flight;
                match ask {
                    Ask::Fetch(..) => flight.fetching = false,
                    Ask::Append(_, number) => {
                        flight.appends.remove(number);
                    }
                    Ask::Commit(_) => flight.commit = false,
                    Ask::Create(_) | Ask::Taken(_) => flight.create = false,
                    Ask::Group(_) => flight.group = false,
                    Ask::Claim(_, _, account) => {
                        flight.claims.remove(account);
                    }
                    Ask::Leave(_) => flight.leave = false,
                    Ask::Refresh(_) => flight.refreshing = false,
                    _ => flight.archive = false,
                }
            }
        }
    }

    /// No answer in time: what is still wanted is asked again by the next look; who waits for an operation is told.
    pub(crate) fn timed_out(&mut self, ctx: &mut Ctx<'_>, ask: Ask) {
        self.release(&ask);
        let failure = Failure::new(FailureCode::TimedOut, "the relay did not answer in time");
        match ask {
            Ask::Operation(operation, _) => {
                let token = self.operations.end(operation);
                ctx.failed(token, failure);
            }
            Ask::Refresh(id) => self.fail_wishes(ctx, Some(id), &failure),
            _ => {}
        }
    }

    /// Fails everybody who waits for a conversation to open.
    pub(crate) fn opening_failed(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: sotto_protocol::ids::ConversationId,
        failure: Failure,
    ) -> Result<(), StoreError> {
        for token in self.waiting.opening.remove(&id).unwrap_or_default() {
            ctx.failed(Some(token), failure.clone());
        }
        self.with(id, |core, convo| core.end(ctx, convo, &failure))?;
        Ok(())
    }

    /// Tells everybody who waits for a conversation that it is open.
    pub(crate) fn opened(&mut self, ctx: &mut Ctx<'_>, id: sotto_protocol::ids::ConversationId) {
        for token in self.waiting.opening.remove(&id).unwrap_or_default() {
            ctx.event(Event::Done { token, outcome: Outcome::Conversation(id) });
        }
    }
}
