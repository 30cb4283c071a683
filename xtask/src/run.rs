//! `cargo xtask run`: from a clean clone to a running relay.

use crate::step::{cargo, program, root, say};
use crate::{setup, step, web};

/// How the relay is told where its data are.
const DATA: &str = "SOTTO_RELAY_DATA_DIR";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build with all optimisations: what an operator runs. The first build takes several times as long.
    #[arg(long)]
    release: bool,
    /// What the relay gets as its own arguments, after `--`; without any it keeps its data in `data/relay`.
    #[arg(last = true)]
    relay: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    setup::for_building()?;
    web::build()?;
    // The development profile optimises every dependency, so the relay is fast enough to use, and the build is
    // the same one that `cargo xtask test` needs.
    let (profile, folder) = if arguments.release { ("release", "release") } else { ("dev", "debug") };
    cargo(["build", "--locked", "--profile", profile, "--workspace", "--bins"])
        .announced("building the relay and the client (the first time takes a few minutes)")?;
    let programs = step::target().join(folder);
    say(&format!("the client is {}", programs.join("sotto").display()));
    let mut relay = program(programs.join("sotto-relay"), &arguments.relay);
    if arguments.relay.is_empty() && std::env::var_os(DATA).is_none() {
        let data = root().join("data/relay");
        say(&format!("the relay keeps everything in {}; Ctrl-C ends it in good order", data.display()));
        relay = relay.env(DATA, data);
    }
    relay.become_it()
}
