//! A real terminal of a size, with a program in it: tmux on a server of its own, driven by keys, looked at by its screen.

use crate::pictures::{Colour, are_like};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a screen may take to show what it should: key exchange and Argon2id on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What runs in the terminal: the program, then its exit status goes to the file that `$0` names. tmux tells of it too,
/// but loses the signal that a child has ended now and then, and never asks again. What is on the screen then stays.
const SHELL: &str = r#""$@"; echo $? > "$0.new"; mv "$0.new" "$0"; exec sleep 600"#;

/// A terminal. Dropping it ends what runs in it.
pub struct Terminal {
    server: String,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Starts `program` with `arguments` and `environment` in a terminal of `columns` and `rows`.
    ///
    /// # Panics
    /// If tmux is not there: `cargo xtask setup` gets it.
    #[must_use]
    pub fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().expect("a folder for the exit status");
        let terminal = Self { server: format!("sotto-test-{}-{number}", std::process::id()), folder };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut words = vec!["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows];
        let variables: Vec<String> =
            environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for variable in &variables {
            words.extend(["-e", variable]);
        }
        let (status, program) = (terminal.status_file(), program.to_string_lossy());
        let status = status.to_string_lossy();
        words.extend(["sh", "-c", SHELL, &status, &program]);
        words.extend(arguments);
        terminal.tmux(&words);
        terminal
    }

    fn status_file(&self) -> PathBuf {
        self.folder.path().join("status")
    }

    fn ask(&self, words: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-u", "-L", &self.server])
            .args(words)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .output()
            .expect("tmux runs; `cargo xtask setup` installs it")
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a screen is text")
    }

    /// Presses keys, by the names that tmux has for them.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a text.
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Types a text and presses Enter.
    pub fn enters(&self, text: &str) {
        self.types(text);
        self.press(&["Enter"]);
    }

    /// Pastes a text, in brackets if the program asked for them.
    pub fn pastes(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Pastes a text of any length, as [`Self::pastes`] does.
    pub fn pastes_a_file(&self, file: &Path) {
        self.tmux(&["load-buffer", &file.to_string_lossy()]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// What a terminal sends that no key is: bytes.
    pub fn sends(&self, bytes: &str) {
        let hex: Vec<String> = bytes.bytes().map(|byte| format!("{byte:02x}")).collect();
        let words: Vec<&str> =
            ["send-keys", "-H"].into_iter().chain(hex.iter().map(String::as_str)).collect();
        self.tmux(&words);
    }

    /// Clicks on the first place where a text is on the screen.
    ///
    /// # Panics
    /// If it is nowhere.
    pub fn clicks(&self, text: &str) {
        let screen = self.screen();
        let rows = screen.lines().enumerate();
        let found =
            rows.filter_map(|(row, line)| Some((row, line.split_once(text)?.0.chars().count()))).next();
        let (row, column) = found.unwrap_or_else(|| panic!("{text} is on the screen:\n{screen}"));
        let (row, column) = (row + 1, column + 1);
        self.sends(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    }

    /// Turns the wheel in the middle of the screen, away from the person if `up`.
    pub fn turns_the_wheel(&self, up: bool, times: usize) {
        let button = if up { 64 } else { 65 };
        for _ in 0..times {
            self.sends(&format!("\x1b[<{button};50;12M"));
        }
    }

    /// Whether the bell has rung since the terminal was made.
    #[must_use]
    pub fn has_rung(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{window_bell_flag}"]).trim() == "1"
    }

    /// Writes down all that the program sends to the terminal from now on.
    pub fn writes_down(&self, file: &Path) {
        self.tmux(&["pipe-pane", "-O", &format!("cat > '{}'", file.display())]);
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What is on the screen now.
    #[must_use]
    pub fn screen(&self) -> String {
        let screen = self.tmux(&["capture-pane", "-p"]);
        screen.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// The same with its colours, as escape sequences.
    #[must_use]
    pub fn coloured_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until a cell of a picture has nearly this colour.
    ///
    /// # Panics
    /// If none ever has.
    pub fn shows_colour(&self, colour: Colour) {
        self.waits(&format!("the colour {colour:?}"), |_| {
            let screen = self.coloured_screen();
            // As tmux writes it: 38 for what is above, 48 for what is below.
            screen.split("38;2;").skip(1).any(|cell| {
                let mut parts =
                    cell.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or_default());
                let mut part = || parts.next().unwrap_or_default();
                are_like([part(), part(), part()], colour)
            })
        });
    }

    /// Waits until the screen is as it should be; gives it.
    ///
    /// # Panics
    /// If it never is.
    pub fn waits(&self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if right(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "the screen never shows {what}:\n{screen}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all of these are on the screen; gives it.
    pub fn shows(&self, texts: &[&str]) -> String {
        self.waits(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Waits until the program has ended; its exit status.
    #[must_use]
    pub fn ends(&self) -> String {
        let start = Instant::now();
        loop {
            if let Ok(status) = std::fs::read_to_string(self.status_file()) {
                return status.trim().to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "the program does not end:\n{}", self.screen());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its own server, with nothing else on it.
        let _ = self.ask(&["kill-server"]);
    }
}
