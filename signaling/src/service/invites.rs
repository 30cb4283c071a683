//! Making and redeeming invites.

use super::{Authenticated, Signaling};
use crate::hooks::{Admit, AdmitRefused};
use crate::problem::{Problem, ProblemCode};
use crate::store::{Redeemed, TooManyInvites};
use sotto_protocol::ids::{AccountId, ConversationId};
use sotto_protocol::invite::{Invite as Link, InviteCode};
use sotto_signaling_core::invite::{BadInviteWish, Invite, InviteId, InviteWish, Maker, RedeemRefused};
use sotto_signaling_core::rights::{self, Act, Denied};
use sotto_signaling_core::secret::{SecretHash, draw_id, draw_invite_code};

/// A new invite. Its code is seen this once; the relay keeps a hash.
pub struct MadeInvite {
    /// What the relay keeps.
    pub invite: Invite,
    /// The secret.
    pub code: InviteCode,
    /// The whole link to pass on.
    pub link: Link,
    /// The same for browsers. The code stands after the `#`, so it is sent nowhere by opening it.
    pub web: String,
}

impl From<BadInviteWish> for Problem {
    fn from(bad: BadInviteWish) -> Self {
        let field = match bad {
            BadInviteWish::Uses => "uses",
            BadInviteWish::Lifetime => "expires_in",
        };
        Self::field(field, bad)
    }
}

impl From<RedeemRefused> for Problem {
    fn from(refused: RedeemRefused) -> Self {
        Self::new(ProblemCode::InviteRefused, refused.to_string())
    }
}

impl From<TooManyInvites> for Problem {
    fn from(refused: TooManyInvites) -> Self {
        Self::new(ProblemCode::LimitReached, refused.to_string())
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(ProblemCode::Forbidden, denied.to_string())
    }
}

impl From<AdmitRefused> for Problem {
    fn from(refused: AdmitRefused) -> Self {
        match refused {
            AdmitRefused::Stale => Self::new(ProblemCode::InviteRefused, refused.to_string()),
            AdmitRefused::Unavailable => Self::unavailable(refused.to_string(), 2),
        }
    }
}

impl Signaling {
    /// Makes an invite of the asking account.
    ///
    /// # Errors
    /// If the wish is out of bounds, or the account may not invite there.
    pub async fn make_invite(&self, who: Authenticated, wish: InviteWish) -> Result<MadeInvite, Problem> {
        // Who was let in so far is in good standing.
        let right = rights::may(who.role, false, Act::InviteToRelay, self.0.config.invite_makers);
        match wish.conversation {
            Some(conversation) if !self.0.hooks.may_invite(who.account, conversation).await => {
                return Err(Problem::new(ProblemCode::Forbidden, "you may not invite to this conversation"));
            }
            None => right?,
            Some(_) => {}
        }
        self.store_invite(Maker { by: Some(who.account), registers: right.is_ok() }, wish).await
    }

    /// Makes an invite of the operator, from the command line: this is how the first account gets in.
    ///
    /// # Errors
    /// If the wish is out of bounds or the store fails.
    pub async fn make_operator_invite(&self, wish: InviteWish) -> Result<MadeInvite, Problem> {
        self.store_invite(Maker { by: None, registers: true }, wish).await
    }

    async fn store_invite(&self, maker: Maker, wish: InviteWish) -> Result<MadeInvite, Problem> {
        let now = self.now();
        let (id, code) = {
            let mut rng = rand::rng();
            (InviteId(draw_id(&mut rng)), draw_invite_code(&mut rng))
        };
        let invite = wish.grant(id, maker, now)?;
        self.0.store.create_invite(invite.clone(), SecretHash::of_code(&code), now).await??;
        let link = Link {
            relay: self.0.config.relay.clone(),
            fingerprint: self.0.config.fingerprint,
            code: Some(code.clone()),
        };
        let web = format!("{}/#/i/{}", self.0.config.web, code.as_str());
        Ok(MadeInvite { invite, code, link, web })
    }

    /// The asking account's invites that live.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn invites(&self, who: Authenticated) -> Result<Vec<Invite>, Problem> {
        Ok(self.0.store.invites(who.account, self.now()).await?)
    }

    /// Takes an invite of the asking account back. Who redeemed it stays where he is.
    ///
    /// # Errors
    /// If the account has no such invite.
    pub async fn remove_invite(&self, who: Authenticated, id: InviteId) -> Result<(), Problem> {
        if self.0.store.remove_invite(who.account, id).await? {
            Ok(())
        } else {
            Err(Problem::new(ProblemCode::NotFound, "you have no such invite"))
        }
    }

    /// Redeems a code for the asking account, who may then join the conversation that is answered. Asking
    /// again answers the same and uses nothing up.
    ///
    /// # Errors
    /// If the code does not count.
    pub async fn redeem(
        &self,
        who: Authenticated,
        code: &InviteCode,
    ) -> Result<Option<ConversationId>, Problem> {
        let redeemed = self.0.store.redeem(SecretHash::of_code(code), who.account, self.now()).await??;
        let conversation = redeemed.conversation;
        self.admit(who.account, redeemed).await?;
        Ok(conversation)
    }

    pub(super) async fn admit(&self, account: AccountId, redeemed: Redeemed) -> Result<(), Problem> {
        if let Some(conversation) = redeemed.conversation {
            self.0.hooks.admit(Admit { account, conversation, by: redeemed.by }).await?;
        }
        Ok(())
    }
}
