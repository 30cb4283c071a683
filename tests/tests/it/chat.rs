//! `sotto chat` as two people use it at once.

use serde_json::Value;
use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Lines that each says.
const LINES: usize = 100;

const HELLO: &str = "are you there?";

/// One side of a conversation that is open.
struct Chat {
    child: Child,
    input: ChildStdin,
    /// What the other one said, as it is shown.
    heard: Receiver<String>,
}

impl Chat {
    fn open(person: &Person<'_>, with: &str) -> Self {
        let mut child = person.command(&["chat", with, "-n", "0"]).spawn().expect("the program starts");
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("--json prints JSON");
                if line["type"] == "message" && line["kind"] == "text" && line["own"] == false {
                    let text = line["text"].as_str().expect("a text has a text").to_owned();
                    if tell.send(text).is_err() {
                        return;
                    }
                }
            }
        });
        Self { child, input, heard }
    }

    fn says(&mut self, text: &str) {
        writeln!(self.input, "{text}").expect("it reads");
    }

    /// Says something until the other one hears it.
    fn is_heard_by(&mut self, other: &Self) {
        for _ in 0..60 {
            self.says(HELLO);
            if other.heard.recv_timeout(Duration::from_secs(1)).is_ok() {
                return;
            }
        }
        panic!("nobody is heard");
    }

    /// The next line of the other one that is no greeting.
    fn hears(&self) -> String {
        loop {
            let line = self.heard.recv_timeout(Duration::from_secs(60));
            let line = line.expect("every line of the other one is shown");
            if line != HELLO {
                return line;
            }
        }
    }

    fn ends(self) {
        let Self { child, input, heard } = self;
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(heard.iter().collect::<Vec<_>>(), Vec::<String>::new(), "nothing is shown twice");
    }
}

#[test]
fn who_writes_while_another_writes_is_shown_every_line_of_the_other_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let _sent = alice.does(&["send", "@bob", "from before"]);

    let (mut a, mut b) = (Chat::open(&alice, "@bob"), Chat::open(&bob, "@alice"));
    // What is said before the other one listens is the past, and `-n 0` shows none of it.
    a.is_heard_by(&b);
    b.is_heard_by(&a);
    for i in 0..LINES {
        a.says(&format!("alice {i}"));
        b.says(&format!("bob {i}"));
    }
    for i in 0..LINES {
        assert_eq!(a.hears(), format!("bob {i}"));
        assert_eq!(b.hears(), format!("alice {i}"));
    }
    a.ends();
    b.ends();
}
