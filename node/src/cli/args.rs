//! What can be typed: the commands, what all of them understand, and the arguments of those of `account`, `conversations` and `talk`. The
//! arguments of others stand beside what they do.

use clap::{Parser, Subcommand, ValueEnum};
use sotto_e2ee::conversation::Suite;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::DeviceId;
use sotto_protocol::invite::Invite;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a command `sotto` opens the terminal interface (docs/tui.md); F1 is help there.

Examples:
  sotto --room garden                     the terminal interface, in a room
  sotto register --relay 'sotto://localhost:4433#FINGERPRINT' --username alice --email alice@example.org
  sotto send @bob 'hello'                 a direct message; bob is a user name on the same relay
  sotto create friends bob carol          a group; then: sotto send friends 'hi all'
  cat report.txt | sotto send friends     standard input as one message; --lines for one a line
  sotto tail                              prints what arrives, in all conversations, until Ctrl-C
  sotto chat @bob                         a conversation line by line
  sotto call @bob --speaker bob.wav       a call; bob answers in the browser, or by: sotto answer
  sotto invite friends                    prints a link; the other one runs: sotto join LINK
  sotto --json history friends -n 10      one JSON object a line, for scripts

NAME is @username for a direct conversation, or the name or id of a conversation (see: sotto rooms).

Exit codes:
  0  done                                 6  no such account, conversation or device
  1  a fault of this program              7  WRONG FINGERPRINT: somebody else answers for the relay
  2  wrong usage                          8  the local store is damaged, locked or in use
  3  not signed in, or wrong password     9  incompatible versions
  4  relay unreachable (texts are queued) 10 the identity of somebody changed: compare, then verify
  5  refused by the relay                 11 the call was not taken, found no way or was lost

Environment: SOTTO_HOME, SOTTO_PROFILE, SOTTO_RELAY, SOTTO_PASSWORD, SOTTO_PASSPHRASE, SOTTO_RELAY_ONLY,
SOTTO_LOG. More: docs/cli.md";

/// Private messaging: end-to-end encrypted, post-quantum, over a relay you can run yourself.
#[derive(Parser)]
#[command(name = "sotto", version, about, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Open the terminal interface in this room; it is entered, or made, if need be
    #[arg(long, value_name = "NAME")]
    pub(crate) room: Option<String>,
    /// Without a command the terminal interface opens
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command understands.
#[derive(clap::Args)]
pub(crate) struct Global {
    /// The folder of all profiles [default: the platform's folder for application data]
    #[arg(long, global = true, env = "SOTTO_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// One account on one device; each profile is separate
    #[arg(long, global = true, env = "SOTTO_PROFILE", default_value = sotto_node::profile::DEFAULT_PROFILE, value_name = "NAME")]
    pub(crate) profile: String,
    /// The relay's link with its fingerprint; needed once, kept in the profile
    #[arg(long, global = true, env = "SOTTO_RELAY", value_name = "LINK")]
    pub(crate) relay: Option<Invite>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read the passphrase of the local store from the first line of this file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Make no direct links to other devices: nobody but the relay learns this device's address
    #[arg(long, global = true, env = "SOTTO_RELAY_ONLY")]
    pub(crate) relay_only: bool,
    /// Print results only, no remarks
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an account on a relay, with this device as its first
    Register(Register),
    /// Sign in again after the session of this device ended
    Login(Login),
    /// Make this a further device of your account, with the 24 recovery words
    Recover(Recover),
    /// End the session of this device; keys and history stay here
    Logout,
    /// Show who is signed in here
    Whoami,
    /// List the profiles of this machine: each is one account on one device
    Profiles,
    /// List your devices, or remove one that was lost
    Devices(Devices),
    /// Make a group or a room
    Create(Create),
    /// Add a user to a conversation, or print a link that lets somebody in
    Invite(InviteArgs),
    /// Enter by an invite link, or a listed room by its name
    Join(Join),
    /// Leave a conversation; its history stays on this device
    Leave(Leave),
    /// List conversations
    Rooms(Rooms),
    /// List the members of a conversation
    Members(Members),
    /// Show yourself as being here to the others, or hide; without a word: which it is
    Presence(super::presence::Presence),
    /// Remove a user from a conversation
    Remove(Remove),
    /// Send a text or a file; exits with 0 once the relay has it on disk
    Send(Send),
    /// Get a file that somebody sent; every piece is verified, nothing is opened
    Get(super::files::Get),
    /// Stay connected and give the files that you sent or got to members who ask for them, until Ctrl-C
    Seed,
    /// Let devices of your conversations reach this one directly, or hide its address from them; without a word: which it is
    Peers(super::peers::Peers),
    /// Put another text in the place of one of yours
    Edit(super::kinds::Edit),
    /// Delete a text from everybody's devices
    Delete(super::kinds::Target),
    /// Put a reaction on a text, or take it off
    React(super::kinds::React),
    /// Pin a text to the conversation
    Pin(super::kinds::Target),
    /// Unpin it
    Unpin(super::kinds::Target),
    /// Let texts from now on disappear after a time
    Timer(super::kinds::Timer),
    /// Give a member another role
    Role(super::kinds::RoleArgs),
    /// Print past messages
    History(History),
    /// Find past messages on this device by their words
    Search(super::search::Search),
    /// Print messages as they arrive, until Ctrl-C
    Tail(Tail),
    /// A conversation line by line: type to send, Ctrl-D to end
    Chat(Chat),
    /// Call somebody: a call that goes on until one hangs up, or Ctrl-C
    Call(super::calls::Call),
    /// Wait for a call and take it
    Answer(super::calls::Answer),
    /// Compare identities with somebody: safety number and QR code
    Verify(super::verify::Verify),
    /// Let bots and scripts on this machine speak for you: JSON over loopback HTTP and WebSocket
    Daemon(super::daemon::Args),
    /// Write everything that this device has of the account into a file, encrypted by a passphrase
    Export(super::export::Export),
    /// Read an export: on a new machine it brings account and history, in a profile of the account what is missing
    Import(super::import::Import),
    /// Check this device, the way to the relay and the account, and say what to do
    Doctor,
    /// Print what makes a shell complete commands and options
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// Where to; it is made if it is not there
        dir: Option<PathBuf>,
    },
}

/// Password options of the account.
#[derive(clap::Args)]
pub(crate) struct PasswordFrom {
    /// Read the account's password from the first line of this file (else SOTTO_PASSWORD, else asked)
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct Register {
    /// 2 to 32 of a-z 0-9 . _ -
    #[arg(long)]
    pub(crate) username: String,
    /// Your e-mail address
    #[arg(long)]
    pub(crate) email: String,
    /// An invite code, where the relay asks for one (a link given to --relay may hold it too)
    #[arg(long, value_name = "CODE")]
    pub(crate) invite: Option<sotto_protocol::invite::InviteCode>,
    /// What this device is called in your list of devices [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

#[derive(clap::Args)]
pub(crate) struct Login {
    /// User name or e-mail address [default: the profile's]
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// What this device is called in your list of devices [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

#[derive(clap::Args)]
pub(crate) struct Recover {
    /// User name or e-mail address
    #[arg(long)]
    pub(crate) username: String,
    /// What this device is called in your list of devices [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    /// Read the recovery words from this file (else asked, or standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

#[derive(clap::Args)]
pub(crate) struct Devices {
    #[command(subcommand)]
    pub(crate) action: Option<DeviceAction>,
}

#[derive(Subcommand)]
pub(crate) enum DeviceAction {
    /// Remove a device from the account and from every conversation
    Remove {
        /// As `sotto devices` lists it
        id: DeviceId,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum HistoryArg {
    /// Nobody reads what they were not there for, not even on another own device
    None,
    /// Everybody reads from their own joining on, on all their devices
    SinceJoining,
    /// Everybody reads everything
    All,
}

impl From<HistoryArg> for HistoryPolicy {
    fn from(arg: HistoryArg) -> Self {
        match arg {
            HistoryArg::None => Self::None,
            HistoryArg::SinceJoining => Self::SinceJoining,
            HistoryArg::All => Self::All,
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Create {
    /// What the members call it
    pub(crate) name: String,
    /// User names of the first members
    pub(crate) users: Vec<String>,
    /// A room: joinable by link
    #[arg(long)]
    pub(crate) room: bool,
    /// With --room: anybody on the relay finds and joins it by its name, which is public then
    #[arg(long, requires = "room")]
    pub(crate) listed: bool,
    /// Who reads what was said before [default: since-joining for a group, all for a room]
    #[arg(long, value_enum)]
    pub(crate) history: Option<HistoryArg>,
    /// The MLS cipher suite: x-wing (post-quantum) or x25519
    #[arg(long, default_value = "x-wing")]
    pub(crate) suite: Suite,
}

#[derive(clap::Args)]
pub(crate) struct InviteArgs {
    /// The conversation; without it the link lets somebody register on the relay
    pub(crate) name: Option<String>,
    /// Whom to add; without it a link is printed
    pub(crate) user: Option<String>,
    /// How many people may use the link
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u32>,
    /// How long the link is good for, in hours
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Option<u64>,
}

#[derive(clap::Args)]
pub(crate) struct Join {
    /// An invite link, or the public name of a listed room
    pub(crate) what: String,
}

#[derive(clap::Args)]
pub(crate) struct Leave {
    /// The conversation
    pub(crate) name: String,
}

#[derive(clap::Args)]
pub(crate) struct Rooms {
    /// The rooms that anybody on the relay may join
    #[arg(long)]
    pub(crate) listed: bool,
}

#[derive(clap::Args)]
pub(crate) struct Members {
    /// The conversation
    pub(crate) name: String,
}

#[derive(clap::Args)]
pub(crate) struct Remove {
    /// The conversation
    pub(crate) name: String,
    /// Whom
    pub(crate) user: String,
}

#[derive(clap::Args)]
pub(crate) struct Send {
    /// Where to: @username, or the name or id of a conversation
    pub(crate) name: String,
    /// What; without it standard input is read
    pub(crate) text: Option<String>,
    /// Send this file; the same command again goes on where it was interrupted
    #[arg(long, value_name = "PATH", conflicts_with_all = ["text", "lines", "queue"])]
    pub(crate) file: Option<PathBuf>,
    /// What there is to say about the file
    #[arg(long, value_name = "TEXT", requires = "file", default_value = "")]
    pub(crate) caption: String,
    /// Each line of standard input is a message
    #[arg(long, conflicts_with = "text")]
    pub(crate) lines: bool,
    /// Answer the text at this place, the `#` number that `history` prints
    #[arg(long, value_name = "SEQ", conflicts_with = "lines")]
    pub(crate) reply: Option<u64>,
    /// Do not connect: leave it in the outbox (exit code 4)
    #[arg(long)]
    pub(crate) queue: bool,
    /// Send although the verified identity of a member has changed
    #[arg(long)]
    pub(crate) anyway: bool,
}

#[derive(clap::Args)]
pub(crate) struct History {
    /// The conversation
    pub(crate) name: String,
    /// How many lines
    #[arg(short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) n: u32,
    /// Lines before this place, as printed by the call before
    #[arg(long, value_name = "CURSOR")]
    pub(crate) before: Option<u64>,
}

#[derive(clap::Args)]
pub(crate) struct Tail {
    /// One conversation; all of them if not said
    pub(crate) name: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Chat {
    /// The conversation
    pub(crate) name: String,
    /// How many past lines to begin with
    #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) n: u32,
    /// Send although the verified identity of a member has changed
    #[arg(long)]
    pub(crate) anyway: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use sotto_node::after::After;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_example_of_the_help_parses() {
        for line in EXAMPLES.lines().filter_map(|line| line.trim().strip_prefix("sotto ")) {
            let line = line.split("   ").next().unwrap_or(line).replace('\'', "").replace("#FINGERPRINT", "");
            let words = line.replace("hi all", "hi").replace("hello", "x");
            parse(&format!("sotto {words}")).map_or_else(|error| panic!("{words}: {error}"), drop);
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["sotto --json -q send @bob x", "sotto send @bob x --json -q"] {
            let args = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(args.global.json && args.global.quiet);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "sotto shout",
            "sotto send",
            "sotto send @bob x --lines",
            "sotto create x --listed",
            "sotto create x --suite rot13",
            "sotto history x -n 0",
            "sotto devices remove 12",
            "sotto --relay http://x whoami",
            "sotto send x --lines --reply 3",
            "sotto timer x 5",
            "sotto timer x 4294967295d",
            "sotto role x bob king",
            "sotto delete x last",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_timer_is_a_number_with_its_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("8h", 28_800), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(After(Some(seconds))));
        }
        assert_eq!("off".parse(), Ok(After(None)));
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Args::command().render_long_help().to_string();
        for exit in crate::cli::exit::Exit::ALL {
            assert!(
                help.contains(&format!("{}  ", exit.number()))
                    || help.contains(&format!("{} ", exit.number()))
            );
        }
        assert!(help.contains("sotto send @bob"));
    }
}
