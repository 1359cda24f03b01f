//! One key that tokens are signed with: ECDSA on P-256 (ES256).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use portunus_gateway::api_key;
use portunus_gateway::secret::Keyring;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The algorithm of every key.
pub const ALGORITHM: &str = "ES256";

/// What private keys are sealed for.
pub const PURPOSE: &str = "signing-key";

/// A key as it lies in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// Its id.
    pub kid: String,
    /// The private key, PKCS#8, sealed.
    pub private_key: String,
    /// The public key, a JWK.
    pub public_jwk: Value,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// When it stopped signing, in microseconds since 1970.
    pub retired_at: Option<i64>,
}

impl StoredKey {
    /// A new key.
    pub fn generate(secrets: &Keyring, now: i64) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the operating system gives random bytes for a key");
        let private = pair.to_pkcs8v1().expect("a key that was just made can be written down");
        let kid = api_key::random_text(16);
        let public_jwk = jwk(&kid, &pair);
        let private_key = secrets.seal(&URL_SAFE_NO_PAD.encode(private.as_ref()), PURPOSE);
        Self { kid, private_key, public_jwk, created_at: now, retired_at: None }
    }

    /// The key that makes signatures; nothing when it cannot be opened.
    pub fn signs(&self, secrets: &Keyring) -> Option<EncodingKey> {
        let der = URL_SAFE_NO_PAD.decode(self.open(secrets)?).ok()?;
        // What cannot be a key would fail at each signature; better now.
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
        Some(EncodingKey::from_ec_der(&der))
    }

    /// The private key as text; nothing when it cannot be opened.
    pub fn open(&self, secrets: &Keyring) -> Option<String> {
        secrets.open(&self.private_key, PURPOSE).ok()
    }

    /// Seals a private key that was opened with [`Self::open`].
    pub fn seal(&mut self, secrets: &Keyring) {
        self.private_key = secrets.seal(&self.private_key, PURPOSE);
    }

    /// The key that checks signatures.
    pub fn verifies(&self) -> Option<DecodingKey> {
        DecodingKey::from_ec_components(self.public_jwk["x"].as_str()?, self.public_jwk["y"].as_str()?).ok()
    }
}

/// The public key (RFC 7517, RFC 7518 section 6.2.1).
fn jwk(kid: &str, pair: &EcdsaKeyPair) -> Value {
    // 0x04, then the two coordinates (SEC 1 section 2.3.3).
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    json!({
        "kty": "EC", "use": "sig", "alg": ALGORITHM, "kid": kid, "crv": "P-256",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}
