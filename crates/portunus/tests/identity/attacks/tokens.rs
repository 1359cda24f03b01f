//! Tokens of one's own making.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portunus_testkit::gateway::{ADMIN_PASSWORD, CLIENT_SECRET};
use portunus_testkit::{Call, Portunus};
use serde_json::{Value, json};

use crate::portunus;

const CERTS: &str = "/realms/portunus/protocol/openid-connect/certs";

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Head and claims of a token.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn status(process: &Portunus, token: &str) -> u16 {
    let answer = Call::get(&process.api_url("/v1/tenants")).bearer(token).send();
    assert!(answer.status == 200 || answer.header("www-authenticate").contains("Bearer"), "{answer:?}");
    answer.status
}

/// A token with an HMAC over these bytes as its key.
fn with_hmac(head: &Value, claims: &Value, key: &[u8]) -> String {
    let text = format!("{}.{}", encode(head), encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[test]
fn s29_no_token_of_ones_own_making_is_taken() {
    let process = portunus().start();
    let token = process.api().token();
    assert_eq!(status(&process, &token), 200);
    let (head, claims) = parts(&token);
    let jwks = Call::get(&process.api_url(CERTS)).send().expect(200);
    let jwk = &jwks.json["keys"][0];
    assert_eq!(jwk.get("d"), None, "the private key is not published");
    let with = |field: &str, value: Value| {
        let mut head = head.clone();
        head[field] = value;
        head
    };
    let mut forged = Vec::new();
    // The public key as a shared secret, in every form that it is known in.
    let [x, y] = ["x", "y"].map(|axis| URL_SAFE_NO_PAD.decode(jwk[axis].as_str().expect("text")).expect("base64url"));
    let point = [&[4][..], &x, &y].concat();
    for secret in [&point[..], &x, &point[1..], jwk.to_string().as_bytes(), jwks.text().as_bytes(), b""] {
        forged.push(with_hmac(&with("alg", json!("HS256")), &claims, secret));
    }
    for known in [ADMIN_PASSWORD, CLIENT_SECRET, "secret"] {
        forged.push(with_hmac(&with("alg", json!("HS256")), &claims, known.as_bytes()));
    }
    for alg in ["none", "None", "nOnE", "", "HS512", "RS256", "ES384"] {
        forged.push(format!("{}.{}.", encode(&with("alg", json!(alg))), encode(&claims)));
    }
    // A key pair of the attacker's, announced in every way that a head has.
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).expect("a key");
    let (own_x, own_y) = pair.public_key().as_ref()[1..].split_at(32);
    let own = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": head["kid"],
        "x": URL_SAFE_NO_PAD.encode(own_x), "y": URL_SAFE_NO_PAD.encode(own_y)});
    let heads = [
        head.clone(),
        with("jwk", own),
        with("jku", json!(process.api_url("/evil.json"))),
        with("x5u", json!("https://evil.example/")),
        with("kid", json!("../../../dev/null")),
        with("kid", json!("' OR 1=1 --")),
        with("kid", Value::Null),
        with("crit", json!(["exp"])),
    ];
    for head in &heads {
        let text = format!("{}.{}", encode(head), encode(&claims));
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
        forged.push(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())));
    }
    // The signature that fits anything with a reader that does not check its range (CVE-2022-21449), and none.
    let text = format!("{}.{}", encode(&head), encode(&claims));
    forged.extend([format!("{text}.{}", URL_SAFE_NO_PAD.encode([0; 64])), format!("{text}."), text]);
    // The right signature under other claims.
    let signature = token.rsplit('.').next().unwrap_or_default();
    for (claim, value) in
        [("exp", json!(9_999_999_999_u64)), ("aud", json!("everybody")), ("sub", json!("admin")), ("gen", json!(0.5))]
    {
        let mut other = claims.clone();
        other[claim] = value;
        forged.push(format!("{}.{}.{signature}", encode(&head), encode(&other)));
    }
    for forged in &forged {
        assert_eq!(status(&process, forged), 401, "{:?} {forged}", parts(forged).0);
    }
    assert_eq!(status(&process, &token), 200);
}

#[test]
fn a_token_counts_in_its_header_alone() {
    let process = portunus().start();
    let token = process.api().token();
    let url = process.api_url("/v1/tenants");
    Call::get(&format!("{url}?access_token={token}")).send().refused(401);
    Call::get(&url).header("cookie", &format!("access_token={token}; portunus_session={token}")).send().refused(401);
    Call::get(&url).header("x-access-token", &token).send().refused(401);
    Call::get(&url).header("authorization", &token).send().refused(401);
    Call::get(&url).header("authorization", &format!("Basic {token}")).send().refused(401);
    // Two of them could be two callers.
    let twice = Call::get(&url).header("authorization", "Bearer x").header("authorization", &format!("Bearer {token}"));
    assert_ne!(twice.send().status, 200);
}
