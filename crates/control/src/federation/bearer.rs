//! Calls with an access token of a provider outside.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, dangerous};
use serde::Deserialize;
use serde_json::Value;

use super::remote::Want;
use super::{Provider, account, keys};
use crate::access::Account;
use crate::control::Control;
use crate::token::TokenError;

/// How far the provider's clock may be off, in seconds.
const LEEWAY: u64 = 30;

/// The types of token that are taken: access tokens, and what says nothing of itself.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// What a Keycloak says in `typ` of tokens that are no access tokens.
const OTHER_USES: [&str; 5] = ["ID", "Refresh", "Offline", "Logout", "Serialized-ID"];

/// What is looked at before anything is verified, to know whose token it is.
#[derive(Deserialize)]
struct Sight {
    iss: String,
    #[serde(default)]
    aud: Value,
}

/// Who calls with a token of a provider.
pub struct External {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The account.
    pub account: Arc<Account>,
    /// The token's own id; empty when it has none.
    pub token_id: String,
}

/// Whose provider's token this is, if any one's. Nothing is verified.
pub fn provider(control: &Control, token: &str) -> Option<Arc<Provider>> {
    let sight: Sight = dangerous::insecure_decode_claims(token).ok()?;
    if control.tokens.is_own(&sight.iss) {
        return None;
    }
    let is_for = |audience: &str| match &sight.aud {
        Value::String(one) => one == audience,
        Value::Array(all) => all.iter().any(|one| one == audience),
        _ => false,
    };
    let access = control.store.access.load();
    let mut known = access.providers().filter(|known| known.spec.issuer == sight.iss);
    let first = known.next()?;
    // Several may be configured for one issuer, each for an audience of its own.
    let fits = |known: &&Arc<Provider>| known.spec.audience.as_deref().is_some_and(is_for);
    Some(std::iter::once(first).chain(known).find(fits).unwrap_or(first).clone())
}

/// Verifies a token of this provider, and says who calls.
pub async fn verify(control: &Control, provider: Arc<Provider>, token: &str) -> Result<External, TokenError> {
    let claims = claims(control, &provider, token).await?;
    let account = account::of_call(control, &provider, &claims).await.map_err(|denied| {
        tracing::warn!(target: "control", provider = provider.name, reason = denied.code(), "external_token_refused");
        TokenError::Invalid
    })?;
    let token_id = claims["jti"].as_str().unwrap_or_default().chars().take(100).collect();
    Ok(External { provider, account, token_id })
}

async fn claims(control: &Control, provider: &Provider, token: &str) -> Result<Value, TokenError> {
    let audience = provider.spec.audience.as_deref().ok_or(TokenError::Invalid)?;
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    let is_access = header.typ.as_deref().is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)));
    if !is_access || header.crit.is_some() {
        return Err(TokenError::Invalid);
    }
    let remote = control.federation.remote(provider);
    let kid = header.kid.as_deref();
    let want = Want::Key(kid, header.alg);
    let known =
        remote.known(&control.federation.http, provider, want).await.map_err(|_| TokenError::ProviderUnreachable)?;
    let key = keys::find(&known.keys, kid, header.alg).ok_or(TokenError::Invalid)?;
    let mut validation = Validation::new(header.alg);
    validation.algorithms.clone_from(&key.algorithms);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[&provider.spec.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY;
    let claims = jsonwebtoken::decode::<Value>(token, &key.key, &validation).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        _ => TokenError::Invalid,
    })?;
    match claims.claims["typ"].as_str() {
        Some(other) if OTHER_USES.contains(&other) => Err(TokenError::Invalid),
        _ => Ok(claims.claims),
    }
}
