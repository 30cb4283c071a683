//! People and a small relay for the tests of this crate.

use crate::identity::{AccountIdentity, LocalDevice};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use std::time::SystemTime;

/// A generator that every test begins with.
pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

/// The system's clock: the library looks at it too when it checks key packages.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("the clock is before the year 500 million"))
}

/// The identity of the account of this number.
pub(crate) fn identity(account: u8) -> AccountIdentity {
    AccountIdentity::from_secret(&[account; 32])
}

/// The device of this number of the account of this number.
pub(crate) fn device(account: u8, device: u8) -> LocalDevice {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(device));
    identity(account).issue_device(&mut rng, AccountId([account; 16]), DeviceId([device; 16]), UnixMillis(1))
}
