//! The program: arguments in, one command, lines out, an exit code.
//!
//! Read in this order: [`args`] (what can be typed), [`exit`] (how it can end), [`open`] (profile, store and
//! connection), [`name`] (what NAME means), then the commands: [`account`], [`conversations`], [`presence`], [`talk`],
//! [`files`], [`peers`], [`calls`], [`picture`], [`kinds`], [`search`], [`verify`], [`daemon`], [`doctor`], [`export`], [`import`], [`shell`]; and [`tui`], the terminal
//! interface.

pub(crate) mod account;
pub(crate) mod args;
pub(crate) mod calls;
pub(crate) mod conversations;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod exit;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod import;
pub(crate) mod kinds;
pub(crate) mod name;
pub(crate) mod open;
pub(crate) mod output;
pub(crate) mod peers;
pub(crate) mod picture;
pub(crate) mod presence;
pub(crate) mod prompt;
pub(crate) mod recent;
pub(crate) mod search;
pub(crate) mod shell;
pub(crate) mod shown;
pub(crate) mod talk;
pub(crate) mod tui;
pub(crate) mod verify;

use args::{Args, Command};
use exit::Failed;
use output::Printer;
use time::UtcOffset;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Runs one command.
pub(crate) async fn run(args: Args, offset: UtcOffset) -> Result<(), Failed> {
    let printer = Printer::new(args.global.json, args.global.quiet);
    let global = &args.global;
    let Some(command) = args.command else { return tui::run(global, args.room, offset).await };
    if args.room.is_some() {
        return Err(Failed::usage("--room opens the terminal interface; it goes with no command"));
    }
    match command {
        Command::Register(register) => account::register(global, &printer, register).await,
        Command::Login(login) => account::login(global, &printer, login).await,
        Command::Recover(recover) => account::recover(global, &printer, recover).await,
        Command::Logout => account::logout(global, &printer).await,
        Command::Whoami => account::whoami(global, &printer).await,
        Command::Profiles => account::profiles(global, &printer),
        Command::Devices(devices) => account::devices(global, &printer, devices).await,
        Command::Create(create) => conversations::create(global, &printer, create).await,
        Command::Invite(invite) => conversations::invite(global, &printer, invite).await,
        Command::Join(join) => conversations::join(global, &printer, join).await,
        Command::Leave(leave) => conversations::leave(global, &printer, leave).await,
        Command::Rooms(rooms) => conversations::rooms(global, &printer, rooms).await,
        Command::Members(members) => conversations::members(global, &printer, members).await,
        Command::Presence(presence) => presence::presence(global, &printer, presence).await,
        Command::Remove(remove) => conversations::remove(global, &printer, remove).await,
        Command::Send(args::Send { name, file: Some(file), caption, reply, anyway, .. }) => {
            let sending = files::Sending { name, file, caption, reply, anyway };
            files::send(global, &printer, sending).await
        }
        Command::Send(send) => talk::send(global, &printer, send).await,
        Command::Get(get) => files::get(global, &printer, get).await,
        Command::Seed => peers::seed(global, &printer).await,
        Command::Peers(wish) => peers::peers(global, &printer, wish).await,
        Command::Edit(edit) => kinds::edit(global, &printer, edit).await,
        Command::Delete(target) => kinds::delete(global, &printer, target).await,
        Command::React(react) => kinds::react(global, &printer, react).await,
        Command::Pin(target) => kinds::pin(global, &printer, target, true).await,
        Command::Unpin(target) => kinds::pin(global, &printer, target, false).await,
        Command::Timer(timer) => kinds::timer(global, &printer, timer).await,
        Command::Role(role) => kinds::role(global, &printer, role).await,
        Command::History(history) => talk::history(global, &printer, history).await,
        Command::Search(search) => search::search(global, &printer, search).await,
        Command::Tail(tail) => talk::tail(global, &printer, tail).await,
        Command::Chat(chat) => talk::chat(global, &printer, chat).await,
        Command::Call(args) => calls::call(global, &printer, args).await,
        Command::Answer(args) => calls::answer(global, &printer, args).await,
        Command::Daemon(args) => daemon::daemon(global, &printer, args).await,
        Command::Export(args) => export::export(global, &printer, args).await,
        Command::Import(args) => import::import(global, &printer, args).await,
        Command::Doctor => doctor::doctor(global, &printer).await,
        Command::Completions { shell } => shell::completions(&printer, shell),
        Command::Man { dir } => shell::man(&printer, dir.as_deref()),
        Command::Verify(verify) => verify::verify(global, &printer, verify).await,
    }
}

/// Logs go to standard error, and only what `SOTTO_LOG` asks for (as `debug` or `sotto_node=trace`).
pub(crate) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SOTTO_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).finish();
    lines.with(filter_fn(|event| is_harmless(event.target(), *event.level()))).init();
}

/// Whether it may be logged, whoever asks for it: of the crates of WebRTC not what is below remarks, where passwords of ICE stand.
fn is_harmless(target: &str, level: Level) -> bool {
    level <= Level::INFO || !["rtc", "webrtc"].iter().any(|name| target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_a_connection_are_not_logged_whatever_is_asked_for() {
        for (target, level, harmless) in [
            ("rtc_ice::agent", Level::DEBUG, false),
            ("rtc::peer_connection", Level::TRACE, false),
            ("webrtc::peer_connection::driver", Level::TRACE, false),
            ("rtc_ice::agent", Level::WARN, true),
            ("sotto_node::calls::session", Level::TRACE, true),
        ] {
            assert_eq!(is_harmless(target, level), harmless, "{target}");
        }
    }
}
