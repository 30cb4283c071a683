//! `cargo xtask demo`: three people at terminals and one in a browser, a relay that is killed in the middle, and a search of disks.
//!
//! Everything is real: the relay, each command of `sotto` and the browser are processes of their own, each person has a home or
//! a profile of their own, and they meet on the network only. What they say are the lines of a real file. After each scene the
//! demo compares what everybody reads with what was said, to the letter and in order, so it is a test as well
//! (`tests/tests/it/demo.rs`).

mod browser;
mod person;
mod relay;
mod search;
mod show;

use crate::step::{self, cargo, root, say};
use crate::{setup, step::program, web};
use anyhow::{Context as _, bail, ensure};
use browser::Browser;
use person::{Person, Said};
use relay::Relay;
use show::{end, note, scene};
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

/// The conversation of them all.
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
    end(&format!(
        "The demo took {:.1} s. Everything that was said arrived, once and in order, and nowhere else.",
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    setup::for_building()?;
    setup::for_browsers()?;
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

fn play(programs: &Path, folder: &Path, text: &str) -> anyhow::Result<()> {
    let mut script = Script::new(text);
    scene("A relay starts, and three people register");
    let mut relay = Relay::start(&programs.join("sotto-relay"), folder)?;
    note(&relay.link);
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
    note(&format!("both see the safety number {numbers}"));

    scene("Alice makes a group with Bob and Carol");
    let mut group = Talk::default();
    alice.create_group(GROUP, &["bob", "carol"])?;
    for person in [&alice, &bob, &carol] {
        group.say(person, GROUP, script.take(3)?)?;
    }
    for person in [&alice, &bob, &carol] {
        group.is_what_reads(person, GROUP)?;
    }

    scene("Dora opens Alice's invite in a browser, and reads what was said before she came");
    let mut dora = Browser::start("dora", folder)?;
    let link = format!("http://{}/#/i/{}", relay.http, alice.invite(GROUP)?);
    note(&link);
    dora.register_in(&link, 4)?;
    // Whoever is there next hands the key of what was said on to her.
    group.say(&alice, GROUP, script.take(1)?)?;
    group.is_on_the_page_of(&mut dora)?;
    group.type_in(&mut dora, script.take(3)?)?;
    for person in [&alice, &bob, &carol] {
        group.is_what_reads(person, GROUP)?;
    }

    scene("Carol is away; the relay is killed with -9 while Alice writes");
    group.say(&bob, GROUP, script.take(5)?)?;
    let lines = script.take(LINES_AROUND_THE_KILL)?;
    let mut writing = alice.start_writing(GROUP, &lines)?;
    writing.wait_until_underway(lines.len() / 4)?;
    relay.kill()?;
    relay.start_again()?;
    note("the relay was killed and started again on the same data");
    let queued = writing.finish_or_queue()?;
    alice.empty_the_outbox()?;
    group.heard(&alice.name, lines);
    note(&format!(
        "(the relay was killed among these lines; {queued} of them waited in Alice's outbox and went out after it)"
    ));
    group.say(&bob, GROUP, script.take(5)?)?;
    group.is_what_reads(&bob, GROUP)?;
    group.is_on_the_page_of(&mut dora)?;
    note("Dora's page went on by itself and shows all of it");

    scene("The relay is killed again, and Dora writes into a page without a relay");
    relay.kill()?;
    dora.is_away()?;
    let lines = script.take(3)?;
    dora.write(&lines)?;
    dora.shows_waiting(lines.len())?;
    note(&format!("{} texts wait on the page, each with a clock beside it", lines.len()));
    relay.start_again()?;
    dora.is_connected()?;
    dora.shows_waiting(0)?;
    group.heard(&dora.name, lines);
    group.is_what_reads(&bob, GROUP)?;
    group.type_in(&mut dora, script.take(2)?)?;

    scene("Carol comes back and gets everything in order");
    group.is_what_reads(&carol, GROUP)?;
    note(&format!("Carol reads {} lines, each once and in order", group.said.len()));

    scene("Carol is removed and reads nothing after");
    alice.remove(GROUP, "carol")?;
    let until = group.said.clone();
    group.say(&alice, GROUP, script.take(3)?)?;
    group.say(&bob, GROUP, script.take(3)?)?;
    group.type_in(&mut dora, script.take(2)?)?;
    group.is_what_reads(&alice, GROUP)?;
    group.is_what_reads(&bob, GROUP)?;
    group.is_on_the_page_of(&mut dora)?;
    let carols = carol.history(GROUP)?;
    ensure!(carols == until, "Carol reads {} lines after her removal, not {}", carols.len(), until.len());
    carol.cannot_write(GROUP, "may I still write here?")?;
    note(&format!(
        "Carol still has her {} lines, and none of the {} that followed",
        until.len(),
        group.said.len().saturating_sub(until.len())
    ));

    scene("The relay's disk is searched for what was said, and the browser's profile");
    let profile = dora.close()?;
    relay.stop()?;
    look_for_what_was_said("the relay's data", relay.data(), "alice@demo.example", folder, &script.said)?;
    look_for_what_was_said("the browser's profile", &profile, &relay.http, folder, &script.said)
}

/// The search, and two proofs that it would find something: a text that does lie there, and a line planted in a copy.
fn look_for_what_was_said(
    whose: &str,
    data: &Path,
    lies_there: &str,
    folder: &Path,
    said: &[String],
) -> anyhow::Result<()> {
    let outcome = search::search(data, said)?;
    note(&format!(
        "{whose}: {} lines, {} files, {} bytes: found {}",
        said.len(),
        outcome.files,
        outcome.bytes,
        outcome.found.len()
    ));
    if let Some((line, file)) = outcome.found.first() {
        bail!("{whose} holds {line:?}, in {}", file.display());
    }
    let known = search::search(data, &[lies_there.to_owned()])?;
    ensure!(
        !known.found.is_empty(),
        "the search does not even find {lies_there}, which does lie in {whose}: it proves nothing"
    );
    let planted = folder.join("planted");
    let line = said.last().context("something was said")?;
    ensure!(
        program("cp", ["-R".as_ref(), data.as_os_str(), planted.as_os_str()]).succeeds(),
        "cannot copy {whose}"
    );
    plant(&planted, line)?;
    let control = search::search(&planted, said)?;
    ensure!(control.found.len() == 1, "a planted line was found {} times", control.found.len());
    fs::remove_dir_all(&planted)?;
    note(&format!(
        "(the same search finds {lies_there}, which does lie there, {} times, and one line planted in a copy, once)",
        known.found.len()
    ));
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
        self.heard(&person.name, lines);
        Ok(())
    }

    /// The same in a browser, until the relay has all of it.
    fn type_in(&mut self, browser: &mut Browser, lines: Vec<String>) -> anyhow::Result<()> {
        browser.write(&lines)?;
        browser.shows_waiting(0)?;
        self.heard(&browser.name, lines);
        Ok(())
    }

    fn heard(&mut self, from: &str, lines: Vec<String>) {
        for line in lines {
            show::said(from, &line);
            self.said.push(Said { from: from.to_owned(), text: line });
        }
    }

    fn is_what_reads(&self, person: &Person, conversation: &str) -> anyhow::Result<()> {
        self.is(&person.history(conversation)?, &person.name, conversation)
    }

    fn is_on_the_page_of(&self, browser: &mut Browser) -> anyhow::Result<()> {
        let last = self.said.last().context("something was said")?;
        let read = browser.reads(&last.text)?;
        self.is(&read, &browser.name, "the page")
    }

    fn is(&self, read: &[Said], reader: &str, place_of_reading: &str) -> anyhow::Result<()> {
        let places = read.len().max(self.said.len());
        if let Some(place) = (0..places).find(|place| read.get(*place) != self.said.get(*place)) {
            bail!(
                "{reader} reads {:?} at place {place} of {place_of_reading}, where {:?} was said ({} read, {} said)",
                read.get(place),
                self.said.get(place),
                read.len(),
                self.said.len()
            );
        }
        Ok(())
    }
}
