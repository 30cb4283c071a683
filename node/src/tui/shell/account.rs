//! From a profile to a running client: opening what is there, making or restoring an account, signing in again.

use super::super::input::{Answer, How, Input, NotYet, SetUp, Started};
use super::effects::{Live, RunningNode};
use crate::node::{
    self, Credentials, NewAccount, Node, Place, Session, SetupError, Start, recover, register, resume,
    sign_in, sign_in_again,
};
use crate::profile::Profile;
use crate::secret::{self, SecretError, SystemKeyring};
use crate::store::{OpenError, SqliteStore, StoreKey};
use sotto_e2ee::identity::safety::{Party, qr_text};
use sotto_e2ee::store::{Scan, Store as _};
use sotto_node_core::client::{self, Client};
use sotto_node_core::settings::Settings;
use sotto_protocol::invite::Invite;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

fn not_started(error: impl ToString) -> NotYet {
    NotYet::Failed(error.to_string())
}

fn settings() -> Settings {
    Settings { agent: concat!("sotto/", env!("CARGO_PKG_VERSION")).to_owned(), ..Settings::default() }
}

/// Argon2id, keyrings and disks take their time; none may hold up the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotYet> + Send + 'static,
) -> Result<T, NotYet> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(not_started(error)))
}

/// Opens what the profile has and starts its client.
pub(super) async fn open(
    profile: Profile,
    passphrase: Option<Zeroizing<String>>,
    tell: &mpsc::Sender<Input>,
) -> Result<(Live, Started), NotYet> {
    if !profile.exists() {
        return Err(NotYet::NoAccount);
    }
    let place = profile.clone();
    let (start, key) = blocking(move || {
        let key = key_of(&place, passphrase)?;
        let store = open_store(&place, &key)?;
        match resume(store, settings(), true) {
            Ok(start) => Ok((start, key)),
            Err(SetupError::Client(client::OpenError::Empty)) => Err(NotYet::Unfinished),
            Err(error) => Err(not_started(error)),
        }
    })
    .await?;
    begin(&profile, start, key, false, None, tell).await
}

fn key_of(profile: &Profile, passphrase: Option<Zeroizing<String>>) -> Result<StoreKey, NotYet> {
    let opened = secret::open(profile, &SystemKeyring, |_| passphrase.ok_or(SecretError::PassphraseNeeded));
    match opened {
        Ok((key, _)) => Ok(key),
        Err(SecretError::PassphraseNeeded) => Err(NotYet::Locked(None)),
        Err(error @ SecretError::Passphrase(_)) => Err(NotYet::Locked(Some(error.to_string()))),
        Err(error) => Err(not_started(error)),
    }
}

fn open_store(profile: &Profile, key: &StoreKey) -> Result<SqliteStore, NotYet> {
    let lock = profile.lock().map_err(not_started)?;
    SqliteStore::open(profile, lock, key).map_err(|error| match error {
        OpenError::WrongKey => NotYet::Locked(Some("That is not the passphrase of this store.".to_owned())),
        error => not_started(error),
    })
}

/// Makes or restores an account, and starts its client.
pub(super) async fn set_up(
    profile: Profile,
    wanted: SetUp,
    tell: &mpsc::Sender<Input>,
) -> Result<(Live, Started), NotYet> {
    let place = profile.clone();
    let passphrase = wanted.passphrase.as_ref().map(|given| given.0.clone());
    let (store, key, fresh) = blocking(move || new_store(&place, passphrase)).await?;
    let at = Place { link: wanted.link.clone(), device_name: host_name(), settings: settings() };
    let who = Credentials { name: &wanted.username, password: &wanted.password.0 };
    let result = match &wanted.how {
        How::Register(email) => {
            let account = NewAccount { username: &wanted.username, email, password: &wanted.password.0 };
            register(store, &at, account).await
        }
        How::SignIn => sign_in(store, &at, who).await,
        How::Recover(words) => recover(store, &at, who, &words.0).await,
    };
    let new = !matches!(wanted.how, How::Recover(_));
    // Registering has used the invite up; signing in has not.
    let invite =
        Some(wanted.link).filter(|link| link.code.is_some() && !matches!(wanted.how, How::Register(_)));
    match result {
        Ok(start) => begin(&profile, start, key, new, invite, tell).await,
        Err(error) => {
            if fresh {
                let _ = blocking(move || undo(&profile, &key)).await;
            }
            Err(match error {
                SetupError::NeedsRecovery => NotYet::NeedsRecovery,
                error => not_started(error),
            })
        }
    }
}

/// A new store, or the empty one that an interrupted registration left; and whether it was made now.
fn new_store(
    profile: &Profile,
    passphrase: Option<Zeroizing<String>>,
) -> Result<(SqliteStore, StoreKey, bool), NotYet> {
    if profile.store_path().exists() {
        let key = key_of(profile, passphrase)?;
        return Ok((open_store(profile, &key)?, key, false));
    }
    let lock = profile.lock().map_err(not_started)?;
    let prefer = passphrase.is_some();
    let made =
        secret::create(profile, &SystemKeyring, prefer, |_| passphrase.ok_or(SecretError::PassphraseNeeded));
    let (key, _) = made.map_err(|error| match error {
        SecretError::PassphraseNeeded => NotYet::PassphraseWanted,
        error => not_started(error),
    })?;
    let store = SqliteStore::create(profile, lock, &key).map_err(not_started)?;
    Ok((store, key, true))
}

/// Nothing came of it: the files that were made, and hold nothing, go again.
fn undo(profile: &Profile, key: &StoreKey) -> Result<(), NotYet> {
    let store = open_store(profile, key)?;
    let rows = store.scan(&Scan::prefix(Vec::new()).limit(1)).map_err(not_started)?;
    drop(store);
    if rows.is_empty() {
        for path in [profile.store_path(), profile.row_keys_path(), profile.key_path()] {
            std::fs::remove_file(&path).map_err(not_started)?;
        }
    }
    Ok(())
}

/// Signs in again, after the client of the ended session was stopped.
pub(super) async fn sign_in_anew(
    profile: Profile,
    key: StoreKey,
    password: Zeroizing<String>,
    tell: &mpsc::Sender<Input>,
) -> Result<(Live, Started), NotYet> {
    let (place, opener) = (profile.clone(), key.clone());
    let (client, session) = blocking(move || {
        let store = open_store(&place, &opener)?;
        let session = Session::load(&store).map_err(not_started)?;
        let session = session.ok_or_else(|| not_started("the store has no session"))?;
        let client = Client::open(store, settings(), node::wall_clock()).map_err(not_started)?;
        Ok((client, session))
    })
    .await?;
    let name = session.username.clone();
    let who = Credentials { name: &name, password: &password };
    match sign_in_again(client, session, None, who).await {
        Ok(start) => begin(&profile, start, key, false, None, tell).await,
        Err(error) => {
            let why = error.to_string();
            // Signed out as before, with what is on this device.
            let (place, opener) = (profile.clone(), key.clone());
            let start =
                blocking(move || resume(open_store(&place, &opener)?, settings(), true).map_err(not_started))
                    .await?;
            let back = begin(&profile, start, key, false, None, tell).await?;
            let _ = tell.send(Input::Answer(Answer::Failed(why))).await;
            Ok(back)
        }
    }
}

/// Starts the loop of a client, with listeners that miss nothing.
async fn begin(
    profile: &Profile,
    start: Start<SqliteStore>,
    key: StoreKey,
    new: bool,
    invite: Option<Invite>,
    tell: &mpsc::Sender<Input>,
) -> Result<(Live, Started), NotYet> {
    let device = start.client.device();
    let party = Party { account: device.account(), identity_key: device.identity_key() };
    let holder = secret::read_holder(profile).map(|holder| holder.to_string()).unwrap_or_default();
    let mut started = Started {
        account: party.account,
        username: start.client.username().to_owned(),
        relay: start.session.link().map(|link| link.to_string()).unwrap_or_default(),
        qr_text: qr_text(&party),
        drafts: node::drafts::all(start.client.store()).map_err(not_started)?,
        changed: Vec::new(),
        words: new.then(|| super::super::Secret(start.client.recovery_key().to_words())),
        holder,
        invite,
    };
    let (node, running) = Node::prepare(start).map_err(not_started)?;
    listen(&node, tell);
    tokio::spawn(running);
    started.changed = node.changed_identities().await.map_err(not_started)?;
    Ok((Live { node, key }, started))
}

/// Passes on what the client tells, until it has ended.
fn listen(node: &RunningNode, tell: &mpsc::Sender<Input>) {
    let (mut events, events_to) = (node.events(), tell.clone());
    tokio::spawn(async move {
        loop {
            let input = match events.recv().await {
                Ok(event) => Input::Happened(Box::new(event)),
                Err(RecvError::Lagged(missed)) => {
                    tracing::info!(missed, "events were missed; the store is read again");
                    Input::Missed
                }
                Err(RecvError::Closed) => return,
            };
            if events_to.send(input).await.is_err() {
                return;
            }
        }
    });
    let (mut statuses, tell) = (node.statuses(), tell.clone());
    tokio::spawn(async move {
        loop {
            let status = statuses.borrow_and_update().clone();
            if tell.send(Input::Status(status)).await.is_err() || statuses.changed().await.is_err() {
                return;
            }
        }
    });
}

/// What this machine calls itself, in the account's list of devices.
fn host_name() -> String {
    let named = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("COMPUTERNAME").ok());
    let named = named.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let plain: String =
        named.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    if plain.is_empty() { "terminal".to_owned() } else { plain }
}
