//! Credentials for STUN and TURN, which the relay lends to who is signed in.

use super::{AuthenticateError, Authenticated, Signaling};
use crate::hooks::{IceServer, NotRouted, ServeRouted};
use crate::problem::Problem;
use std::net::IpAddr;

impl Signaling {
    /// What the relay lends to somebody at an address; `None` if nothing.
    ///
    /// # Errors
    /// If the sign-in ended meanwhile, or the store fails.
    pub async fn ice(&self, who: Authenticated, from: IpAddr) -> Result<Option<IceServer>, Problem> {
        let server = self.0.hooks.ice(who.account, who.session, from);
        // Asked once more: what ended while credentials were made was told to a relay that had not given any.
        if self.0.store.session(who.session).await?.is_none() {
            self.0.hooks.session_ended(who.account, who.session);
            return Err(AuthenticateError::Revoked.into());
        }
        Ok(server)
    }

    /// A stream for TURN on a WebSocket of whoever asks.
    ///
    /// # Errors
    /// If nothing was lent to this sign-in, or there are enough.
    pub fn route_turn(&self, who: Authenticated) -> Result<ServeRouted, NotRouted> {
        self.0.hooks.route_turn(who.account, who.session)
    }
}
