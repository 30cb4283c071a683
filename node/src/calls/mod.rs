//! Calls of a node.
//!
//! Who rings where, and when the two devices try to connect, the client core decides (`sotto_node_core::calls`, as for browsers); here
//! are the connection, the sound and the picture. Read in this order: this file (a call until it ends), `session` (what the core wants, carried
//! out), `connection` (WebRTC), `describe` (its steps), `found` (candidates on their way out), `ways` (how devices find each other), `lent`
//! (what the relay lends for it), `tunnel` (where no UDP goes out), `sound` (every 20 ms), `audio` (sound into packets), `jitter` (packets into sound), `devices` (what is spoken
//! into and heard from: files, or with `machine` the machine's own, `server` on Linux and `system` elsewhere, `rate` from their rates to ours
//! and `slack` between their clocks and ours), `quality` (how good it is).
//! The picture has the same steps: `picture` (some times a second), `camera` and `film` (files in the place of a camera and a recorder),
//! `image` (what is in between), `vp8` (pictures into frames, and back), `frames` (packets into frames), `requests` (whole pictures that are
//! asked for). `outlet` numbers all packets.
//!
//! ```text
//! core: Negotiate --> session --> connection ==== the other device
//! core: Connected --> session --> sound: microphone -> audio -> outlet ==== jitter -> speaker
//!                             +-> picture: camera -> vp8 -> outlet ==== frames -> film, vp8 -> News::Picture
//! ```

mod audio;
mod camera;
mod connection;
pub(crate) mod describe;
mod devices;
mod film;
pub(crate) mod found;
mod frames;
mod image;
mod jitter;
pub(crate) mod lent;
#[cfg_attr(not(any(windows, target_os = "macos")), path = "server.rs")]
#[cfg_attr(any(windows, target_os = "macos"), path = "system.rs")]
mod machine;
mod outlet;
mod picture;
mod quality;
mod rate;
mod requests;
mod session;
mod slack;
mod sound;
mod tunnel;
mod vp8;
mod ways;

pub use camera::Camera;
pub use devices::{DeviceError, Microphone, Speaker};
pub use film::Film;
pub use image::Image;
pub use picture::{Pictures, fuzz_picture};
pub use quality::Quality;
pub use sound::Sound;
pub(crate) use tunnel::{Load, SOCKET_BYTES, Tunnel};
pub(crate) use ways::Ways;

use crate::node::Node;
use session::{Job, Session};
use sotto_e2ee::store::Store;
use sotto_node_core::calls::{CallId, CallState, CallView};
use sotto_node_core::event::{Event, Failure, FailureCode};
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

/// What happens in a call.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It stands like this now.
    Call(CallView),
    /// How good the connection is; every two seconds.
    Quality(Quality),
    /// A device does not do what it should, in one sentence. The call goes on.
    Trouble(Part, String),
    /// A picture comes, of this width and height; told again when it gets another size. Only where somebody takes it.
    Seen(u16, u16),
    /// What the other one shows now, if that was wanted; some times a second.
    Picture(Arc<Image>),
}

/// A part of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is heard.
    Sound,
    /// What is seen.
    Picture,
}

/// A call that this device began or took, with its sound and its pictures.
pub struct Talk {
    call: CallId,
    events: broadcast::Receiver<Event>,
    jobs: mpsc::UnboundedSender<Job>,
    news: mpsc::UnboundedReceiver<News>,
    picture: watch::Receiver<Option<Arc<Image>>>,
    media: JoinHandle<()>,
}

impl Talk {
    /// Takes the media of a call over. The events have to begin before the call was begun or taken.
    ///
    /// # Errors
    /// If the node has ended.
    pub async fn begin<S: Store + Send + 'static>(
        node: &Node<S>,
        events: broadcast::Receiver<Event>,
        call: CallId,
        sound: Sound,
        pictures: Pictures,
    ) -> Result<Self, Failure> {
        let hides = node.ask(|client| client.is_relay_only()).await?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (tell, news) = mpsc::unbounded_channel();
        let (shown, picture) = watch::channel(None);
        let session = Session::new(node.clone(), call, (sound, pictures), hides, tell, shown)
            .map_err(|error| Failure::new(FailureCode::Invalid, error.to_string()))?;
        let media = tokio::spawn(session.run(waiting));
        Ok(Self { call, events, jobs, news, picture, media })
    }

    /// Which call it is; another one than at the beginning if both had called.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// The next news; `None` if the node has ended. To be dropped and asked anew at any time.
    pub async fn news(&mut self) -> Option<News> {
        loop {
            tokio::select! {
                biased;
                Some(news) = self.news.recv() => return Some(news),
                event = self.events.recv() => match event {
                    Ok(event) => {
                        if let Some(news) = self.heard(event) {
                            return Some(news);
                        }
                    }
                    // What is lost with it the core says again.
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events of a call were missed"),
                    Err(RecvError::Closed) => return None,
                },
                Ok(()) = self.picture.changed() => {
                    if let Some(image) = self.picture.borrow_and_update().clone() {
                        return Some(News::Picture(image));
                    }
                }
            }
        }
    }

    fn heard(&mut self, event: Event) -> Option<News> {
        match event {
            Event::Call(view) if view.call == self.call || view.replaces == Some(self.call) => {
                self.call = view.call;
                if !matches!(view.state, CallState::Ended(_)) {
                    // The media end only when this is dropped or closed.
                    let _ = self.jobs.send(Job::Stands(view.call, view.state));
                }
                Some(News::Call(view))
            }
            Event::Negotiate { call, negotiation } if call == self.call => {
                let _ = self.jobs.send(Job::Negotiate(negotiation));
                None
            }
            _ => None,
        }
    }

    /// Closes the connection and finishes what was heard; to be called when the last word about the call has gone out.
    pub async fn close(self) {
        drop(self.jobs);
        if let Err(error) = self.media.await {
            tracing::warn!(%error, "the media ended badly");
        }
    }
}
