//! The microphone and the loudspeaker of the machine on macOS and Windows, as the system lends them (Core Audio, WASAPI), by cpal.
//!
//! As with a sound server they are looked for before anybody is called, and opened when two talk. Each has the rate and the channels that the
//! person has set for it; what is in between is done here. The system is not asked to take the echo out: cpal has no word for it.

use super::audio::RATE;
use super::devices::DeviceError;
use super::rate::{Curve, rounded};
use super::slack::Slack;
use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{
    Device, Error, ErrorKind, FromSample, Sample as _, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedStreamConfig,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What lends them, for people.
pub(super) const WHAT: &str = "the sound of this machine";

/// A system that does not answer by then has no sound. The first time it may ask the person whether this program may listen.
const ANSWER: Duration = Duration::from_secs(30);

/// What the call and the system's own thread share.
#[derive(Default)]
struct Shared {
    slack: Slack,
    /// Why there will be nothing any more.
    ended: Option<String>,
}

type Lent = Arc<Mutex<Shared>>;

/// A microphone, open or not yet.
pub(super) struct Microphone(Machine);

/// A loudspeaker, open or not yet.
pub(super) struct Speaker(Machine);

/// Which way sound goes, seen from here.
#[derive(Debug, Clone, Copy)]
enum Way {
    In,
    Out,
}

struct Machine {
    way: Way,
    device: Device,
    config: SupportedStreamConfig,
    open: Option<(Lent, Stream)>,
}

fn failed(error: &Error) -> DeviceError {
    DeviceError::Server(error.to_string())
}

/// What the system answers, on a thread that may wait for it.
async fn answered<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, DeviceError> + Send + 'static,
) -> Result<T, DeviceError> {
    match timeout(ANSWER, spawn_blocking(ask)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(DeviceError::Server(error.to_string())),
        Err(_) => Err(DeviceError::Server("it does not answer".to_owned())),
    }
}

/// The device of this name, or the one that the person has chosen.
fn chosen(name: Option<&str>, way: Way) -> Result<Device, DeviceError> {
    let host = cpal::default_host();
    let Some(name) = name else {
        let own = match way {
            Way::In => host.default_input_device(),
            Way::Out => host.default_output_device(),
        };
        return own.ok_or_else(|| DeviceError::Server("it has no such device".to_owned()));
    };
    let all: Result<Vec<Device>, Error> = match way {
        Way::In => host.input_devices().map(Iterator::collect),
        Way::Out => host.output_devices().map(Iterator::collect),
    };
    let all = all.map_err(|error| failed(&error))?;
    let mut there: Vec<String> = all.iter().map(ToString::to_string).collect();
    let found = all.into_iter().find(|device| device.to_string() == name);
    found.ok_or_else(|| {
        there.sort_unstable();
        DeviceError::Unknown { name: name.to_owned(), there: there.join(", ") }
    })
}

/// Says why the sound ends. What only went wrong for a moment, or goes on at another device, is no end.
fn ends(lent: &Lent) -> impl FnMut(Error) + Send + 'static + use<> {
    let lent = Arc::clone(lent);
    move |error| {
        if !matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied) {
            lent.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ended
                .get_or_insert_with(|| error.to_string());
        }
    }
}

/// Hears what comes at the device's rate, all its channels together.
fn hear<T>(device: &Device, config: StreamConfig, lent: &Lent) -> Result<Stream, Error>
where
    T: SizedSample,
    f64: FromSample<T>,
{
    let (said, channels) = (Arc::clone(lent), usize::from(config.channels.max(1)));
    let mut curve = Curve::new(config.sample_rate, RATE.unsigned_abs());
    let mut frame = Vec::new();
    let take = move |sound: &[T], _: &cpal::InputCallbackInfo| {
        frame.clear();
        for together in sound.chunks_exact(channels) {
            let sum: f64 = together.iter().map(|sample| f64::from_sample(*sample)).sum();
            curve.put(sum / f64::from(config.channels.max(1)));
            while !curve.is_waiting() {
                frame.push(rounded(curve.take()));
            }
        }
        said.lock().unwrap_or_else(PoisonError::into_inner).slack.put(frame.iter().copied());
    };
    device.build_input_stream(config, take, ends(lent), Some(ANSWER))
}

/// Plays at the device's rate, the same on all its channels.
fn play<T>(device: &Device, config: StreamConfig, lent: &Lent) -> Result<Stream, Error>
where
    T: SizedSample + FromSample<f64>,
{
    let (said, channels) = (Arc::clone(lent), usize::from(config.channels.max(1)));
    let mut curve = Curve::new(RATE.unsigned_abs(), config.sample_rate);
    let give = move |sound: &mut [T], _: &cpal::OutputCallbackInfo| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        // All that is wanted at once: in pieces, each would look like the end of what there is.
        let wanted = curve.wanted(sound.len() / channels);
        let mut taken = said.slack.take(wanted);
        for together in sound.chunks_exact_mut(channels) {
            while curve.is_waiting() {
                curve.put(f64::from_sample(taken.next().unwrap_or_default()));
            }
            together.fill(T::from_sample(curve.take()));
        }
    };
    device.build_output_stream(config, give, ends(lent), Some(ANSWER))
}

/// Opens a device with samples of its own form: one of those that the systems have.
fn open(way: Way, device: &Device, own: SupportedStreamConfig, lent: &Lent) -> Result<Stream, DeviceError> {
    let config: StreamConfig = own.into();
    let stream = match (way, own.sample_format()) {
        (Way::In, SampleFormat::F32) => hear::<f32>(device, config, lent),
        (Way::In, SampleFormat::I32) => hear::<i32>(device, config, lent),
        (Way::In, SampleFormat::I16) => hear::<i16>(device, config, lent),
        (Way::Out, SampleFormat::F32) => play::<f32>(device, config, lent),
        (Way::Out, SampleFormat::I32) => play::<i32>(device, config, lent),
        (Way::Out, SampleFormat::I16) => play::<i16>(device, config, lent),
        (_, other) => {
            let what = format!("its samples are of the form {other}, which is not read here");
            return Err(DeviceError::Server(what));
        }
    };
    stream.and_then(|stream| stream.play().map(|()| stream)).map_err(|error| failed(&error))
}

impl Machine {
    async fn find(name: Option<&str>, way: Way) -> Result<Self, DeviceError> {
        let name = name.map(ToOwned::to_owned);
        answered(move || {
            let device = chosen(name.as_deref(), way)?;
            let config = match way {
                Way::In => device.default_input_config(),
                Way::Out => device.default_output_config(),
            };
            let config = config.map_err(|error| failed(&error))?;
            Ok(Self { way, device, config, open: None })
        })
        .await
    }

    async fn begin(&mut self) -> Result<(), DeviceError> {
        let (way, device, config) = (self.way, self.device.clone(), self.config);
        let opened = answered(move || {
            let lent = Lent::default();
            open(way, &device, config, &lent).map(|stream| (lent, stream))
        });
        self.open = Some(opened.await?);
        Ok(())
    }

    /// What is between the call and the device, once it is open and as long as it is lent.
    fn with<T>(&self, work: impl FnOnce(&mut Slack) -> T) -> Result<Option<T>, DeviceError> {
        let Some((lent, _)) = &self.open else { return Ok(None) };
        let mut shared = lent.lock().unwrap_or_else(PoisonError::into_inner);
        match &shared.ended {
            Some(why) => Err(DeviceError::Server(why.clone())),
            None => Ok(Some(work(&mut shared.slack))),
        }
    }
}

impl Microphone {
    pub(super) async fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        Machine::find(name, Way::In).await.map(Self)
    }

    /// From now on it is listened to.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        self.0.begin().await
    }

    /// The next so many samples.
    pub(super) fn take(&self, samples: usize) -> Result<Vec<i16>, DeviceError> {
        let taken = self.0.with(|slack| slack.take(samples).collect())?;
        Ok(taken.unwrap_or_else(|| vec![0; samples]))
    }
}

impl Speaker {
    pub(super) async fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        Machine::find(name, Way::Out).await.map(Self)
    }

    /// From now on it is heard.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        self.0.begin().await
    }

    pub(super) fn put(&self, samples: &[i16]) -> Result<(), DeviceError> {
        self.0.with(|slack| slack.put(samples.iter().copied())).map(|_| ())
    }
}
