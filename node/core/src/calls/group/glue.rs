//! Calls of groups and the rest of the client: who may call where, the members and the key of each epoch.

use super::super::CallId;
use super::super::machine::Calls;
use super::{GroupCommand, GroupKey};
use crate::command::Token;
use crate::core::{Core, Ctx};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::view::Standing;
use sotto_e2ee::conversation::{Conversation, MediaKey};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::ids::{ConversationId, DeviceId, Epoch};

/// The least context: so that the number of a key has always the same length.
const CONTEXT_MIN: u32 = 1 << 24;

/// And one above the greatest.
const CONTEXT_END: u32 = 1 << 31;

impl Core {
    pub(crate) fn group_call_command(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        command: GroupCommand,
    ) -> Result<(), StoreError> {
        let done = match command {
            GroupCommand::Join { conversation, video } => {
                self.join_group_call(ctx, conversation, video).map(Outcome::Call)
            }
            GroupCommand::Of(call, word) => {
                self.calls.group_word(call, word, ctx.now).map(|()| Outcome::Nothing)
            }
        };
        match done {
            Ok(outcome) => ctx.done(Some(token), outcome),
            Err(failure) => ctx.failed(Some(token), failure),
        }
        self.call_acts(ctx)
    }

    fn join_group_call(
        &mut self,
        ctx: &mut Ctx<'_>,
        conversation: ConversationId,
        video: bool,
    ) -> Result<CallId, Failure> {
        let convo = self.convos.get(&conversation).ok_or_else(crate::outbox::unknown_conversation)?;
        if convo.row().kind != Kind::Group {
            let text =
                "only a group is called as a whole: in a room anybody may be, and would learn where you are";
            return Err(Failure::new(FailureCode::Invalid, text));
        }
        if !convo.is_member() {
            return Err(Failure::new(FailureCode::NotMember, "you are not in this group"));
        }
        self.may_call()?;
        let mut id = [0; 16];
        ctx.rng.fill_bytes(&mut id);
        self.calls.join_group(CallId(id), conversation, video, ctx.now)
    }

    /// Follows the groups in which calls are known: who is in them, and the key of the epoch for the shell that is in a call.
    pub(in super::super) fn check_groups(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        for (conversation, epoch) in self.calls.groups.epochs() {
            let convo = self.convos.get(&conversation);
            let gone = convo.is_none_or(|convo| convo.row().standing == Standing::Gone);
            let group = convo.and_then(|convo| convo.group.as_ref()).filter(|group| group.is_member());
            let now = group.map(Conversation::epoch);
            if gone {
                self.calls.group_members(conversation, epoch, &[], ctx.now);
                continue;
            }
            // While it joins anew by repaired keys nothing is known.
            let Some(group) = group else { continue };
            if now != epoch {
                let members: Vec<DeviceId> = group.members().iter().map(|member| member.device).collect();
                self.calls.group_members(conversation, now, &members, ctx.now);
            }
            let random = || CONTEXT_MIN + ctx.rng.next_u32() % (CONTEXT_END - CONTEXT_MIN);
            if let Some((call, context)) = self.calls.wants_key(conversation, group.epoch(), random) {
                let Ok(MediaKey { epoch, base_key, mine, senders }) = group.media_key() else { continue };
                let key = GroupKey { epoch, base_key, context, mine, senders };
                ctx.event(Event::GroupKey { call, key });
            }
        }
        self.call_acts(ctx)
    }
}

impl Calls {
    /// Of which call the shell is to get the key of this epoch, with the context of this stay; once.
    fn wants_key(
        &mut self,
        conversation: ConversationId,
        epoch: Epoch,
        random: impl FnOnce() -> u32,
    ) -> Option<(CallId, u32)> {
        let room = self.groups.joined().filter(|room| room.conversation == conversation)?;
        let stay = room.stay.as_mut().filter(|stay| stay.keyed != Some(epoch))?;
        stay.keyed = Some(epoch);
        Some((room.id, *stay.context.get_or_insert_with(random)))
    }
}
