//! The one place that reads the wall clock.

use sotto_protocol::ids::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time now.
#[must_use]
pub fn now() -> UnixMillis {
    // A clock before 1970 reads as 1970: times are for people and for expiry, never for order.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
