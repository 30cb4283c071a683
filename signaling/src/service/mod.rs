//! What signaling does, whoever asks: the HTTP API and the relay's frames call the same methods.

mod accounts;
mod authenticate;
mod console;
mod devices;
mod directory;
mod hashing;
mod ice;
mod invites;
mod operator;
mod rates;
mod vault;

pub use accounts::{SignedIn, Tokens};
pub use authenticate::{AuthenticateError, Authenticated};
pub use invites::MadeInvite;
pub use operator::{AccountChange, AccountPage, Census};

use crate::config::{Clock, Config};
use crate::hooks::{Hooks, Readiness, WebTransport};
use crate::problem::Problem;
use crate::store::Store;
use crate::tokens::{Jwks, TokenKeys};
use hashing::Hashing;
use rates::RateLimiter;
use sotto_protocol::ids::UnixMillis;
use sotto_signaling_core::session::Session;
use std::net::IpAddr;
use std::sync::Arc;

/// Accounts, sessions, devices, key packages, invites and vaults of one relay. Cheap to clone.
#[derive(Clone)]
pub struct Signaling(Arc<Inner>);

struct Inner {
    config: Config,
    store: Arc<dyn Store>,
    keys: TokenKeys,
    clock: Clock,
    hooks: Arc<dyn Hooks>,
    hashing: Hashing,
    rates: RateLimiter,
    /// Held by whoever changes who operates the relay.
    operators: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Signaling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signaling {{ issuer: {} }}", self.0.config.issuer)
    }
}

impl Signaling {
    /// Signaling with its storage, its keys, a clock and the relay it serves.
    #[must_use]
    pub fn new(
        config: Config,
        store: Arc<dyn Store>,
        keys: TokenKeys,
        clock: Clock,
        hooks: Arc<dyn Hooks>,
    ) -> Self {
        let hashing = Hashing::new(&config);
        let rates = RateLimiter::new(&config.rates);
        Self(Arc::new(Inner {
            config,
            store,
            keys,
            clock,
            hooks,
            hashing,
            rates,
            operators: Default::default(),
        }))
    }

    /// What the operator chose.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The public keys of access tokens.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        self.0.keys.jwks()
    }

    /// Whether the relay takes requests.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.0.hooks.readiness()
    }

    /// How browsers reach the relay's UDP port.
    #[must_use]
    pub fn webtransport(&self) -> Option<WebTransport> {
        self.0.hooks.webtransport()
    }

    /// Counts one request from an address, of HTTP or a new connection of any kind.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count_request(&self, from: IpAddr) -> Result<(), Problem> {
        Ok(self.0.rates.request_from(from, self.now())?)
    }

    /// Counts one request for a chunk of a file from an address.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count_chunk(&self, from: IpAddr) -> Result<(), Problem> {
        Ok(self.0.rates.chunk_from(from, self.now())?)
    }

    /// Drops what has expired: sessions, invites, key packages. How many records.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sweep(&self) -> Result<usize, Problem> {
        Ok(self.0.store.sweep(self.now()).await?)
    }

    fn now(&self) -> UnixMillis {
        (self.0.clock)()
    }

    fn ended(&self, sessions: &[Session]) {
        for session in sessions {
            self.0.hooks.session_ended(session.account, session.id);
        }
    }
}
