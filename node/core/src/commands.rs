//! Each command led to what carries it out.

use crate::command::{Command, Token, Who};
use crate::core::{Core, Ctx};
use crate::event::{Failure, FailureCode, Outcome};
use crate::kinds::ask::Wish;
use crate::operation::What;
use crate::rows::{Change, Kept};
use crate::view::Standing;
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_e2ee::pins;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::Which;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence};

impl Core {
    pub(crate) fn command(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        command: Command,
    ) -> Result<(), StoreError> {
        match command {
            Command::SetAccessToken(access) => {
                self.token = access;
                self.prove(ctx);
                ctx.done(Some(token), Outcome::Nothing);
            }
            Command::CreateConversation(new) => {
                let mut who: Vec<Who> = new.members.iter().cloned().map(Who::Username).collect();
                who.push(Who::Account(self.me.account()));
                self.resolve(ctx, token, What::Create(new), who);
            }
            Command::OpenDirect { username, suite } => self.direct(ctx, token, username, suite)?,
            Command::Send { conversation, text, reply_to } => {
                self.wished(ctx, token, conversation, Wish::Say { text, reply_to })?;
            }
            Command::SendFile { conversation, about, caption, reply_to, preview } => {
                let wish = Wish::SendFile { about, caption, reply_to, preview };
                self.wished(ctx, token, conversation, wish)?;
            }
            Command::Edit { conversation, target, text } => {
                self.wished(ctx, token, conversation, Wish::Edit { target, text })?;
            }
            Command::Delete { conversation, target } => {
                self.wished(ctx, token, conversation, Wish::Delete { target })?;
            }
            Command::React { conversation, target, emoji, on } => {
                self.wished(ctx, token, conversation, Wish::React { target, emoji, on })?;
            }
            Command::Pin { conversation, target, on } => {
                self.wished(ctx, token, conversation, Wish::Pin { target, on })?;
            }
            Command::SetTimer { conversation, seconds } => {
                self.wished(ctx, token, conversation, Wish::SetTimer { seconds })?;
            }
            Command::AddMembers { conversation, usernames } => {
                let who = usernames.into_iter().map(Who::Username).collect();
                self.about(ctx, token, conversation, What::Add(conversation), who);
            }
            Command::RemoveMember { conversation, who } => match self.known(&who) {
                Some(account) => {
                    self.wish(ctx, token, conversation, Change::Remove { accounts: vec![account] })?;
                }
                None => self.about(ctx, token, conversation, What::Remove(conversation), vec![who]),
            },
            Command::RemoveDevice(device) => self.remove_device(ctx, token, device)?,
            Command::Leave { conversation } => self.leave(ctx, token, conversation)?,
            Command::Join { conversation } => {
                self.list(ctx, token, What::Join, Which::One(conversation));
            }
            Command::JoinListed { name } => self.list(ctx, token, What::Join, Which::ListedName(name)),
            Command::ListRooms => self.list(ctx, token, What::ListRooms, Which::Listed),
            Command::SetRole { conversation, who, role } => {
                self.about(ctx, token, conversation, What::SetRole(conversation, role), vec![who]);
            }
            Command::Rename { conversation, name } => {
                if name.len() > TEXT_BYTES_MAX {
                    ctx.failed(Some(token), Failure::new(FailureCode::TooLarge, "the name is too long"));
                } else {
                    self.send(ctx, token, conversation, Kept::Info(name))?;
                }
            }
            Command::RenewKeys { conversation } => self.wish(ctx, token, conversation, Change::Update)?,
            Command::LookUp(who) => self.resolve(ctx, token, What::LookUp, vec![who]),
            Command::FetchHistory { conversation, before, limit } => {
                self.fetch_history(ctx, token, conversation, before, limit)?;
            }
            Command::Verify { who, identity_key } => self.verify(ctx, token, &who, &identity_key)?,
            Command::MarkRead { conversation, upto } => self.mark_read(ctx, token, conversation, upto)?,
            Command::Typing { conversation } => {
                self.say_typing(ctx, conversation)?;
                ctx.done(Some(token), Outcome::Nothing);
            }
            Command::Call(call) => self.call_command(ctx, token, call)?,
            Command::GroupCall(call) => self.group_call_command(ctx, token, call)?,
            Command::Peer(peer) => self.peer_command(ctx, token, peer)?,
            Command::SetInvisible(invisible) => self.set_invisible(ctx, token, invisible),
            Command::RepublishKeyPackages => {
                if self.link.is_ready() {
                    self.link.want_stock = true;
                    self.link.want_publish = true;
                    self.link.publish_token = Some(token);
                } else {
                    let text = "there is no connection to the relay";
                    ctx.failed(Some(token), Failure::new(FailureCode::Offline, text));
                }
            }
            Command::ImportArchiveKeys(keys) => {
                self.import_keys(ctx, &keys)?;
                ctx.done(Some(token), Outcome::Nothing);
            }
            Command::ImportHistory { conversation, lines } => {
                self.import_history(ctx, token, &conversation, &lines)?;
            }
            Command::SealVault => {
                self.vault_due = Some(ctx.now);
                self.vault(ctx)?;
                ctx.done(Some(token), Outcome::Nothing);
            }
        }
        Ok(())
    }

    fn known(&self, who: &Who) -> Option<AccountId> {
        match who {
            Who::Account(account) => Some(*account),
            Who::Username(name) => self.known_account(name),
        }
    }

    /// An operation on a conversation that has to be here.
    fn about(&mut self, ctx: &mut Ctx<'_>, token: Token, id: ConversationId, what: What, who: Vec<Who>) {
        if !self.convos.contains_key(&id) {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
        } else if who.is_empty() {
            ctx.failed(Some(token), Failure::new(FailureCode::Invalid, "nobody was named"));
        } else {
            self.resolve(ctx, token, what, who);
        }
    }

    /// A direct conversation that stands already needs no question to the relay.
    fn direct(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        username: String,
        suite: sotto_mls::suite::Suite,
    ) -> Result<(), StoreError> {
        let peer = self.known_account(&username);
        if let Some(id) = peer.and_then(|peer| self.direct_with(peer)) {
            let stands = self
                .convos
                .get(&id)
                .is_some_and(|convo| convo.is_member() && peer.is_some_and(|peer| convo.has_account(peer)));
            if stands {
                ctx.done(Some(token), Outcome::Conversation(id));
                return Ok(());
            }
        }
        let who = vec![Who::Username(username), Who::Account(self.me.account())];
        self.resolve(ctx, token, What::Direct(suite), who);
        Ok(())
    }

    fn remove_device(&mut self, ctx: &mut Ctx<'_>, token: Token, device: DeviceId) -> Result<(), StoreError> {
        if device == self.me.device() {
            let text = "this device cannot remove itself: leave, or use another device";
            ctx.failed(Some(token), Failure::new(FailureCode::Invalid, text));
            return Ok(());
        }
        let inside: Vec<ConversationId> = self
            .convos
            .values()
            .filter(|convo| convo.members().iter().any(|member| member.device == device))
            .map(|convo| convo.id)
            .collect();
        for id in inside {
            self.with(id, |core, convo| {
                core.add_change(ctx, convo, Change::RemoveDevice { device }, None);
                Ok(())
            })?;
        }
        ctx.done(Some(token), Outcome::Nothing);
        Ok(())
    }

    fn leave(&mut self, ctx: &mut Ctx<'_>, token: Token, id: ConversationId) -> Result<(), StoreError> {
        let known = self.with(id, |core, convo| {
            if convo.row().standing == Standing::Gone {
                ctx.done(Some(token), Outcome::Nothing);
                return Ok(());
            }
            convo.row_mut().standing = Standing::Leaving;
            core.waiting.leaving.insert(id, token);
            core.conversation_event(ctx, convo)
        })?;
        if known.is_none() {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
        }
        Ok(())
    }

    /// The relay has our wish to leave.
    pub(crate) fn left(&mut self, ctx: &mut Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        let me = self.me.account();
        self.with(id, |core, convo| {
            let token = core.waiting.leaving.remove(&id);
            ctx.done(token, Outcome::Nothing);
            if convo.members().iter().all(|member| member.account == me) {
                // Nobody is left who could remove us.
                let failure = Failure::new(FailureCode::NotMember, "this account left the conversation");
                return core.end(ctx, convo, &failure);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn verify(
        &self,
        ctx: &mut Ctx<'_>,
        token: Token,
        who: &Who,
        identity_key: &[u8; 32],
    ) -> Result<(), StoreError> {
        let Some(account) = self.known(who) else {
            let text = "this device does not know the account yet: open a conversation with it first";
            ctx.failed(Some(token), Failure::new(FailureCode::UnknownAccount, text));
            return Ok(());
        };
        if pins::verify(ctx.tx, account, identity_key)? {
            for convo in self.convos.values().filter(|convo| convo.has_account(account)) {
                self.conversation_event(ctx, convo)?;
            }
            ctx.done(Some(token), Outcome::Nothing);
        } else {
            let text = "this is not the key that the account is known by here: do not trust it";
            ctx.failed(Some(token), Failure::new(FailureCode::Identity, text));
        }
        Ok(())
    }

    fn mark_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        id: ConversationId,
        upto: Sequence,
    ) -> Result<(), StoreError> {
        // The receipt goes out in the look around that ends each input.
        let known = self.with(id, |core, convo| core.read_upto(ctx, convo, upto))?;
        if known.is_none() {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
            return Ok(());
        }
        ctx.done(Some(token), Outcome::Nothing);
        Ok(())
    }
}
