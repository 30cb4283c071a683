//! `cargo xtask fuzz`: one target under libFuzzer, from the committed corpus.
//!
//! Discovery is for people and nightly jobs. What it finds goes into `tests/fuzz/corpus` or becomes a test; every
//! test run replays the corpus on the stable toolchain (`sotto_tests::fuzz`).

use crate::step::{cargo, program, root, target};
use anyhow::{Context as _, bail};
use std::fs;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One of the targets in `tests/fuzz/fuzz_targets`.
    target: String,
    /// How many executions.
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Keep the inputs that reach new code in the committed corpus.
    #[arg(long)]
    grow: bool,
}

/// The version of cargo-fuzz that is installed where there is none.
const CARGO_FUZZ: &str = "0.13.2";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = root().join("tests/fuzz");
    let name = &arguments.target;
    if !folder.join("fuzz_targets").join(format!("{name}.rs")).is_file() {
        let mut names = Vec::new();
        for file in fs::read_dir(folder.join("fuzz_targets"))? {
            names.extend(file?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
        names.sort();
        bail!("no fuzz target {name}; there are: {}", names.join(", "));
    }
    if !program("rustup", ["run", "nightly", "rustc", "--version"]).succeeds() {
        program("rustup", ["toolchain", "install", "nightly", "--profile", "minimal"])
            .announced("installing the nightly toolchain, which libFuzzer's instrumentation needs")
            .context("get it by `rustup toolchain install nightly`")?;
    }
    let tools = target().join("tools");
    let cargo_fuzz = tools.join("bin/cargo-fuzz").with_extension(std::env::consts::EXE_EXTENSION);
    if !cargo_fuzz.is_file() {
        cargo(["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--root"])
            .arg(&tools)
            .announced("building cargo-fuzz, once")?;
    }
    let committed = folder.join("corpus").join(name);
    let found = target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&found)?;
    // libFuzzer writes what it finds to the first folder and only reads the others.
    let folders = if arguments.grow { vec![committed] } else { vec![found, committed] };
    program(cargo_fuzz, ["fuzz", "run", "--fuzz-dir"])
        .arg(&folder)
        .arg(name)
        .args(folders)
        .args(["--", &format!("-runs={}", arguments.runs), "-max_len=65536", "-print_final_stats=1"])
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env("CARGO_TARGET_DIR", target().join("fuzz"))
        .announced_to_the_end(&format!("fuzzing {name}"))
}
