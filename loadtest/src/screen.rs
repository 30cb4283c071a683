//! Input to screen: the real terminal interface on a store of many messages, in a real terminal.
//!
//! tmux in control mode is the terminal: it tells of all that the program puts out, as it comes. A key is timed from
//! when tmux is told to press it until what it changes has come out, so that the figure holds the terminal, the program, its
//! store and its drawing.

use crate::fill;
use crate::person::{PASSPHRASE, Person};
use crate::report::Screen;
use crate::sotto::Sotto;
use crate::target::Target as _;
use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use sotto_node::node::wall_clock;
use sotto_node::profile::Profile;
use sotto_node::secret::{self, SystemKeyring};
use sotto_node::store::SqliteStore;
use sotto_node_core::client::Client;
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::{Sequence, UnixMillis};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// What the first and last messages, and the only one of the other conversation, are known by. Terminals have no
/// command with these letters, and no other text has them.
const FIRST: &str = "QFIRSTQ";
const LAST: &str = "QLASTQ";
const OTHER: &str = "QOTHERQ";

/// A message every ten minutes: 100,000 are two years.
const MILLIS_BETWEEN: u64 = 600_000;

/// Nothing that a person waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long without output, all of the last key's has come.
const QUIET: Duration = Duration::from_millis(60);

/// A key with what shows that it was obeyed, and how often it is pressed.
struct Stroke {
    what: &'static str,
    /// Pressed in turn, each with what comes out then.
    keys: &'static [(&'static str, &'static str)],
    times: usize,
}

/// What people do most, and what reads the store.
const STROKES: [Stroke; 4] = [
    Stroke { what: "a letter is written", keys: &[("Q", "Q")], times: 200 },
    Stroke { what: "another conversation is opened", keys: &[("C-n", LAST), ("C-n", OTHER)], times: 60 },
    Stroke {
        what: "the oldest message, and the newest",
        keys: &[("C-Home", FIRST), ("C-End", LAST)],
        times: 40,
    },
    Stroke { what: "a page further back", keys: &[("PPage", "")], times: 200 },
];

/// Measures with so many messages in one conversation.
pub(crate) async fn measure(dir: &Path, relay: Option<&Path>, messages: usize) -> Result<Vec<Screen>> {
    let sotto = Sotto::start(dir, relay).await?;
    let person = Person::register("load", dir.join("home"), sotto.link(), None).await?;
    person.does(&["create", "many", "--room"]).await?;
    let started = Instant::now();
    write_history(person.home(), messages)?;
    eprintln!("{messages} messages written in {:.0} s", started.elapsed().as_secs_f64());
    person.does(&["create", "other", "--room"]).await?;
    person.does(&["send", "other", OTHER]).await?;
    let mut terminal = Terminal::start(&person, dir)?;
    terminal.shows(OTHER).await?;
    let mut rows = Vec::new();
    for stroke in STROKES {
        rows.push(terminal.measure(&stroke, messages).await?);
        if stroke.what.starts_with("a letter") {
            terminal.press("C-u").await?;
        }
        if stroke.keys == [("C-n", LAST), ("C-n", OTHER)] {
            terminal.press("C-n").await?;
            terminal.shows(LAST).await?;
        }
    }
    terminal.end().await?;
    sotto.finish().await?;
    Ok(rows)
}

/// Writes the messages into the room `many` of this device.
fn write_history(home: &Path, messages: usize) -> Result<()> {
    let profile = Profile::new(home, "default")?;
    let lock = profile.lock()?;
    let (key, _) = secret::open(&profile, &SystemKeyring, |_| Ok(PASSPHRASE.to_owned().into()))?;
    let now = wall_clock();
    let mut client = Client::open(SqliteStore::open(&profile, lock, &key)?, Settings::default(), now)?;
    let views = client.conversations()?;
    let room = views.iter().find(|view| view.title == "many").context("the room is not there")?;
    // Well after what is in the log already, so that nothing is written over.
    let first = room.cursor.0 + 1_000;
    let text = |number: usize| match number {
        0 => FIRST.to_owned(),
        last if last + 1 == messages => LAST.to_owned(),
        number => format!("message {number}, of a length that people write in a room where much is said"),
    };
    let lines = (0..messages).map(|number| {
        let ago = (messages - number) as u64 * MILLIS_BETWEEN;
        (Sequence(first + number as u64), UnixMillis(now.0.saturating_sub(ago)), text(number))
    });
    let mut rng = rand::rng();
    fill::add(&mut client, room.conversation, lines, now, &mut rng)?;
    fill::finish(&mut client, now, &mut rng)
}

/// tmux in control mode, with the program in it.
struct Terminal {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Terminal {
    fn start(person: &Person, dir: &Path) -> Result<Self> {
        let home = format!("SOTTO_HOME={}", person.home().display());
        let mut child = Command::new("tmux")
            .arg("-u")
            // A server of its own, that ends with its only session.
            .arg("-S")
            .arg(dir.join("tmux"))
            .args(["-f", "/dev/null", "-C", "new-session", "-x", "110", "-y", "32"])
            .args(["-e", &home, "-e", &format!("SOTTO_PASSPHRASE={PASSPHRASE}")])
            .arg(person.program())
            .env_remove("TMUX")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("tmux does not start; `cargo xtask setup` installs it")?;
        let stdin = child.stdin.take().context("tmux has no input")?;
        let stdout = child.stdout.take().context("tmux has no output")?;
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// What the program puts out next, as tmux writes it down: other characters than ASCII as octal numbers.
    async fn output(&mut self) -> Result<String> {
        loop {
            let line = self.lines.next_line().await?.context("the terminal interface ended early")?;
            if let Some(output) = line.strip_prefix("%output ") {
                return Ok(output.to_owned());
            }
        }
    }

    /// Waits until a text comes out; any output is enough where the text is empty.
    async fn shows(&mut self, text: &str) -> Result<()> {
        let waiting = async {
            let mut seen = String::new();
            loop {
                seen.push_str(&self.output().await?);
                if seen.contains(text) {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(PATIENCE, waiting).await.with_context(|| format!("`{text}` never came onto the screen"))?
    }

    /// Waits until nothing comes out any more.
    async fn settle(&mut self) -> Result<()> {
        while let Ok(output) = timeout(QUIET, self.output()).await {
            output?;
        }
        Ok(())
    }

    async fn press(&mut self, key: &str) -> Result<()> {
        Ok(self.stdin.write_all(format!("send-keys {key}\n").as_bytes()).await?)
    }

    async fn measure(&mut self, stroke: &Stroke, messages: usize) -> Result<Screen> {
        let mut times = Histogram::<u64>::new(3)?;
        for (key, shown) in stroke.keys.iter().cycle().take(stroke.times) {
            self.settle().await?;
            let pressed = Instant::now();
            self.press(key).await?;
            self.shows(shown).await.with_context(|| format!("after {key}, where {}", stroke.what))?;
            times.record(u64::try_from(pressed.elapsed().as_micros())?)?;
        }
        let milliseconds = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        Ok(Screen {
            what: stroke.what,
            messages,
            times: stroke.times,
            p50_ms: milliseconds(times.value_at_quantile(0.5)),
            p99_ms: milliseconds(times.value_at_quantile(0.99)),
            max_ms: milliseconds(times.max()),
        })
    }

    async fn end(mut self) -> Result<()> {
        self.press("C-c").await?;
        timeout(PATIENCE, self.child.wait()).await.context("the terminal interface does not end")??;
        Ok(())
    }
}
