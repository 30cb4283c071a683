//! Documents and program agree: every command, setting and metric is in the documents, and the other way round.

use crate::program::program;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn printed(words: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Without the folder and the addresses that the tests add: the defaults are what is documented.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sotto-relay"));
    command.args(words).current_dir(folder.path());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SOTTO_")) {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn every_setting_and_every_metric_is_documented_as_the_program_has_it() {
    let settings = printed(&["config", "print"]);
    let configuration = document("docs/configuration.md");
    let (_, rest) = configuration.split_once("```toml\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    assert_eq!(shown, settings, "put what `sotto-relay config print` prints into docs/configuration.md");
    let metrics = printed(&["metrics"]);
    assert!(
        document("docs/metrics.md").ends_with(&format!("\n\n{metrics}")),
        "put what `sotto-relay metrics` prints at the end of docs/metrics.md"
    );
}

/// Names like `sotto_disk_free_bytes` in a text, without what Prometheus appends for histograms.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !name(c)).filter(|word| word.starts_with("sotto_"));
    let plain = |word: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.map(plain).collect()
}

#[test]
fn the_board_and_the_alerts_ask_for_metrics_that_exist_and_the_board_shows_what_matters() {
    let known: BTreeSet<String> = sotto_relay::metrics::all().map(|metric| metric.name.to_owned()).collect();
    for name in ["deploy/alerts.yml", "deploy/grafana.json", "docs/operating.md"] {
        let asked = metrics_in(&document(name));
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{name} names metrics that no relay has: {unknown:?}");
    }
    let board: serde_json::Value = serde_json::from_str(&document("deploy/grafana.json")).unwrap();
    assert!(board["panels"].as_array().unwrap().len() >= 10);
    let alerted = metrics_in(&document("deploy/alerts.yml"));
    for needed in ["sotto_storage_full", "sotto_disk_free_bytes", "sotto_log_fsync_seconds"] {
        assert!(alerted.contains(needed), "no alert on {needed}");
    }
}

/// The subcommands that `--help` lists after some words, down to the last level.
fn commands(words: &[&str]) -> BTreeSet<String> {
    let help = [words, &["--help"]].concat();
    let text = printed(&help);
    let listed = text.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let mut found = BTreeSet::new();
    for name in names {
        let deeper = [words, &[name]].concat();
        let below = commands(&deeper);
        if below.is_empty() {
            found.insert(deeper.join(" "));
        }
        found.extend(below);
    }
    found
}

#[test]
fn every_command_is_in_the_operators_handbook_and_every_command_there_exists() {
    let commands = commands(&[]);
    assert!(commands.contains("account list") && commands.contains("run"), "{commands:?}");
    let text = document("docs/operating.md");
    let documented: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `sotto-relay ")?.split('`').next())
        .map(|line| {
            let words = line.split(' ').take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(documented, commands);
    // A command that is documented is one that can be given.
    let folder = tempfile::tempdir().unwrap();
    for command in &documented {
        let output = program(folder.path()).args(command.split(' ')).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command}");
    }
}

#[test]
fn every_setting_that_a_document_or_a_deployment_names_exists() {
    let variables: BTreeSet<String> =
        sotto_relay::config::KEYS.iter().map(sotto_relay::config::Key::environment).collect();
    let names = |c: char| c.is_ascii_uppercase() || c == '_';
    for name in
        ["docs/operating.md", "deploy/compose.yaml", "deploy/Dockerfile", "deploy/sotto-relay.service"]
    {
        for word in document(name).split(|c| !names(c)).filter(|word| word.starts_with("SOTTO_RELAY_")) {
            assert!(variables.contains(word), "{name} names {word}, which sets nothing");
        }
    }
}
