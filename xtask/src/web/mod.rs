//! `cargo xtask web`: the browser client, from its sources to the folder that the relay embeds.
//!
//! ```text
//! web/       --cargo--> sotto_web.wasm       --wasm-bindgen, wasm-opt--> web/ui/src/engine/wasm/
//! web/files/ --cargo--> sotto_web_files.wasm --wasm-bindgen, wasm-opt--> web/ui/src/files/wasm/
//!                 web/ui/ --npm, vite--> web/ui/dist/ --brotli, gzip--> web/dist/ --> relay/build.rs
//! ```
//! Each step is left out while everything that it is made from is as it was, so a second call takes a moment.

mod fresh;

use crate::house::versions;
use crate::step::{cargo, program, root, say, target};
use crate::{setup, wasm};
use anyhow::{Context as _, bail, ensure};
use fresh::Made;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// A wasm module with its JavaScript.
struct Module {
    /// What both are called.
    name: &'static str,
    /// What is compiled.
    package: &'static str,
    /// The crates of it that are compiled for speed.
    fast: &'static [&'static str],
    /// Where the interface finds both.
    glue: &'static str,
    /// What wasm-opt works for.
    for_size: &'static str,
}

/// The engine, which the first visit downloads; and the work on files, which comes with the first file and has to be fast.
const MODULES: [Module; 2] = [
    Module {
        name: "sotto_web",
        package: "sotto-web",
        fast: &[],
        glue: "web/ui/src/engine/wasm",
        for_size: "-Oz",
    },
    Module {
        name: "sotto_web_files",
        package: "sotto-web-files",
        fast: &EACH_BYTE,
        glue: "web/ui/src/files/wasm",
        for_size: "-O3",
    },
];

/// What each byte of a file passes through, on its way to somebody who waits for it. Sealing is generic code, which is compiled as
/// whoever calls it is: four times as fast as for size, and no larger.
const EACH_BYTE: [&str; 7] =
    ["blake3", "chacha20", "chacha20poly1305", "poly1305", "sotto-e2ee", "sotto-web-files", "universal-hash"];

/// The tools from npm.
const TOOLS: &str = "web/tools";

/// The interface.
const INTERFACE: &str = "web/ui";

/// What Rust's wasm uses beyond the first version of it. Every browser that the client runs in has these.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    setup::for_building()?;
    build()?;
    say("the browser client lies in web/dist; the next build of the relay embeds it");
    Ok(())
}

/// Builds what is not built yet.
pub(crate) fn build() -> anyhow::Result<()> {
    setup::node_for_the_web()?;
    let library = wasm::library()?;
    for module in &MODULES {
        glue(module, &compiled(module, &library)?)?;
    }
    interface()?;
    pack()
}

/// A module for browsers; its folder. Cargo knows itself what is to be done.
fn compiled(module: &Module, library: &wasm::Library) -> anyhow::Result<PathBuf> {
    let Module { name, package, fast, .. } = module;
    wasm::module(library, package, fast).announced(&format!("compiling {name}"))?;
    Ok(wasm::target(library).join(wasm::PROFILE))
}

/// End-to-end encryption compiled to wasm as a test drives it (`tests/exchange`).
pub(crate) fn exchange() -> anyhow::Result<()> {
    let library = wasm::library()?;
    wasm::build(&library).announced("compiling the encryption for wasm, for a test")?;
    let module = wasm::target(&library).join(wasm::PROFILE).join("sotto_exchange.wasm");
    let folder = target().join("web/exchange");
    let made = Made::from("exchange", vec![module.clone(), root().join("web/bindgen")]);
    if made.is_fresh(&folder.join("sotto_exchange_bg.wasm")) {
        return Ok(());
    }
    program(bindgen()?, [module, folder]).announced("writing its JavaScript")?;
    made.done()
}

/// JavaScript and types for the module, and the module made smaller.
fn glue(module: &Module, compiled: &Path) -> anyhow::Result<()> {
    let Module { name, glue, for_size, .. } = module;
    let (folder, compiled) = (root().join(glue), compiled.join(name).with_extension("wasm"));
    let lock = root().join(TOOLS).join("package-lock.json");
    let made = Made::from(name, vec![compiled.clone(), root().join("web/bindgen"), lock]);
    if made.is_fresh(&folder.join(format!("{name}_bg.wasm"))) {
        return Ok(());
    }
    let bindgen = bindgen()?;
    setup::npm_packages(TOOLS)?;
    let work = target().join("web").join("glue");
    fs::create_dir_all(&work)?;
    program(bindgen, [&compiled, &work]).announced(&format!("writing the JavaScript of {name}"))?;
    let full = work.join(format!("{name}_bg.wasm"));
    let small = work.join("small.wasm");
    program(root().join(TOOLS).join("node_modules/.bin/wasm-opt"), [for_size])
        .args(FEATURES)
        .arg(&full)
        .arg("-o")
        .arg(&small)
        .announced("optimising it")?;
    fs::rename(&small, &full)?;
    fs::create_dir_all(&folder)?;
    for end in [".js", ".d.ts", "_bg.wasm", "_bg.wasm.d.ts"] {
        let name = format!("{name}{end}");
        fs::copy(work.join(&name), folder.join(&name))
            .with_context(|| format!("wasm-bindgen wrote no {name}"))?;
    }
    made.done()
}

/// The program that writes the glue, of the version that the client is compiled with.
fn bindgen() -> anyhow::Result<PathBuf> {
    let (ours, tool) = versions_of_wasm_bindgen()?;
    ensure!(
        ours == tool,
        "the client is compiled with wasm-bindgen {ours}, and web/bindgen/Cargo.lock has wasm-bindgen-cli-support {tool}: name \
         the same version in web/bindgen/Cargo.toml and run `cargo update --manifest-path web/bindgen/Cargo.toml`"
    );
    let folder = target().join("web-bindgen");
    cargo(["build", "--release", "--locked", "--manifest-path", "web/bindgen/Cargo.toml", "--target-dir"])
        .arg(&folder)
        .announced("building wasm-bindgen, once (a minute or two)")?;
    Ok(folder.join("release/sotto-web-bindgen").with_extension(std::env::consts::EXE_EXTENSION))
}

/// What the workspace uses, and what the tool is made from.
fn versions_of_wasm_bindgen() -> anyhow::Result<(String, String)> {
    let version = |lock: &str, name: &str| {
        let text = fs::read_to_string(root().join(lock)).with_context(|| format!("cannot read {lock}"))?;
        let found = versions::packages(&text).find(|(found, _)| *found == name);
        found.map(|(_, version)| version.to_owned()).with_context(|| format!("{lock} has no {name}"))
    };
    Ok((
        version("Cargo.lock", "wasm-bindgen")?,
        version("web/bindgen/Cargo.lock", "wasm-bindgen-cli-support")?,
    ))
}

/// The page, its style and its scripts.
fn interface() -> anyhow::Result<()> {
    let folder = root().join(INTERFACE);
    let made = Made::from("interface", vec![folder.clone()]);
    if made.is_fresh(&folder.join("dist/index.html")) {
        return Ok(());
    }
    setup::npm_packages(INTERFACE)?;
    program("npm", ["run", "--silent", "build", "--prefix", INTERFACE])
        .announced("building the browser client's interface")?;
    made.done()
}

/// Compressed forms of everything, and the size of the first visit.
fn pack() -> anyhow::Result<()> {
    let (from, to) = (root().join(INTERFACE).join("dist"), root().join("web/dist"));
    let script = root().join(TOOLS).join("pack.mjs");
    let made = Made::from("pack", vec![from.clone(), script.clone()]);
    if made.is_fresh(&to.join("index.html")) {
        return Ok(());
    }
    if !from.join("index.html").is_file() {
        bail!("{} holds no index.html; delete {} and run this again", from.display(), from.display());
    }
    program("node", [script, from, to]).announced("compressing the browser client")?;
    made.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_that_writes_the_glue_is_of_the_version_that_the_client_is_compiled_with() {
        let (ours, tool) = versions_of_wasm_bindgen().expect("both lock files are readable");
        assert_eq!(ours, tool);
    }
}
