//! A sound server of a test's own, as desktops have one: PulseAudio without any hardware. Into its microphone a tone is played, and what
//! goes to its loudspeaker can be recorded.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name of its microphone.
pub const MICROPHONE: &str = "mouth.monitor";

/// The name of its loudspeaker.
pub const LOUDSPEAKER: &str = "ears";

/// It ends when this is dropped.
pub struct SoundServer {
    folder: PathBuf,
    child: Child,
}

/// What is being recorded.
pub struct Recorder(Child);

fn started(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| {
        panic!("{:?}: {error}; apt-get install pulseaudio (cargo xtask setup does)", command.get_program())
    })
}

impl SoundServer {
    /// Starts one whose microphone hears a tone; everything of it lies in a folder that is there.
    ///
    /// # Panics
    /// If it does not begin.
    #[must_use]
    pub fn start(folder: &Path, hertz: u32) -> Self {
        let script = folder.join("script.pa");
        // The tone comes last: what plays goes to another device when that is chosen.
        let socket = folder.join("native");
        let words = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}\n\
             load-module module-null-sink sink_name=mouth\n\
             load-module module-null-sink sink_name={LOUDSPEAKER}\n\
             set-default-sink {LOUDSPEAKER}\n\
             set-default-source {MICROPHONE}\n\
             load-module module-sine sink=mouth frequency={hertz}\n",
            socket.display()
        );
        std::fs::write(&script, words).expect("a script");
        let options =
            ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=true", "--use-pid-file=false"];
        let mut command = Command::new("pulseaudio");
        command.args(options).arg("-F").arg(&script);
        for home in ["HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH"] {
            command.env(home, folder);
        }
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut child = started(command.env_remove("PULSE_SERVER").stdout(Stdio::null()).stderr(log));
        let start = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "pulseaudio does not begin: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder: folder.to_owned(), child }
    }

    /// What programs find it by.
    #[must_use]
    pub fn address(&self) -> (&'static str, String) {
        ("PULSE_SERVER", format!("unix:{}", self.folder.join("native").display()))
    }

    /// Records what goes to the loudspeaker.
    #[must_use]
    pub fn record(&self, path: &Path) -> Recorder {
        let options = ["--file-format=wav", "--rate=48000", "--channels=1", "--format=s16le"];
        let mut command = Command::new("parecord");
        command.arg(format!("--device={LOUDSPEAKER}.monitor")).args(options).arg(path);
        let (name, address) = self.address();
        Recorder(started(command.env(name, address).env("HOME", &self.folder)))
    }

    /// It ends, as when the person signs out of the desktop.
    pub fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Recorder {
    /// Ends it; the file is whole then.
    ///
    /// # Panics
    /// If it cannot be told to end.
    pub fn end(mut self) {
        let interrupted = Command::new("kill").arg("-INT").arg(self.0.id().to_string()).status();
        assert!(interrupted.is_ok_and(|status| status.success()), "parecord is not there any more");
        self.0.wait().expect("a child can be waited for");
    }
}
