//! iroh from crates.io. It is a program and a workspace of its own, `loadtest/iroh`, so that nothing of ours links it, built into a
//! folder beside this program.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Builds it, which takes some minutes the first time; where it lies.
pub(super) async fn build() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("iroh/Cargo.toml");
    ensure!(manifest.exists(), "iroh is built from this repository: {} is not there", manifest.display());
    let target = std::env::current_exe()?.parent().context("a program lies in a folder")?.join("beside-iroh");
    eprintln!("building {} …", manifest.display());
    let built = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .await
        .context("cargo is needed: https://rustup.rs")?;
    ensure!(built.success(), "{} cannot be built", manifest.display());
    Ok(target.join("release/beside-iroh"))
}
