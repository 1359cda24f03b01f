//! Ed25519 signatures of what leaves the database: checkpoints and evidence. Anybody can check them with the public key.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portunus_gateway::api_key;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Signs.
#[derive(Debug)]
pub struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key pair of these 32 bytes.
    pub(super) fn from_seed(id: &str, seed: &[u8]) -> Self {
        Self { id: id.to_owned(), pair: Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed") }
    }

    /// Which key it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The signature.
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(text).as_ref().to_vec()
    }

    /// What others check signatures with.
    ///
    /// # Panics
    /// Never: a public key has an encoding.
    pub fn public_key(&self) -> PublicKey {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("a public key has an encoding");
        PublicKey(der.as_ref().to_vec())
    }
}

/// Checks signatures: a SubjectPublicKeyInfo in DER (RFC 8410).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// The key of a PEM file.
    pub fn from_pem(text: &str) -> Option<Self> {
        let inside = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        let joined: String = inside.split_whitespace().collect();
        STANDARD.decode(joined).ok().map(Self)
    }

    /// The PEM file.
    pub fn to_pem(&self) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(&self.0))
    }

    /// A short name for people to compare: SHA-256 of the DER.
    pub fn fingerprint(&self) -> String {
        api_key::to_hex(&api_key::hash(&self.0))
    }

    /// Whether the signature is this key's for that text.
    pub fn is_right(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_one_keys_for_one_text() {
        let (one, other) = (Signer::from_seed("a", &[1; 32]), Signer::from_seed("b", &[2; 32]));
        let signature = one.sign(b"text");
        let key = PublicKey::from_pem(&one.public_key().to_pem()).unwrap();
        assert!(key.is_right(b"text", &signature));
        assert!(!key.is_right(b"texu", &signature) && !other.public_key().is_right(b"text", &signature));
        assert!(!key.is_right(b"text", &signature[1..]) && PublicKey::from_pem("no key").is_none());
    }
}
