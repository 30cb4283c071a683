//! A group: all members but one get a file at once from the one who sent it.

use super::net::Lines;
use super::{FilesArguments, GROUP, PIECE_BYTES, SETTINGS, checked, get, seed, send};
use crate::person::Person;
use crate::report::FilesGroup;
use crate::sotto::Sotto;
use crate::target::Target as _;
use anyhow::Result;
use futures_util::future::try_join_all;
use std::path::Path;
use std::time::Instant;

/// The relay's counter of chunks that it gave.
const GIVEN: &str = "sotto_file_chunks_total{direction=\"out\"}";

/// One member alone, then all at once.
pub(super) async fn measure(arguments: &FilesArguments, dir: &Path, file: &Path) -> Result<FilesGroup> {
    let (bytes, members) = (arguments.size, usize::from(arguments.members));
    let lines = arguments.rate.map(|rate| Lines::lay(members, rate)).transpose()?;
    let listen = [("SOTTO_RELAY_LISTEN", Lines::RELAY)];
    let listen = if lines.is_some() { listen.as_slice() } else { &[] };
    let settings = [SETTINGS.as_slice(), listen].concat();
    let sotto = Sotto::start_with(dir, arguments.relay.as_deref(), &settings).await?;
    let names: Vec<String> = (1..=members).map(|number| format!("member-{number}")).collect();
    let mut people = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let namespace = lines.as_ref().and_then(|lines| lines.of(number));
        people.push(Person::register(name, dir.join(name), sotto.link(), namespace).await?);
    }
    let Some((alice, others)) = people.split_first() else { anyhow::bail!("a group has members") };
    let invited = names.iter().skip(1).map(String::as_str);
    let words: Vec<&str> = ["create", GROUP].into_iter().chain(invited).collect();
    alice.does(&words).await?;
    let (_, place) = send(alice, file, sotto.pid()).await?;
    // Everybody has heard of it, so that what is timed is the file.
    for person in others {
        person.does(&["history", GROUP, "-n", "1"]).await?;
    }
    let seeds = seed(alice).await?;
    let giver = seeds.pid();

    eprintln!("one of {} gets it …", others.len());
    // A folder each: two programs do not get one file into the same.
    let target = |number: usize| dir.join(format!("inbox-{number}")).join("film.mkv");
    let began = Instant::now();
    for (number, person) in others.iter().take(1).enumerate() {
        let (pass, _) = get(person, &place, &target(number), giver, &[]).await?;
        checked(pass, file, &target(number))?;
    }
    let one_seconds = began.elapsed().as_secs_f64();

    eprintln!("all {} get it at once …", others.len());
    let before = sotto.counter(GIVEN).await?;
    let began = Instant::now();
    let passes = others.iter().enumerate().map(|(number, person)| {
        let (place, to) = (&place, target(number));
        async move { get(person, place, &to, giver, &[]).await }
    });
    let passes = try_join_all(passes).await?;
    let all_seconds = began.elapsed().as_secs_f64();
    let given = sotto.counter(GIVEN).await? - before;
    let mut peak_kib = 0;
    for (number, (pass, _)) in passes.into_iter().enumerate() {
        peak_kib = checked(pass, file, &target(number))?.taker_peak_kib.max(peak_kib);
    }
    seeds.terminate().await?;
    sotto.finish().await?;
    Ok(FilesGroup {
        members,
        bytes,
        mbit_per_second: arguments.rate,
        one_seconds,
        all_seconds,
        relay_copies: given / (bytes as f64 / PIECE_BYTES as f64),
        taker_peak_mib: peak_kib as f64 / 1_024.0,
    })
}
