//! What is made from a seed alone: the same bytes wherever it is made.

use data_encoding::HEXLOWER;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::{RecoveryKey, Vault};
use sotto_e2ee::identity::safety::{Party, safety_number};
use sotto_node_core::sealed::{Sealer, StoreKey};
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use zeroize::Zeroizing;

/// Identity, certificate, safety number, recovery words, vault and a sealed row.
pub(crate) fn golden() -> Result<Value, String> {
    let rng = &mut ChaCha20Rng::seed_from_u64(2026);
    let identity = AccountIdentity::generate(rng);
    let other = AccountIdentity::generate(rng);
    let (alice, bob) = (AccountId([1; 16]), AccountId([2; 16]));
    let device = identity.issue_device(rng, alice, DeviceId([3; 16]), UnixMillis(1_700_000_000_000));
    let recovery = RecoveryKey::generate(rng);
    let vault = Vault { identity: AccountIdentity::from_secret(identity.secret()), archive_keys: Vec::new() };
    let sealed = recovery.seal_vault(rng, alice, &vault);
    let opened = recovery.open_vault(alice, &sealed).map_err(|error| error.to_string())?;
    if opened.identity.secret() != identity.secret() {
        return Err("the vault gives another identity back".to_owned());
    }
    let row = Sealer::new(&StoreKey::new(Zeroizing::new([5; 32]))).seal(&[6; 32], b"key", b"value", rng);
    Ok(json!({
        "identity": HEXLOWER.encode(&identity.public_key()),
        "certificate": HEXLOWER.encode(&device.certificate_bytes()),
        "safety_number": safety_number(
            &Party { account: alice, identity_key: identity.public_key() },
            &Party { account: bob, identity_key: other.public_key() },
        ),
        "words": recovery.to_words().as_str(),
        "vault": HEXLOWER.encode(&sealed),
        "row": HEXLOWER.encode(&row),
    }))
}
