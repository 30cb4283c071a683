//! The project's own commands. `cargo xtask --help` lists them; the README names the two that matter.
//!
//! Each command gets what it needs by itself, says what it does before it does it, and ends with the failing
//! step's own output where one fails.

mod check;
mod demo;
mod fuzz;
mod house;
mod run;
mod setup;
mod step;
mod test;
mod wasm;
mod web;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sotto's own commands. On a fresh machine: `cargo xtask run`, then `cargo xtask test`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets everything up, builds the programs and starts a relay, ready to talk.
    Run(run::Arguments),
    /// Sets everything up and runs every test.
    Test(test::Arguments),
    /// People at terminals and in a browser talk through a relay that is killed; then disks are searched for what they said.
    Demo(demo::Arguments),
    /// Runs the checks that are no tests: formatting, house rules, lints, documentation, dependency policy, wasm.
    Check(check::Arguments),
    /// Installs what the other commands need, and says what.
    Setup(setup::Arguments),
    /// Builds the browser client, which the relay embeds at its next build.
    Web(web::Arguments),
    /// Fuzzes one target with libFuzzer (needs the nightly toolchain).
    Fuzz(fuzz::Arguments),
    /// Writes the golden bytes of kinds of frames that have none yet; never changes one that is there.
    Vectors,
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Web(arguments) => web::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Vectors => step::cargo(["test", "-p", "sotto-protocol", "--test", "it", "vectors"])
            .env("SOTTO_WRITE_VECTORS", "1")
            .announced("writing missing golden bytes to tests/vectors"),
    }
}
