//! `call`, `answer`.

use super::args::Global;
use super::exit::{Exit, Failed};
use super::name;
use super::open::{self, RunningNode};
use super::output::Printer;
use super::picture::Screen;
use super::talk::{for_good, interrupted};
use super::verify::refuse_if_changed;
use serde_json::{Value, json};
use sotto_node::calls::{
    Camera, DeviceError, Film, Microphone, News, Part, Pictures, Quality, Sound, Speaker, Talk,
};
use sotto_node_core::calls::{CallCommand, CallId, CallState, CallView, EndReason};
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{Event, Outcome};
use sotto_node_core::format::harmless_line;
use sotto_protocol::ids::{AccountId, ConversationId};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// What `call` takes.
#[derive(clap::Args)]
pub(crate) struct Call {
    /// Whom: @username, or the name or id of a direct conversation
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) devices: Devices,
}

/// What `answer` takes.
#[derive(clap::Args)]
pub(crate) struct Answer {
    /// Only a call in this conversation: @username, or its name or id
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// How long to wait for a call, in seconds [default: until Ctrl-C]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,
    /// Decline it, on all your devices
    #[arg(long, conflicts_with_all = ["microphone", "speaker", "camera", "record", "no_picture", "talk"])]
    pub(crate) decline: bool,
    #[command(flatten)]
    pub(crate) devices: Devices,
}

/// What is spoken into and heard from, shown and seen.
#[derive(clap::Args)]
pub(crate) struct Devices {
    /// What the other one hears: a WAV file, again and again; `none`; or `device:NAME`, a microphone by its name at the sound server
    /// [default: the microphone chosen there]
    #[arg(long, value_name = "FILE|device:NAME|none", value_parser = place)]
    pub(crate) microphone: Option<Place>,
    /// Where the other one is heard: a WAV file to write, replacing one that is there; `none`; or `device:NAME`, a loudspeaker by its name at
    /// the sound server [default: the loudspeaker chosen there]
    #[arg(long, value_name = "FILE|device:NAME|none", value_parser = place)]
    pub(crate) speaker: Option<Place>,
    /// A Y4M file that the other one sees, again and again; without one there is nothing to see here. To make one: ffmpeg -i FILE
    /// -vf scale=640:-2 -r 15 -pix_fmt yuv420p camera.y4m
    #[arg(long, value_name = "FILE")]
    pub(crate) camera: Option<PathBuf>,
    /// An IVF file that the other one's picture is written into; one that is there is replaced. To play it: ffplay FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Don't show the other one's picture in the terminal
    #[arg(long)]
    pub(crate) no_picture: bool,
    /// Hang up when the two have talked for so many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) talk: Option<Duration>,
}

/// A number of seconds, up to a day; parts of one count.
fn seconds(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 86_400.0;
    let number = text.parse().ok().filter(|number| (0.001..=DAY).contains(number));
    number.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds, at most 86400".to_owned())
}

/// One end of the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Neither spoken nor heard.
    None,
    /// A device of the machine.
    Device(String),
    /// A WAV file.
    File(PathBuf),
}

/// A file that is called like the word is `./none`.
fn place(text: &str) -> Result<Place, String> {
    Ok(match (text, text.strip_prefix("device:")) {
        ("none", _) => Place::None,
        (_, Some("")) => return Err("a name follows `device:`".to_owned()),
        (_, Some(name)) => Place::Device(name.to_owned()),
        _ => Place::File(text.into()),
    })
}

impl Devices {
    /// Finds them before anybody is called: what is wrong with them is said while nothing has happened yet.
    async fn open(&self, printer: &Printer) -> Result<Opened, Failed> {
        let wrong = |error: DeviceError| Failed::new(Exit::Usage, "picture_file", error.to_string());
        // What is read comes first: nothing is replaced for a call that cannot be.
        let (microphone, missing) = self.microphone().await?;
        let camera = self.camera.as_deref().map(Camera::file).transpose().map_err(wrong)?;
        let (speaker, missing) = self.speaker().await.map(|(speaker, error)| (speaker, missing.or(error)))?;
        let film = self.record.as_deref().map(Film::file).transpose().map_err(wrong)?;
        let screen = if self.no_picture || !printer.is_for_people() { None } else { Screen::new() };
        let pictures = Pictures { camera, film, shown: screen.is_some() };
        if let Some(error) = missing {
            let sentence =
                format!("{error}. `--microphone FILE.wav` and `--speaker FILE.wav` do without one");
            printer.alarm("no_sound_device", &sentence);
        }
        Ok(Opened { sound: Sound { microphone, speaker }, pictures, screen })
    }

    /// The microphone. A machine without sound, as servers are, makes silent calls unless a device is named; then with why.
    async fn microphone(&self) -> Result<(Microphone, Option<DeviceError>), Failed> {
        let found = match &self.microphone {
            Some(Place::None) => Ok(Microphone::silent()),
            Some(Place::File(path)) => Microphone::file(path),
            Some(Place::Device(name)) => Microphone::of_the_machine(Some(name)).await,
            None => match Microphone::of_the_machine(None).await {
                Ok(microphone) => Ok(microphone),
                Err(error) => return Ok((Microphone::silent(), Some(error))),
            },
        };
        found.map(|microphone| (microphone, None)).map_err(sound)
    }

    /// The loudspeaker, in the same way.
    async fn speaker(&self) -> Result<(Speaker, Option<DeviceError>), Failed> {
        let found = match &self.speaker {
            Some(Place::None) => Ok(Speaker::none()),
            Some(Place::File(path)) => Speaker::file(path),
            Some(Place::Device(name)) => Speaker::of_the_machine(Some(name)).await,
            None => match Speaker::of_the_machine(None).await {
                Ok(speaker) => Ok(speaker),
                Err(error) => return Ok((Speaker::none(), Some(error))),
            },
        };
        found.map(|speaker| (speaker, None)).map_err(sound)
    }
}

fn sound(error: DeviceError) -> Failed {
    let code = match error {
        DeviceError::Server(_) | DeviceError::Unknown { .. } => "sound_device",
        _ => "sound_file",
    };
    Failed::new(Exit::Usage, code, error.to_string())
}

/// What a call is made with.
struct Opened {
    sound: Sound,
    pictures: Pictures,
    screen: Option<Screen>,
}

pub(crate) async fn call(global: &Global, printer: &Printer, args: Call) -> Result<(), Failed> {
    let Opened { sound, pictures, screen } = args.devices.open(printer).await?;
    let video = pictures.camera.is_some();
    let (node, events) = open::begin_with_events(open::start(global, printer).await?, printer)?;
    let mut over = None;
    let result = open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation_or_open(node, &args.name).await?;
        refuse_if_changed(node, &view, false).await?;
        let call = begin(node, view.conversation, video).await?;
        let talk = over.insert(Talk::begin(node, events, call, sound, pictures).await?);
        until_the_end(node, printer, talk, args.devices.talk, screen).await
    })
    .await;
    close(over).await;
    result
}

pub(crate) async fn answer(global: &Global, printer: &Printer, args: Answer) -> Result<(), Failed> {
    let Opened { sound, pictures, screen } = args.devices.open(printer).await?;
    let video = pictures.camera.is_some();
    let (node, mut events) = open::begin_with_events(open::start(global, printer).await?, printer)?;
    let mut over = None;
    let result = open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let from = match &args.from {
            Some(name) => Some(name::conversation_or_open(node, name).await?.conversation),
            None => None,
        };
        let waiting = json!({ "type": "waiting", "for": "call" });
        printer.result(&waiting, "Waiting for a call. Ctrl-C ends.")?;
        let wanted = |view: &CallView| from.is_none_or(|from| from == view.conversation);
        let view = tokio::select! {
            view = incoming(&mut events, wanted) => view?,
            () = interrupted() => return Ok(()),
            () = after(args.wait) => return Err(Failed::new(Exit::Call, "no_call", "nobody called")),
            failed = for_good(node) => return Err(failed),
        };
        tell(printer, &view, &name_of(node, view.peer).await)?;
        if args.decline {
            let outcome = node.command(Command::Call(CallCommand::Decline { call: view.call })).await;
            return outcome.map(|_| ()).map_err(Failed::from);
        }
        refuse_if_changed(node, &name::by_id(node, view.conversation).await?, false).await?;
        node.command(Command::Call(CallCommand::Answer { call: view.call, video })).await?;
        let talk = over.insert(Talk::begin(node, events, view.call, sound, pictures).await?);
        until_the_end(node, printer, talk, args.devices.talk, screen).await
    })
    .await;
    close(over).await;
    result
}

/// Begins a call. One of the same person that rings here at this moment is taken instead: both want it.
async fn begin(node: &RunningNode, conversation: ConversationId, video: bool) -> Result<CallId, Failed> {
    let start = CallCommand::Start { conversation, video };
    let failure = match node.command(Command::Call(start)).await {
        Ok(Outcome::Call(call)) => return Ok(call),
        Ok(other) => return Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
        Err(failure) => failure,
    };
    let ringing = |view: &CallView| view.state == CallState::Incoming && view.conversation == conversation;
    let Some(view) = node.ask(|client| client.call()).await?.filter(ringing) else {
        return Err(failure.into());
    };
    node.command(Command::Call(CallCommand::Answer { call: view.call, video })).await?;
    Ok(view.call)
}

/// Closes the connection after everything that was to be said has gone out: a connection that ends before the word that it does looks lost.
async fn close(talk: Option<Talk>) {
    if let Some(talk) = talk {
        talk.close().await;
    }
}

/// The first call that is wanted.
async fn incoming(
    events: &mut Receiver<Event>,
    wanted: impl Fn(&CallView) -> bool,
) -> Result<CallView, Failed> {
    loop {
        match events.recv().await {
            Ok(Event::Call(view)) if view.state == CallState::Incoming && wanted(&view) => return Ok(view),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(Failed::internal("the client has ended")),
        }
    }
}

/// After a time; never without one.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Tells how the call goes until it is over. It is hung up by Ctrl-C, and when the time is up.
async fn until_the_end(
    node: &RunningNode,
    printer: &Printer,
    talk: &mut Talk,
    limit: Option<Duration>,
    mut screen: Option<Screen>,
) -> Result<(), Failed> {
    let mut interrupt = std::pin::pin!(interrupted());
    let mut hung_up = false;
    let mut ends = None;
    let mut peer: Option<String> = None;
    let mut shown_path = None;
    // Whether the other one says that there is something to see.
    let mut shows = false;
    loop {
        let news = tokio::select! {
            news = talk.news() => news,
            () = &mut interrupt, if !hung_up => {
                hung_up = true;
                hang_up(node, talk.call()).await;
                continue;
            }
            () = until(ends), if !hung_up => {
                hung_up = true;
                hang_up(node, talk.call()).await;
                continue;
            }
        };
        if !matches!(news, Some(News::Picture(_)))
            && let Some(screen) = &mut screen
        {
            // A line is coming; the picture is drawn anew below it.
            screen.wipe();
        }
        match news {
            Some(News::Call(view)) => {
                if peer.is_none() {
                    peer = Some(name_of(node, view.peer).await);
                }
                let peer = peer.as_deref().unwrap_or_default();
                tell(printer, &view, peer)?;
                shows = (view.theirs.camera || view.theirs.screen) && !view.theirs.held;
                match view.state {
                    CallState::Connected if ends.is_none() => {
                        ends = limit.map(|limit| Instant::now() + limit)
                    }
                    CallState::Ended(reason) => return ended(reason, peer),
                    CallState::Reconnecting => shown_path = None,
                    _ => {}
                }
            }
            Some(News::Quality(quality)) => {
                if printer.is_json() {
                    printer.result(&quality_object(&quality), "")?;
                } else if shown_path != Some(quality.relayed) {
                    shown_path = Some(quality.relayed);
                    printer.result(&Value::Null, &quality_line(&quality))?;
                }
            }
            Some(News::Trouble(Part::Sound, sentence)) => printer.alarm("sound", &sentence),
            Some(News::Trouble(Part::Picture, sentence)) => printer.alarm("picture", &sentence),
            Some(News::Seen(width, height)) => {
                let object = json!({ "type": "call_picture", "width": width, "height": height });
                printer.result(&object, &format!("a picture of {width}x{height}"))?;
            }
            Some(News::Picture(image)) => {
                if let Some(screen) = screen.as_mut().filter(|_| shows) {
                    screen.draw(&image);
                }
            }
            None => return Err(Failed::internal("the client has ended")),
        }
    }
}

/// A call that is over meanwhile needs no end.
async fn hang_up(node: &RunningNode, call: CallId) {
    if let Err(failure) = node.command(Command::Call(CallCommand::HangUp { call })).await {
        tracing::debug!(%failure, "there was nothing to hang up");
    }
}

async fn name_of(node: &RunningNode, account: AccountId) -> String {
    let contact = node.ask(move |client| client.contact(&Who::Account(account))).await;
    match contact {
        Ok(Ok(Some(contact))) if !contact.username.is_empty() => contact.username,
        _ => account.to_string(),
    }
}

fn tell(printer: &Printer, view: &CallView, peer: &str) -> Result<(), Failed> {
    let reason = match view.state {
        CallState::Ended(reason) => Some(reason),
        _ => None,
    };
    if let Some(warning) = view.warning {
        printer.alarm("call_altered", &warning.to_string());
    }
    if reason == Some(EndReason::Tampered) {
        printer.alarm("call_tampered", &sentence(EndReason::Tampered, peer));
    }
    let object = json!({
        "type": "call",
        "call": view.call.to_string(),
        "conversation": view.conversation,
        "state": view.state.name(),
        "reason": reason.map(EndReason::name),
        "peer": peer,
        "warning": view.warning.map(|warning| warning.to_string()),
    });
    let peer = harmless_line(peer);
    let line = match view.state {
        CallState::Calling => format!("calling {peer}"),
        CallState::Ringing => "it rings there".to_owned(),
        CallState::Incoming => format!("{peer} calls"),
        CallState::Connecting => "connecting".to_owned(),
        CallState::Connected => "connected".to_owned(),
        CallState::Reconnecting => "the connection was lost; trying again".to_owned(),
        CallState::Ended(reason) => sentence(reason, &peer),
    };
    printer.result(&object, &line)
}

fn sentence(reason: EndReason, peer: &str) -> String {
    let peer = harmless_line(peer);
    match reason {
        EndReason::Ended => "the call is over".to_owned(),
        EndReason::HungUp => format!("{peer} hung up"),
        EndReason::Unanswered => "nobody answered".to_owned(),
        EndReason::Declined => format!("{peer} declined"),
        EndReason::Busy => format!("{peer} is in another call"),
        EndReason::AnsweredElsewhere => "another of your devices took the call".to_owned(),
        EndReason::DeclinedElsewhere => "the call was declined, or its caller gave up".to_owned(),
        EndReason::Failed => {
            "no way from one device to the other was found; behind some networks only a relay that lends TURN helps"
                .to_owned()
        }
        EndReason::Lost => "the connection was lost and did not come back".to_owned(),
        EndReason::Tampered => {
            "SOMEBODY STOOD BETWEEN THE TWO DEVICES: the connection was not the one that the other device promised. The \
             call was ended and nothing was said"
                .to_owned()
        }
        EndReason::Removed => format!("{peer} is not in the conversation any more"),
    }
}

/// Whether a call that ended like this was one.
fn ended(reason: EndReason, peer: &str) -> Result<(), Failed> {
    match reason {
        EndReason::Ended | EndReason::HungUp => Ok(()),
        _ => Err(Failed::new(Exit::Call, reason.name(), sentence(reason, peer))),
    }
}

const fn path(quality: &Quality) -> &'static str {
    if quality.relayed { "relayed" } else { "direct" }
}

fn quality_object(quality: &Quality) -> Value {
    let round = |number: f64, parts: f64| (number * parts).round() / parts;
    json!({
        "type": "call_quality",
        "path": path(quality),
        "round_trip_ms": quality.round_trip.map(|time| round(time.as_secs_f64() * 1_000.0, 10.0)),
        "lost": quality.lost.map(|lost| round(lost, 10_000.0)),
        "jitter_ms": round(quality.jitter.as_secs_f64() * 1_000.0, 10.0),
        "sent_kbit_s": round(quality.sent / 1_000.0, 10.0),
        "received_kbit_s": round(quality.received / 1_000.0, 10.0),
    })
}

fn quality_line(quality: &Quality) -> String {
    let round_trip = quality
        .round_trip
        .map_or_else(String::new, |time| format!(", {:.0} ms", time.as_secs_f64() * 1_000.0));
    format!("{}{round_trip}", path(quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_somebody_hung_up_is_a_success() {
        for reason in [EndReason::Ended, EndReason::HungUp] {
            assert!(ended(reason, "bob").is_ok());
        }
        for reason in [
            EndReason::Unanswered,
            EndReason::Declined,
            EndReason::Busy,
            EndReason::AnsweredElsewhere,
            EndReason::DeclinedElsewhere,
            EndReason::Failed,
            EndReason::Lost,
            EndReason::Tampered,
            EndReason::Removed,
        ] {
            let failed = ended(reason, "bob").expect_err("it was none");
            assert_eq!((failed.exit, failed.code.as_str()), (Exit::Call, reason.name()));
        }
    }

    #[test]
    fn quality_is_rounded_for_programs_and_short_for_people() {
        let quality = Quality {
            relayed: true,
            round_trip: Some(Duration::from_micros(12_345)),
            lost: Some(1.0 / 3.0),
            jitter: Duration::from_micros(1_234),
            sent: 32_123.0,
            received: 0.0,
        };
        let object = quality_object(&quality);
        assert_eq!(object["path"], "relayed");
        assert_eq!(object["round_trip_ms"], 12.3);
        assert_eq!(object["lost"], 0.3333);
        assert_eq!(object["jitter_ms"], 1.2);
        assert_eq!(object["sent_kbit_s"], 32.1);
        assert_eq!(quality_line(&quality), "relayed, 12 ms");
        let unknown = Quality { relayed: false, round_trip: None, lost: None, ..quality };
        assert_eq!(quality_line(&unknown), "direct");
        assert!(quality_object(&unknown)["lost"].is_null());
    }

    #[test]
    fn times_are_seconds_up_to_a_day() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for text in ["0", "-1", "86401", "NaN", "inf", "", "1s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
