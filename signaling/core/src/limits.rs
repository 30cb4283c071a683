//! Limits of this crate beside those of the wire ([`sotto_protocol::limits`]). Times carry their unit.

/// Sessions of one account. Each device has one and scripts that sign in again and again leave theirs
/// behind; the one unused for longest gives way.
pub const SESSIONS_PER_ACCOUNT_MAX: usize = 64;

/// How long an access token is good for: long enough to be fetched rarely, short enough that another
/// service, which cannot see revocations, trusts it no longer than this.
pub const ACCESS_TOKEN_SECONDS: u64 = 15 * 60;

/// A session that was not refreshed for this long is over (90 days: a phone in a drawer for a season).
pub const SESSION_IDLE_SECONDS: u64 = 90 * 24 * 3600;

/// How long the refresh token before the current one is still answered, for a client whose answer was lost.
/// See [`crate::session`] for why this does not hide a theft.
pub const REFRESH_GRACE_SECONDS: u64 = 60;

/// Live invites of one account.
pub const INVITES_PER_ACCOUNT_MAX: usize = 100;

/// Uses of one invite: a room of [`LEAVES_PER_CONVERSATION_MAX`](sotto_protocol::limits::LEAVES_PER_CONVERSATION_MAX).
pub const INVITE_USES_MAX: u32 = 1_000;

/// How long an invite lives if its maker says nothing: 7 days.
pub const INVITE_SECONDS_DEFAULT: u64 = 7 * 24 * 3600;

/// The longest that its maker may ask for: a year.
pub const INVITE_SECONDS_MAX: u64 = 365 * 24 * 3600;

/// A device certificate as it is stored: 177 bytes of fields and signature today, with room for a later format.
pub const CERTIFICATE_BYTES_MAX: usize = 1024;

/// Suites that a caller may list when it claims key packages. We speak two.
pub const SUITES_PER_CLAIM_MAX: usize = 16;

/// How far in the future a device's clock may be when it dates a certificate: a day covers a wrong time zone.
pub const CLOCK_SKEW_SECONDS_MAX: u64 = 24 * 3600;

/// Accounts under one e-mail address that a sign-in by e-mail looks at. Addresses are not verified yet, so
/// several accounts may name the same one; registering is rate limited, so this is far out of the way.
pub const ACCOUNTS_PER_EMAIL_MAX: usize = 1_000;

/// Milliseconds in a second, where a `_SECONDS` limit meets a [`UnixMillis`](sotto_protocol::ids::UnixMillis).
pub const MS: u64 = 1_000;
