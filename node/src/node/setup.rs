//! From nothing to a client: registering an account, signing in, restoring with the recovery words.
//!
//! The order matters. Keys are in the local store *before* the relay learns the public half: a crash between
//! the two leaves something that the next start finishes, never an account whose key nobody has.

use super::{Session, SessionError, Start, wall_clock as now};
use crate::http::{AccountApi, HttpError, SignedIn, Vault};
use crate::tls::Trust;
use rand::Rng as _;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::{RecoveryError, RecoveryKey};
use sotto_e2ee::store::{Store, StoreError};
use sotto_node_core::client::{Client, OpenError, Setup};
use sotto_node_core::command::ArchiveKeys;
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::DeviceId;
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
pub enum SetupError {
    /// The relay, or the way to it.
    #[error(transparent)]
    Http(#[from] HttpError),
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

fn api(link: &Invite) -> Result<AccountApi, SessionError> {
    let trust = Trust::new(link.fingerprint).map_err(|error| SessionError::Trust(error.to_string()))?;
    Ok(AccountApi::new(link.relay.clone(), trust))
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
    let code = place.link.code.as_ref().map(InviteCode::as_str);
    let signed_in =
        api(&place.link)?.register(account.email, account.username, account.password, code).await?;
    first_device(store, place, &signed_in)
}

/// Signs in on an empty store, to an account that has no device yet (a registration by other means, or one
/// that was interrupted).
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in<S: Store>(
    store: S,
    place: &Place,
    who: Credentials<'_>,
) -> Result<Start<S>, SetupError> {
    let api = api(&place.link)?;
    let signed_in = api.login(who.name, who.password).await?;
    let access = &signed_in.tokens.access_token;
    if api.devices(access).await?.is_empty() && api.vault(access).await?.is_none() {
        return first_device(store, place, &signed_in);
    }
    // The session that was opened to look is of no use.
    api.logout(access).await?;
    Err(SetupError::NeedsRecovery)
}

/// Signs in again on a store that has a client, after the session ended.
///
/// # Errors
/// See [`SetupError`].
pub async fn sign_in_again<S: Store>(
    mut client: Client<S>,
    mut session: Session,
    link: Option<&Invite>,
    who: Credentials<'_>,
) -> Result<Start<S>, SetupError> {
    if let Some(link) = link {
        session.set_link(link);
    }
    let api = api(&session.link().map_err(SessionError::from)?)?;
    let signed_in = api.login(who.name, who.password).await?;
    session.link_is_new = false;
    if signed_in.user.id != session.account {
        api.logout(&signed_in.tokens.access_token).await?;
        return Err(SetupError::OtherAccount(session.username.clone()));
    }
    session.set_tokens(&signed_in.tokens, now());
    // Registering again ties the device to the new session, so that removing the device ends it.
    session.device_registered = false;
    session.save(client.store_mut())?;
    Ok(Start { client, session, online: true })
}

/// Makes a further device of an account: the recovery words open the vault, which holds the identity key that
/// certifies the device and the archive keys that read the history.
///
/// # Errors
/// See [`SetupError`].
pub async fn recover<S: Store>(
    store: S,
    place: &Place,
    who: Credentials<'_>,
    words: &str,
) -> Result<Start<S>, SetupError> {
    let recovery = RecoveryKey::from_words(words)?;
    let api = api(&place.link)?;
    let signed_in = api.login(who.name, who.password).await?;
    let Some(Vault { version, data }) = api.vault(&signed_in.tokens.access_token).await? else {
        return Err(SetupError::NoVault);
    };
    let vault = recovery.open_vault(signed_in.user.id, &data)?;
    let mut start =
        begin(store, place, &signed_in, vault.identity, recovery, ArchiveKeys(vault.archive_keys))?;
    start.session.vault_version = version;
    start.session.save(start.client.store_mut())?;
    Ok(start)
}

fn first_device<S: Store>(store: S, place: &Place, signed_in: &SignedIn) -> Result<Start<S>, SetupError> {
    let rng = &mut rand::rng();
    let identity = AccountIdentity::generate(rng);
    let recovery = RecoveryKey::generate(rng);
    begin(store, place, signed_in, identity, recovery, ArchiveKeys(Vec::new()))
}

fn begin<S: Store>(
    mut store: S,
    place: &Place,
    signed_in: &SignedIn,
    identity: AccountIdentity,
    recovery: RecoveryKey,
    archive_keys: ArchiveKeys,
) -> Result<Start<S>, SetupError> {
    let rng = &mut rand::rng();
    let user = &signed_in.user;
    let device = identity.issue_device(rng, user.id, new_device_id(), now());
    let session = Session::new(&place.link, user, &signed_in.tokens, &place.device_name, now());
    session.save(&mut store)?;
    let setup = Setup { username: user.username.clone(), device, identity, recovery, archive_keys };
    let client = Client::create(store, setup, place.settings.clone(), now())?;
    // The device and the vault go to the relay when the node starts, and again until it has them.
    Ok(Start { client, session, online: true })
}

/// A client and its session from a store that has both.
///
/// # Errors
/// If the store fails, is empty or was left by an interrupted registration.
pub fn resume<S: Store>(store: S, settings: Settings, online: bool) -> Result<Start<S>, SetupError> {
    let session = Session::load(&store)?.ok_or(OpenError::Empty)?;
    let client = Client::open(store, settings, now())?;
    Ok(Start { client, session, online })
}

/// An id for a new device.
fn new_device_id() -> DeviceId {
    let mut id = [0; 16];
    rand::rng().fill_bytes(&mut id);
    DeviceId(id)
}
