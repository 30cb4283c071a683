//! A compiler for wasm: rustup's, or Debian's where rustup cannot download. What it builds is checked, or is the browser
//! client.

use crate::setup::install;
use crate::step::{self, Step, cargo, program, say};
use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The target of browsers, which the pure crates build for.
const TARGET: &str = "wasm32-unknown-unknown";

/// What a browser client links. The servers' pure crates (`sotto-signaling-core`, `sotto-relay-core`) know no I/O
/// either, but no browser runs them, so they need not build for wasm.
const FOR_BROWSERS: [&str; 4] = ["sotto-protocol", "sotto-mls", "sotto-e2ee", "sotto-node-core"];

/// End-to-end encryption with exports for a test (`tests/exchange`).
const EXCHANGE: &str = "sotto-exchange";

/// What Debian calls its newer Rust, with the sources of the standard library and a linker.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// How everything for browsers is compiled: in one way, so that what they have in common is compiled once.
pub(crate) const PROFILE: &str = "web";

/// What the compiler may use beyond the first version of wasm; every browser that the client runs in has it. A tenth faster at
/// sealing, and the engine is smaller by 15 KB of its download.
const FLAGS: &str = "-Ctarget-feature=+simd128";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Where the standard library for wasm comes from.
pub(crate) enum Library {
    /// The toolchain has it.
    Toolchain,
    /// Built from Debian's sources, for Debian's compiler.
    Sysroot(PathBuf),
}

/// Gets the library, from wherever it can be had.
pub(crate) fn library() -> anyhow::Result<Library> {
    let sysroot = program("rustc", ["--print", "sysroot"]).output()?;
    let there = |sysroot: &str| Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir();
    if there(&sysroot) {
        return Ok(Library::Toolchain);
    }
    let built = step::target().join("wasm-sysroot");
    if libraries(&built).is_dir() && Path::new(DEBIAN_RUSTC).is_file() {
        return Ok(Library::Sysroot(built));
    }
    let downloaded =
        program("rustup", ["target", "add", TARGET]).announced("installing Rust's standard library for wasm");
    if downloaded.is_ok() && there(&sysroot) {
        return Ok(Library::Toolchain);
    }
    say("rustup cannot download it here; building it from Debian's sources instead");
    debian().map(Library::Sysroot).with_context(|| {
        format!("browsers run wasm, which needs a library of its own; get it by `rustup target add {TARGET}`")
    })
}

/// `cargo build` for wasm of all that browsers link and of the encryption as a test drives it.
pub(crate) fn build(library: &Library) -> Step {
    let packages = FOR_BROWSERS.iter().chain(&[EXCHANGE]).flat_map(|name| ["--package", name]);
    with(library, cargo(["build"]).args(packages))
}

/// `cargo build` of one of the browser client's modules. The crates that are `fast` are compiled for speed, not for size.
pub(crate) fn module(library: &Library, package: &str, fast: &[&str]) -> Step {
    let fast = fast.iter().map(|name| format!("--config=profile.{PROFILE}.package.{name}.opt-level=3"));
    with(library, cargo(["build", "--package", package]).args(fast))
}

/// Where cargo builds to for wasm.
pub(crate) fn target(library: &Library) -> PathBuf {
    match library {
        Library::Toolchain => step::target(),
        // Another compiler, so another target folder: sharing one would build everything anew each time.
        Library::Sysroot(_) => step::target().join("wasm-debian"),
    }
    .join(TARGET)
}

fn with(library: &Library, build: Step) -> Step {
    const FLAGS_OF_TARGET: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";
    let build = build.args(["--locked", "--lib", "--profile", PROFILE, "--target", TARGET]);
    match library {
        Library::Toolchain => build.env(FLAGS_OF_TARGET, FLAGS),
        Library::Sysroot(sysroot) => build
            .env("RUSTC", DEBIAN_RUSTC)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19")
            .env(FLAGS_OF_TARGET, format!("--sysroot={} {FLAGS}", sysroot.display()))
            .env("CARGO_TARGET_DIR", step::target().join("wasm-debian")),
    }
}

/// Where a sysroot keeps the libraries for wasm.
fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Builds the standard library once, by Debian's own compiler: rustup's cannot build Debian's sources.
fn debian() -> anyhow::Result<PathBuf> {
    let sysroot = step::target().join("wasm-sysroot");
    let libraries = libraries(&sysroot);
    install(&DEBIAN, "Debian's Rust, whose sources hold the standard library")?;
    let empty = step::target().join("wasm-std");
    fs::create_dir_all(empty.join("src"))?;
    fs::write(empty.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        empty.join("Cargo.toml"),
        "[workspace]\n[package]\nname = \"wasm-std\"\nversion = \"0.0.0\"\nedition = \"2024\"\n",
    )?;
    let std = ["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort", "--manifest-path"];
    program(DEBIAN_CARGO, std)
        .arg(empty.join("Cargo.toml"))
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", empty.join("target"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Cembed-bitcode=yes -Copt-level=s")
        .announced("building the standard library for wasm, once")?;
    let mut copied = 0_u32;
    let unfinished = sysroot.join("unfinished");
    fs::create_dir_all(&unfinished)?;
    for file in fs::read_dir(empty.join("target").join(TARGET).join("release/deps"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let name = path.file_name().context("a file has a name")?;
            fs::copy(&path, unfinished.join(name))?;
            copied = copied.saturating_add(1);
        }
    }
    ensure!(copied > 0, "the build of the standard library left no libraries");
    let parent = libraries.parent().context("the folder lies in the sysroot")?;
    fs::create_dir_all(parent)?;
    if fs::rename(&unfinished, &libraries).is_err() {
        bail!("cannot move the libraries to {}", libraries.display());
    }
    Ok(sysroot)
}
