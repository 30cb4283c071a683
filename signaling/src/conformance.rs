//! What every store must do, as a suite that each implementation runs.
//!
//! ```text
//! conformance::check(&my_store()).await;   // an empty store, each time
//! ```
//!
//! The suite panics with a sentence where a store falls short. It looks at behaviour only: atomicity under
//! concurrent calls is in it, durability across a crash is each implementation's own test.

use crate::store::{Created, NewAccount, NewDevice, Refreshed, Store};
use ed25519_dalek::SigningKey;
use futures_util::future::join_all;
use sotto_mls::certificate::DeviceCertificate;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId, UnixMillis};
use sotto_protocol::limits::{DEVICES_PER_ACCOUNT_MAX, KEY_PACKAGES_PER_DEVICE_MAX};
use sotto_signaling_core::account::{Account, RegisterRefused, RegistrationPolicy, RegistrationRules, Role};
use sotto_signaling_core::device::DeviceRefused;
use sotto_signaling_core::directory::{PublishRefused, StoredPackage};
use sotto_signaling_core::invite::{Invite, InviteId, RedeemRefused};
use sotto_signaling_core::limits::{
    INVITES_PER_ACCOUNT_MAX, MS, SESSION_IDLE_SECONDS, SESSIONS_PER_ACCOUNT_MAX,
};
use sotto_signaling_core::names::Label;
use sotto_signaling_core::password::{PasswordCost, PasswordHash};
use sotto_signaling_core::secret::{RefreshToken, SecretHash};
use sotto_signaling_core::session::{Opening, Session};
use sotto_signaling_core::vault::PutRefused;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const RULES: RegistrationRules =
    RegistrationRules { policy: RegistrationPolicy::Open, first_account_is_operator: false };

/// Runs the whole suite on an empty store, which is not empty after.
pub async fn check(store: &dyn Store) {
    accounts(store).await;
    one_name_is_given_once(store).await;
    sessions(store).await;
    one_refresh_token_is_spent_once(store).await;
    devices(store).await;
    key_packages(store).await;
    one_key_package_is_handed_out_once(store).await;
    invites(store).await;
    one_use_is_used_once(store).await;
    vaults(store).await;
    administration(store).await;
    sweep(store).await;
}

const fn later(seconds: u64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * MS)
}

fn account(tag: u8, name: &str) -> Account {
    Account {
        id: AccountId([tag; 16]),
        username: name.parse().expect("a good name"),
        email: format!("{name}@example.org").parse().expect("a good address"),
        password: PasswordHash::dummy(PasswordCost::CHEAPEST, &mut rand::rng()),
        role: Role::User,
        created: UnixMillis(NOW.0 + u64::from(tag)),
        identity_key: None,
        disabled: None,
    }
}

fn session(account: AccountId, tag: [u8; 16], at: UnixMillis) -> (Session, RefreshToken) {
    let id = SessionId(tag);
    let token = RefreshToken::first(id, &mut rand::rng());
    let opening = Opening { id, account, agent: Label::lossy("conformance"), hashes: token.hashes() };
    (Session::open(opening, at), token)
}

/// An id that no other part of the suite draws.
fn fresh() -> [u8; 16] {
    rand::random()
}

async fn create(store: &dyn Store, account: Account) -> Result<Created, RegisterRefused> {
    let (session, _) = session(account.id, fresh(), NOW);
    let new = NewAccount { account, session: Some(session), invite: None, rules: RULES, now: NOW };
    store.create_account(new).await.expect("the store works")
}

/// A new account under a fresh id.
async fn somebody(store: &dyn Store, name: &str) -> Account {
    let account = Account { id: AccountId(fresh()), ..account(0, name) };
    create(store, account.clone()).await.expect("the name is free");
    account
}

async fn accounts(store: &dyn Store) {
    let operator = RegistrationRules { policy: RegistrationPolicy::Closed, first_account_is_operator: true };
    let anna = account(1, "anna");
    let (session, _) = session(anna.id, fresh(), NOW);
    let new = NewAccount {
        account: anna.clone(),
        session: Some(session.clone()),
        invite: None,
        rules: operator,
        now: NOW,
    };
    let made = store.create_account(new.clone()).await.expect("the store works").expect("the first account");
    assert_eq!(made.account.role, Role::Operator, "the first account of an empty store");
    assert_eq!(store.session(session.id).await, Ok(Some(session)), "the session came with the account");
    let refused = store.create_account(NewAccount { account: account(2, "bert"), ..new }).await;
    assert_eq!(refused, Ok(Err(RegisterRefused::Closed)), "the second account is like any other");

    assert_eq!(store.account(anna.id).await, Ok(Some(made.account.clone())));
    assert_eq!(store.account(AccountId([9; 16])).await, Ok(None));
    assert_eq!(store.account_by_username(anna.username.clone()).await, Ok(Some(made.account.clone())));
    assert_eq!(store.account_by_username("nobody".parse().expect("a name")).await, Ok(None));

    let same_name = Account { id: AccountId([3; 16]), ..anna.clone() };
    assert_eq!(create(store, same_name).await, Err(RegisterRefused::UsernameTaken));
    assert_eq!(store.account(AccountId([3; 16])).await, Ok(None), "a refused account leaves nothing");

    let same_address = Account { email: anna.email.clone(), ..account(4, "anna2") };
    assert!(create(store, same_address).await.is_ok(), "an address is not unique");
    let found = store.accounts_by_email(anna.email.clone()).await.expect("the store works");
    let ids: Vec<AccountId> = found.iter().map(|account| account.id).collect();
    assert_eq!(ids, [AccountId([1; 16]), AccountId([4; 16])], "the oldest first");
    let nobody = store.accounts_by_email("anna@example.or".parse().expect("an address")).await;
    assert_eq!(nobody, Ok(Vec::new()), "the start of an address is another address");

    let fresh = PasswordHash::dummy(PasswordCost::CHEAPEST, &mut rand::rng());
    assert_eq!(store.replace_password(anna.id, fresh.clone(), fresh.clone()).await, Ok(false));
    assert_eq!(store.replace_password(anna.id, anna.password, fresh.clone()).await, Ok(true));
    let changed = store.account(anna.id).await.expect("the store works").expect("still there");
    assert_eq!(changed.password, fresh);
}

async fn one_name_is_given_once(store: &dyn Store) {
    let racers = (0..16).map(|_| create(store, Account { id: AccountId(fresh()), ..account(0, "racer") }));
    let won = join_all(racers).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1, "sixteen asked for one name at once");
}

async fn sessions(store: &dyn Store) {
    let carla = somebody(store, "carla").await;
    let first = store.sessions(carla.id).await.expect("the store works");
    assert_eq!(first.len(), 1);
    let (second, token) = session(carla.id, fresh(), later(1));
    assert_eq!(store.open_session(second.clone()).await, Ok(Some(Vec::new())));
    let listed = store.sessions(carla.id).await.expect("the store works");
    assert_eq!(listed, [first[0].clone(), second.clone()], "the oldest first");

    let made_up = RefreshToken::first(second.id, &mut rand::rng());
    let next = token.next(&mut rand::rng());
    let outcome = store.refresh(second.id, made_up.hashes(), next.hashes().token, later(2)).await;
    assert_eq!(outcome, Ok(Refreshed::Refused), "made up around a known session");
    let outcome = store.refresh(second.id, token.hashes(), next.hashes().token, later(2)).await;
    let Ok(Refreshed::Rotated { session: rotated, account }) = outcome else {
        panic!("the current token was not rotated: {outcome:?}");
    };
    assert_eq!(account.id, carla.id);
    assert_eq!(store.session(second.id).await, Ok(Some(rotated)));
    let third = next.next(&mut rand::rng());
    let outcome = store.refresh(second.id, token.hashes(), third.hashes().token, later(900)).await;
    assert!(matches!(outcome, Ok(Refreshed::Revoked { reused: true, .. })), "a spent token: {outcome:?}");
    assert_eq!(store.session(second.id).await, Ok(None), "the family is revoked");
    let outcome = store.refresh(second.id, next.hashes(), third.hashes().token, later(901)).await;
    assert_eq!(outcome, Ok(Refreshed::Refused), "and its current token with it");

    let device = DeviceId(fresh());
    assert_eq!(store.bind_session(first[0].id, device).await, Ok(()));
    assert_eq!(store.bind_session(SessionId(fresh()), device).await, Ok(()), "a session that is gone");
    let bound = store.session(first[0].id).await.expect("the store works").expect("still there");
    assert_eq!(bound.device, Some(device));

    let stranger = AccountId(fresh());
    assert_eq!(store.close_session(stranger, bound.id).await, Ok(None), "somebody else's session");
    assert_eq!(store.close_session(carla.id, bound.id).await, Ok(Some(bound.clone())));
    assert_eq!(store.close_session(carla.id, bound.id).await, Ok(None));
    assert_eq!(store.sessions(carla.id).await, Ok(Vec::new()));

    for number in 0..SESSIONS_PER_ACCOUNT_MAX as u64 {
        let (one, _) = session(carla.id, fresh(), later(number));
        assert_eq!(store.open_session(one).await, Ok(Some(Vec::new())), "number {number}");
    }
    let oldest = store.sessions(carla.id).await.expect("the store works")[0].clone();
    let (one_more, _) = session(carla.id, fresh(), later(100));
    assert_eq!(
        store.open_session(one_more).await,
        Ok(Some(vec![oldest])),
        "the one unused for longest gives way"
    );
    let count = store.sessions(carla.id).await.expect("the store works").len();
    assert_eq!(count, SESSIONS_PER_ACCOUNT_MAX);
}

async fn one_refresh_token_is_spent_once(store: &dyn Store) {
    let dora = somebody(store, "dora").await;
    let (session, token) = session(dora.id, fresh(), NOW);
    store.open_session(session.clone()).await.expect("the store works");
    let racers = (0..8).map(|_| {
        let next = token.next(&mut rand::rng());
        store.refresh(session.id, token.hashes(), next.hashes().token, later(1))
    });
    let outcomes = join_all(racers).await;
    let rotated = |outcome: &Result<Refreshed, _>| matches!(outcome, Ok(Refreshed::Rotated { .. }));
    assert!(outcomes.iter().all(rotated), "all within the grace for a lost answer: {outcomes:?}");
    let current = store.session(session.id).await.expect("the store works").expect("still there").current;
    let winners = outcomes.iter().filter(
        |outcome| matches!(outcome, Ok(Refreshed::Rotated { session, .. }) if session.current == current),
    );
    assert_eq!(winners.count(), 1, "only the last of them has a token that counts");
}

fn certificate(identity: u8, account: AccountId, device: DeviceId) -> DeviceCertificate {
    let mut seed = [0; 32];
    for (place, byte) in seed.iter_mut().zip(device.0) {
        *place = byte;
    }
    let device_key = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    DeviceCertificate::issue(&SigningKey::from_bytes(&[identity; 32]), account, device, device_key, NOW)
}

fn new_device(identity: u8, account: AccountId, device: DeviceId, session: SessionId) -> NewDevice {
    let certificate = certificate(identity, account, device);
    NewDevice { account, certificate, name: Label::lossy("laptop"), session, now: NOW }
}

/// An account with one device.
async fn somebody_with_device(store: &dyn Store, name: &str) -> (AccountId, DeviceId) {
    let account = somebody(store, name).await.id;
    let device = DeviceId(fresh());
    let registered = store.register_device(new_device(1, account, device, SessionId(fresh()))).await;
    assert!(matches!(registered, Ok(Some(Ok(_)))), "{registered:?}");
    (account, device)
}

async fn devices(store: &dyn Store) {
    let emil = somebody(store, "emil").await;
    let session = store.sessions(emil.id).await.expect("the store works")[0].clone();
    let first = DeviceId(fresh());
    let registered = store.register_device(new_device(1, emil.id, first, session.id)).await;
    let registered =
        registered.expect("the store works").expect("the account is there").expect("a first device");
    assert!(!registered.again);
    let key = *certificate(1, emil.id, first).identity_key();
    let now = store.account(emil.id).await.expect("the store works").expect("still there");
    assert_eq!(now.identity_key, Some(key), "the first device sets the identity key");
    assert_eq!(store.device(emil.id, first).await, Ok(Some(registered.device.clone())));
    let bound = store.session(session.id).await.expect("the store works").expect("still there");
    assert_eq!(bound.device, Some(first), "the session that asked is bound");

    let again = store.register_device(new_device(1, emil.id, first, session.id)).await;
    assert!(matches!(again, Ok(Some(Ok(registered))) if registered.again));
    let forged = store.register_device(new_device(2, emil.id, DeviceId(fresh()), session.id)).await;
    assert_eq!(forged, Ok(Some(Err(DeviceRefused::OtherIdentity))));
    let fritz = somebody(store, "fritz").await;
    let taken = store.register_device(new_device(3, fritz.id, first, session.id)).await;
    assert_eq!(taken, Ok(Some(Err(DeviceRefused::IdTaken))), "a device id is one account's");
    let untouched = store.account(fritz.id).await.expect("the store works").expect("still there");
    assert_eq!(untouched.identity_key, None, "a refused device sets nothing");
    let nobody = store.register_device(new_device(1, AccountId(fresh()), first, session.id)).await;
    assert_eq!(nobody, Ok(None));

    let racers = (0..2 * DEVICES_PER_ACCOUNT_MAX)
        .map(|_| store.register_device(new_device(1, emil.id, DeviceId(fresh()), SessionId(fresh()))));
    let made = join_all(racers).await.into_iter().filter(|made| matches!(made, Ok(Some(Ok(_))))).count();
    assert_eq!(made, DEVICES_PER_ACCOUNT_MAX - 1, "the limit holds when many ask at once");
    assert_eq!(store.devices(emil.id).await.map(|devices| devices.len()), Ok(DEVICES_PER_ACCOUNT_MAX));

    assert_eq!(store.remove_device(fritz.id, first).await, Ok(None), "somebody else's device");
    let ended = store.remove_device(emil.id, first).await.expect("the store works").expect("it was there");
    assert_eq!(ended, [bound], "its sessions end");
    assert_eq!(store.session(session.id).await, Ok(None));
    assert_eq!(store.device(emil.id, first).await, Ok(None));
    assert_eq!(store.remove_device(emil.id, first).await, Ok(None));
}

fn package(suite: u16, expires: UnixMillis) -> StoredPackage {
    let hash: [u8; 32] = rand::random();
    StoredPackage { suite, expires, hash, bytes: hash.to_vec() }
}

async fn key_packages(store: &dyn Store) {
    let (greta, device) = somebody_with_device(store, "greta").await;
    let unknown = store.publish(greta, DeviceId(fresh()), vec![package(3, later(9))], None, NOW).await;
    assert_eq!(unknown, Ok(Err(PublishRefused::UnknownDevice)));
    assert_eq!(store.claim(greta, vec![3], NOW).await, Ok(Vec::new()), "nothing was published");

    let (soon, late, hybrid) = (package(3, later(50)), package(3, later(90)), package(77, later(90)));
    let last = package(3, later(90));
    let all = vec![late.clone(), soon.clone(), hybrid.clone(), soon.clone()];
    let stock = store.publish(greta, device, all.clone(), Some(last.clone()), NOW).await;
    assert_eq!(stock, Ok(Ok(3)), "the same package twice is one");
    assert_eq!(store.stock(greta, device, NOW).await, Ok(3), "the last resort is not counted");
    assert_eq!(store.stock(greta, device, later(60)).await, Ok(2), "nor is what has expired");

    let claim = async |suites: Vec<u16>, now| {
        let mut claimed = store.claim(greta, suites, now).await.expect("the store works");
        assert!(claimed.len() <= 1, "one device, one package");
        claimed.pop()
    };
    let first = claim(vec![3], NOW).await.expect("there are some");
    assert_eq!((first.device, &first.package, first.last_resort, first.left), (device, &soon, false, 2));
    let again = store.publish(greta, device, all, None, NOW).await;
    assert_eq!(again, Ok(Ok(2)), "a package that was handed out does not come back");
    let second = claim(vec![77, 3], NOW).await.expect("there are some");
    assert_eq!(second.package, hybrid, "the caller's first suite");
    let third = claim(vec![77, 3], NOW).await.expect("there is one");
    assert_eq!(third.package, late);
    for _ in 0..2 {
        let resort = claim(vec![77, 3], NOW).await.expect("the last resort");
        assert_eq!((&resort.package, resort.last_resort, resort.left), (&last, true, 0));
    }
    let newer = package(3, later(95));
    assert_eq!(store.publish(greta, device, Vec::new(), Some(newer.clone()), NOW).await, Ok(Ok(0)));
    let resort = claim(vec![3], NOW).await.expect("the last resort");
    assert_eq!(resort.package, newer, "the newer last resort replaces the older");
    assert_eq!(claim(vec![3], later(95)).await, None, "nothing expired is handed out");

    let full: Vec<StoredPackage> = (0..KEY_PACKAGES_PER_DEVICE_MAX).map(|_| package(3, later(90))).collect();
    let stock = store.publish(greta, device, full, None, NOW).await;
    assert_eq!(stock, Ok(Ok(KEY_PACKAGES_PER_DEVICE_MAX)));
    let over = store.publish(greta, device, vec![package(3, later(90))], None, NOW).await;
    assert_eq!(over, Ok(Err(PublishRefused::TooMany)));
    assert_eq!(store.stock(greta, device, NOW).await, Ok(KEY_PACKAGES_PER_DEVICE_MAX), "all or nothing");

    store.remove_device(greta, device).await.expect("the store works").expect("it was there");
    assert_eq!(store.stock(greta, device, NOW).await, Ok(0), "a removed device has no packages");
}

async fn one_key_package_is_handed_out_once(store: &dyn Store) {
    let (hans, device) = somebody_with_device(store, "hans").await;
    let packages: Vec<StoredPackage> = (0..8).map(|_| package(3, later(90))).collect();
    store.publish(hans, device, packages, None, NOW).await.expect("the store works").expect("they fit");
    let racers = (0..16).map(|_| store.claim(hans, vec![3], NOW));
    let claimed = join_all(racers).await.into_iter().flat_map(|claimed| claimed.expect("the store works"));
    let mut hashes: Vec<[u8; 32]> = claimed.map(|claimed| claimed.package.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 8, "sixteen asked, eight were there, none was handed out twice");
    assert_eq!(store.claim(hans, vec![3], NOW).await, Ok(Vec::new()));
}

fn invite(by: Option<AccountId>, uses_left: u32, conversation: Option<ConversationId>) -> Invite {
    let id = InviteId(fresh());
    Invite { id, by, conversation, registers: true, uses_left, created: NOW, expires: later(100) }
}

async fn invites(store: &dyn Store) {
    let (ida, jan) = (somebody(store, "ida").await.id, somebody(store, "jan").await.id);
    let room = ConversationId(fresh());
    let (twice, code) = (invite(Some(ida), 2, Some(room)), SecretHash(rand::random()));
    assert_eq!(store.create_invite(twice.clone(), code, NOW).await, Ok(Ok(())));
    assert_eq!(store.invites(ida, NOW).await, Ok(vec![twice.clone()]));
    assert_eq!(store.invites(jan, NOW).await, Ok(Vec::new()));
    assert_eq!(store.invites(ida, later(100)).await, Ok(Vec::new()), "expired ones are not listed");

    assert_eq!(store.redeem(SecretHash([0; 32]), jan, NOW).await, Ok(Err(RedeemRefused)));
    for _ in 0..2 {
        let redeemed = store.redeem(code, jan, NOW).await.expect("the store works").expect("a good code");
        assert_eq!((redeemed.invite, redeemed.by, redeemed.conversation), (twice.id, Some(ida), Some(room)));
    }
    let left = store.invites(ida, NOW).await.expect("the store works")[0].uses_left;
    assert_eq!(left, 1, "redeeming again uses nothing up");
    assert_eq!(store.redeem(code, ida, later(100)).await, Ok(Err(RedeemRefused)), "expired");

    let by_invite =
        RegistrationRules { policy: RegistrationPolicy::Invite, first_account_is_operator: false };
    let register = async |name: &str, code: Option<SecretHash>| {
        let account = Account { id: AccountId(fresh()), ..account(0, name) };
        let (session, _) = session(account.id, fresh(), NOW);
        let new = NewAccount { account, session: Some(session), invite: code, rules: by_invite, now: NOW };
        store.create_account(new).await.expect("the store works")
    };
    assert_eq!(register("karl", None).await, Err(RegisterRefused::InviteRequired));
    assert_eq!(register("ida", Some(code)).await, Err(RegisterRefused::UsernameTaken));
    let karl = register("karl", Some(code)).await.expect("one use was left: the taken name used none up");
    assert_eq!(karl.redeemed.and_then(|redeemed| redeemed.conversation), Some(room));
    assert_eq!(register("lena", Some(code)).await, Err(RegisterRefused::Invite(RedeemRefused)), "used up");
    assert_eq!(store.account_by_username("lena".parse().expect("a name")).await, Ok(None));

    let (friendly, code) =
        (Invite { registers: false, ..invite(Some(ida), 9, None) }, SecretHash(rand::random()));
    store.create_invite(friendly.clone(), code, NOW).await.expect("the store works").expect("few are there");
    let refused = register("lena", Some(code)).await;
    assert_eq!(refused, Err(RegisterRefused::Invite(RedeemRefused)), "this maker's invites register nobody");

    assert_eq!(store.remove_invite(jan, friendly.id).await, Ok(false), "somebody else's invite");
    assert_eq!(store.remove_invite(ida, friendly.id).await, Ok(true));
    assert_eq!(store.remove_invite(ida, friendly.id).await, Ok(false));
    assert_eq!(store.redeem(code, jan, NOW).await, Ok(Err(RedeemRefused)), "taken back");

    let mut made = 0;
    while store.create_invite(invite(Some(jan), 1, None), SecretHash(rand::random()), NOW).await == Ok(Ok(()))
    {
        made += 1;
        assert!(made <= INVITES_PER_ACCOUNT_MAX, "the number of invites is limited");
    }
    assert_eq!(made, INVITES_PER_ACCOUNT_MAX);
    let later_on =
        store.create_invite(invite(Some(jan), 1, None), SecretHash(rand::random()), later(100)).await;
    assert_eq!(later_on, Ok(Ok(())), "expired ones do not count");
}

async fn one_use_is_used_once(store: &dyn Store) {
    let (single, code) = (invite(None, 1, None), SecretHash(rand::random()));
    store
        .create_invite(single, code, NOW)
        .await
        .expect("the store works")
        .expect("the operator has no limit");
    let racers = (0..16).map(|_| store.redeem(code, AccountId(fresh()), NOW));
    let redeemed = join_all(racers).await.into_iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count();
    assert_eq!(redeemed, 1, "sixteen redeemed one use at once");
}

async fn vaults(store: &dyn Store) {
    let mia = somebody(store, "mia").await.id;
    assert_eq!(store.vault(mia).await, Ok(None));
    assert_eq!(store.put_vault(mia, 1, vec![1], NOW).await, Ok(Err(PutRefused::Conflict { current: 0 })));
    assert_eq!(store.put_vault(mia, 0, vec![1; 100_000], NOW).await, Ok(Ok(1)));
    assert_eq!(store.put_vault(mia, 0, vec![2], NOW).await, Ok(Err(PutRefused::Conflict { current: 1 })));
    let vault = store.vault(mia).await.expect("the store works").expect("it was put");
    assert_eq!((vault.version, vault.data.len()), (1, 100_000));
    let racers = (0..8).map(|tag| store.put_vault(mia, 1, vec![tag], NOW));
    let won = join_all(racers).await.into_iter().filter(|put| *put == Ok(Ok(2))).count();
    assert_eq!(won, 1, "eight replaced one version at once");
}

async fn administration(store: &dyn Store) {
    let olga = somebody(store, "olga").await;
    let listed = |id| async move {
        let all = store.list_accounts(None, usize::MAX).await.expect("the store works");
        all.into_iter().find(|row| row.account.id == id)
    };
    let row = listed(olga.id).await.expect("in the list");
    assert_eq!((row.devices, row.sessions), (0, 1));
    let first = store.list_accounts(None, 1).await.expect("the store works");
    let second = store.list_accounts(first.first().map(|row| row.account.id), 1).await;
    assert_ne!(Ok(first), second, "a page begins after the one before");

    let role = store.set_role(olga.id, Role::Operator).await.expect("the store works").expect("there");
    assert_eq!(role.role, Role::Operator);
    assert_eq!(store.set_role(AccountId(fresh()), Role::Operator).await, Ok(None));

    let (disabled, ended) =
        store.set_disabled(olga.id, Some(later(5))).await.expect("the store works").expect("there");
    assert_eq!((disabled.disabled, ended.len()), (Some(later(5)), 1));
    assert_eq!(store.sessions(olga.id).await, Ok(Vec::new()), "disabling ends every session");
    let (session, _) = session(olga.id, fresh(), later(6));
    assert_eq!(store.open_session(session.clone()).await, Ok(None), "nobody signs in to a disabled account");
    let (again, _) =
        store.set_disabled(olga.id, Some(later(9))).await.expect("the store works").expect("there");
    assert_eq!(again.disabled, Some(later(5)), "since the first time");
    store.set_disabled(olga.id, None).await.expect("the store works").expect("there");
    assert_eq!(store.open_session(session.clone()).await, Ok(Some(Vec::new())));

    let code = SecretHash([0xd0; 32]);
    let invite = Invite {
        id: InviteId(fresh()),
        by: Some(olga.id),
        conversation: None,
        registers: true,
        uses_left: 1,
        created: NOW,
        expires: later(60),
    };
    store
        .create_invite(invite.clone(), code, NOW)
        .await
        .expect("the store works")
        .expect("within the limits");
    let page = store.list_invites(None, usize::MAX, NOW).await.expect("the store works");
    assert!(page.invites.contains(&invite) && page.next.is_none());
    let page = store.list_invites(None, usize::MAX, later(61)).await.expect("the store works");
    assert!(!page.invites.contains(&invite), "an expired invite is not listed");

    let deleted = store.delete_account(olga.id).await.expect("the store works").expect("there");
    assert_eq!((deleted.account.id, deleted.sessions.len()), (olga.id, 1));
    assert_eq!(store.delete_account(olga.id).await, Ok(None));
    assert_eq!(store.account(olga.id).await, Ok(None));
    assert_eq!(store.session(session.id).await, Ok(None));
    assert_eq!(store.accounts_by_email(olga.email.clone()).await, Ok(Vec::new()));
    assert_eq!(
        store.redeem(code, AccountId(fresh()), NOW).await,
        Ok(Err(RedeemRefused)),
        "its invites are gone"
    );
    let namesake = Account { id: AccountId(fresh()), ..olga };
    assert_eq!(create(store, namesake).await, Err(RegisterRefused::UsernameTaken), "its name stays taken");
}

async fn sweep(store: &dyn Store) {
    let (nora, device) = somebody_with_device(store, "nora").await;
    let (early, late) = (package(3, later(10)), package(3, later(1_000)));
    let both = vec![early.clone(), late.clone()];
    store.publish(nora, device, both, Some(package(3, later(10))), NOW).await.expect("works").expect("fits");
    let code = SecretHash(rand::random());
    store.create_invite(invite(Some(nora), 1, None), code, NOW).await.expect("works").expect("few are there");
    let (session, token) = session(nora, fresh(), later(SESSION_IDLE_SECONDS));
    store.open_session(session.clone()).await.expect("the store works");

    let dropped = store.sweep(later(200)).await.expect("the store works");
    assert!(dropped >= 3, "a package, a last resort and an invite at least: {dropped}");
    assert_eq!(store.sweep(later(200)).await, Ok(0), "nothing is left to drop");
    assert_eq!(store.stock(nora, device, later(200)).await, Ok(1));
    let claimed = store.claim(nora, vec![3], later(200)).await.expect("the store works");
    assert_eq!(claimed.first().map(|claimed| &claimed.package), Some(&late), "what lives stays");

    let dropped = store.sweep(later(SESSION_IDLE_SECONDS + 500)).await.expect("the store works");
    assert!(dropped >= 2, "old sessions and the trace of the spent package: {dropped}");
    assert_eq!(store.sessions(nora).await, Ok(vec![session.clone()]), "the young session lives");
    let next = token.next(&mut rand::rng());
    let alive = later(SESSION_IDLE_SECONDS + 600);
    let outcome = store.refresh(session.id, token.hashes(), next.hashes().token, alive).await;
    assert!(matches!(outcome, Ok(Refreshed::Rotated { .. })), "and can be refreshed: {outcome:?}");
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_store_in_memory_conforms() {
        super::check(&crate::memory::store()).await;
    }
}
