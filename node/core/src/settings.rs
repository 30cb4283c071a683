//! How a client behaves, with every default and its reason.

use sotto_mls::suite::Suite;

/// What a shell may set. [`Settings::default`] is right for people.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Program and version for the relay's log, as `sotto/0.1.0`.
    pub agent: String,
    /// The suites to publish key packages for, each with how many one-time packages to keep on the relay.
    /// The last-resort package is of the first.
    pub key_packages: Vec<(Suite, usize)>,
    /// How long to wait for an answer before asking again, in milliseconds.
    pub request_timeout_ms: u64,
    /// After so many requests without an answer in a row the connection is given up.
    pub timeouts_max: u32,
    /// Without a sign of life for so long, the relay is asked for one, in milliseconds.
    pub keep_alive_ms: u64,
    /// Upper end of the random wait before doing what any member could do (removing one who left, answering
    /// a request for keys), in milliseconds per leaf that stands before us, so that members do not all do it.
    pub jitter_ms: u64,
    /// How long a device that finds itself without a leaf waits for a Welcome before it joins by itself, and as long again at most,
    /// at random. An own device or a member that is connected adds it within a few tenths of a second; where none is, the wait is
    /// for nothing.
    pub welcome_wait_ms: u64,
    /// How long after a change of the vault's contents it is sealed and handed out: what comes together is one change.
    pub vault_moment_ms: u64,
    /// How long after it was sealed it is not sealed again, however much changes.
    pub vault_rest_ms: u64,
    /// Whether to tell others what was delivered and read. Without, the own devices do not hear of it either. (That a
    /// device has processed the log up to some place stands in the encrypted head of whatever it sends, always: the
    /// check that a relay shows everybody the same log needs it.)
    pub receipts: bool,
    /// No direct links to other devices as long as this program runs, whatever else is set: nobody learns its address.
    pub relay_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agent: concat!("sotto-core/", env!("CARGO_PKG_VERSION")).to_owned(),
            // KEY_PACKAGES_PER_DEVICE_MAX is 100; 60 leaves room for a republication before expiry.
            key_packages: vec![(Suite::XWing, 40), (Suite::X25519, 20)],
            // The relay answers within a few milliseconds; its slowest work, an fsync of a busy disk, takes under 2 s.
            request_timeout_ms: 10_000,
            timeouts_max: 3,
            keep_alive_ms: 25_000,
            jitter_ms: 250,
            welcome_wait_ms: 700,
            vault_moment_ms: 300,
            vault_rest_ms: 5_000,
            receipts: true,
            relay_only: false,
        }
    }
}
