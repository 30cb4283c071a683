//! The way from nothing to a client (`sotto_node_core::account::setup`), over our HTTPS and with this machine's clock and
//! randomness.

use super::{Session, SessionError, Start, wall_clock as now};
use crate::http::{AccountApi, HttpError};
use crate::tls::Trust;
use rand::rngs::StdRng;
use sotto_e2ee::store::Store;
use sotto_node_core::account::setup::{self, Ambient};
use sotto_node_core::client::Client;
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::invite::Invite;

pub use sotto_node_core::account::setup::{Credentials, NewAccount, Place};

/// Why there is no client. The store is as it was, or holds what the next attempt goes on with.
pub type SetupError = setup::SetupError<HttpError>;

fn api(link: &Invite) -> Result<AccountApi, SessionError> {
    let trust = Trust::new(link.fingerprint).map_err(|error| SessionError::Trust(error.to_string()))?;
    Ok(crate::http::api(link.relay.clone(), trust))
}

/// What pure code does not have of its own. The generator is no thread's own, since the work may move between threads.
const fn ambient(now: UnixMillis, rng: &mut StdRng) -> Ambient<'_, StdRng> {
    Ambient { now, rng }
}

fn online<S: Store>(start: setup::Start<S>) -> Start<S> {
    Start { client: start.client, session: start.session, online: true }
}

/// Makes an account and its first device.
///
/// # Errors
/// See [`SetupError`].
pub async fn register<S: Store>(
    store: S,
    place: &Place,
    account: NewAccount<'_>,
) -> Result<Start<S>, SetupError> {
    let api = api(&place.link)?;
    setup::register(&api, store, place, account, ambient(now(), &mut rand::make_rng())).await.map(online)
}

/// Signs in on an empty store, to an account that has no device yet.
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in<S: Store>(
    store: S,
    place: &Place,
    who: Credentials<'_>,
) -> Result<Start<S>, SetupError> {
    let api = api(&place.link)?;
    setup::sign_in(&api, store, place, who, ambient(now(), &mut rand::make_rng())).await.map(online)
}

/// Signs in again on a store that has a client, after the session ended.
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in_again<S: Store>(
    client: Client<S>,
    mut session: Session,
    link: Option<&Invite>,
    who: Credentials<'_>,
) -> Result<Start<S>, SetupError> {
    if let Some(link) = link {
        session.set_link(link);
    }
    let api = api(&session.link().map_err(SessionError::from)?)?;
    setup::sign_in_again(&api, setup::Start { client, session }, who, now()).await.map(online)
}

/// Makes a further device of an account by its recovery words.
///
/// # Errors
/// See [`SetupError`].
pub async fn recover<S: Store>(
    store: S,
    place: &Place,
    who: Credentials<'_>,
    words: &str,
) -> Result<Start<S>, SetupError> {
    let api = api(&place.link)?;
    setup::recover(&api, store, place, who, words, ambient(now(), &mut rand::make_rng())).await.map(online)
}

/// A client and its session from a store that has both.
///
/// # Errors
/// If the store fails, is empty or was left by an interrupted registration.
pub fn resume<S: Store>(store: S, settings: Settings, online: bool) -> Result<Start<S>, SetupError> {
    let setup::Start { client, session } = setup::resume(store, settings, now())?;
    Ok(Start { client, session, online })
}
