//! Access tokens for the control plane (RFC 9068): signed, short-lived, and no more than a name. What the name may do is
//! looked up at each call, so a change of rights needs no new token.

pub mod key;
pub mod keys;
pub mod revoked;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::access::Account;
use keys::Keys;
use revoked::Revoked;

/// Whom tokens are for: this control plane.
pub const AUDIENCE: &str = "portunus-control";

/// The realm of what was not asked from a realm.
pub const REALM: &str = "portunus";

/// The type in the head of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";

/// What the operator chose for tokens.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// The URL that the control listener is reached under, without a slash at its end.
    pub public_url: String,
    /// How long the token of a machine lives, in seconds.
    pub lifetime: u64,
    /// How long any token lives at most, in seconds.
    pub longest: u64,
    /// After how many days a new key signs.
    pub key_days: u64,
    /// The secret whose change ends every token and session.
    pub epoch_secret: Option<String>,
}

/// Makes and checks access tokens.
pub struct Tokens {
    keys: ArcSwap<Keys>,
    /// One rotation at a time.
    rotating: Mutex<()>,
    settings: TokenSettings,
    /// How long the token of a machine lives, in seconds.
    pub lifetime: u64,
    /// Tokens that were taken back.
    pub revoked: Revoked,
}

/// For whom a token is made.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The realm that it was asked from.
    pub realm: &'a str,
    /// The client that asked.
    pub client_id: &'a str,
    /// The names of the account's roles, for the reader's information.
    pub roles: &'a [String],
}

impl Default for Recipient<'_> {
    fn default() -> Self {
        Self { realm: REALM, client_id: "portunus", roles: &[] }
    }
}

/// What is in a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The realm that it was asked from, as a URL.
    pub iss: String,
    /// The id of the account.
    pub sub: String,
    /// Whom it is for.
    pub aud: String,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When its time is over, in seconds since 1970.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The client that asked for it.
    pub client_id: String,
    /// The session that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Id>,
    /// The names of the account's roles when it was made. Nothing is decided by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The generation of the account; raising it ends the token.
    #[serde(default)]
    pub r#gen: u64,
}

/// What a token says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The account that it was issued to.
    pub account: Id,
    /// Its own id.
    pub id: String,
    /// The session that it ends with.
    pub session: Option<Id>,
    /// The generation of the account that it was issued to; tokens of an earlier one are dead.
    pub generation: u64,
    /// All that is in it.
    pub claims: Claims,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It is not one of ours.
    #[error("the token is not valid")]
    Invalid,
    /// It is that of a provider outside whose keys are not known.
    #[error("the provider of the token cannot be reached")]
    ProviderUnreachable,
}

impl Tokens {
    /// The issuer of a realm.
    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.settings.public_url)
    }

    /// A new token for an account that lives for so many seconds; one with a session ends with it.
    pub fn issue(&self, account: &Account, session: Option<Id>, lifetime: u64, recipient: &Recipient<'_>) -> String {
        let now = clock::now().as_second();
        let claims = Claims {
            iss: self.issuer(recipient.realm),
            sub: account.id.to_string(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now + lifetime as i64,
            jti: Uuid::now_v7().to_string(),
            client_id: recipient.client_id.to_owned(),
            sid: session,
            roles: recipient.roles.to_vec(),
            r#gen: account.generation,
        };
        let keys = self.keys.load();
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(keys.current.kid.clone());
        jsonwebtoken::encode(&header, &claims, &keys.current.signs).expect("claims of text and numbers can be signed")
    }

    /// Whom a token was issued to. The algorithm is that of the key, whatever the token says.
    pub fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let keys = self.keys.load();
        let key = header.kid.and_then(|kid| keys.verifies(&kid)).ok_or(TokenError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation()).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            _ => TokenError::Invalid,
        })?;
        let claims = claims.claims;
        if !self.is_own(&claims.iss) || self.revoked.contains(&claims.jti) {
            return Err(TokenError::Invalid);
        }
        let account = claims.sub.parse().map_err(|_| TokenError::Invalid)?;
        Ok(Verified { account, id: claims.jti.clone(), session: claims.sid, generation: claims.r#gen, claims })
    }

    /// Whether this is the issuer of a realm of ours.
    pub fn is_own(&self, issuer: &str) -> bool {
        let path = issuer.strip_prefix(&self.settings.public_url);
        path.and_then(|path| path.strip_prefix("/realms/")).is_some_and(is_realm)
    }

    /// The URL that the control listener is reached under, without a slash at its end.
    pub fn public_url(&self) -> &str {
        &self.settings.public_url
    }

    /// The public keys, as a JWKS (RFC 7517).
    pub fn jwks(&self) -> Arc<str> {
        self.keys.load().jwks.clone()
    }
}

/// Whether this can be the name of a realm. All of them are the same one.
pub fn is_realm(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.leeway = 0;
    validation
}

#[cfg(test)]
mod tests;
