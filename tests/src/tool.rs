//! Programs of the system that tests use as root, each with the Debian package that has it.

use anyhow::{Context as _, Result, ensure};
use std::process::Command;

/// Runs a tool to its good end.
///
/// # Errors
/// If it is missing (with how to get it) or fails (with its own words).
pub(crate) fn run(package: &str, command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| {
        format!(
            "{:?} is needed: apt-get install {package} (cargo xtask test --privileged does)",
            command.get_program()
        )
    })?;
    ensure!(
        output.status.success(),
        "{command:?} failed (this test needs root on Linux, and {package}): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
