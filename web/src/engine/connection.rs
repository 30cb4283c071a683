//! The connection to the relay: made, lost, and made again with growing pauses.

use super::host::{Host, Link};
use super::{Engine, Here, Inner, Status};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::Frame;
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use std::rc::Rc;

/// Frames that go into one commit of the store, at most.
const TOGETHER_MAX: usize = 64;

impl<H: Host> Engine<H> {
    pub(super) fn start_dialling(&self, now: UnixMillis) {
        {
            let inner = &mut *self.0.inner.borrow_mut();
            let allowed = inner
                .here
                .as_ref()
                .is_some_and(|here| here.session.access(now).is_some() && inner.may_dial(here));
            let free = inner.link.is_none() && !inner.dialling;
            if !allowed || !free || inner.dial_at.is_none_or(|at| at > now) {
                return;
            }
            inner.dialling = true;
        }
        let engine = self.clone();
        self.host().spawn(Box::pin(async move {
            let dialled = engine.host().dial().await;
            engine.on_dialled(dialled).await;
        }));
    }

    async fn on_dialled(&self, dialled: Result<H::Link, String>) {
        let (link, generation) = match dialled {
            Ok(link) => {
                let link = Rc::new(link);
                let generation = self.input(|inner, now| inner.connected(link.clone(), now));
                let Some(generation) = generation else {
                    link.close();
                    return;
                };
                (link, generation)
            }
            Err(why) => {
                return self.input(|inner, now| {
                    inner.dialling = false;
                    inner.try_later(Status::said("unreachable", why), now);
                });
            }
        };
        loop {
            match link.receive().await {
                Ok(bytes) => {
                    if !self.receive(generation, &bytes) {
                        return;
                    }
                }
                Err(why) => {
                    return self.input(|inner, now| {
                        if inner.generation == generation {
                            inner.disconnect(&why, now);
                        }
                    });
                }
            }
        }
    }

    /// Bytes came. False if this connection is no more the one that counts.
    fn receive(&self, generation: u64, bytes: &[u8]) -> bool {
        self.0.inner.borrow_mut().received.extend_from_slice(bytes);
        loop {
            let more = self.input(|inner, now| {
                if inner.generation != generation {
                    return None;
                }
                let mut frames = Vec::new();
                while frames.len() < TOGETHER_MAX {
                    match Frame::take(&mut inner.received, FRAME_BODY_BYTES_MAX) {
                        Ok(Some(frame)) => frames.push(frame),
                        Ok(None) => break,
                        Err(error) => {
                            inner.disconnect(&format!("the relay broke the protocol: {error}"), now);
                            return None;
                        }
                    }
                }
                let more = frames.len() == TOGETHER_MAX;
                let Inner { here, rng, .. } = inner;
                if let Some(Here { client, .. }) = here
                    && !frames.is_empty()
                {
                    client.handle_frames(frames, now, rng);
                }
                Some(more)
            });
            match more {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }
}

impl<H: Host> Inner<H> {
    /// Without a registered device the relay does not know us.
    pub(super) const fn may_dial(&self, here: &Here) -> bool {
        self.dial_at.is_some() && here.session.device_registered
    }

    /// A connection stands; which one it is, if it is still wanted.
    fn connected(&mut self, link: Rc<H::Link>, now: UnixMillis) -> Option<u64> {
        self.dialling = false;
        self.dial_at?;
        let Self { here, rng, .. } = self;
        let here = here.as_mut()?;
        self.generation = self.generation.saturating_add(1);
        self.received.clear();
        self.link = Some(link);
        // A browser shows no exporter of its TLS.
        here.client.handle_connected(ChannelBinding::NonceOnly, now, rng);
        Some(self.generation)
    }

    pub(super) fn connection_is(&mut self, word: &'static str) {
        if let Some(link) = &self.link {
            self.set_status(Status { word, text: None, carrier: Some(link.carrier()) });
        }
    }

    /// The connection is over, whoever ended it.
    pub(super) fn disconnect(&mut self, why: &str, now: UnixMillis) {
        if self.link.is_none() {
            return;
        }
        self.hang_up();
        let Self { here, rng, .. } = self;
        if let Some(here) = here {
            here.client.handle_disconnected(now, rng);
        }
        // A goodbye has said when to come back already.
        if self.dial_at.is_some_and(|at| at > now) {
            self.set_status(Status::said("unreachable", why));
        } else if self.jobs.is_refreshing() {
            self.set_status(Status::word("connecting"));
        } else {
            self.try_later(Status::said("unreachable", why), now);
        }
    }

    /// Closes the connection and listens to it no more.
    pub(super) fn hang_up(&mut self) {
        self.generation = self.generation.saturating_add(1);
        if let Some(link) = self.link.take() {
            link.close();
        }
        self.received.clear();
    }

    pub(super) fn try_later(&mut self, status: Status, now: UnixMillis) {
        if self.dial_at.is_some() {
            let wait = self.backoff.next_wait(&mut self.rng).as_millis();
            let wait = u64::try_from(wait).unwrap_or(u64::MAX);
            self.dial_at = Some(UnixMillis(now.0.saturating_add(wait)));
            self.set_status(status);
        }
    }
}
