//! Access tokens for the control plane: signed, short-lived, and no more than a name. What the name may do is looked up
//! at each call, so a change of rights needs no new token.

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

const ISSUER: &str = "portunus";
const AUDIENCE: &str = "portunus-control";

/// Makes and checks access tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    /// How long a token lives, in seconds.
    pub lifetime: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<Id>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The account that it was issued to.
    pub account: Id,
    /// Its own id.
    pub id: String,
    /// The session that it ends with.
    pub session: Option<Id>,
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
}

impl Tokens {
    /// Tokens signed with a key that is derived from the process's secret key.
    pub fn new(secret_key: &[u8], lifetime: u64) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret_key);
        let derived = hmac::sign(&key, b"portunus access tokens v1");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(derived.as_ref()),
            decoding: DecodingKey::from_secret(derived.as_ref()),
            validation,
            lifetime,
        }
    }

    /// A new token for an account; one with a session ends with it.
    pub fn issue(&self, account: Id, session: Option<Id>) -> String {
        let now = clock::now().as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: account.to_string(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now + self.lifetime as i64,
            jti: Uuid::now_v7().to_string(),
            sid: session,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("claims of text and numbers can be signed")
    }

    /// Whom a token was issued to.
    pub fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).map_err(|error| {
            match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => TokenError::Expired,
                _ => TokenError::Invalid,
            }
        })?;
        let account = claims.claims.sub.parse().map_err(|_| TokenError::Invalid)?;
        Ok(Verified { account, id: claims.claims.jti, session: claims.claims.sid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_time_and_its_key() {
        let tokens = Tokens::new(b"key", 300);
        let id = Uuid::now_v7();
        let token = tokens.issue(id, None);
        assert_eq!(tokens.verify(&token).map(|verified| verified.account), Ok(id));
        assert_eq!(Tokens::new(b"other", 300).verify(&token), Err(TokenError::Invalid));
        assert_eq!(tokens.verify("eyJhbGciOiJub25lIn0.e30."), Err(TokenError::Invalid));
    }
}
