//! The configuration of a relay: one TOML file, environment variables and flags over sane defaults.
//!
//! [`keys`] is the table of everything that can be set; [`values`] stacks the layers; [`Config`] is the
//! checked result that the rest of the program reads. An unknown key is refused with the nearest known one.

pub mod files;
pub mod keys;
mod parse;
pub mod turn;
pub mod values;
pub mod web;

pub use self::keys::{ENVIRONMENT_FILE, KEYS, Key};
pub use self::turn::TurnConfig;
pub use self::values::{ConfigError, Source, Values};
pub use self::web::{Origins, WebConfig};

use crate::store::SledOptions;
use crate::tls::Origin;
use rustls_pki_types::DnsName;
use sentry_core::types::Dsn;
use sotto_protocol::invite::RelayAddress;
use sotto_relay_core::blobs::Rules;
use sotto_signaling_core::account::RegistrationPolicy;
use sotto_signaling_core::rights::InviteMakers;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A whole, checked configuration. See [`KEYS`] for what each field means to an operator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of everything that outlives a restart.
    pub data_dir: PathBuf,
    /// UDP and TCP.
    pub listen: SocketAddr,
    /// Plain HTTP; `None` for none.
    pub http: Option<SocketAddr>,
    /// What links name; `None` for loopback.
    pub public_address: Option<RelayAddress>,
    /// The operator's own certificate; `None` for the one that the relay makes.
    pub certificate: Option<CertificateFiles>,
    /// Whether links carry its fingerprint.
    pub certificate_pinned: bool,
    /// The authority that gives one instead.
    pub acme: Option<AcmeConfig>,
    /// What browsers are told.
    pub web: WebConfig,
    /// STUN and TURN; `None` for none.
    pub turn: Option<TurnConfig>,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// Whether the first account becomes the operator.
    pub first_account_is_operator: bool,
    /// Who may invite people to register.
    pub invites: InviteMakers,
    /// Proxies in front of the HTTP API.
    pub trusted_proxies: usize,
    /// How long a drain may take.
    pub drain: Duration,
    /// Older entries are deleted; `None` keeps everything.
    pub retention_age: Option<Duration>,
    /// The time that one shard of the log holds.
    pub retention_shard: Duration,
    /// Bytes that one conversation may keep; `None` for no limit.
    pub quota_conversation: Option<u64>,
    /// Bytes that one account may have in all conversations; `None` for no limit.
    pub quota_account: Option<u64>,
    /// Changes that one account may make each second; `None` for no limit.
    pub changes_per_second: Option<u32>,
    /// Free bytes below which nothing new is taken.
    pub disk_free_min: u64,
    /// What is kept of files; `None` for nothing.
    pub files: Option<Rules>,
    /// How often a backup is made; `None` for never.
    pub backup_every: Option<Duration>,
    /// How many of them are kept.
    pub backup_keep: usize,
    /// Where they are kept; `None` for a folder inside the data folder.
    pub backup_folder: Option<PathBuf>,
    /// Bytes of page cache of the log.
    pub storage_cache: u64,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address.
    pub connections_per_address_max: usize,
    /// Time to prove who one is.
    pub authentication_timeout: Duration,
    /// Silence after which a connection is gone.
    pub idle_timeout: Duration,
    /// Whether attempts are rate limited.
    pub rates: bool,
    /// Whether the public port serves `/metrics`.
    pub metrics_public: bool,
    /// Text or JSON.
    pub log_format: LogFormat,
    /// The filter of log lines, known to parse.
    pub log_level: String,
    /// Where they go; `None` for standard error.
    pub log_file: Option<LogFile>,
    /// Who is sent traces.
    pub otlp: Option<OtlpConfig>,
    /// Who is sent errors.
    pub sentry: Option<Dsn>,
}

/// Who is sent traces, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpConfig {
    /// The address, with its path.
    pub address: String,
    /// From 0 to 1.
    pub share: f64,
}

/// A file of log lines, and when another one is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// The size from which on it is put aside.
    pub bytes_max: u64,
    /// The age from which on it is.
    pub age_max: Duration,
    /// How many of those that were put aside are kept.
    pub kept: usize,
}

/// How certificates are got from an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// For which name.
    pub domain: String,
    /// The address of the authority's directory.
    pub directory: String,
    /// Where it may write to.
    pub email: Option<String>,
    /// Where it looks for the proof.
    pub http: SocketAddr,
    /// What its own certificate is held against; `None` for what the machine trusts.
    pub root: Option<PathBuf>,
}

/// A certificate of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM, the relay's own certificate first.
    pub chain: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Config {
    /// All defaults, with the data in `data_dir`.
    #[must_use]
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        let mut config =
            Self::from_values(&Values::default()).expect("the table's own defaults are good values");
        config.data_dir = data_dir.into();
        config
    }

    /// Where the certificate comes from.
    #[must_use]
    pub const fn certificate_origin(&self) -> Origin<'_> {
        match (&self.acme, &self.certificate) {
            (Some(_), _) => Origin::Authority,
            (None, Some(files)) => Origin::Files { files, is_pinned: self.certificate_pinned },
            (None, None) => Origin::Own,
        }
    }

    /// Where backups are kept.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.backup_folder.clone().unwrap_or_else(|| self.data_dir.join("backups"))
    }

    /// Checks all values, alone and together.
    ///
    /// # Errors
    /// If one is not what its key expects, or two do not fit.
    pub fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let chain = values.read("certificate", optional_path)?;
        let key = values.read("certificate_key", optional_path)?;
        let certificate = match (chain, key) {
            (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
            (None, None) => None,
            _ => {
                return Err(ConfigError::Together(
                    "`certificate` and `certificate_key` belong together: set both, or neither to let the relay make its own",
                ));
            }
        };
        let acme = acme(values)?;
        if acme.is_some() && certificate.is_some() {
            return Err(ConfigError::Together(
                "`domain` and `certificate` are two ways to the same: set `domain` for certificates from an authority, or `certificate` for one of your own",
            ));
        }
        let public_address = values.read("public_address", |text| match text {
            "" => Some(None),
            address => address.parse().ok().map(Some),
        })?;
        let other = |address: &RelayAddress| {
            acme.as_ref().is_some_and(|acme| !address.host.eq_ignore_ascii_case(&acme.domain))
        };
        if public_address.as_ref().is_some_and(other) {
            return Err(ConfigError::Together(
                "`public_address` names another host than `domain`, whose certificate devices would refuse there: leave it out, or name the same",
            ));
        }
        let certificate_pinned = values.read("certificate_pinned", parse::truth)?;
        if certificate.is_none() && !certificate_pinned {
            return Err(ConfigError::Together(
                "`certificate_pinned` is false and there is no `certificate`: no authority vouches for the one that the relay makes, so devices need its fingerprint",
            ));
        }
        let http = values.read("http", |text| match text {
            "off" => Some(None),
            _ => text.parse::<SocketAddr>().ok().map(Some),
        })?;
        let beyond_loopback = values.read("http_beyond_loopback", parse::truth)?;
        if http.is_some_and(|address| !address.ip().is_loopback()) && !beyond_loopback {
            return Err(ConfigError::Together(
                "`http` is not encrypted and names an address beyond loopback: use 127.0.0.1, or set \
                 `http_beyond_loopback = true` if a proxy in front of it encrypts",
            ));
        }
        Ok(Self {
            data_dir: values.read("data_dir", |text| optional_path(text).flatten())?,
            listen: values.read("listen", |text| text.parse().ok())?,
            http,
            public_address,
            certificate,
            certificate_pinned,
            acme,
            web: WebConfig::from_values(values)?,
            turn: TurnConfig::from_values(values)?,
            registration: values.read("registration", |text| match text {
                "open" => Some(RegistrationPolicy::Open),
                "invite" => Some(RegistrationPolicy::Invite),
                "closed" => Some(RegistrationPolicy::Closed),
                _ => None,
            })?,
            first_account_is_operator: values.read("first_account_is_operator", parse::truth)?,
            invites: values.read("invites", |text| match text {
                "users" => Some(InviteMakers::Users),
                "operators" => Some(InviteMakers::Operators),
                _ => None,
            })?,
            trusted_proxies: values.read("trusted_proxies", |text| text.parse().ok())?,
            drain: values.read("drain", parse::span)?,
            retention_age: Some(values.read("retention.age", parse::span)?).filter(|age| !age.is_zero()),
            retention_shard: values
                .read("retention.shard", |text| parse::span(text).filter(|span| !span.is_zero()))?,
            quota_conversation: Some(values.read("quota.conversation", parse::size)?)
                .filter(|size| *size > 0),
            quota_account: Some(values.read("quota.account", parse::size)?).filter(|size| *size > 0),
            changes_per_second: Some(values.read("quota.changes_per_second", |text| text.parse().ok())?)
                .filter(|changes| *changes > 0),
            disk_free_min: values.read("quota.disk_free", |text| {
                parse::size(text).filter(|size| *size >= SledOptions::RESERVE_BYTES_MIN)
            })?,
            files: files::from_values(values)?,
            backup_every: Some(values.read("backup.every", parse::span)?).filter(|every| !every.is_zero()),
            backup_keep: values.read("backup.keep", count)?,
            backup_folder: values.read("backup.folder", optional_path)?,
            storage_cache: values.read("storage.cache", |text| parse::size(text).filter(|size| *size > 0))?,
            connections_max: values.read("limits.connections", count)?,
            connections_per_address_max: values.read("limits.connections_per_address", count)?,
            authentication_timeout: values
                .read("limits.authentication", |text| parse::span(text).filter(|span| !span.is_zero()))?,
            idle_timeout: values.read("limits.idle", |text| {
                parse::span(text).filter(|span| (1..=3600).contains(&span.as_secs()))
            })?,
            rates: values.read("limits.rates", parse::truth)?,
            metrics_public: values.read("metrics.public", parse::truth)?,
            log_format: values.read("log.format", |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
            log_level: values.read("log.level", |text| {
                tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
            })?,
            log_file: log_file(values)?,
            otlp: otlp(values)?,
            sentry: values.read("telemetry.sentry", |text| match text {
                "" => Some(None),
                dsn => dsn.parse().ok().map(Some),
            })?,
        })
    }
}

/// What `domain` and the keys of `acme` say.
fn acme(values: &Values) -> Result<Option<AcmeConfig>, ConfigError> {
    let text = |text: &str| Some((!text.is_empty()).then(|| text.to_owned()));
    let domain = values.read("domain", |text| match text {
        "" => Some(None),
        name => DnsName::try_from(name).ok().map(|name| Some(name.as_ref().to_ascii_lowercase())),
    })?;
    let directory = values.read("acme.directory", |text| {
        let uri: http::Uri = text.parse().ok()?;
        (uri.scheme_str() == Some("https") && uri.host().is_some()).then(|| text.to_owned())
    })?;
    let email = values.read("acme.email", text)?;
    let http = values.read("acme.http", |text| text.parse().ok())?;
    let root = values.read("acme.root", optional_path)?;
    Ok(domain.map(|domain| AcmeConfig { domain, directory, email, http, root }))
}

/// What `log.file` and its companions say.
fn log_file(values: &Values) -> Result<Option<LogFile>, ConfigError> {
    let path = values.read("log.file", optional_path)?;
    let bytes_max = values.read("log.file_size", |text| parse::size(text).filter(|size| *size > 0))?;
    let age_max = values.read("log.file_age", |text| parse::span(text).filter(|span| !span.is_zero()))?;
    let kept = values.read("log.files", count)?;
    Ok(path.map(|path| LogFile { path, bytes_max, age_max, kept }))
}

/// What `telemetry.otlp` and `telemetry.share` say.
fn otlp(values: &Values) -> Result<Option<OtlpConfig>, ConfigError> {
    let address = values.read("telemetry.otlp", |text| {
        if text.is_empty() {
            return Some(None);
        }
        let uri: http::Uri = text.parse().ok()?;
        let is_good = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let path = if uri.path() == "/" { "/v1/traces" } else { "" };
        is_good.then(|| Some(format!("{}{path}", text.trim_end_matches('/'))))
    })?;
    let share = values.read("telemetry.share", |text| {
        text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share))
    })?;
    Ok(address.map(|address| OtlpConfig { address, share }))
}

fn optional_path(text: &str) -> Option<Option<PathBuf>> {
    Some((!text.is_empty()).then(|| PathBuf::from(text)))
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| (1..=10_000_000).contains(count))
}

/// One setting, for programs.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SettingRow {
    /// Its name.
    pub key: &'static str,
    /// What it is.
    pub value: String,
    /// What it is when nobody sets it.
    pub default: &'static str,
    /// Who set it.
    pub from: String,
    /// The environment variable that sets it.
    pub environment: String,
    /// What may stand there.
    pub expected: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Every setting, for programs.
#[must_use]
pub fn rows(values: &Values) -> Vec<SettingRow> {
    let row = |key: &'static Key| {
        let (value, from) = values.text(key);
        SettingRow {
            key: key.name,
            value,
            default: key.default,
            from: from.to_string(),
            environment: key.environment(),
            expected: key.expected,
            meaning: key.doc,
        }
    };
    KEYS.iter().map(row).collect()
}

/// The configuration as a TOML file that explains itself. Keys that nobody set are commented out.
#[must_use]
pub fn print(values: &Values) -> String {
    let mut out = String::from(
        "# The configuration of a Sotto relay. Commented keys show their defaults.\n\
         # Order of precedence: flags, environment variables, this file, defaults.\n",
    );
    let mut table = "";
    for key in KEYS {
        let (now, last) = key.name.split_once('.').unwrap_or(("", key.name));
        if now != table {
            let _ = write!(out, "\n[{now}]\n");
            table = now;
        }
        let (text, source) = values.text(key);
        let _ = write!(
            out,
            "\n# {}\n# Expected: {}. Environment: {}\n",
            key.doc,
            key.expected,
            key.environment()
        );
        let value = toml::Value::String(text);
        match source {
            Source::Default => {
                let _ = writeln!(out, "# {last} = {value}");
            }
            source => {
                let _ = write!(out, "# Set by {source}.\n{last} = {value}\n");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        let mut values = Values::default();
        values.add_toml(text, Path::new("relay.toml"))?;
        Config::from_values(&values)
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let config = from_file("").unwrap();
        assert_eq!(config.listen, "[::]:4433".parse().unwrap());
        assert_eq!(config.http, Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(config.retention_age, None);
    }

    #[test]
    fn each_bad_configuration_is_refused_in_a_sentence_that_says_what_to_change() {
        for (text, expected) in [
            ("lisen = 'x'", "relay.toml sets `lisen`, which is no key of this relay; did you mean `listen`?"),
            ("[limits]\nconections = 5", "did you mean `limits.connections`?"),
            ("retention_age = '5d'", "did you mean `retention.age`?"),
            ("listen = 4433", "`listen` is \"4433\" in relay.toml; expected an address and port"),
            ("listen = ['a']", "expected an address and port"),
            ("registration = 'maybe'", "expected open, invite or closed"),
            ("drain = '10'", "expected a time"),
            ("http = '0.0.0.0:80'", "names an address beyond loopback"),
            ("certificate = 'a.pem'", "belong together"),
            ("domain = 'a b'", "expected the name of this machine"),
            ("domain = 'a.example'\ncertificate = 'a'\ncertificate_key = 'b'", "two ways to the same"),
            ("[acme]\ndirectory = 'http://a.example'", "expected an https address"),
            ("certificate_pinned = 'false'", "devices need its fingerprint"),
            ("[quota]\ndisk_free = '5 GB'", "expected a number of bytes"),
            ("[log]\nlevel = 'a=b=c'", "expected error, warn"),
            ("[log]\nfiles = '0'", "expected a whole number from 1 on"),
            ("[telemetry]\notlp = 'grpc://a:4317'", "expected an http or https address"),
            ("[telemetry]\nshare = '2'", "expected a number from 0 to 1"),
            ("[telemetry]\nsentry = 'https://a.example'", "expected a DSN"),
            ("public_address = 'a b'", "expected host or host:port"),
            ("x", "relay.toml is not a TOML file"),
        ] {
            let error = from_file(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn later_layers_win_and_unknown_variables_are_refused() {
        let mut values = Values::default();
        values.add_toml("registration = 'closed'\ndrain = '1s'", Path::new("relay.toml")).unwrap();
        let variables = [("SOTTO_RELAY_REGISTRATION", "invite"), ("SOTTO_RELAY_CONFIG", "x"), ("HOME", "/")];
        let owned = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        values.add_environment(variables.into_iter().map(owned)).unwrap();
        values.add("drain", "3s".to_owned(), Source::Flag).unwrap();
        let config = Config::from_values(&values).unwrap();
        assert_eq!(config.registration, RegistrationPolicy::Invite);
        assert_eq!(config.drain, Duration::from_secs(3));

        let unknown = [("SOTTO_RELAY_LISTN", "x")].into_iter().map(owned);
        let error = values.add_environment(unknown).unwrap_err().to_string();
        assert!(error.contains("SOTTO_RELAY_LISTEN"), "{error}");
    }

    #[test]
    fn what_is_printed_is_read_back_as_the_same() {
        let mut values = Values::default();
        values.add("listen", "127.0.0.1:9".to_owned(), Source::Flag).unwrap();
        values.add("retention.age", "90d".to_owned(), Source::Flag).unwrap();
        values.add("data_dir", "a \"quoted\" \\ folder".to_owned(), Source::Flag).unwrap();
        let config = from_file(&print(&values)).unwrap();
        assert_eq!(config.listen, "127.0.0.1:9".parse().unwrap());
        assert_eq!(config.retention_age, Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(config.data_dir, PathBuf::from("a \"quoted\" \\ folder"));
        // With every comment taken away from the keys the file is still one that the relay takes.
        let all = print(&values).replace("\n# Expected", "\n#Expected");
        let keys: String = all
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = \"")).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        from_file(&keys).unwrap();
    }
}
