//! One order with the authority, from the account to the certificate.

use super::http::Https;
use super::{ACCOUNT_FILE, AcmeError};
use crate::admission::Admission;
use crate::config::AcmeConfig;
use crate::folder::DataFolder;
use crate::sockets::bind_tcp;
use crate::web;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Connections to the port of the proof: an authority looks from a handful of places.
const LOOKS_MAX: usize = 64;

/// Orders a certificate; its chain and key, in one PEM.
pub(super) async fn order(config: &AcmeConfig, folder: &DataFolder) -> Result<Zeroizing<String>, AcmeError> {
    let account = account(config, folder).await?;
    let names = [Identifier::Dns(config.domain.clone())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let proofs = Proofs::default();
    let (stop, stops) = watch::channel(false);
    let listener = tokio::net::TcpListener::from_std(bind_tcp(config.http)?)?;
    let looks = Admission::new(LOOKS_MAX, LOOKS_MAX);
    let shown = tokio::spawn(web::serve(listener, None, proofs.router(), looks, stops));
    let proved = prove(config, &mut order, &proofs).await;
    stop.send_replace(true);
    shown.abort();
    proved?;
    let key = Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&RetryPolicy::default()).await?;
    Ok(Zeroizing::new(format!("{chain}\n{}", *key)))
}

/// The account of the last order, or a new one.
async fn account(config: &AcmeConfig, folder: &DataFolder) -> Result<Account, AcmeError> {
    let authority = || Ok::<_, AcmeError>(Account::builder_with_http(Box::new(Https::new(config)?)));
    if let Some(text) = folder.read(ACCOUNT_FILE)? {
        let known: Option<Kept> = serde_json::from_str(&text).ok();
        // One with another authority is of no use.
        if let Some(known) = known.filter(|known| known.directory == config.directory) {
            return Ok(authority()?.from_credentials(known.credentials).await?);
        }
    }
    let contact: Vec<String> = config.email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = authority()?.create(&wanted, config.directory.clone(), None).await?;
    let kept = Kept { directory: config.directory.clone(), credentials };
    let text = Zeroizing::new(serde_json::to_string(&kept).map_err(instant_acme::Error::from)?);
    folder.write(ACCOUNT_FILE, text.as_bytes())?;
    Ok(account)
}

/// What `acme-account.json` holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    directory: String,
    credentials: instant_acme::AccountCredentials,
}

/// Shows what the authority asks for, and waits until it has looked.
async fn prove(config: &AcmeConfig, order: &mut Order, proofs: &Proofs) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // The authority remembers for some days.
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::Http01).ok_or(AcmeError::NoHttp)?;
        proofs.show(&challenge.token, challenge.key_authorization().as_str());
        challenge.set_ready().await?;
    }
    match order.poll_ready(&RetryPolicy::default()).await? {
        OrderStatus::Ready | OrderStatus::Valid => Ok(()),
        _ => Err(AcmeError::NotFound { domain: config.domain.clone(), why: why_not(order).await }),
    }
}

/// What the authority says of an authorisation that failed.
async fn why_not(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let said = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = said {
            return problem.to_string();
        }
    }
    "it does not say why".to_owned()
}

/// What stands under `/.well-known/acme-challenge/` now.
#[derive(Clone, Default)]
struct Proofs(Arc<Mutex<HashMap<String, String>>>);

impl Proofs {
    fn show(&self, token: &str, proof: &str) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(token.to_owned(), proof.to_owned());
    }

    fn router(&self) -> Router {
        let proofs = self.clone();
        let look = move |Path(token): Path<String>| {
            let shown = proofs.0.lock().unwrap_or_else(PoisonError::into_inner).get(&token).cloned();
            std::future::ready(shown.ok_or(StatusCode::NOT_FOUND))
        };
        Router::new().route("/.well-known/acme-challenge/{token}", get(look))
    }
}
