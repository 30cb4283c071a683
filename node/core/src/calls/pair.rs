//! The way between two devices of a call, whichever kind of call it is: attempts to connect, one of the two offering, the other one
//! answering, until the media run by a certificate that was promised; and again when they stop.
//!
//! What comes of an input is a [`Step`]: it says what the other device is to be told and what the shell is to do. Since signals
//! can be lost, a description is said again until it is answered, and an attempt that led nowhere is followed by another one.

use super::{Candidate, MediaReport, Negotiation, sdp};
use crate::event::{Failure, FailureCode};
use sotto_e2ee::content::call::{CANDIDATES_PER_SIGNAL_MAX, SDP_BYTES_MAX, Signal};
use sotto_protocol::ids::UnixMillis;

/// How often a step that nothing came of is said again.
pub(super) const REPEAT_MS: u64 = 2_000;

/// How long finding a connection may take; relayed ones need 4 to 7 s.
pub(super) const CONNECT_MS: u64 = 30_000;

/// How long a connection that is lost is tried for again.
pub(super) const RECONNECT_MS: u64 = 30_000;

/// A connection that only faltered comes back by itself within this.
pub(super) const FALTER_MS: u64 = 2_000;

/// An attempt has had its chance after so long.
pub(super) const ATTEMPT_MS: u64 = 8_000;

/// The other device asks for new attempts no faster than this.
const ROUND_EVERY_MS: u64 = 1_000;

/// Candidates of one attempt, each way. A device with ten addresses has about sixty.
pub(crate) const CANDIDATES_MAX: usize = 128;

/// Attempts to connect in one call: one a minute for an hour and a half on a train.
pub(super) const ROUNDS_MAX: u32 = 100;

/// How far the two devices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Connecting,
    Connected,
    Reconnecting,
}

/// What the owner of a pair has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The media run.
    Connected,
    /// They do not any more; a new way is looked for.
    Lost,
    /// The certificate is not one that was promised.
    Tampered,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Said to the other device.
    pub(super) say: Vec<Signal>,
    /// Done by the shell.
    pub(super) ask: Vec<Negotiation>,
    pub(super) news: Option<News>,
}

/// One way between this device and another one.
#[derive(Debug)]
pub(super) struct Pair {
    /// This device offers, the other one answers.
    offers: bool,
    /// No offer came yet.
    fresh: bool,
    pub(super) stand: Stand,
    pub(super) round: u32,
    round_began: UnixMillis,
    /// The shell gave this attempt up.
    stale: bool,
    /// When there was time enough for a connection.
    pub(super) late_at: Option<UnixMillis>,
    pub(super) repeat: Option<UnixMillis>,
    local: Option<String>,
    local_candidates: Vec<Candidate>,
    /// The fingerprints that the other one's description of this round promises.
    promised: Option<Vec<String>>,
    remote_candidates: Vec<Candidate>,
    /// Of those, how many the shell has.
    given: usize,
}

const fn after(now: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(ms))
}

impl Pair {
    /// Begins to connect; who `offers` does so by this round.
    pub(super) fn new(offers: bool, round: u32, now: UnixMillis) -> (Self, Step) {
        let pair = Self {
            offers,
            fresh: !offers,
            stand: Stand::Connecting,
            round,
            round_began: now,
            stale: false,
            late_at: Some(after(now, CONNECT_MS)),
            repeat: None,
            local: None,
            local_candidates: Vec::new(),
            promised: None,
            remote_candidates: Vec::new(),
            given: 0,
        };
        let mut step = Step::default();
        if offers {
            step.ask.push(Negotiation::Offer { round });
        }
        (pair, step)
    }

    /// The other device has not offered yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// A fresh attempt to connect.
    fn begin_round(&mut self, round: u32, now: UnixMillis) {
        self.round = round;
        self.round_began = now;
        self.stale = false;
        self.local = None;
        self.local_candidates.clear();
        self.promised = None;
        self.remote_candidates.clear();
        self.given = 0;
    }

    /// The shell has the description that was asked for.
    pub(super) fn described(&mut self, round: u32, sdp: String, now: UnixMillis) -> Result<Step, Failure> {
        if round != self.round {
            return Ok(Step::default()); // It was overtaken by a newer attempt.
        }
        if sdp.len() > SDP_BYTES_MAX || sdp::fingerprints(&sdp).is_none() {
            let text = "this is no session description that can be sent";
            return Err(Failure::new(FailureCode::Invalid, text));
        }
        if !self.offers && self.promised.is_none() {
            return Ok(Step::default()); // There is no offer to answer.
        }
        self.local = Some(sdp);
        self.repeat = self.offers.then(|| after(now, REPEAT_MS));
        Ok(self.description())
    }

    /// The description of this round and every way that is known, for the other device.
    fn description(&self) -> Step {
        let mut step = Step::default();
        let (round, Some(sdp)) = (self.round, self.local.clone()) else { return step };
        step.say.push(if self.offers { Signal::Offer { round, sdp } } else { Signal::Answer { round, sdp } });
        step.say.extend(candidates(round, &self.local_candidates));
        step
    }

    /// The shell found ways to this device.
    pub(super) fn found(&mut self, round: u32, list: Vec<Candidate>) -> Result<Step, Failure> {
        let mut step = Step::default();
        if round != self.round {
            return Ok(step);
        }
        if !list.iter().all(Candidate::is_sound) {
            return Err(Failure::new(FailureCode::Invalid, "this is no candidate that can be sent"));
        }
        let known = self.local_candidates.len();
        add(&mut self.local_candidates, list);
        if self.local.is_some() {
            step.say.extend(candidates(round, self.local_candidates.get(known..).unwrap_or_default()));
        }
        Ok(step)
    }

    /// How the media do.
    pub(super) fn reported(&mut self, report: &MediaReport, now: UnixMillis) -> Step {
        let mut step = Step::default();
        match report {
            MediaReport::Alive => {}
            MediaReport::Connected { fingerprint } => {
                let Some(promised) = &self.promised else { return step };
                if !sdp::is_promised(fingerprint, promised) {
                    step.news = Some(News::Tampered);
                } else if self.stand != Stand::Connected {
                    self.stand = Stand::Connected;
                    (self.late_at, self.repeat) = (None, None);
                    step.news = Some(News::Connected);
                }
            }
            MediaReport::Disconnected | MediaReport::Failed => {
                let failed = *report == MediaReport::Failed;
                if self.stand == Stand::Connected {
                    return self.reconnect(if failed { 0 } else { FALTER_MS }, now);
                }
                if failed && !self.fresh {
                    self.stale = true;
                    self.repeat = Some(now);
                }
            }
        }
        step
    }

    /// The way is lost: a new one is looked for, after a moment in which the old one may come back.
    fn reconnect(&mut self, wait_ms: u64, now: UnixMillis) -> Step {
        self.stand = Stand::Reconnecting;
        self.stale = true;
        self.late_at = Some(after(now, RECONNECT_MS));
        self.repeat = Some(after(now, wait_ms));
        Step { news: Some(News::Lost), ..Step::default() }
    }

    /// The other device says something about the way between the two.
    pub(super) fn heard(&mut self, signal: Signal, now: UnixMillis) -> Step {
        match signal {
            Signal::Offer { round, sdp } if !self.offers => self.offered(round, sdp, now),
            Signal::Answer { round, sdp } if self.offers => self.answered(round, sdp),
            Signal::Candidates { round, list } if round == self.round => {
                add(&mut self.remote_candidates, list);
                let mut step = Step::default();
                step.ask.extend(self.ways());
                step
            }
            Signal::Restart if self.offers => {
                let had_its_chance = after(self.round_began, ATTEMPT_MS) <= now;
                match self.stand {
                    Stand::Connected => self.reconnect(0, now),
                    _ if had_its_chance => self.offer_again(now),
                    _ => Step::default(),
                }
            }
            _ => Step::default(),
        }
    }

    fn offered(&mut self, round: u32, sdp: String, now: UnixMillis) -> Step {
        let mut step = Step::default();
        let first = self.fresh;
        if !first && round == self.round {
            return self.description(); // It did not hear the answer.
        }
        let too_soon = !first && after(self.round_began, ROUND_EVERY_MS) > now;
        if round > ROUNDS_MAX || !first && (round < self.round || too_soon) {
            return step;
        }
        let Some(promised) = sdp::fingerprints(&sdp) else { return step };
        if first && round == self.round {
            self.round_began = now; // What came before the offer belongs to it.
        } else {
            self.begin_round(round, now);
        }
        self.fresh = false;
        self.promised = Some(promised);
        self.repeat = None;
        step.ask.push(Negotiation::Description { round, offer: true, sdp });
        step.ask.extend(self.ways());
        step
    }

    fn answered(&mut self, round: u32, sdp: String) -> Step {
        let mut step = Step::default();
        if round != self.round || self.local.is_none() || self.promised.is_some() {
            return step;
        }
        let Some(promised) = sdp::fingerprints(&sdp) else { return step };
        self.promised = Some(promised);
        if self.stand == Stand::Connecting {
            self.repeat = None;
        }
        step.ask.push(Negotiation::Description { round, offer: false, sdp });
        step.ask.extend(self.ways());
        step
    }

    /// The other one's candidates, each once, after the description that they belong to.
    fn ways(&mut self) -> Option<Negotiation> {
        self.promised.as_ref()?;
        let list = self.remote_candidates.get(self.given..).unwrap_or_default().to_vec();
        self.given = self.remote_candidates.len();
        (!list.is_empty()).then_some(Negotiation::Candidates { round: self.round, list })
    }

    /// Says again what nothing came of, if it is time.
    pub(super) fn on_time(&mut self, now: UnixMillis) -> Step {
        let mut step = Step::default();
        if self.repeat.is_none_or(|at| at > now) {
            return step;
        }
        self.repeat = Some(after(now, REPEAT_MS));
        if self.stand == Stand::Connected {
            self.repeat = None;
        } else if !self.offers {
            step.say.push(Signal::Restart);
        } else if self.stale || after(self.round_began, ATTEMPT_MS) <= now {
            // An attempt that led nowhere is followed by another one; an offer that was lost, or its answer, is repeated.
            return self.offer_again(now);
        } else if self.promised.is_none() {
            return self.description();
        }
        step
    }

    /// Begins a further attempt.
    fn offer_again(&mut self, now: UnixMillis) -> Step {
        let mut step = Step::default();
        let waiting = self.local.is_none() && after(self.round_began, REPEAT_MS) > now;
        if waiting || self.round >= ROUNDS_MAX {
            return step;
        }
        self.begin_round(self.round.saturating_add(1), now);
        self.repeat = Some(after(now, REPEAT_MS));
        step.ask.push(Negotiation::Offer { round: self.round });
        step
    }

    /// There was time enough, and who is at both ends still wants it: tried on, for as long again.
    pub(super) fn go_on(&mut self, now: UnixMillis) {
        if self.late_at.is_some_and(|at| at <= now) {
            self.late_at = Some(after(now, CONNECT_MS));
            self.stale = true;
            self.repeat = Some(now);
        }
    }

    /// A clock that jumped back: what was due far ahead is due within its usual time.
    pub(super) fn clamp(&mut self, now: UnixMillis) {
        self.late_at = self.late_at.map(|at| at.min(after(now, CONNECT_MS)));
        self.repeat = self.repeat.map(|_| now);
        self.round_began = self.round_began.min(now);
    }
}

/// Those that are not there yet, as many as there may be.
fn add(all: &mut Vec<Candidate>, list: Vec<Candidate>) {
    for candidate in list {
        if all.len() < CANDIDATES_MAX && !all.contains(&candidate) {
            all.push(candidate);
        }
    }
}

/// Candidates as they are said: so many in each signal.
fn candidates(round: u32, all: &[Candidate]) -> impl Iterator<Item = Signal> {
    all.chunks(CANDIDATES_PER_SIGNAL_MAX).map(move |list| Signal::Candidates { round, list: list.to_vec() })
}
