//! Somebody with a home of their own who uses the real program `sotto`.

use crate::network::Namespace;
use crate::programs::program;
use crate::relay_process::RelayProcess;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a program may take where it is not killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One person. What goes wrong is a panic with the program's own words: persons live in tests.
pub struct Person<'n> {
    name: &'static str,
    home: PathBuf,
    /// Where their programs run; on the machine itself without one.
    namespace: Option<&'n Namespace>,
}

impl Person<'static> {
    /// Registers at the relay of `link`, with a home in `folder`.
    #[must_use]
    pub fn register(name: &'static str, folder: &Path, link: &str) -> Self {
        Person::registers(name, folder, link, None)
    }
}

impl<'n> Person<'n> {
    /// The same from within a network of one's own.
    #[must_use]
    pub fn register_in(namespace: &'n Namespace, name: &'static str, folder: &Path, link: &str) -> Self {
        Self::registers(name, folder, link, Some(namespace))
    }

    fn registers(name: &'static str, folder: &Path, link: &str, namespace: Option<&'n Namespace>) -> Self {
        let home = folder.join(name);
        std::fs::create_dir(&home).expect("a home");
        let person = Self { name, home, namespace };
        let email = format!("{name}@people.example");
        person.does(&["register", "--relay", link, "--username", name, "--email", &email]);
        person
    }

    /// The program in this person's home, to be started; its streams are pipes.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let program = program("sotto");
        let mut command =
            self.namespace.map_or_else(|| Command::new(&program), |space| space.command(&program));
        command
            .arg("--json")
            .args(words)
            .env("SOTTO_HOME", &self.home)
            .env("SOTTO_PASSWORD", format!("the password of {}", self.name))
            .env("SOTTO_PASSPHRASE", "a passphrase")
            .env_remove("SOTTO_RELAY")
            .env_remove("SOTTO_PROFILE")
            // Nobody's microphone is listened to because somebody runs the tests at a desktop.
            .env("PULSE_SERVER", "unix:/nowhere")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn spawn(&self, words: &[&str]) -> Child {
        self.command(words).spawn().expect("the program starts")
    }

    fn start(&self, words: &[&str], input: &str) -> Child {
        let mut child = self.spawn(words);
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        stdin.write_all(input.as_bytes()).expect("the input fits into a pipe");
        child
    }

    /// Starts a command that goes on until it is ended.
    #[must_use]
    pub fn begins(&self, words: &[&str]) -> Going {
        Going::starts(&mut self.command(words))
    }

    /// Runs a command to its good end; the JSON objects that it printed.
    pub fn does(&self, words: &[&str]) -> Vec<Value> {
        self.does_with(words, "")
    }

    /// The same with something to read, at most what a pipe holds.
    pub fn does_with(&self, words: &[&str], input: &str) -> Vec<Value> {
        let output = self.start(words, input).wait_with_output().expect("the program ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`sotto {}` of {}: {errors}", words.join(" "), self.name);
        let text = String::from_utf8(output.stdout).expect("--json is text");
        text.lines().map(|line| serde_json::from_str(line).expect("--json prints JSON")).collect()
    }

    /// Runs a command to its bad end; its exit code and what it said on standard error.
    pub fn fails_to(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.start(words, "").wait_with_output().expect("the program ends");
        assert!(!output.status.success(), "`sotto {}` of {} succeeded", words.join(" "), self.name);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts a command, kills it after a while, and gives the lines it had printed until then.
    pub fn is_killed_at(&self, words: &[&str], input: &str, moment: Duration) -> Vec<String> {
        let mut child = self.start(words, input);
        std::thread::sleep(moment);
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        // A line without its end was cut by the kill: nobody was told.
        let whole =
            stdout.split(b'\n').map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned());
        whole.filter(|line| line.ends_with('}')).collect()
    }

    /// What was said in a conversation, as this person can read it: all of it.
    pub fn texts(&self, conversation: &str) -> Vec<String> {
        let lines = self.does(&["history", conversation, "-n", "10000"]);
        let missing: Vec<_> = lines.iter().filter(|line| line["kind"] == "missing").collect();
        assert!(missing.is_empty(), "{} cannot read {missing:?}", self.name);
        let texts = lines.iter().filter(|line| line["kind"] == "text");
        texts.map(|line| line["text"].as_str().expect("a text has a text").to_owned()).collect()
    }

    /// Waits until everything that was queued is sent.
    pub fn empties_the_outbox(&self) {
        let start = Instant::now();
        while self
            .does(&["rooms"])
            .iter()
            .any(|room| room["queued"].as_u64().is_some_and(|queued| queued > 0))
        {
            assert!(start.elapsed() < PATIENCE, "the outbox of {} does not empty", self.name);
        }
    }

    /// The folder of everything that this person has.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Whether and over what the relay is reached.
    pub fn standing(&self) -> String {
        let answers = self.does(&["whoami"]);
        answers[0]["status"].as_str().expect("a status").to_owned()
    }

    /// Holds that no message was ever unreadable at first.
    pub fn never_failed_to_decrypt(&self) {
        let answers = self.does(&["whoami"]);
        let failures = answers[0]["decryption_failures"].as_object().expect("counters by name");
        assert!(failures.is_empty(), "{} met messages that it could not read: {failures:?}", self.name);
    }
}

/// People with these names, at a relay of their own that is at this address and has these settings. Everything lies in the folder, the relay's
/// log as `relay.log`.
///
/// # Panics
/// If anything of it fails.
#[must_use]
pub fn people<const N: usize>(
    names: [&'static str; N],
    address: &str,
    settings: &[(&str, &str)],
) -> (TempDir, RelayProcess, [Person<'static>; N]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let relay = RelayProcess::start_on(&data, &log, address, settings).expect("the relay starts");
    let people = names.map(|name| Person::register(name, folder.path(), &relay.ready.link));
    (folder, relay, people)
}

/// A command that goes on: lines go in, objects come out. Dropping it kills it.
pub struct Going {
    child: Child,
    stdin: Option<ChildStdin>,
    said: mpsc::Receiver<(Instant, Value)>,
}

impl Going {
    /// Starts a program that says what happens by a JSON object a line, as `sotto --json` does.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn starts(program: &mut Command) -> Self {
        let mut child =
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let object = serde_json::from_str(&line).expect("it prints JSON");
                if tell.send((Instant::now(), object)).is_err() {
                    break;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, said }
    }

    /// Types a line.
    pub fn is_told(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open until the end");
        writeln!(stdin, "{line}").expect("the program takes lines");
    }

    /// Waits for an object that fits; when it came, and it. Those before it are skipped.
    pub fn says(&self, fits: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok((at, object)) if fits(&object) => return (at, object),
                Ok((_, object)) => others.push(object),
                Err(error) => panic!("the object never came ({error}); these did: {others:#?}"),
            }
        }
    }

    /// Waits until it has said this on standard error, which has to be a pipe.
    pub fn warns_of(&mut self, what: &str) {
        let stderr = BufReader::new(self.child.stderr.take().expect("standard error is a pipe"));
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to its end, also when nobody waits any more, or the program would.
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(what) => return,
                Ok(line) => others.push(line),
                Err(error) => panic!("it did not warn of `{what}` ({error}), but: {others:#?}"),
            }
        }
    }

    /// Presses Ctrl-C.
    pub fn is_interrupted(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "it cannot be interrupted");
    }

    /// Ends its input, and waits for its good end.
    pub fn ends(self) {
        self.ends_with(0);
    }

    /// The same; what it had said on standard error, which has to be a pipe.
    #[must_use]
    pub fn ends_having_warned(mut self) -> String {
        let mut stderr = self.child.stderr.take().expect("standard error is a pipe");
        self.stdin = None;
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("it says text");
        self.ends();
        said
    }

    /// The same for an end with this exit code.
    pub fn ends_with(mut self, code: i32) {
        self.stdin = None;
        let status = self.child.wait().expect("a child can be waited for");
        assert_eq!(status.code(), Some(code), "the program ended with {status}");
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
