//! From nothing to a client: registering an account, signing in, restoring with the recovery words.
//!
//! The order matters. Keys are in the local store *before* the relay learns the public half: a crash between
//! the two leaves something that the next start finishes, never an account whose key nobody has.

use super::session::{Session, SessionError};
use super::{AccountApi, Exchange, SignedIn, User, Vault};
use crate::client::{Client, OpenError, Setup};
use crate::command::ArchiveKeys;
use crate::settings::Settings;
use rand_core::CryptoRng;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::{RecoveryError, RecoveryKey};
use sotto_e2ee::store::{Store, StoreError};
use sotto_protocol::ids::{DeviceId, UnixMillis};
use sotto_protocol::invite::{Invite, InviteCode};

/// Where to, and how this device is called there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The relay, and a code where its registration asks for one.
    pub link: Invite,
    /// For the account's list of devices.
    pub device_name: String,
    /// How the client behaves.
    pub settings: Settings,
}

/// Who signs in.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// User name or e-mail address.
    pub name: &'a str,
    /// The account's password.
    pub password: &'a str,
}

/// What pure code does not have of its own.
pub struct Ambient<'a, R> {
    /// The wall clock.
    pub now: UnixMillis,
    /// Randomness.
    pub rng: &'a mut R,
}

/// A new account.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// Unique on the relay.
    pub username: &'a str,
    /// For codes and notices of the relay.
    pub email: &'a str,
    /// At least 8 characters.
    pub password: &'a str,
}

/// Why there is no client. The store is as it was, or holds what the next attempt goes on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError<E> {
    /// The relay, or the way to it.
    #[error(transparent)]
    Http(E),
    /// The session's row.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client.
    #[error(transparent)]
    Client(#[from] OpenError),
    /// The account's identity key is on other devices and in the vault, and not here.
    #[error(
        "this account has devices already, so a password alone adds no other: run `sotto recover` with the 24 \
         recovery words that were shown when the account was made"
    )]
    NeedsRecovery,
    /// There is nothing to restore.
    #[error("this account has no vault on the relay, so there is nothing to restore; run `sotto login`")]
    NoVault,
    /// The words are not those of the account.
    #[error(transparent)]
    Words(#[from] RecoveryError),
    /// The store belongs to somebody else.
    #[error("this profile belongs to {0}; use another --profile for another account")]
    OtherAccount(String),
}

/// What a client runs on.
pub struct Start<S: Store> {
    /// The client, opened on its store.
    pub client: Client<S>,
    /// The account's session, kept in the same store.
    pub session: Session,
}

/// Makes an account and its first device. It may be asked for again after a try whose answer was lost.
///
/// # Errors
/// See [`SetupError`].
pub async fn register<S: Store, E: Exchange>(
    api: &AccountApi<E>,
    store: S,
    place: &Place,
    account: NewAccount<'_>,
    ambient: Ambient<'_, impl CryptoRng>,
) -> Result<Start<S>, SetupError<E::Error>> {
    let code = place.link.code.as_ref().map(InviteCode::as_str);
    let registered = api.register(account.email, account.username, account.password, code).await;
    let signed_in = match registered {
        Ok(signed_in) => signed_in,
        Err(refused) => match made_before(api, account, &refused).await {
            Some(signed_in) => signed_in,
            None => return Err(SetupError::Http(refused)),
        },
    };
    first_device(store, place, &signed_in, ambient)
}

/// The account, if an earlier try of this very registration has made it and only its answer was lost: the name is taken
/// (or the invite used up), and name and password sign in to an account of this address that no device has used.
///
/// That tells nobody more than the refusal and a sign-in do, which anybody may try; whatever else happens here, the
/// refusal stands.
async fn made_before<E: Exchange>(
    api: &AccountApi<E>,
    account: NewAccount<'_>,
    refused: &E::Error,
) -> Option<SignedIn> {
    let code = E::refusal(refused)?.code.as_str();
    if !["taken", "invite_refused"].contains(&code) {
        return None;
    }
    let who = Credentials { name: account.username, password: account.password };
    let is_ours = |user: &User| user.email.eq_ignore_ascii_case(account.email.trim());
    sign_in_unused(api, who, is_ours).await.ok().flatten()
}

/// Signs in, if it is the account that is meant and no device has used it yet; else nobody stays signed in.
async fn sign_in_unused<E: Exchange>(
    api: &AccountApi<E>,
    who: Credentials<'_>,
    is_meant: impl FnOnce(&User) -> bool,
) -> Result<Option<SignedIn>, E::Error> {
    let signed_in = api.login(who.name, who.password).await?;
    let access = &signed_in.tokens.access_token;
    if is_meant(&signed_in.user)
        && api.devices(access).await?.is_empty()
        && api.vault(access).await?.is_none()
    {
        return Ok(Some(signed_in));
    }
    // The session that was opened to look is of no use.
    api.logout(access).await?;
    Ok(None)
}

/// Signs in on an empty store, to an account that has no device yet (a registration by other means, or one
/// that was interrupted).
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in<S: Store, E: Exchange>(
    api: &AccountApi<E>,
    store: S,
    place: &Place,
    who: Credentials<'_>,
    ambient: Ambient<'_, impl CryptoRng>,
) -> Result<Start<S>, SetupError<E::Error>> {
    let signed_in = sign_in_unused(api, who, |_| true).await.map_err(SetupError::Http)?;
    first_device(store, place, &signed_in.ok_or(SetupError::NeedsRecovery)?, ambient)
}

/// Signs in again on a store that has a client, after the session ended.
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in_again<S: Store, E: Exchange>(
    api: &AccountApi<E>,
    mut start: Start<S>,
    who: Credentials<'_>,
    now: UnixMillis,
) -> Result<Start<S>, SetupError<E::Error>> {
    let signed_in = api.login(who.name, who.password).await.map_err(SetupError::Http)?;
    let session = &mut start.session;
    session.link_is_new = false;
    if signed_in.user.id != session.account {
        api.logout(&signed_in.tokens.access_token).await.map_err(SetupError::Http)?;
        return Err(SetupError::OtherAccount(session.username.clone()));
    }
    session.set_tokens(&signed_in.tokens, now);
    // Registering again ties the device to the new session, so that removing the device ends it.
    session.device_registered = false;
    session.save(start.client.store_mut())?;
    Ok(start)
}

/// Makes a further device of an account: the recovery words open the vault, which holds the identity key that
/// certifies the device and the archive keys that read the history.
///
/// # Errors
/// See [`SetupError`].
pub async fn recover<S: Store, E: Exchange>(
    api: &AccountApi<E>,
    store: S,
    place: &Place,
    who: Credentials<'_>,
    words: &str,
    ambient: Ambient<'_, impl CryptoRng>,
) -> Result<Start<S>, SetupError<E::Error>> {
    let recovery = RecoveryKey::from_words(words)?;
    let signed_in = api.login(who.name, who.password).await.map_err(SetupError::Http)?;
    let vault = api.vault(&signed_in.tokens.access_token).await.map_err(SetupError::Http)?;
    let Some(Vault { version, data }) = vault else { return Err(SetupError::NoVault) };
    let vault = recovery.open_vault(signed_in.user.id, &data)?;
    let keys = ArchiveKeys(vault.archive_keys);
    let mut start = begin(store, place, &signed_in, vault.identity, recovery, keys, ambient)?;
    start.session.vault_version = version;
    start.session.save(start.client.store_mut())?;
    Ok(start)
}

fn first_device<S: Store, E>(
    store: S,
    place: &Place,
    signed_in: &SignedIn,
    ambient: Ambient<'_, impl CryptoRng>,
) -> Result<Start<S>, SetupError<E>> {
    let identity = AccountIdentity::generate(ambient.rng);
    let recovery = RecoveryKey::generate(ambient.rng);
    begin(store, place, signed_in, identity, recovery, ArchiveKeys(Vec::new()), ambient)
}

fn begin<S: Store, E>(
    mut store: S,
    place: &Place,
    signed_in: &SignedIn,
    identity: AccountIdentity,
    recovery: RecoveryKey,
    archive_keys: ArchiveKeys,
    ambient: Ambient<'_, impl CryptoRng>,
) -> Result<Start<S>, SetupError<E>> {
    let Ambient { now, rng } = ambient;
    let user = &signed_in.user;
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let device = identity.issue_device(rng, user.id, DeviceId(id), now);
    let session = Session::new(&place.link, user, &signed_in.tokens, &place.device_name, now);
    session.save(&mut store)?;
    let setup = Setup { username: user.username.clone(), device, identity, recovery, archive_keys };
    let client = Client::create(store, setup, place.settings.clone(), now)?;
    // The device and the vault go to the relay when the client runs, and again until it has them.
    Ok(Start { client, session })
}

/// A client and its session from a store that has both.
///
/// # Errors
/// If the store fails, is empty or was left by an interrupted registration.
pub fn resume<S: Store, E>(store: S, settings: Settings, now: UnixMillis) -> Result<Start<S>, SetupError<E>> {
    let session = Session::load(&store)?.ok_or(OpenError::Empty)?;
    let client = Client::open(store, settings, now)?;
    Ok(Start { client, session })
}
