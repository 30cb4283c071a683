//! A certificate from an authority by ACME, with Debian's `pebble` in the part of Let's Encrypt: ordered, served, renewed,
//! while a device writes on one connection.

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::Writer;
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a certificate lasts; it is renewed after two thirds of that.
const LIFE_SECONDS: u64 = 9;

const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of the test's own. Dropping it ends it.
struct Authority {
    child: Child,
    directory: String,
    root: PathBuf,
}

impl Drop for Authority {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one that looks for proofs on a port of this machine.
fn authority(folder: &Path, proofs: u16) -> Result<Authority> {
    let (listen, management) = (free_address()?, free_address()?);
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = folder.join("root.pem");
    std::fs::write(&root, parameters.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(parameters, key);
    let own_key = KeyPair::generate()?;
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&own_key, &issuer)?;
    let (chain, secret) = (folder.join("pebble.pem"), folder.join("pebble.key"));
    std::fs::write(&chain, own.pem())?;
    std::fs::write(&secret, own_key.serialize_pem())?;
    let settings = json!({ "pebble": {
        "listenAddress": listen, "managementListenAddress": management,
        "certificate": chain, "privateKey": secret,
        "httpPort": proofs, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        "certificateValidityPeriod": LIFE_SECONDS,
    }});
    let file = folder.join("pebble.json");
    std::fs::write(&file, settings.to_string())?;
    let log = std::fs::File::create(folder.join("pebble.log"))?;
    let child = Command::new("pebble")
        .arg("-config")
        .arg(&file)
        // It would wait some seconds before it looks, and refuse some requests to try our patience: of a hundred so few that a
        // request is hardly ever refused three times, after which the relay comes back in twenty minutes only.
        .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "3")])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("pebble is needed: apt-get install pebble (cargo xtask test does)")?;
    let authority = Authority { child, directory: format!("https://{listen}/dir"), root };
    let begin = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        ensure!(begin.elapsed() < PATIENCE, "pebble does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(authority)
}

/// Waits until the file of the relay's certificate is another one than before.
async fn next_certificate(data: &Path, before: Option<&[u8]>, log: &Path) -> Result<Vec<u8>> {
    let begin = Instant::now();
    loop {
        let now = std::fs::read(data.join("acme.pem")).ok();
        match now {
            Some(now) if Some(now.as_slice()) != before => return Ok(now),
            _ => {
                ensure!(begin.elapsed() < PATIENCE, "no certificate came:\n{}", std::fs::read_to_string(log)?)
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_certificate_of_an_authority_is_ordered_served_and_renewed_without_dropping_a_connection() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let proofs = free_address()?;
    let port = proofs.rsplit(':').next().context("a port")?.parse()?;
    let authority = authority(home.path(), port)?;
    let settings = [
        ("SOTTO_RELAY_DOMAIN", "localhost"),
        ("SOTTO_RELAY_ACME_DIRECTORY", authority.directory.as_str()),
        ("SOTTO_RELAY_ACME_ROOT", authority.root.to_str().context("a plain name")?),
        ("SOTTO_RELAY_ACME_HTTP", proofs.as_str()),
    ];
    let process = RelayProcess::start(&data, &log, &settings)?;
    ensure!(
        !process.ready.link.contains('#'),
        "a link of a domain carries no fingerprint: {}",
        process.ready.link
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
        let first = next_certificate(&data, None, &log).await?;
        // Devices of this test trust what is served, by its fingerprint.
        let relay = Relay::from_link(&format!("{}#{}", process.ready.link, fingerprint(&first)?))?;
        let mut writer = Writer::new(&relay, &endpoint, "writer").await?;
        let writing = tokio::spawn({
            let (relay, endpoint) = (relay.clone(), endpoint.clone());
            async move {
                writer.write(&relay, &endpoint, u64::from(u32::MAX)).await?;
                anyhow::Ok(writer)
            }
        });
        let second = next_certificate(&data, Some(&first), &log).await?;
        let third = next_certificate(&data, Some(&second), &log).await?;
        ensure!(!writing.is_finished(), "the writer's connection ended at a renewal");
        // Newcomers get the newest.
        let relay = Relay::from_link(&format!("{}#{}", process.ready.link, fingerprint(&third)?))?;
        Writer::new(&relay, &endpoint, "newcomer").await?;
        process.terminate()?;
        let writer = writing.await??;
        ensure!(writer.acknowledged() > 100, "the writer hardly wrote");
        no_error_was_logged(&log)
    })
}

/// The fingerprint of the first certificate of a chain, as links write it.
fn fingerprint(pem: &[u8]) -> Result<String> {
    use rustls_pki_types::pem::PemObject as _;
    let own = rustls_pki_types::CertificateDer::from_pem_slice(pem)?;
    Ok(sotto_node::tls::fingerprint_of(&own).to_string())
}
