//! Who is let through to the TURN server: each request is checked here first, against the clock, the sign-ins, the quotas
//! and the address policy, because `turn-server-proto` knows passwords only.
//!
//! What carries no proof goes through and is challenged. What carries one is checked here too: only requests that prove to
//! be of somebody who may borrow reach the server, and none of these that names a peer which nobody reaches.

use super::Lending;
use super::ledger::{Grant, Meter, NotLent};
use super::messages;
use crate::metrics::TURN_REFUSALS;
use sotto_protocol::ids::UnixMillis;
use sotto_relay_core::turn::addresses::PeerRefused;
use sotto_relay_core::turn::contacts::Contacts;
use sotto_relay_core::turn::credentials::Holder;
use std::net::SocketAddr;
use turn_server_proto::stun::types::attribute::{
    ErrorCode, MessageIntegrity, MessageIntegritySha256, Userhash, Username,
};
use turn_server_proto::stun::types::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageIntegrityCredentials,
};
use turn_server_proto::stun::types::prelude::{Attribute as _, AttributeStaticType as _};
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::attribute::{
    AdditionalAddressFamily, EvenPort, Lifetime, RequestedTransport, ReservationToken, XorPeerAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};

/// What passwords belong to, beside the user name.
pub(super) const REALM: &str = "sotto";

/// What becomes of a request.
pub(super) enum Verdict {
    /// The server answers it.
    Pass,
    /// The server answers it, with a user that it does not know yet.
    PassAs { username: String, password: String },
    /// It is answered with this.
    Refuse(Vec<u8>),
    /// It is not answered.
    Ignore,
}

/// User names that one address may try before it is heard no more. A client has one.
const NAMES_MAX: u8 = 4;

/// What is known of one client's rights.
#[derive(Debug, Default)]
pub(super) struct Gate {
    known: Option<Known>,
    names: u8,
    contacts: Contacts,
    /// Whether the port is to be an even one.
    pub(super) even_port: bool,
    /// What the allocation counts as; there is one as long as this is.
    pub(super) grant: Option<Grant>,
}

/// Somebody whose user name is one of ours.
#[derive(Debug)]
struct Known {
    username: String,
    holder: Holder,
    credentials: MessageIntegrityCredentials,
    keys: [IntegrityKey; 2],
    /// Whether the server knows it too.
    is_passed_on: bool,
}

impl Known {
    fn new(username: &str, password: &str, holder: Holder) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        let long_term = LongTermKeyCredentials::new(username.clone(), password, REALM.to_owned());
        let credentials = MessageIntegrityCredentials::from(long_term);
        let keys =
            [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256].map(|hash| credentials.make_key(hash));
        Self { username, holder, credentials, keys, is_passed_on: false }
    }

    /// Whether a request is by whoever has the password.
    fn signed(&self, request: &Message<'_>) -> bool {
        self.keys.iter().any(|key| request.validate_integrity_with_key(key).is_ok())
    }
}

/// Why a request is refused: STUN's code, and the word of the metric.
type Refusal = (u16, &'static str);

impl Gate {
    /// What the account has used, while something is lent.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.grant.as_ref().map(|grant| &grant.meter)
    }

    /// Whether whoever borrows is still signed in.
    pub(super) fn stands(&self, lending: &Lending) -> bool {
        self.known.as_ref().is_some_and(|known| lending.ledger.stands(known.holder.session))
    }

    /// Judges a request.
    pub(super) fn judge(&mut self, request: &Message<'_>, lending: &Lending, now: UnixMillis) -> Verdict {
        let refuse = |(code, reason): Refusal, signed_by| {
            metrics::counter!(TURN_REFUSALS, "reason" => reason).increment(1);
            Verdict::Refuse(messages::refusal(request, code, signed_by))
        };
        if ![ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND].contains(&request.method()) {
            return refuse((ErrorCode::BAD_REQUEST, "malformed"), None);
        }
        let has_proof = request.has_attribute(MessageIntegrity::TYPE)
            || request.has_attribute(MessageIntegritySha256::TYPE);
        if !has_proof {
            return Verdict::Pass;
        }
        // A hash of the name would hide until when it is good.
        let username = request.attribute::<Username>().ok();
        let Some(username) = username.filter(|_| !request.has_attribute(Userhash::TYPE)) else {
            return refuse((ErrorCode::BAD_REQUEST, "malformed"), None);
        };
        match self.recognise(username.username(), lending, now) {
            Ok(()) => {}
            Err(None) => return Verdict::Ignore,
            Err(Some(refusal)) => return refuse(refusal, None),
        }
        let Some(known) = self.known.as_ref().filter(|known| known.signed(request)) else {
            return refuse((ErrorCode::UNAUTHORIZED, "password"), None);
        };
        let credentials = known.credentials.clone();
        if let Err(refusal) = self.decide(request, lending, now) {
            return refuse(refusal, Some(&credentials));
        }
        match self.known.as_mut().filter(|known| !known.is_passed_on) {
            Some(known) => {
                known.is_passed_on = true;
                let password = lending.secret.password(&known.username).as_str().to_owned();
                Verdict::PassAs { username: known.username.clone(), password }
            }
            None => Verdict::Pass,
        }
    }

    /// Looks whether a user name counts. With no refusal there is silence.
    fn recognise(
        &mut self,
        username: &str,
        lending: &Lending,
        now: UnixMillis,
    ) -> Result<(), Option<Refusal>> {
        let is_known = self.known.as_ref().is_some_and(|known| known.username == username);
        if !is_known && self.grant.is_some() {
            return Err(Some((ErrorCode::WRONG_CREDENTIALS, "credentials")));
        }
        let unauthorised = |reason| Some((ErrorCode::UNAUTHORIZED, reason));
        let holder = Holder::read(username).map_err(|_| unauthorised("credentials"))?;
        holder.check(now).map_err(|_| unauthorised("expired"))?;
        if !lending.ledger.stands(holder.session) {
            return Err(unauthorised("credentials"));
        }
        if is_known {
            return Ok(());
        }
        self.names = self.names.saturating_add(1);
        if self.names > NAMES_MAX {
            return Err(None);
        }
        let password = lending.secret.password(username);
        self.known = Some(Known::new(username, &password, holder));
        Ok(())
    }

    /// What somebody who may borrow may do.
    fn decide(&mut self, request: &Message<'_>, lending: &Lending, now: UnixMillis) -> Result<(), Refusal> {
        match request.method() {
            ALLOCATE => self.allocate(request, lending, now),
            REFRESH => {
                // Of several the server takes the last one.
                let mut lifetimes =
                    request.iter_attributes().filter_map(|(_, raw)| Lifetime::try_from(&raw).ok()).peekable();
                let gives_up =
                    lifetimes.peek().is_some() && lifetimes.all(|lifetime| lifetime.seconds() == 0);
                let may_keep = gives_up || self.meter().is_none_or(|meter| meter.may_keep(now).is_ok());
                if may_keep { Ok(()) } else { Err(QUOTA) }
            }
            // A permission is for every port.
            CREATE_PERMISSION => self.reach(request, now, |peer| {
                lending.policy.check_address(peer.ip()).map(|()| SocketAddr::new(peer.ip(), 0))
            }),
            _ => self.reach(request, now, |peer| lending.policy.check(peer).map(|()| peer)),
        }
    }

    /// Notes the peers that a request names, if it may reach them all. What does not read is refused by the server.
    fn reach(
        &mut self,
        request: &Message<'_>,
        now: UnixMillis,
        check: impl Fn(SocketAddr) -> Result<SocketAddr, PeerRefused>,
    ) -> Result<(), Refusal> {
        let id = request.transaction_id();
        for (_, raw) in request.iter_attributes() {
            if raw.get_type() != XorPeerAddress::TYPE {
                continue;
            }
            let Ok(peer) = XorPeerAddress::try_from(&raw) else { continue };
            let contact = check(peer.addr(id)).map_err(|_| (ErrorCode::FORBIDDEN, "peer"))?;
            if !self.contacts.note(contact, now) {
                return Err((ErrorCode::INSUFFICIENT_CAPACITY, "peers"));
            }
        }
        Ok(())
    }

    fn allocate(&mut self, request: &Message<'_>, lending: &Lending, now: UnixMillis) -> Result<(), Refusal> {
        if self.grant.is_some() {
            // The server says that there is one.
            return Ok(());
        }
        if !lending.takes_new() {
            return Err((ErrorCode::INSUFFICIENT_CAPACITY, "full"));
        }
        let transport = request.attribute::<RequestedTransport>();
        if transport.is_ok_and(|transport| transport.protocol() != RequestedTransport::UDP) {
            return Err((ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL, "unsupported"));
        }
        // Pairs of ports are of a time before RTCP shared its port: one even port is lent, two are not.
        let even_port = request.attribute::<EvenPort>();
        self.even_port = even_port.is_ok();
        if even_port.is_ok_and(|port| port.requested()) || request.has_attribute(ReservationToken::TYPE) {
            return Err((ErrorCode::INSUFFICIENT_CAPACITY, "unsupported"));
        }
        // The server takes it for granted that there is IPv4 where IPv6 is asked for in addition.
        if request.has_attribute(AdditionalAddressFamily::TYPE) && !lending.has(AddressFamily::IPV4) {
            return Err((ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED, "unsupported"));
        }
        let Some(known) = &self.known else { return Err((ErrorCode::UNAUTHORIZED, "credentials")) };
        let grant = lending.ledger.reserve(known.holder.account, now).map_err(|error| match error {
            NotLent::Quota(_) => QUOTA,
            NotLent::Full => (ErrorCode::INSUFFICIENT_CAPACITY, "full"),
        })?;
        self.grant = Some(grant);
        Ok(())
    }
}

const QUOTA: Refusal = (ErrorCode::ALLOCATION_QUOTA_REACHED, "quota");
