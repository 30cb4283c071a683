//! The arrows between crates, and what the pure ones may reach.

use crate::step::cargo;
use anyhow::Context as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates of servers: they cannot decrypt, because they do not link what could.
const SERVERS: [&str; 4] = ["sotto-relay", "sotto-relay-core", "sotto-signaling", "sotto-signaling-core"];

/// Crates without I/O, clock or ambient randomness.
pub(super) const PURE: [&str; 6] = [
    "sotto-protocol",
    "sotto-mls",
    "sotto-e2ee",
    "sotto-signaling-core",
    "sotto-relay-core",
    "sotto-node-core",
];

/// What a pure crate never reaches through its normal dependencies.
const IMPURE: [&str; 11] = [
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "quinn",
    "hyper",
    "axum",
    "rusqlite",
    "sled",
    "tempfile",
];

/// What nothing reaches: ring beside aws-lc-rs makes rustls panic for want of one provider; OpenSSL is a second stack.
const BANNED: [&str; 4] = ["ring", "openssl", "openssl-sys", "native-tls"];

/// Every arrow between crates of the house that there may be (normal dependencies). `tests` and `xtask` may reach anything.
const ARROWS: [(&str, &[&str]); 12] = [
    ("sotto-protocol", &[]),
    ("sotto-mls", &["sotto-protocol"]),
    ("sotto-e2ee", &["sotto-protocol", "sotto-mls"]),
    ("sotto-signaling-core", &["sotto-protocol", "sotto-mls"]),
    ("sotto-signaling", &["sotto-protocol", "sotto-mls", "sotto-signaling-core"]),
    ("sotto-relay-core", &["sotto-protocol", "sotto-mls"]),
    (
        "sotto-relay",
        &["sotto-protocol", "sotto-mls", "sotto-relay-core", "sotto-signaling", "sotto-signaling-core"],
    ),
    ("sotto-node-core", &["sotto-protocol", "sotto-mls", "sotto-e2ee"]),
    ("sotto-node", &["sotto-protocol", "sotto-mls", "sotto-e2ee", "sotto-node-core"]),
    ("sotto-web", &["sotto-protocol", "sotto-mls", "sotto-e2ee", "sotto-node-core"]),
    ("sotto-web-files", &["sotto-protocol", "sotto-mls", "sotto-e2ee", "sotto-node-core"]),
    ("sotto-loadtest", &["sotto-protocol", "sotto-mls", "sotto-e2ee", "sotto-node-core", "sotto-node"]),
];

/// One line for each arrow that should not be.
pub(crate) fn broken() -> anyhow::Result<Vec<String>> {
    // One platform: quinn's manifest names ring for wasm, where we do not use quinn. deny.toml covers the others.
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata = cargo(["metadata", "--format-version", "1", "--locked"]).args(platform).output()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata writes JSON")?;
    let graph = Graph::of(&metadata).context("cargo metadata has the shape it had")?;
    let mut broken = Vec::new();
    for name in &graph.ours {
        if ["sotto-tests", "sotto-exchange", "xtask"].contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| from == name) else {
            broken.push(format!("{name} has no arrows in xtask/src/house/architecture.rs: add it there"));
            continue;
        };
        for to in graph.direct(name).filter(|to| graph.ours.contains(*to) && !allowed.contains(to)) {
            broken.push(format!("{name} -> {to} is no arrow of the house"));
        }
    }
    for server in SERVERS {
        if graph.reachable(server).contains("sotto-e2ee") {
            broken.push(format!("{server} reaches sotto-e2ee: servers cannot decrypt"));
        }
    }
    let everything = tree(&["--workspace", "-e", "all"])?;
    for banned in BANNED.into_iter().filter(|name| everything.contains(*name)) {
        broken.push(format!("{banned} is in the dependency graph"));
    }
    for pure in PURE {
        broken.extend(impure_reach(pure)?);
    }
    Ok(broken)
}

fn impure_reach(pure: &str) -> anyhow::Result<Vec<String>> {
    let reached = tree(&["-p", pure, "-e", "normal"])?;
    let impure = IMPURE.into_iter().filter(|name| reached.contains(*name));
    Ok(impure.map(|name| format!("{pure} is pure and reaches {name}")).collect())
}

/// Names of packages as `cargo tree` finds them: with the features that are turned on for what is asked about, on this
/// platform. The metadata would add what other members, or other platforms, turn on.
fn tree(of: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let tree = cargo(["tree", "--locked", "--prefix", "none", "--format", "{p}"]).args(of).output()?;
    Ok(tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// Packages by name with the names of what they depend on, build and test dependencies apart. Two versions of one
/// crate are one node here, which can only find more.
struct Graph {
    ours: BTreeSet<String>,
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(metadata: &Value) -> Option<Self> {
        let mut names = BTreeMap::new();
        for package in metadata.get("packages")?.as_array()? {
            names.insert(package.get("id")?.as_str()?, package.get("name")?.as_str()?);
        }
        let mut ours = BTreeSet::new();
        for member in metadata.get("workspace_members")?.as_array()? {
            ours.insert((*names.get(member.as_str()?)?).to_owned());
        }
        let mut normal: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata.get("resolve")?.get("nodes")?.as_array()? {
            let name = *names.get(node.get("id")?.as_str()?)?;
            let targets = normal.entry(name.to_owned()).or_default();
            for dependency in node.get("deps")?.as_array()? {
                let kinds = dependency.get("dep_kinds")?.as_array()?;
                if kinds.iter().any(|kind| kind.get("kind").is_some_and(Value::is_null)) {
                    targets.insert((*names.get(dependency.get("pkg")?.as_str()?)?).to_owned());
                }
            }
        }
        Some(Self { ours, normal })
    }

    fn direct(&self, name: &str) -> impl Iterator<Item = &str> {
        self.normal.get(name).into_iter().flatten().map(String::as_str)
    }

    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(name) = waiting.pop() {
            if seen.insert(name) {
                waiting.extend(self.direct(name));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_do_not_link_e2ee_and_every_arrow_is_one_of_the_house() {
        assert_eq!(broken().expect("cargo metadata runs"), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_reach_is_found_through_others() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "1", "name": "sotto-relay"}, {"id": "2", "name": "helper"}, {"id": "3", "name": "sotto-e2ee"},
                {"id": "4", "name": "only-for-tests"},
            ],
            "workspace_members": ["1", "3"],
            "resolve": {"nodes": [
                {"id": "1", "deps": [
                    {"pkg": "2", "dep_kinds": [{"kind": null}]}, {"pkg": "4", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "2", "deps": [{"pkg": "3", "dep_kinds": [{"kind": "build"}, {"kind": null}]}]},
                {"id": "3", "deps": []},
                {"id": "4", "deps": []},
            ]},
        });
        let graph = Graph::of(&metadata).expect("the shape of cargo metadata");
        assert!(graph.reachable("sotto-relay").contains("sotto-e2ee"));
        assert!(!graph.reachable("sotto-relay").contains("only-for-tests"));
    }
}
