//! Calls and the rest of the client: signals in and out, events for the shell, records for the log.

use super::machine::Act;
use super::signals::Heard;
use super::{CallCommand, CallId};
use crate::command::Token;
use crate::core::{Convo, Core, Ctx};
use crate::event::{Event, Failure, FailureCode, Outcome};
use sotto_e2ee::content::Ephemeral;
use sotto_e2ee::content::call::CallSignal;
use sotto_e2ee::content::peer::PeerSignal;
use sotto_e2ee::conversation::Sender;
use sotto_e2ee::seal::SealError;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::body::push;
use sotto_protocol::ids::{AccountId, ConversationId, UnixMillis};

/// What became of an ephemeral.
enum Opened {
    /// The last is whether it is about the call of a group.
    Signal(Sender, UnixMillis, CallSignal, bool),
    Peer(Sender, PeerSignal),
    Other,
    Altered,
}

impl Core {
    /// What came that is not stored.
    pub(crate) fn ephemeral(
        &mut self,
        ctx: &mut Ctx<'_>,
        ephemeral: &push::Ephemeral,
    ) -> Result<(), StoreError> {
        let id = ephemeral.conversation;
        let opened = self.with(id, |core, convo| {
            let Some(group) = convo.group.as_ref() else { return Ok(Opened::Other) };
            Ok(match group.open_ephemeral(ephemeral) {
                Ok((sender, sent_at, Ephemeral::Call(signal))) => match convo.row().kind {
                    Kind::Direct => Opened::Signal(sender, sent_at, signal, false),
                    Kind::Group => Opened::Signal(sender, sent_at, signal, true),
                    Kind::Room => Opened::Other,
                },
                Ok((sender, _, Ephemeral::Peer(signal))) => Opened::Peer(sender, signal),
                Ok((sender, _, content)) => {
                    core.ephemeral_came(ctx, convo, &sender, content)?;
                    Opened::Other
                }
                // Of an epoch that has ended, or one that this device is not in yet: nothing is lost with it.
                Err(SealError::NoKey) => Opened::Other,
                Err(_) => Opened::Altered,
            })
        })?;
        match opened {
            Some(Opened::Signal(Sender { account, device, .. }, sent_at, signal, of_group)) => {
                let heard = Heard { conversation: id, account, device, sent_at, signal };
                if of_group {
                    self.calls.heard_in_group(heard, ctx.now);
                } else {
                    self.calls.heard(heard, ctx.now);
                }
            }
            Some(Opened::Peer(sender, signal)) => self.peer_word(ctx, id, &sender, signal)?,
            Some(Opened::Altered) => {
                if self.calls.place().is_some_and(|(place, _)| place == id) {
                    self.calls.altered();
                }
                self.calls.altered_in_group(id);
            }
            _ => {}
        }
        self.call_acts(ctx)
    }

    pub(crate) fn call_command(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        command: CallCommand,
    ) -> Result<(), StoreError> {
        let done = if let CallCommand::Start { conversation, video } = command {
            self.start_call(ctx, conversation, video).map(Outcome::Call)
        } else {
            self.calls.command(command, ctx.now).map(|()| Outcome::Nothing)
        };
        match done {
            Ok(outcome) => ctx.done(Some(token), outcome),
            Err(failure) => ctx.failed(Some(token), failure),
        }
        self.call_acts(ctx)
    }

    fn start_call(
        &mut self,
        ctx: &mut Ctx<'_>,
        conversation: ConversationId,
        video: bool,
    ) -> Result<CallId, Failure> {
        let convo = self.convos.get(&conversation).ok_or_else(crate::outbox::unknown_conversation)?;
        let peer = self.callee(convo)?;
        self.may_call()?;
        let mut id = [0; 16];
        ctx.rng.fill_bytes(&mut id);
        let id = CallId(id);
        self.calls.start(id, conversation, peer, video, ctx.now)?;
        Ok(id)
    }

    pub(super) fn may_call(&self) -> Result<(), Failure> {
        if self.link.is_ready() {
            return Ok(());
        }
        let text = "there is no connection to the relay, so nobody can be called";
        Err(Failure::new(FailureCode::Offline, text))
    }

    /// Whom a call in this conversation would reach.
    fn callee(&self, convo: &Convo) -> Result<AccountId, Failure> {
        if convo.row().kind != Kind::Direct {
            let text = "this calls one person: a group is called from a browser, and a room is not called";
            return Err(Failure::new(FailureCode::Invalid, text));
        }
        let me = self.me.account();
        let other = convo.members().into_iter().map(|member| member.account).find(|account| *account != me);
        other.filter(|_| convo.is_member()).ok_or_else(|| {
            Failure::new(FailureCode::NotMember, "there is nobody in this conversation who could be called")
        })
    }

    /// Time has passed for the call.
    pub(crate) fn calls_due(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.calls.on_time(ctx.now);
        self.call_acts(ctx)
    }

    /// Ends a call with a device that is out of the conversation now, and one in which this device was stopped.
    pub(crate) fn check_call(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.record_left_over(ctx)?;
        self.check_groups(ctx)?;
        let Some((conversation, device)) = self.calls.place() else { return Ok(()) };
        let there = self.convos.get(&conversation).is_some_and(|convo| {
            let is_there = |device| {
                convo.group.is_none() || convo.members().iter().any(|member| member.device == device)
            };
            convo.row().standing != crate::view::Standing::Gone && device.is_none_or(is_there)
        });
        if there {
            return Ok(());
        }
        self.calls.removed(ctx.now);
        self.call_acts(ctx)
    }

    pub(super) fn call_acts(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        for act in self.calls.take_acts() {
            match act {
                // What cannot be sent now is said again, or the other end notices by itself.
                Act::Send(id, signal) => {
                    self.with(id, |core, convo| {
                        core.send_ephemeral(ctx, convo, Ephemeral::Call(signal));
                        Ok(())
                    })?;
                }
                Act::Tell(view) => ctx.event(Event::Call(view)),
                Act::Negotiate(call, negotiation) => ctx.event(Event::Negotiate { call, negotiation }),
                Act::Record(id, record) => self.write_record(ctx, id, record)?,
                Act::TellGroup(view) => ctx.event(Event::GroupCall(view)),
                Act::NegotiateIn { call, device, negotiation } => {
                    ctx.event(Event::NegotiateIn { call, device, negotiation });
                }
            }
        }
        self.keep_call(ctx);
        Ok(())
    }
}
