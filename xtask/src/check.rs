//! `cargo xtask check`: what is checked beside tests. Each part can be asked for by its name.

use crate::step::{cargo, program, say};
use crate::{house, setup, wasm};
use anyhow::bail;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which parts; all without any.
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// rustfmt changes nothing.
    Fmt,
    /// The house rules: arrows between crates, pure hearts, citations, least versions.
    House,
    /// clippy and rustc warn of nothing.
    Clippy,
    /// rustdoc warns of nothing.
    Doc,
    /// Licences, bans, sources and advisories of dependencies.
    Deny,
    /// The pure crates of clients build for browsers.
    Wasm,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let all = [Part::Fmt, Part::House, Part::Deny, Part::Wasm, Part::Clippy, Part::Doc];
    let parts = if arguments.parts.is_empty() { &all[..] } else { &arguments.parts };
    for part in parts {
        match part {
            Part::Fmt => cargo(["fmt", "--all", "--check"]).announced("formatting")?,
            Part::House => house_rules()?,
            Part::Clippy => {
                setup::for_building()?;
                cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
                    .announced("lints")?;
            }
            Part::Doc => cargo(["doc", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings")
                .announced("documentation")?,
            Part::Deny => deny()?,
            Part::Wasm => pure_for_wasm()?,
        }
    }
    Ok(())
}

fn house_rules() -> anyhow::Result<()> {
    let broken = house::broken_rules()?;
    for rule in &broken {
        say(rule);
    }
    if !broken.is_empty() {
        bail!("{} house rules are broken (ARCHITECTURE.md)", broken.len());
    }
    say("house rules: all kept");
    Ok(())
}

fn deny() -> anyhow::Result<()> {
    let deny = setup::cargo_deny()?;
    program(&deny, ["--workspace", "--all-features", "check", "bans", "licenses", "sources"])
        .announced("dependency policy")?;
    // The advisory database is a git repository of its own that not every machine can reach.
    if program(&deny, ["fetch", "db"]).succeeds() {
        return program(&deny, ["--workspace", "check", "--disable-fetch", "advisories"])
            .announced("advisories");
    }
    say(
        "the RustSec advisory database cannot be reached from here: advisories are NOT checked by cargo-deny, \
         only against the project's own list of least versions (xtask/src/house/versions.rs)",
    );
    let old = house::versions::broken()?;
    for line in &old {
        say(line);
    }
    if !old.is_empty() {
        bail!("{} dependencies are older than their least version", old.len());
    }
    Ok(())
}

fn pure_for_wasm() -> anyhow::Result<()> {
    wasm::build(&wasm::library()?).announced("pure crates for wasm")
}
