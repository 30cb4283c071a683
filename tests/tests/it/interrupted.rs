//! Files that everything happens to: both ends, the relay and the link between them, again and again, at moments drawn from a seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sotto_tests::person::Person;
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use sotto_tests::sending::{self, MIB, hash, text};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const GROUP: &str = "garden";
const CHUNKS: u32 = 120;

/// Of all transfers together, and of each on its way to the relay and from there.
const INTERRUPTIONS: u64 = 50;
const PUTTING: u64 = 3;
const GETTING: u64 = 7;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is watched; killed if it is left behind.
struct Running(Child);

impl Running {
    fn starts(mut command: Command) -> Self {
        Self(command.spawn().expect("it starts"))
    }

    /// Waits until something has come so far; false if the program came to its good end before.
    fn runs_until(&mut self, far_enough: impl Fn() -> bool) -> bool {
        let since = Instant::now();
        while !far_enough() {
            if let Some(status) = self.0.try_wait().expect("a child can be asked") {
                assert!(status.success(), "it ended with {status}");
                return false;
            }
            assert!(since.elapsed() < PATIENCE, "it does not come that far");
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    fn ends(mut self) {
        assert!(!self.runs_until(|| false), "it comes to its end");
    }

    /// `STOP` holds it up as a line that carries nothing does; `CONT` lets it go on.
    fn is_told(&self, signal: &str) {
        let told = Command::new("kill").args([format!("-{signal}"), self.0.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    folder: tempfile::TempDir,
    address: String,
    relay: RelayProcess,
    alice: Person<'static>,
    bob: Person<'static>,
    /// Chunks that came to relays that are no more.
    put_before: u64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address().expect("a free port");
        let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
        let relay = RelayProcess::start_on(&data, &log, &address, &[]).expect("the relay starts");
        let [alice, bob] =
            ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
        alice.does(&["create", GROUP, "bob"]);
        Self { folder, address, relay, alice, bob, put_before: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Chunks that came to the relay.
    fn put(&self) -> u64 {
        let http = self.relay.ready.http.expect("it serves plain HTTP");
        let mut stream = TcpStream::connect(http).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let name = "sotto_file_chunks_total{direction=\"in\"}";
        let value = answer.lines().find_map(|line| line.strip_prefix(name));
        self.put_before + value.map_or(0, |value| value.trim().parse::<u64>().expect("a number"))
    }

    /// What Bob's programs said of chunks.
    fn said(&self, words: &str) -> u64 {
        let log = std::fs::read_to_string(self.path("bob.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(words)).count() as u64
    }

    fn came(&self) -> u64 {
        self.said("a chunk came")
    }

    /// Kills the relay and starts it again.
    fn relay_is_killed(&mut self) {
        self.put_before = self.put();
        let (data, log) = (self.path("relay"), self.path("relay.log"));
        let _ = Command::new("kill").args(["-KILL", &self.relay.ready.pid.to_string()]).status();
        let since = Instant::now();
        while self.relay.ended().expect("a child can be asked").is_none() {
            assert!(since.elapsed() < PATIENCE, "it cannot be killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.relay = RelayProcess::start_on(&data, &log, &self.address, &[]).expect("it starts again");
    }

    fn puts(&self, file: &Path) -> Running {
        let mut command = self.alice.command(&["send", GROUP, "--file", text(file)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running::starts(command)
    }

    fn gets(&self, inbox: &Path) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.path("bob.log")).expect("a log");
        let mut command = self.bob.command(&["get", GROUP, "--last", "-o", text(inbox)]);
        command.env("SOTTO_LOG", "sotto_node::files=debug");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Running::starts(command)
    }

    fn seeds(&self) -> Running {
        let mut command = self.alice.command(&["seed"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::starts(command);
        let mut line = String::new();
        let stdout = running.0.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says that it gives");
        assert!(line.contains("seeding"), "{line}");
        running
    }
}

#[test]
fn a_file_arrives_whole_whatever_is_killed_or_cut_on_its_way_and_hardly_a_chunk_travels_twice() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new();
    let (mut interruptions, mut transfers) = (0, 0);
    let mut kinds = [0_u64; 5];
    while interruptions < INTERRUPTIONS {
        transfers += 1;
        let name = format!("film-{transfers}.mkv");
        let file = sending::file(world.folder.path(), &name, CHUNKS as usize * (MIB - 16) - transfers);
        let mut putting = world.puts(&file);
        for _ in 0..PUTTING {
            let far = world.put() + u64::from(random.random_range(1..CHUNKS / 5));
            if !putting.runs_until(|| world.put() >= far) {
                break;
            }
            interruptions += 1;
            if random.random() {
                kinds[0] += 1;
                drop(putting);
                putting = world.puts(&file);
            } else {
                kinds[1] += 1;
                world.relay_is_killed();
            }
        }
        putting.ends();

        let inbox = sending::inbox(world.folder.path(), "inbox");
        let (mut giving, mut getting) = (world.seeds(), world.gets(&inbox));
        for _ in 0..GETTING {
            let far = world.came() + u64::from(random.random_range(1..CHUNKS / 10));
            if !getting.runs_until(|| world.came() >= far) {
                break;
            }
            interruptions += 1;
            match random.random_range(0..4) {
                0 => {
                    kinds[2] += 1;
                    drop(getting);
                    getting = world.gets(&inbox);
                }
                1 => {
                    kinds[3] += 1;
                    drop(giving);
                    giving = world.seeds();
                }
                2 => {
                    kinds[1] += 1;
                    world.relay_is_killed();
                }
                _ => {
                    kinds[4] += 1;
                    giving.is_told("STOP");
                    let far = world.came() + u64::from(random.random_range(1..CHUNKS / 10));
                    let goes_on = getting.runs_until(|| world.came() >= far);
                    giving.is_told("CONT");
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        getting.ends();
        assert_eq!(hash(&inbox.join(&name)), hash(&file), "{name}");
        std::fs::remove_file(inbox.join(&name)).expect("it is there");
        assert_eq!(std::fs::read_dir(&inbox).expect("a folder").count(), 0, "nothing half is left");
        drop(giving);
        std::fs::remove_file(file).expect("it is there");
    }
    let (put, came, asked) = (world.put(), world.came(), world.said("a chunk is asked for"));
    let all = u64::from(CHUNKS) * transfers as u64;
    println!(
        "{interruptions} interruptions of {transfers} transfers with {all} chunks: senders {}, relays {}, takers {}, givers {}, \
         lines {}; {put} chunks came to the relay, {came} to the taker, who asked for {asked}",
        kinds[0], kinds[1], kinds[2], kinds[3], kinds[4]
    );
    // What came to a relay between the last look at it and its end, it does not tell any more.
    assert!(put * 10 <= all * 11, "{put} chunks were put for {all}");
    assert!(came >= all && came * 10 <= all * 11, "{came} chunks came for {all}");
    no_error_was_logged(&world.path("relay.log")).expect("a log without errors");
}
