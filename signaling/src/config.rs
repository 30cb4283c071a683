//! What the operator chooses. The relay program reads it from its configuration.

use sotto_protocol::ids::UnixMillis;
use sotto_protocol::invite::{Fingerprint, RelayAddress};
use sotto_signaling_core::account::RegistrationRules;
use sotto_signaling_core::password::PasswordCost;
use sotto_signaling_core::rate::Quota;
use sotto_signaling_core::rights::InviteMakers;
use std::sync::Arc;
use std::time::Duration;

/// The relay's clock, as an argument: tests bring their own.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Everything that signaling is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// What access tokens name as their issuer: the relay's public address as a URL.
    pub issuer: String,
    /// The address that invite links carry.
    pub relay: RelayAddress,
    /// The fingerprint that invite links carry; `None` with a certificate that everybody trusts.
    pub fingerprint: Option<Fingerprint>,
    /// What browsers open, as `https://chat.example.org`; invites carry it too.
    pub web: String,
    /// Who may register, and whether the first account is the operator's.
    pub registration: RegistrationRules,
    /// Who may invite people to register.
    pub invite_makers: InviteMakers,
    /// The work of one password hash.
    pub password_cost: PasswordCost,
    /// Password hashes that run at once; each takes a processor and the memory of its cost.
    pub hashes_at_once: usize,
    /// Password hashes that may wait; further sign-ins are told to come back.
    pub hashes_waiting_max: usize,
    /// How often anybody may ask.
    pub rates: Rates,
    /// How many proxies of our own stand in front and append to `X-Forwarded-For`; 0 ignores the header.
    pub trusted_proxies: usize,
    /// A request that takes longer is answered `unavailable`.
    pub request_timeout: Duration,
    /// So is one for a chunk of a file that takes longer than this.
    pub chunk_timeout: Duration,
}

impl Config {
    /// Sensible values for a relay at `relay`.
    #[must_use]
    pub fn new(relay: RelayAddress) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            issuer: format!("https://{relay}"),
            web: format!("https://{relay}"),
            relay,
            fingerprint: None,
            registration: RegistrationRules::default(),
            invite_makers: InviteMakers::default(),
            password_cost: PasswordCost::STANDARD,
            hashes_at_once: processors,
            // At 40 ms each, one processor works through 64 in less than three seconds.
            hashes_waiting_max: 64 * processors,
            rates: Rates::default(),
            trusted_proxies: 0,
            request_timeout: Duration::from_secs(30),
            // 1 MiB at 70 kbit/s.
            chunk_timeout: Duration::from_secs(120),
        }
    }
}

/// How often anybody may ask; `None` asks no questions (a load test on a closed network).
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// HTTP requests from one address (IPv6: from one /64).
    pub requests_per_address: Option<Quota>,
    /// HTTP requests of one account.
    pub requests_per_account: Option<Quota>,
    /// Requests for chunks of files from one address (IPv6: from one /64).
    pub chunks_per_address: Option<Quota>,
    /// Requests for chunks of files of one account.
    pub chunks_per_account: Option<Quota>,
    /// Registrations and sign-ins from one address.
    pub sign_ins_per_address: Option<Quota>,
    /// Sign-ins for one name or e-mail address, whether or not it exists, from anywhere.
    pub sign_ins_per_name: Option<Quota>,
    /// Key packages that one account takes.
    pub claims_per_account: Option<Quota>,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            // A person's client asks a few times at start and then seldom.
            requests_per_address: Some(Quota::new(200, Duration::from_millis(50))),
            requests_per_account: Some(Quota::new(200, Duration::from_millis(50))),
            // Of 1 MiB each: 1 GiB/s, which no line of one person has, and 2 GiB/s of an office.
            chunks_per_address: Some(Quota::new(4_000, Duration::from_micros(500))),
            chunks_per_account: Some(Quota::new(2_000, Duration::from_millis(1))),
            // A family behind one address signs in together; a guesser gets 30 a minute.
            sign_ins_per_address: Some(Quota::new(30, Duration::from_secs(2))),
            // 10 guesses, then one every 10 s: 8,640 a day, from all addresses together.
            sign_ins_per_name: Some(Quota::new(10, Duration::from_secs(10))),
            // A group of 1,000 is set up at once; emptying somebody's stock of 100 again and again is slow.
            claims_per_account: Some(Quota::new(1_000, Duration::from_secs(1))),
        }
    }
}

impl Rates {
    /// No limits: for load tests on a closed network.
    pub const NONE: Self = Self {
        requests_per_address: None,
        requests_per_account: None,
        chunks_per_address: None,
        chunks_per_account: None,
        sign_ins_per_address: None,
        sign_ins_per_name: None,
        claims_per_account: None,
    };
}
