//! The shell around the application: terminal, clock, logs, and the client that runs.
//!
//! One visible loop: an input comes in, the application is updated, its effects are carried out, the screen is drawn.
//! Whatever takes time runs beside it and comes back as an input, so that no key ever waits for the relay or the disk.

mod account;
mod effects;
mod files;
mod log;
mod screen;

use super::clock::Clock;
use super::config::{Config, ConfigError};
use super::input::{Effect, Input};
use super::theme::ThemeName;
use super::{App, Options};
use crate::node::wall_clock;
use crate::pictures::blocks::has_colours;
use crate::profile::Profile;
use effects::Shell;
use ratatui::layout::Size;
use screen::Screen;
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::invite::Invite;
use std::time::Duration;
use time::UtcOffset;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Inputs that wait for the loop; who brings more waits.
const INPUTS_WAITING_MAX: usize = 1024;

/// Inputs that are taken in before the screen is drawn again: a burst of messages costs one drawing.
const INPUTS_PER_DRAWING: usize = 256;

/// How long leaving waits for texts that are on their way.
const FLUSH: Duration = Duration::from_secs(3);

/// With nothing else due, the clock on the screen is looked after so often.
const IDLE: Duration = Duration::from_secs(30);

/// What the interface starts with.
pub struct Request {
    /// Whose.
    pub profile: Profile,
    /// Nobody but the relay may learn this device's address.
    pub relay_only: bool,
    /// The relay, where the command line names it.
    pub link: Option<Invite>,
    /// The room to begin in.
    pub room: Option<String>,
    /// The passphrase of the store, where one was brought along.
    pub passphrase: Option<Zeroizing<String>>,
    /// The person's time zone.
    pub offset: UtcOffset,
    /// What to log, as `debug` or `sotto_node=trace`.
    pub log: Option<String>,
}

/// Why the interface cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuiError {
    /// `tui.toml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no terminal.
    #[error("the terminal cannot be used: {0}; `sotto --help` lists the commands that need none")]
    Terminal(#[from] std::io::Error),
    /// A part of the program panicked.
    #[error("a fault of this program ended it; what you wrote is kept. Please report what stands above")]
    Fault,
}

/// Runs the interface until the person leaves.
///
/// # Errors
/// If it cannot start, or the terminal is gone.
pub async fn run(request: Request) -> Result<(), TuiError> {
    let config = Config::load(request.profile.folder())?;
    log::start(request.profile.folder(), request.log.as_deref());
    let theme = ThemeName::guess(variable("NO_COLOR").as_deref(), variable("COLORFGBG").as_deref());
    let clock = || Clock { now: wall_clock(), offset: request.offset };
    let (tell, mut inputs) = mpsc::channel(INPUTS_WAITING_MAX);
    let mut screen = Screen::open(config.mouse, tell.clone())?;
    screen::read_keys(tell.clone());
    tokio::spawn(asked_to_end(tell.clone()));
    let (bell, notify) = (config.bell, config.notify);
    let shell = Shell::new(request.profile, request.passphrase, !request.relay_only, tell);
    let options = Options {
        config,
        theme,
        colours: has_colours(),
        link: request.link,
        room: request.room,
        size: screen.size()?,
        clock: clock(),
    };
    let (mut app, mut effects) = App::new(options);
    'running: loop {
        // Before the first key is read, nobody tells of another size.
        let (columns, rows) = screen.size()?;
        if app.size != Size::new(columns, rows) {
            effects.extend(app.update(Input::Resize { columns, rows }, clock()));
        }
        for effect in effects.drain(..) {
            match effect {
                Effect::Quit => break 'running,
                Effect::CopyText(text) => screen.copy(&text)?,
                Effect::Notify(text) => screen.notify(&text, bell, notify)?,
                Effect::Redraw => screen.redraw()?,
                other => shell.carry_out(other).await,
            }
        }
        screen.draw(&app)?;
        let due = app.next_tick().map_or(IDLE, |at| until(at).min(IDLE));
        let input = tokio::select! {
            biased;
            input = inputs.recv() => input.unwrap_or(Input::End),
            () = tokio::time::sleep(due) => Input::Tick,
        };
        effects = app.update(input, clock());
        for _ in 1..INPUTS_PER_DRAWING {
            let Ok(input) = inputs.try_recv() else { break };
            effects.extend(app.update(input, clock()));
        }
    }
    // The person has the terminal back at once; what is on its way still goes out.
    let broken = screen.is_broken();
    drop(screen);
    shell.end(FLUSH).await;
    if broken { Err(TuiError::Fault) } else { Ok(()) }
}

fn until(at: UnixMillis) -> Duration {
    Duration::from_millis(at.0.saturating_sub(wall_clock().0))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The system asks the program to end, or the terminal was closed.
async fn asked_to_end(tell: mpsc::Sender<Input>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let [Ok(mut terminate), Ok(mut hangup), Ok(mut interrupt)] = kinds.map(signal) else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    // If nobody listens any more, it has ended already.
    let _ = tell.send(Input::End).await;
}
