//! A login at a provider: the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207).

use std::sync::Arc;

use jsonwebtoken::dangerous;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreJsonWebKey, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret,
    CsrfToken, EndpointSet, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, SubjectIdentifier, TokenResponse, TokenUrl, UserInfoClaims, UserInfoUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::Provider;
use super::remote::{Known, Unreachable, Want};
use crate::control::Control;
use crate::resource::identity_provider::SECRET_PURPOSE;

/// Where providers send people back to, below the public URL.
pub const CALLBACK: &str = "/v1/login/oidc/callback";

/// Why a login at a provider came to nothing.
#[derive(Debug, Error)]
pub enum Failed {
    /// It is not configured for logins.
    #[error("the provider is not set up for logins: {0}")]
    NotSetUp(String),
    /// The provider cannot be reached.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(#[from] Unreachable),
    /// It does not take the code.
    #[error("the provider does not take the code: {0}")]
    Code(String),
    /// What it says of the person cannot be believed.
    #[error("what the provider says is not valid: {0}")]
    Token(String),
}

/// A login that has been prepared.
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// What the provider sends back.
    pub state: String,
    /// What its token must say.
    pub nonce: String,
    /// What proves that the code is ours.
    pub verifier: String,
}

/// All claims but those that the standard names.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims(Map<String, Value>);

impl AdditionalClaims for OtherClaims {}

type Client = CoreClient<
    EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    EndpointSet,
>;

/// Prepares a login.
pub async fn begin(control: &Control, provider: &Provider) -> Result<Begun, Failed> {
    let known = control.federation.remote(provider).known(&control.federation.http, provider, Want::Any).await?;
    let client = client(control, provider, &known)?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let scopes = provider.spec.scopes.iter().cloned().map(Scope::new);
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(scopes)
        .set_pkce_challenge(challenge)
        .url();
    Ok(Begun {
        url: url.to_string(),
        state: state.into_secret(),
        nonce: nonce.secret().clone(),
        verifier: verifier.into_secret(),
    })
}

/// What the provider says of who has come back with a code: all claims of the ID token and of the userinfo endpoint.
pub async fn finish(
    control: &Control,
    provider: &Provider,
    code: String,
    nonce: String,
    verifier: String,
) -> Result<Value, Failed> {
    let remote = control.federation.remote(provider);
    let known = remote.known(&control.federation.http, provider, Want::Any).await?;
    let exchange = client(control, provider, &known)?;
    let answer = exchange
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier))
        .request_async(&control.federation.http)
        .await
        .map_err(|error| Failed::Code(error.to_string()))?;
    let wrong = |error: &dyn std::fmt::Display| Failed::Token(error.to_string());
    let token = answer.id_token().ok_or_else(|| wrong(&"there is no ID token"))?;
    let text = token.to_string();
    let header = jsonwebtoken::decode_header(&text).map_err(|error| wrong(&error))?;
    // The provider may have a new key since we asked.
    let want = Want::Key(header.kid.as_deref(), header.alg);
    let known = remote.known(&control.federation.http, provider, want).await?;
    let client = client(control, provider, &known)?;
    let token_verifier = client.id_token_verifier().set_allowed_algs([
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        CoreJwsSigningAlgorithm::EdDsa,
    ]);
    let claims = token.claims(&token_verifier, &Nonce::new(nonce)).map_err(|error| wrong(&error))?;
    if claims.authorized_party().is_some_and(|party| party.as_str() != client.client_id().as_str()) {
        return Err(wrong(&"it was issued for another client"));
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| wrong(&error))?;
        let key = token.signing_key(&token_verifier).map_err(|error| wrong(&error))?;
        let actual =
            AccessTokenHash::from_token(answer.access_token(), algorithm, key).map_err(|error| wrong(&error))?;
        if actual != *expected {
            return Err(wrong(&"the access token is not the one that belongs to it"));
        }
    }
    // The signature was checked above.
    let mut all: Map<String, Value> = dangerous::insecure_decode_claims(&text).map_err(|error| wrong(&error))?;
    if let Some(more) = userinfo(control, &client, &known, answer.access_token(), claims.subject()).await? {
        for (claim, value) in more {
            all.entry(claim).or_insert(value);
        }
    }
    Ok(Value::Object(all))
}

async fn userinfo(
    control: &Control,
    client: &Client,
    known: &Arc<Known>,
    token: &AccessToken,
    subject: &SubjectIdentifier,
) -> Result<Option<Map<String, Value>>, Failed> {
    let wrong = |error: &dyn std::fmt::Display| Failed::Token(error.to_string());
    let Some(url) = &known.metadata.userinfo_endpoint else { return Ok(None) };
    let url = UserInfoUrl::new(url.clone()).map_err(|error| wrong(&error))?;
    let claims: UserInfoClaims<OtherClaims, CoreGenderClaim> = client
        .clone()
        .set_user_info_url(url)
        .user_info(token.clone(), Some(subject.clone()))
        .request_async(&control.federation.http)
        .await
        .map_err(|error| wrong(&error))?;
    match serde_json::to_value(&claims).map_err(|error| wrong(&error))? {
        Value::Object(fields) => Ok(Some(fields)),
        _ => Ok(None),
    }
}

fn client(control: &Control, provider: &Provider, known: &Known) -> Result<Client, Failed> {
    let not_set_up = |what: &dyn std::fmt::Display| Failed::NotSetUp(what.to_string());
    let id = provider.spec.client_id.clone().ok_or_else(|| not_set_up(&"it has no `client_id`"))?;
    let address = |address: &Option<String>, what: &str| {
        address.clone().ok_or_else(|| Failed::NotSetUp(format!("the provider names no {what}")))
    };
    let authorize = address(&known.metadata.authorization_endpoint, "authorization endpoint")?;
    let token = address(&known.metadata.token_endpoint, "token endpoint")?;
    let redirect = format!("{}{CALLBACK}", control.tokens.public_url());
    let keys: JsonWebKeySet<CoreJsonWebKey> =
        serde_json::from_value(known.jwks.clone()).map_err(|error| not_set_up(&error))?;
    let issuer = IssuerUrl::new(provider.spec.issuer.clone()).map_err(|error| not_set_up(&error))?;
    let mut client = CoreClient::new(ClientId::new(id), issuer, keys)
        .set_auth_uri(AuthUrl::new(authorize).map_err(|error| not_set_up(&error))?)
        .set_token_uri(TokenUrl::new(token).map_err(|error| not_set_up(&error))?)
        .set_redirect_uri(RedirectUrl::new(redirect).map_err(|error| not_set_up(&error))?);
    if let Some(secret) = &provider.spec.client_secret {
        let secret = control.store.keys.secrets.reveal(secret, SECRET_PURPOSE).map_err(|error| not_set_up(&error))?;
        client = client.set_client_secret(ClientSecret::new(secret.to_string()));
    }
    let methods = known.metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
    let takes = |method: &str| methods.iter().any(|known| known == method);
    if takes("client_secret_post") && !takes("client_secret_basic") {
        client = client.set_auth_type(AuthType::RequestBody);
    }
    Ok(client)
}
