//! The picture of a call: what a camera sees goes out some times a second, and what comes is written down and shown.
//!
//! What is made or looked at takes the processor long enough that it has threads of its own. What comes is a stranger's: if looking at it
//! fails, however badly, the call goes on without.

use super::camera::Camera;
use super::film::Film;
use super::frames::{Frame, Frames};
use super::image::Image;
use super::outlet::Beam;
use super::vp8::{POINTS_MAX, Painter, Viewer, size_of_whole};
use super::{News, Part};
use bytes::Bytes;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender, channel, error::TrySendError};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

/// Frames that wait to be taken: two seconds.
const WAITING_MAX: usize = 32;

/// How often it is looked whether something is missing, while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often a whole picture is made, however often it is asked for.
const WHOLE_EVERY: Duration = Duration::from_secs(1);

/// How often a picture is handed on to be shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// What is shown to the other one, and what becomes of the other one's picture.
pub struct Pictures {
    /// What the other one sees; nothing without one.
    pub camera: Option<Camera>,
    /// Where the other one's picture is written.
    pub film: Option<Film>,
    /// Whether the other one's picture is to be told as [`News::Picture`].
    pub shown: bool,
}

impl Pictures {
    /// Nobody sees anything.
    #[must_use]
    pub const fn none() -> Self {
        Self { camera: None, film: None, shown: false }
    }

    /// Whether anybody here sees what comes.
    pub(super) const fn is_watched(&self) -> bool {
        self.film.is_some() || self.shown
    }
}

/// The last picture that came.
pub(super) type Shown = watch::Sender<Option<Arc<Image>>>;

/// What takes in the other one's picture from the connection.
#[derive(Clone)]
pub(super) struct Eye {
    frames: Sender<Frame>,
    /// A whole picture is needed.
    needed: Arc<AtomicBool>,
    /// It looks at one picture at a time.
    looks: Arc<Mutex<()>>,
}

impl Eye {
    /// One, and what it has seen.
    pub(super) fn new() -> (Self, Seen) {
        let (frames, waiting) = channel(WAITING_MAX);
        let needed = Arc::default();
        let seen = Seen { frames: waiting, needed: Arc::clone(&needed) };
        (Self { frames, needed, looks: Arc::default() }, seen)
    }

    /// Takes in what comes on a track until it ends.
    pub(super) async fn look(self, track: Arc<dyn TrackRemote>, began: std::time::Instant) {
        let Ok(_looks) = self.looks.try_lock() else { return };
        let (mut frames, mut source) = (Frames::default(), None);
        let mut clock = interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = track.poll() => match event {
                    Some(event) => Some(event),
                    None => return,
                },
                _ = clock.tick() => None,
            };
            let at = began.elapsed();
            if let Some(TrackRemoteEvent::OnRtpPacket(packet)) = event {
                let header = packet.header;
                source = Some(header.ssrc);
                frames.take(header.sequence_number, header.timestamp, header.marker, &packet.payload, at);
            }
            while let Some(frame) = frames.next(at) {
                if self.frames.try_send(frame).is_err() {
                    // Nobody takes them yet, or any more.
                    frames.lose();
                }
            }
            if self.needed.swap(false, Ordering::Relaxed) {
                frames.ask();
            }
            if let Some(media_ssrc) = source
                && frames.wants_whole(at)
                && let Err(error) = track
                    .write_rtcp(vec![Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc })])
                    .await
            {
                tracing::debug!(%error, "a whole picture was not asked for");
            }
        }
    }
}

/// What an [`Eye`] has seen.
pub(super) struct Seen {
    frames: Receiver<Frame>,
    needed: Arc<AtomicBool>,
}

/// Something that goes on until it is ended.
pub(super) struct Going {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Going {
    fn new<F: Future<Output = ()> + Send + 'static>(begin: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self {
        let (end, ended) = oneshot::channel();
        Self { end, task: tokio::spawn(begin(ended)) }
    }

    /// Whether it ended by itself.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it; what was written is whole.
    pub(super) async fn end(self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.end.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a picture ended badly");
        }
    }
}

/// Shows the other one what the camera sees.
pub(super) fn show(camera: Camera, beam: Beam, news: UnboundedSender<News>) -> Going {
    Going::new(|ended| async move {
        if let Err(why) = showing(camera, beam, ended).await {
            // Who listens is gone only when the call ends.
            let sentence = format!("the camera shows nothing from now on: {why}");
            let _ = news.send(News::Trouble(Part::Picture, sentence));
        }
    })
}

async fn showing(camera: Camera, mut beam: Beam, mut ended: oneshot::Receiver<()>) -> Result<(), String> {
    let (rate, began) = (camera.rate(), Instant::now());
    let mut desk = (camera, Painter::new(rate));
    let mut clock = interval(Duration::from_secs_f64(1.0 / rate));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked, mut whole_at) = (true, None::<Instant>);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = beam.asked() => {
                asked = true;
                continue;
            }
            _ = &mut ended => return Ok(()),
        }
        let whole = asked && whole_at.is_none_or(|at| at.elapsed() >= WHOLE_EVERY);
        let work = spawn_blocking(move || {
            let (mut camera, mut painter) = desk;
            let image = camera.picture().map_err(|error| error.to_string())?;
            let frame = painter.paint(&image, whole).map_err(|error| format!("{error:?}"))?;
            Ok::<_, String>(((camera, painter), frame))
        });
        let (next, frame) = work.await.map_err(|error| error.to_string())??;
        desk = next;
        let Some(frame) = frame else { continue };
        if whole {
            (asked, whole_at) = (false, Some(Instant::now()));
        }
        if let Err(error) = beam.show(frame, began.elapsed()).await {
            tracing::debug!(%error, "a picture was not sent");
        }
    }
}

/// Takes what an eye has seen: into a film, and to be shown.
pub(super) fn watch(
    seen: Seen,
    film: Option<Film>,
    shown: Option<Shown>,
    news: UnboundedSender<News>,
) -> Going {
    let screen = shown.map(|shown| Screen::begin(shown, seen.needed));
    Going::new(|ended| watching(seen.frames, film, screen, news, ended))
}

async fn watching(
    mut frames: Receiver<Frame>,
    mut film: Option<Film>,
    mut screen: Option<Screen>,
    news: UnboundedSender<News>,
    mut ended: oneshot::Receiver<()>,
) {
    // Who listens is gone only when the call ends.
    let trouble = |what: String| drop(news.send(News::Trouble(Part::Picture, what)));
    let mut size = None;
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            _ = &mut ended => None,
        };
        let Some(frame) = frame else { break };
        if let Some((width, height)) = frame.whole
            && size.replace((width, height)) != Some((width, height))
        {
            // As above.
            let _ = news.send(News::Seen(width, height));
        }
        if let Some(Err(error)) = film.as_mut().map(|film| film.write(&frame)) {
            trouble(format!("no picture is written any more: {error}"));
            film = None;
        }
        if let Some(false) = screen.as_mut().map(|screen| screen.take(frame)) {
            trouble("the other one's picture could not be looked at, and is shown no more".to_owned());
            screen = None;
        }
    }
    if let Some(Err(error)) = film.map(Film::end) {
        trouble(format!("the recorded picture may not be whole: {error}"));
    }
}

/// Frames into pictures, on a thread of its own.
struct Screen {
    frames: Sender<Frame>,
    needed: Arc<AtomicBool>,
    /// Too many came for this machine: nothing is looked at until the next whole picture.
    behind: bool,
}

impl Screen {
    fn begin(shown: Shown, needed: Arc<AtomicBool>) -> Self {
        let (frames, waiting) = channel(WAITING_MAX / 4);
        let wants = Arc::clone(&needed);
        // It ends when there are no more frames. If it ends sooner, that is seen by who sends them.
        drop(spawn_blocking(move || view(waiting, &shown, &wants)));
        Self { frames, needed, behind: false }
    }

    /// Whether it still goes.
    fn take(&mut self, frame: Frame) -> bool {
        if self.behind && frame.whole.is_none() {
            return true;
        }
        match self.frames.try_send(frame) {
            Ok(()) => self.behind = false,
            Err(TrySendError::Full(_)) => {
                self.behind = true;
                self.needed.store(true, Ordering::Relaxed);
            }
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}

fn view(mut frames: Receiver<Frame>, shown: &Shown, needed: &AtomicBool) {
    let (mut viewer, mut last) = (Viewer::new(), None::<Instant>);
    while let Some(frame) = frames.blocking_recv() {
        match viewer.view(&frame.bytes) {
            Ok(Some(image)) => {
                if last.is_none_or(|last| last.elapsed() >= SHOW_EVERY) {
                    last = Some(Instant::now());
                    shown.send_replace(Some(Arc::new(image)));
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a frame that is no picture");
                needed.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// What a stranger sends as a picture, packet after packet: what says how it came (a byte: of how many numbers it is the next, whether the
/// frame ends with it, whether another begins), how long it is (two bytes), and what is in it. No frame and no picture is larger than allowed.
pub fn fuzz_picture(mut data: &[u8]) {
    let (mut frames, mut viewer) = (Frames::default(), Viewer::new());
    let (mut sequence, mut timestamp, mut at) = (0_u16, 0_u32, Duration::ZERO);
    while let Some(([how, high, low], rest)) = data.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        data = rest;
        sequence = sequence.wrapping_add(u16::from(how & 0x0f)).wrapping_sub(2);
        timestamp = timestamp.wrapping_add(if how & 0x20 == 0 { 0 } else { 6_000 });
        at += Duration::from_millis(20);
        frames.take(sequence, timestamp, how & 0x10 != 0, &Bytes::copy_from_slice(payload), at);
        while let Some(frame) = frames.next(at) {
            assert_eq!(frame.whole, size_of_whole(&frame.bytes));
            if let Ok(Some(image)) = viewer.view(&frame.bytes) {
                let blocks = image.width.next_multiple_of(16) * image.height.next_multiple_of(16);
                assert!(blocks as u64 <= POINTS_MAX, "a picture of {}x{}", image.width, image.height);
                assert_eq!(image.luma.len(), image.width * image.height);
            }
        }
        let _ = frames.wants_whole(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::sync::mpsc::unbounded_channel;

    /// Pictures that move, as packets for [`fuzz_picture`].
    fn packets() -> Vec<u8> {
        let (mut painter, mut packets) = (Painter::new(15.0), Vec::new());
        for at in 0..3 {
            let luma =
                (0..64 * 48).map(|point| u8::try_from((point * 7 + at * 13) % 200).unwrap_or_default());
            let image = Image {
                width: 64,
                height: 48,
                luma: luma.collect(),
                blue: vec![90; 32 * 24],
                red: vec![200; 32 * 24],
            };
            let frame = painter.paint(&image, false).expect("it can be painted").expect("there is room");
            let parts = frame.chunks(300).count();
            for (part, data) in frame.chunks(300).enumerate() {
                let (first, last) = (part == 0, part + 1 == parts);
                let how = 3 | if last { 0x10 } else { 0 } | if first { 0x20 } else { 0 };
                let length = u16::try_from(data.len() + 1).expect("it is short").to_be_bytes();
                packets.extend([how, length[0], length[1], if first { 0x10 } else { 0 }]);
                packets.extend(data);
            }
        }
        packets
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_sends_as_a_picture_breaks_nothing(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        ) {
            let mut packets = packets();
            for (place, byte) in changes {
                *place.get_mut(&mut packets) = byte;
            }
            fuzz_picture(&packets);
        }
    }

    #[tokio::test]
    async fn when_looking_at_a_picture_has_ended_badly_the_rest_goes_on() {
        let (eye, seen) = Eye::new();
        let (news, mut told) = unbounded_channel();
        // As after a panic: nobody takes frames any more.
        let screen = Screen { frames: channel(1).0, needed: seen.needed, behind: false };
        let watching = Going::new(|ended| watching(seen.frames, None, Some(screen), news, ended));
        let frame = |side| Frame { whole: Some((side, side)), timestamp: 0, bytes: vec![0; 10] };
        eye.frames.send(frame(16)).await.expect("it is taken");
        assert_eq!(told.recv().await, Some(News::Seen(16, 16)));
        assert!(matches!(told.recv().await, Some(News::Trouble(Part::Picture, _))));
        eye.frames.send(frame(32)).await.expect("it is taken");
        assert_eq!(told.recv().await, Some(News::Seen(32, 32)));
        watching.end().await;
    }
}
