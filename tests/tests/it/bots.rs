//! The example bots, as people run them: by Node.js against a real daemon, and against a stand-in for a model's endpoint.

use serde_json::{Value, json};
use sotto_tests::daemon_process::{DaemonProcess, good, node};
use sotto_tests::person::Person;
use sotto_tests::receiver::{Received, receiver};
use sotto_tests::relay_process::RelayProcess;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

/// A bot that runs and has said that it is ready. Dropping it kills it.
struct Bot {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Bot {
    fn start(script: &str, daemon: &DaemonProcess, variables: &[(&str, &str)]) -> Self {
        let mut child = node("examples/bots", script)
            .env("SOTTO_DAEMON", &daemon.url)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut bot = Self { child, lines };
        bot.is_ready();
        bot
    }

    /// Waits until it is connected (again).
    fn is_ready(&mut self) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("readable");
        assert!(line.starts_with("ready as"), "{line:?}");
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something and waits for the answer that is expected.
fn is_answered(daemon: &DaemonProcess, recipient: &str, text: &str, answer: &str) {
    let asked = node("tests/npm", "ask.mjs").args([&daemon.url, recipient, text, answer]).output();
    let _ = good(&asked.expect("node starts"));
}

fn texts(daemon: &DaemonProcess, with: &str) -> Vec<String> {
    let (status, page) =
        daemon.http(&format!("GET /conversations/@{with}/messages?limit=100"), "").expect("an answer");
    assert_eq!(status, 200, "{page}");
    let messages = page["messages"].as_array().expect("a list").iter();
    messages.filter_map(|message| message["content"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_echo_bot_answers_each_message_once_also_after_its_daemon_was_away_and_no_other_bot() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, echo] =
        ["alice", "echo"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let (a, e) = (
        DaemonProcess::start(&alice, 0).expect("it listens"),
        DaemonProcess::start(&echo, 0).expect("it listens"),
    );
    let mut bot = Bot::start("echo.mjs", &e, &[]);
    // A bot on the other side as well: the two must not talk to each other for ever.
    let _other = Bot::start("echo.mjs", &a, &[]);

    is_answered(&a, "echo", "one", "\u{1f916} one");

    let port = e.port;
    e.terminate().expect("it ends in good order");
    let missed = json!({ "recipient": "echo", "content": "two" }).to_string();
    let (status, sent) = a.http("POST /messages", &missed).expect("an answer");
    assert_eq!((status, &sent["type"]), (200, &json!("sent")), "{sent}");
    let _again = DaemonProcess::start(&echo, port).expect("it listens again");
    bot.is_ready();

    // Answers come in the order of what they answer: after this one, the one before it is there.
    is_answered(&a, "echo", "three", "\u{1f916} three");
    let mut said = texts(&a, "echo");
    said.sort();
    assert_eq!(said, ["one", "three", "two", "\u{1f916} one", "\u{1f916} three", "\u{1f916} two"]);
}

#[test]
fn the_model_bot_answers_through_an_openai_compatible_endpoint_with_the_conversation_so_far() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, oracle] =
        ["alice", "oracle"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    let (a, o) = (
        DaemonProcess::start(&alice, 0).expect("it listens"),
        DaemonProcess::start(&oracle, 0).expect("it listens"),
    );
    let (base, requests) = model();
    let variables =
        [("OPENAI_BASE_URL", base.as_str()), ("OPENAI_MODEL", "tiny"), ("OPENAI_API_KEY", "a key")];
    let _bot = Bot::start("openai.mjs", &o, &variables);

    is_answered(&a, "oracle", "What is six times seven?", "\u{1f916} 42");
    let (head, body) = asked(&requests);
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer a key"), "{head}");
    assert_eq!(body["model"], "tiny");
    assert_eq!(body["messages"][1], json!({ "role": "user", "content": "alice: What is six times seven?" }));

    is_answered(&a, "oracle", "Are you sure?", "\u{1f916} 42");
    let (_, body) = asked(&requests);
    assert_eq!(body["messages"][2], json!({ "role": "assistant", "content": "42" }));
    assert_eq!(body["messages"][3], json!({ "role": "user", "content": "alice: Are you sure?" }));
}

/// A stand-in for a model's endpoint, that always answers the same; gives its base URL and what it is asked.
fn model() -> (String, Receiver<Received>) {
    let answer = json!({ "choices": [{ "message": { "role": "assistant", "content": " 42 " } }] });
    let (address, told) = receiver(answer.to_string());
    (format!("http://{address}/v1"), told)
}

/// What the endpoint was asked next.
fn asked(requests: &Receiver<Received>) -> (String, Value) {
    let Received { head, body } = requests.recv().expect("the endpoint was asked");
    (head, serde_json::from_slice(&body).expect("JSON"))
}
