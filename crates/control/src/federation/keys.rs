//! The keys of a provider (RFC 7517). Which algorithms a key may be used with is said by the key, never by a token.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// The most keys of one provider.
const MOST: usize = 64;

/// The shortest modulus of an RSA key, in base64url characters: 2048 bits.
const SHORTEST_MODULUS: usize = 341;

/// A key that checks signatures.
pub struct Key {
    /// Its id.
    pub id: Option<String>,
    /// What it may be used with.
    pub algorithms: Vec<Algorithm>,
    /// The key itself.
    pub key: DecodingKey,
}

/// The keys of a key set that can be used here. Others, such as shared secrets, are passed over.
pub fn parse(set: &Value) -> Vec<Key> {
    let keys = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter().take(MOST).filter_map(key).collect()
}

fn key(value: &Value) -> Option<Key> {
    // One key of an unknown kind does not spoil the others.
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let possible: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= SHORTEST_MODULUS => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => return None,
    };
    let named = match jwk.common.key_algorithm {
        None => None,
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
        Some(_) => return None,
    };
    let algorithms: Vec<Algorithm> =
        possible.iter().copied().filter(|algorithm| named.is_none_or(|named| named == *algorithm)).collect();
    if algorithms.is_empty() {
        return None;
    }
    Some(Key { id: jwk.common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(&jwk).ok()? })
}

/// The key for a token with this head: the one that it names, or the only one there is for its algorithm.
pub fn find<'k>(keys: &'k [Key], id: Option<&str>, algorithm: Algorithm) -> Option<&'k Key> {
    let mut fits = keys.iter().filter(|key| key.algorithms.contains(&algorithm));
    match id {
        Some(id) => fits.find(|key| key.id.as_deref() == Some(id)),
        None => fits.next().filter(|_| fits.next().is_none()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn keys_say_what_they_are_for() {
        let set = json!({"keys": [
            {"kty": "RSA", "n": N, "e": "AQAB", "kid": "any"},
            {"kty": "RSA", "n": N, "e": "AQAB", "kid": "pss", "alg": "PS256", "use": "sig"},
            {"kty": "RSA", "n": N, "e": "AQAB", "kid": "encrypts", "use": "enc"},
            {"kty": "RSA", "n": N, "e": "AQAB", "kid": "other", "alg": "RS512"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
            {"kty": "quantum", "kid": "new"},
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "ed"},
        ]});
        let keys = parse(&set);
        let ids: Vec<&str> = keys.iter().filter_map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, ["any", "pss", "ed"]);
        assert!(find(&keys, Some("pss"), Algorithm::RS256).is_none());
        assert!(find(&keys, Some("pss"), Algorithm::PS256).is_some());
        assert!(find(&keys, None, Algorithm::PS256).is_none(), "two keys fit");
        assert!(find(&keys, None, Algorithm::EdDSA).is_some());
        assert!(find(&keys, Some("any"), Algorithm::HS256).is_none());
        assert!(parse(&json!({})).is_empty() && parse(&json!({"keys": 1})).is_empty());
    }
}
