//! Two homes behind routers of every kind: the real programs get a file from each other, directly where that is possible at all,
//! and by the relay where it is not.

use anyhow::{Context as _, Result};
use sotto_tests::network::{Home, Internet, Nat};
use sotto_tests::person::Person;
use sotto_tests::relay_process::{RelayProcess, no_error_was_logged};
use sotto_tests::sending::{MIB, file, hash, inbox, text};
use std::path::Path;

const PORT: u16 = 4433;
const GIVERS: [&str; 5] = ["ga", "gb", "gc", "gd", "ge"];
const TAKERS: [&str; 5] = ["ta", "tb", "tc", "td", "te"];

/// P-074.
#[test]
#[ignore = "needs root: makes network namespaces with routers"]
fn behind_any_two_routers_a_file_arrives_and_directly_where_there_is_a_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("relay"), folder.path().join("relay.log"));
    let internet = Internet::new()?;
    // The relay gives when nobody has answered for 0.3 s. At its full speed it would have given everything before a link stands
    // on a machine that is busy with ten programs; so slow, it has not.
    internet.server.is_slow_over_tcp()?;
    let listen = format!("{}:{PORT}", Internet::SERVER);
    let relay = RelayProcess::start_in(&internet.server, &data, &log, &listen, &[])?;
    let link = relay.ready.link.as_str();
    let homes = |count: [&str; 5]| -> Result<Vec<Home>> {
        count.iter().zip(Nat::ALL).map(|(_, nat)| internet.home(nat)).collect()
    };
    let (given, taken) = (homes(GIVERS)?, homes(TAKERS)?);
    let film = file(folder.path(), "film.mkv", 6 * MIB);
    let (folder, film) = (folder.path(), film.as_path());

    // Each home by itself, so that the whole takes as long as the slowest.
    let takers = together(TAKERS.iter().zip(&taken), |(name, home)| {
        Ok(Person::register_in(&home.host, name, folder, link))
    })?;
    let givers = together(GIVERS.iter().zip(&given), |(name, home)| {
        let giver = Person::register_in(&home.host, name, folder, link);
        for taker in TAKERS {
            giver.does(&["send", &format!("@{taker}"), "--file", text(film)]);
        }
        Ok(giver)
    })?;
    let seeding = givers.iter().map(|giver| giver.begins(&["seed"])).collect::<Vec<_>>();
    for going in &seeding {
        going.says(|object| object["type"] == "seeding");
    }
    let rows = together(takers.iter().zip(TAKERS), |(taker, name)| {
        GIVERS.iter().map(|giver| gets(taker, name, giver, folder, film)).collect::<Result<Vec<_>>>()
    })?;

    println!(
        "{:>16}  {}",
        "taker \\ giver",
        Nat::ALL.map(|nat| format!("{:>14}", format!("{nat:?}"))).join(" ")
    );
    let mut wrong = Vec::new();
    for (nat, row) in Nat::ALL.iter().zip(&rows) {
        let shown = row.iter().map(|direct| format!("{:>14}", if *direct { "direct" } else { "relayed" }));
        println!("{:>16}  {}", format!("{nat:?}"), shown.collect::<Vec<_>>().join(" "));
        for (other, direct) in Nat::ALL.iter().zip(row) {
            if *direct != nat.lets_meet(*other) {
                wrong.push(format!("{nat:?} from {other:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "these went another way than they should");
    drop(seeding);
    relay.terminate()?;
    no_error_was_logged(&log)
}

/// Gets the file that a giver sent; true if it came directly.
fn gets(taker: &Person<'_>, name: &str, giver: &str, folder: &Path, film: &Path) -> Result<bool> {
    let inbox = inbox(folder, &format!("{name}-{giver}"));
    let mut said = taker.does(&["get", &format!("@{giver}"), "--last", "-o", text(&inbox)]);
    let got = said.pop().context("what was got")?;
    assert_eq!(hash(&inbox.join("film.mkv")), hash(film), "{name} from {giver}");
    let sources = got["sources"].as_array().context("sources")?;
    Ok(sources.iter().any(|source| source["carrier"] == "direct"))
}

/// Does the same for each at the same time.
fn together<'n, T: Send, R: Send>(
    all: impl Iterator<Item = T> + 'n,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = all.map(|one| scope.spawn(move || work(one))).collect();
        running.into_iter().map(|one| one.join().expect("what failed has said why")).collect()
    })
}
