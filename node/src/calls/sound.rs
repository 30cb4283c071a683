//! The sound of a call: every 20 ms a frame from the microphone goes out, and one of what was heard to the speaker.

use super::audio::{FRAME, Voice};
use super::connection::SharedEar;
use super::devices::{Microphone, Speaker};
use super::outlet::Mouth;
use super::{News, Part};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

/// How long a frame is.
const EVERY: Duration = Duration::from_millis(20);

/// Frames that were missed are made up for, but not those of a machine that slept.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// What is spoken from, and where the other one is heard.
pub struct Sound {
    /// What the other one hears.
    pub microphone: Microphone,
    /// Where the other one is heard.
    pub speaker: Speaker,
}

/// What was sent so far.
#[derive(Default)]
struct Sent {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// Sound that goes on until it is ended.
pub(super) struct Playing {
    sent: Arc<Sent>,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Playing {
    /// How many packets went out, and how many bytes in them.
    pub(super) fn sent(&self) -> (u64, u64) {
        (self.sent.packets.load(Ordering::Relaxed), self.sent.bytes.load(Ordering::Relaxed))
    }

    /// Ends it; what was heard is whole.
    pub(super) async fn end(self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.end.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the sound ended badly");
        }
    }
}

/// Begins.
pub(super) fn play(sound: Sound, mouth: Mouth, ear: SharedEar, news: UnboundedSender<News>) -> Playing {
    let (end, ended) = oneshot::channel();
    let sent = Arc::new(Sent::default());
    let task = tokio::spawn(run(sound, mouth, ear, Arc::clone(&sent), news, ended));
    Playing { sent, end, task }
}

async fn run(
    sound: Sound,
    mut mouth: Mouth,
    ear: SharedEar,
    sent: Arc<Sent>,
    news: UnboundedSender<News>,
    mut ended: oneshot::Receiver<()>,
) {
    let Sound { mut microphone, mut speaker } = sound;
    // Who listens is gone only when the call ends.
    let trouble = |what: String| drop(news.send(News::Trouble(Part::Sound, what)));
    let mut voice = match Voice::new() {
        Ok(voice) => voice,
        Err(error) => return trouble(format!("there is no sound: {error}")),
    };
    if let Err(error) = microphone.begin().await {
        trouble(format!("the other one does not hear you: {error}"));
        microphone = Microphone::silent();
    }
    if let Err(error) = speaker.begin().await {
        trouble(format!("you do not hear the other one: {error}"));
        speaker = Speaker::none();
    }
    let mut clock = interval(EVERY);
    loop {
        let due = tokio::select! {
            due = clock.tick() => due,
            _ = &mut ended => break,
        };
        if Instant::now().saturating_duration_since(due) > BEHIND_MAX {
            clock.reset();
        }
        let said = microphone.frame().unwrap_or_else(|error| {
            trouble(format!("the microphone is silent from now on: {error}"));
            microphone = Microphone::silent();
            vec![0; FRAME]
        });
        match voice.encode(&said) {
            Ok(packet) => {
                sent.packets.fetch_add(1, Ordering::Relaxed);
                sent.bytes.fetch_add(packet.len() as u64, Ordering::Relaxed);
                if let Err(error) = mouth.say(packet).await {
                    tracing::debug!(%error, "a packet was not sent");
                }
            }
            Err(error) => tracing::debug!(%error, "a frame was not encoded"),
        }
        let heard = ear.lock().unwrap_or_else(PoisonError::into_inner).frame();
        if let Err(error) = speaker.play(&heard) {
            trouble(format!("nothing is heard or written any more: {error}"));
            speaker = Speaker::none();
        }
    }
    if let Err(error) = speaker.end() {
        trouble(format!("what was heard may not be whole: {error}"));
    }
}
