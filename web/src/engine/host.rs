//! What the engine needs of a browser.

use crate::store::TreeStore;
use futures_channel::oneshot;
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use sotto_node_core::account::{AccountApi, Exchange, Malformed, Problem};
use sotto_protocol::ids::UnixMillis;
use std::pin::Pin;
use std::rc::Rc;

/// The store of a browser, with the generator that draws its secrets.
pub type BrowserStore = TreeStore<ChaCha20Rng>;

/// Why a request has no good answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody answers.
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
    /// The relay refused.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// Its answer is not what the API says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl FetchError {
    /// The refusal, where it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A connection to the relay that stands.
pub trait Link {
    /// What carries it, as the interface calls it.
    fn carrier(&self) -> &'static str;

    /// Sends whole frames, after those before.
    fn send(&self, frames: &[u8]);

    /// The next bytes, any part of frames.
    ///
    /// # Errors
    /// The reason why there are no more.
    fn receive(&self) -> impl Future<Output = Result<Vec<u8>, String>>;

    /// Ends it.
    fn close(&self);
}

/// A browser, or what stands for one in a test.
pub trait Host: 'static {
    /// The way to the relay's HTTP API.
    type Fetch: Exchange<Error = FetchError>;
    /// A connection.
    type Link: Link;

    /// The wall clock.
    fn now(&self) -> UnixMillis;

    /// The store, opened anew; there is no other one at this moment.
    ///
    /// # Errors
    /// If it does not open.
    fn open_store(&self) -> Result<BrowserStore, crate::store::OpenError>;

    /// Whether what is stored outlives the last tab.
    fn keeps(&self) -> bool;

    /// The relay's HTTP API.
    fn api(&self) -> AccountApi<Self::Fetch>;

    /// Connects to the relay, the best way that works.
    fn dial(&self) -> impl Future<Output = Result<Self::Link, String>>;

    /// Tells the interface.
    fn emit(&self, event: Value);

    /// Calls [`Engine::wake`](super::Engine::wake) in so many milliseconds, and no more at the time that was asked for before.
    fn wake_in(&self, ms: u64);

    /// Runs a future besides.
    fn spawn(&self, work: Pin<Box<dyn Future<Output = ()>>>);

    /// Where the relay is.
    fn relay(&self) -> sotto_protocol::invite::RelayAddress;

    /// What this browser is called in the account's list of devices.
    fn device_name(&self) -> String;
}

/// Who waits for what.
pub(super) type Waiting<T> = oneshot::Sender<T>;

/// The host, shared by the tasks of an engine.
pub(super) type Shared<H> = Rc<H>;
