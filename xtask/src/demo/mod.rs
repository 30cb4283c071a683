//! `cargo xtask demo`: three people, a relay that is killed in the middle, and a search of its disk.
//!
//! Everything is real: the relay and each command of `sotto` are processes of their own, each person has a home of their own,
//! and they meet on the network only. What they say are the lines of a real file. After each scene the demo compares what
//! everybody reads with what was said, to the letter and in order, so it is a test as well (`tests/tests/it/demo.rs`).

mod person;
mod relay;
mod search;

use crate::step::{self, cargo, root, say};
use crate::{setup, step::program, web};
use anyhow::{Context as _, bail, ensure};
use person::{Person, Said};
use relay::Relay;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file whose lines are said.
    #[arg(long, default_value = "LICENSE-APACHE")]
    text: PathBuf,
    /// Where built programs lie; without it they are built first.
    #[arg(long)]
    programs: Option<PathBuf>,
}

/// The conversation of all three.
const GROUP: &str = "garden";

/// Lines that are said while the relay is killed: enough that the kill falls among them.
const LINES_AROUND_THE_KILL: usize = 60;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = match &arguments.programs {
        Some(folder) => folder.clone(),
        None => build()?,
    };
    let text = fs::read_to_string(root().join(&arguments.text))
        .with_context(|| format!("cannot read {}", arguments.text.display()))?;
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    let start = Instant::now();
    let outcome = play(&programs, folder.path(), &text);
    if outcome.is_err() {
        // What the processes wrote is the evidence.
        say(&format!("the demo failed; its folder stays: {}", folder.keep().display()));
    }
    outcome?;
    println!(
        "\nThe demo took {:.1} s. Everything that was said arrived, once and in order, and nowhere else.",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    setup::for_building()?;
    web::build()?;
    cargo(["build", "--locked", "--workspace", "--bins"]).announced("building the relay and the client")?;
    Ok(step::target().join("debug"))
}

/// The lines of a file that are worth saying: long enough to be searched for, and each once.
struct Script {
    lines: std::vec::IntoIter<String>,
    /// What was taken so far.
    said: Vec<String>,
}

impl Script {
    fn new(text: &str) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| line.len() >= search::NEEDLE_BYTES_MIN) {
            if !lines.iter().any(|known| known == line) {
                lines.push(line.to_owned());
            }
        }
        Self { lines: lines.into_iter(), said: Vec::new() }
    }

    fn take(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        let lines: Vec<String> = self.lines.by_ref().take(count).collect();
        ensure!(
            lines.len() == count,
            "the text file has too few lines of its own for the demo; name another with --text"
        );
        self.said.extend(lines.clone());
        Ok(lines)
    }
}

fn scene(title: &str) {
    println!("\n== {title}");
}

fn play(programs: &Path, folder: &Path, text: &str) -> anyhow::Result<()> {
    let mut script = Script::new(text);
    scene("A relay starts, and three people register");
    let mut relay = Relay::start(&programs.join("sotto-relay"), folder)?;
    println!("   {}", relay.link);
    let sotto = programs.join("sotto");
    let alice = Person::register("alice", &sotto, folder, &relay.link)?;
    let bob = Person::register("bob", &sotto, folder, &relay.link)?;
    let carol = Person::register("carol", &sotto, folder, &relay.link)?;

    scene("Alice and Bob write to each other");
    let mut direct = Talk::default();
    direct.say(&alice, "@bob", script.take(4)?)?;
    direct.say(&bob, "@alice", script.take(4)?)?;
    direct.say(&alice, "@bob", script.take(2)?)?;
    direct.is_what_reads(&alice, "@bob")?;
    direct.is_what_reads(&bob, "@alice")?;
    let (numbers, others) = (alice.safety_number("bob")?, bob.safety_number("alice")?);
    ensure!(numbers == others, "the safety numbers differ: {numbers} and {others}");
    println!("   both see the safety number {numbers}");

    scene("Alice makes a group with Bob and Carol");
    let mut group = Talk::default();
    alice.create_group(GROUP, &["bob", "carol"])?;
    for person in [&alice, &bob, &carol] {
        group.say(person, GROUP, script.take(3)?)?;
    }
    for person in [&alice, &bob, &carol] {
        group.is_what_reads(person, GROUP)?;
    }

    scene("Carol is away; the relay is killed with -9 while Alice writes");
    group.say(&bob, GROUP, script.take(5)?)?;
    let lines = script.take(LINES_AROUND_THE_KILL)?;
    let mut writing = alice.start_writing(GROUP, &lines)?;
    writing.wait_until_underway(lines.len() / 4)?;
    relay.kill_and_start_again()?;
    println!("   the relay was killed and started again on the same data");
    let queued = writing.finish_or_queue()?;
    alice.empty_the_outbox()?;
    group.heard(&alice, lines);
    println!(
        "   (the relay was killed among these lines; {queued} of them waited in Alice's outbox and went out after it)"
    );
    group.say(&bob, GROUP, script.take(5)?)?;
    group.is_what_reads(&bob, GROUP)?;

    scene("Carol comes back and gets everything in order");
    group.is_what_reads(&carol, GROUP)?;
    println!("   Carol reads {} lines, each once and in order", group.said.len());

    scene("Carol is removed and reads nothing after");
    alice.remove(GROUP, "carol")?;
    let until = group.said.clone();
    group.say(&alice, GROUP, script.take(3)?)?;
    group.say(&bob, GROUP, script.take(3)?)?;
    group.is_what_reads(&alice, GROUP)?;
    group.is_what_reads(&bob, GROUP)?;
    let carols = carol.history(GROUP)?;
    ensure!(carols == until, "Carol reads {} lines after her removal, not {}", carols.len(), until.len());
    carol.cannot_write(GROUP, "may I still write here?")?;
    println!(
        "   Carol still has her {} lines, and none of the {} that followed",
        until.len(),
        group.said.len() - until.len()
    );

    scene("The relay's disk is searched for what was said");
    relay.stop()?;
    look_for_what_was_said(relay.data(), folder, &script.said)
}

/// The search, and two proofs that it would find something: a name that the relay does know, and a line planted in a copy.
fn look_for_what_was_said(data: &Path, folder: &Path, said: &[String]) -> anyhow::Result<()> {
    let outcome = search::search(data, said)?;
    println!(
        "   {} lines, {} files, {} bytes: found {}",
        said.len(),
        outcome.files,
        outcome.bytes,
        outcome.found.len()
    );
    if let Some((line, file)) = outcome.found.first() {
        bail!("the relay's disk holds {line:?}, in {}", file.display());
    }
    let name = "alice@demo.example".to_owned();
    let known = search::search(data, std::slice::from_ref(&name))?;
    ensure!(
        !known.found.is_empty(),
        "the search does not even find {name}, which the relay keeps: it proves nothing"
    );
    println!(
        "   (the same search finds Alice's address, which the relay does keep, {} times;",
        known.found.len()
    );
    let planted = folder.join("planted");
    let line = said.last().context("something was said")?;
    ensure!(
        program("cp", ["-R".as_ref(), data.as_os_str(), planted.as_os_str()]).succeeds(),
        "cannot copy the relay's data"
    );
    plant(&planted, line)?;
    let control = search::search(&planted, said)?;
    ensure!(control.found.len() == 1, "a planted line was found {} times", control.found.len());
    println!("   and one line planted in a copy of the data, once)");
    Ok(())
}

/// Writes a line over the middle of the largest file.
fn plant(folder: &Path, line: &str) -> anyhow::Result<()> {
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder)? {
            let file = file?;
            let length = file.metadata()?.len();
            if file.path().is_dir() {
                folders.push(file.path());
            } else if largest.as_ref().is_none_or(|(most, _)| length > *most) {
                largest = Some((length, file.path()));
            }
        }
    }
    let (_, path) = largest.context("the relay's data folder has files")?;
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    let end = bytes.len().min(middle.saturating_add(line.len()));
    bytes.splice(middle..end, line.bytes());
    Ok(fs::write(path, bytes)?)
}

/// What was said in one conversation, by whom, in order.
#[derive(Default)]
struct Talk {
    said: Vec<Said>,
}

impl Talk {
    fn say(&mut self, person: &Person, to: &str, lines: Vec<String>) -> anyhow::Result<()> {
        person.write(to, &lines)?;
        self.heard(person, lines);
        Ok(())
    }

    fn heard(&mut self, person: &Person, lines: Vec<String>) {
        let from = person.name.clone();
        for line in lines {
            println!("   {from:>5}: {line}");
            self.said.push(Said { from: from.clone(), text: line });
        }
    }

    fn is_what_reads(&self, person: &Person, conversation: &str) -> anyhow::Result<()> {
        let read = person.history(conversation)?;
        if let Some(place) =
            (0..read.len().max(self.said.len())).find(|place| read.get(*place) != self.said.get(*place))
        {
            bail!(
                "{} reads {:?} at place {place} of {conversation}, where {:?} was said ({} read, {} said)",
                person.name,
                read.get(place),
                self.said.get(place),
                read.len(),
                self.said.len()
            );
        }
        Ok(())
    }
}
