//! The microphone and the loudspeaker of the machine, as its sound server lends them: PulseAudio, or PipeWire, which speaks its protocol too.
//!
//! They are looked for before anybody is called, and opened when two talk: who waits for a call records nothing. The server is told that
//! this is a conversation, so it may mute music meanwhile, and is asked to take out what the loudspeaker plays from what the microphone hears.

use super::audio::RATE;
use super::devices::DeviceError;
use super::slack::Slack;
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, PlaybackStreamParams, Prop, Props, RecordStreamParams, SampleFormat, SampleSpec,
};
use pulseaudio::{AsPlaybackSource as _, Client, ClientError, PlaybackStream, RecordStream};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// What lends them, for people.
pub(super) const WHAT: &str = "the sound server of this machine (PulseAudio or PipeWire)";

/// A server that does not answer by then is none.
const ANSWER: Duration = Duration::from_secs(5);

/// Bytes of a sample.
const SAMPLE: usize = 2;

/// What the server hands over at a time, and keeps ready for the loudspeaker, in bytes: 20 ms and 60 ms.
const HANDED: u32 = 20 * 48 * 2;
const READY: u32 = 60 * 48 * 2;

type Shared = Arc<Mutex<Slack>>;

/// A microphone, open or not yet.
pub(super) struct Microphone {
    device: Device,
    open: Option<(Shared, RecordStream)>,
}

/// A loudspeaker, open or not yet.
pub(super) struct Speaker {
    device: Device,
    open: Option<(Shared, PlaybackStream)>,
}

/// A device of the server; without a name the one that the person has chosen there.
struct Device {
    client: Client,
    name: Option<CString>,
}

fn failed(error: &ClientError) -> DeviceError {
    let what = match error {
        ClientError::ServerUnavailable => "there is none".to_owned(),
        ClientError::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    DeviceError::Server(what)
}

/// What the server answers, unless it takes too long.
async fn answered<T>(answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, DeviceError> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(DeviceError::Server("it does not answer".to_owned())),
    }
}

async fn reached() -> Result<Client, DeviceError> {
    // It waits for the first words.
    let begun = tokio::task::spawn_blocking(|| Client::from_env(c"Sotto"));
    match timeout(ANSWER, begun).await {
        Ok(Ok(client)) => client.map_err(|error| failed(&error)),
        Ok(Err(error)) => Err(DeviceError::Server(error.to_string())),
        Err(_) => Err(DeviceError::Server("it does not answer".to_owned())),
    }
}

/// A name as the server takes it; nothing is called by what is none.
fn named(name: Option<&str>) -> Option<CString> {
    name.map(|name| CString::new(name).unwrap_or_default())
}

/// The names of devices, or why a name is none of them.
fn known(name: Option<&str>, there: Vec<CString>) -> Result<(), DeviceError> {
    let mut there: Vec<String> = there.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    there.sort_unstable();
    match name {
        Some(name) if !there.iter().any(|known| known == name) => {
            Err(DeviceError::Unknown { name: name.to_owned(), there: there.join(", ") })
        }
        _ if there.is_empty() => Err(DeviceError::Server("it has no such device".to_owned())),
        _ => Ok(()),
    }
}

const fn format() -> SampleSpec {
    SampleSpec { format: SampleFormat::S16Le, channels: 1, sample_rate: RATE.unsigned_abs() }
}

fn purpose() -> Props {
    let mut props = Props::new();
    props.set(Prop::MediaName, c"Call");
    props.set(Prop::MediaRole, c"phone");
    props.set(Prop::FilterWant, c"echo-cancel");
    props
}

/// The sound ends with who lends it: then nobody else has this any more.
fn is_lent(sound: &Shared) -> Result<(), DeviceError> {
    if Arc::strong_count(sound) > 1 { Ok(()) } else { Err(DeviceError::Server("it has ended".to_owned())) }
}

impl Microphone {
    pub(super) async fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        let client = reached().await?;
        let there = answered(client.list_sources()).await?;
        known(name, there.into_iter().map(|source| source.name).collect())?;
        Ok(Self { device: Device { client, name: named(name) }, open: None })
    }

    /// From now on it is listened to.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        let Device { client, name } = &self.device;
        let sound = Shared::default();
        let heard = Arc::clone(&sound);
        let params = RecordStreamParams {
            sample_spec: format(),
            channel_map: ChannelMap::mono(),
            source_name: name.clone(),
            buffer_attr: BufferAttr { fragment_size: HANDED, ..BufferAttr::default() },
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: purpose(),
            ..RecordStreamParams::default()
        };
        let take = move |bytes: &[u8]| {
            let samples = bytes.as_chunks::<SAMPLE>().0.iter().map(|sample| i16::from_le_bytes(*sample));
            heard.lock().unwrap_or_else(PoisonError::into_inner).put(samples);
        };
        let stream = answered(client.create_record_stream(params, take)).await?;
        self.open = Some((sound, stream));
        Ok(())
    }

    /// The next so many samples.
    pub(super) fn take(&self, samples: usize) -> Result<Vec<i16>, DeviceError> {
        let Some((sound, _)) = &self.open else { return Ok(vec![0; samples]) };
        is_lent(sound)?;
        Ok(sound.lock().unwrap_or_else(PoisonError::into_inner).take(samples).collect())
    }
}

impl Speaker {
    pub(super) async fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        let client = reached().await?;
        let there = answered(client.list_sinks()).await?;
        known(name, there.into_iter().map(|sink| sink.name).collect())?;
        Ok(Self { device: Device { client, name: named(name) }, open: None })
    }

    /// From now on it is heard.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        let Device { client, name } = &self.device;
        let sound = Shared::default();
        let said = Arc::clone(&sound);
        let params = PlaybackStreamParams {
            sample_spec: format(),
            channel_map: ChannelMap::mono(),
            sink_name: name.clone(),
            buffer_attr: BufferAttr {
                target_length: READY,
                minimum_request_length: HANDED,
                ..BufferAttr::default()
            },
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: purpose(),
            ..PlaybackStreamParams::default()
        };
        let give = move |bytes: &mut [u8]| {
            let room = bytes.len();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            for (place, sample) in bytes.as_chunks_mut::<SAMPLE>().0.iter_mut().zip(said.take(room / SAMPLE))
            {
                *place = sample.to_le_bytes();
            }
            room
        };
        let stream = answered(client.create_playback_stream(params, give.as_playback_source())).await?;
        self.open = Some((sound, stream));
        Ok(())
    }

    pub(super) fn put(&self, samples: &[i16]) -> Result<(), DeviceError> {
        let Some((sound, _)) = &self.open else { return Ok(()) };
        is_lent(sound)?;
        sound.lock().unwrap_or_else(PoisonError::into_inner).put(samples.iter().copied());
        Ok(())
    }
}
