//! What a person waits for in a browser: a real Chromium, in turns with a plain WebSocket echo page (`loadtest/web/measure.mjs`).

use crate::report::Web;
use crate::sotto::Sotto;
use crate::target::Target as _;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

#[derive(serde::Deserialize)]
struct Measured {
    echo_usable_ms: Vec<f64>,
    echo_first_ms: Vec<f64>,
    sign_in_usable_ms: Vec<f64>,
    first_message_ms: Vec<f64>,
    received_s: f64,
    scrolled: usize,
    frames: Vec<f64>,
}

/// Measures so many rounds, then the scrolling through so many messages.
pub(crate) async fn measure(dir: &Path, relay: Option<&Path>, messages: usize, rounds: usize) -> Result<Web> {
    let program = std::env::current_exe()?.with_file_name("sotto");
    ensure!(
        program.is_file(),
        "{} is not there: `cargo build --release -p sotto-node` builds it",
        program.display()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/measure.mjs");
    let sotto = Sotto::start(dir, relay).await?;
    let task = serde_json::json!({
        "url": format!("http://{}/", sotto.http()),
        "link": sotto.link(),
        "sotto": program,
        "home": dir.join("home"),
        "messages": messages,
        "rounds": rounds,
    });
    let output = Command::new("node")
        .arg(script)
        .arg(task.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context(
            "Node.js is needed, with the packages of web/ui and tests/npm (`cargo xtask setup` gets them)",
        )?;
    let output = output.wait_with_output().await?;
    ensure!(output.status.success(), "the measurement in the browser ended with {}", output.status);
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    sotto.finish().await?;
    let mut frames = measured.frames;
    frames.sort_by(f64::total_cmp);
    let at = |hundredth: usize| frames.get(frames.len() * hundredth / 100).copied().unwrap_or_default();
    Ok(Web {
        rounds,
        echo_usable_ms: median(measured.echo_usable_ms),
        echo_first_ms: median(measured.echo_first_ms),
        sign_in_usable_ms: median(measured.sign_in_usable_ms),
        first_message_ms: median(measured.first_message_ms),
        messages,
        received_s: measured.received_s,
        scrolled: measured.scrolled,
        frames: frames.len(),
        frame_p50_ms: at(50),
        frame_p99_ms: at(99),
        frame_max_ms: frames.last().copied().unwrap_or_default(),
    })
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}
