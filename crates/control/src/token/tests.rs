use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::EncodingKey;
use portunus_gateway::secret::Keyring;
use serde_json::{Value, json};

use super::key::StoredKey;
use super::*;

fn settings() -> TokenSettings {
    TokenSettings { public_url: "http://here".into(), lifetime: 300, longest: 300, key_days: 90, epoch_secret: None }
}

fn tokens_of(stored: &[StoredKey], secrets: &Keyring) -> Tokens {
    let keys = Keys::new(stored, secrets).expect("the keys can be opened");
    Tokens {
        keys: ArcSwap::from_pointee(keys),
        rotating: Mutex::new(()),
        settings: settings(),
        lifetime: 300,
        revoked: Revoked::default(),
    }
}

fn secrets() -> Arc<Keyring> {
    Keyring::ephemeral()
}

fn tokens() -> Tokens {
    let secrets = secrets();
    tokens_of(&[StoredKey::generate(&secrets, 1)], &secrets)
}

fn issue(by: &Tokens) -> String {
    by.issue(&Account::without_rights(Uuid::now_v7(), 0), None, 300, &Recipient::default())
}

fn claims(of: &Tokens, token: &str) -> Claims {
    of.verify(token).expect("the token is good").claims
}

fn account(tokens: &Tokens, token: &str) -> Result<Id, TokenError> {
    tokens.verify(token).map(|verified| verified.account)
}

#[test]
fn a_token_is_good_for_its_key_only() {
    let tokens = tokens();
    let id = Uuid::now_v7();
    let token = tokens.issue(&Account::without_rights(id, 3), None, 300, &Recipient::default());
    assert_eq!(tokens.verify(&token).map(|verified| verified.generation), Ok(3));
    assert_eq!(account(&tokens, &token), Ok(id));
    assert_eq!(account(&self::tokens(), &token), Err(TokenError::Invalid));
    assert_eq!(account(&tokens, "eyJhbGciOiJub25lIn0.e30."), Err(TokenError::Invalid));
}

#[test]
fn a_retired_key_still_checks_and_a_new_one_signs() {
    let secrets = secrets();
    let mut old = StoredKey::generate(&secrets, 1);
    let before = tokens_of(std::slice::from_ref(&old), &secrets);
    let token = issue(&before);
    old.retired_at = Some(2);
    let after = tokens_of(&[old.clone(), StoredKey::generate(&secrets, 2)], &secrets);
    assert!(after.verify(&token).is_ok());
    assert!(before.verify(&issue(&after)).is_err(), "the new key signs");
    let jwks: Value = serde_json::from_str(&after.jwks()).unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert_eq!(jwks["keys"][1]["kid"], json!(old.kid));
    assert!(!after.jwks().contains("\"d\""), "no private part");
}

/// A token with a key of ours and other contents.
fn forged(tokens: &Tokens, change: impl FnOnce(&mut Header, &mut Claims)) -> String {
    let mut claims = claims(tokens, &issue(tokens));
    let keys = tokens.keys.load();
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(keys.current.kid.clone());
    change(&mut header, &mut claims);
    jsonwebtoken::encode(&header, &claims, &keys.current.signs).unwrap()
}

#[test]
fn type_issuer_audience_and_time_are_pinned() {
    let tokens = tokens();
    assert!(tokens.verify(&forged(&tokens, |_, _| {})).is_ok());
    assert!(tokens.verify(&forged(&tokens, |_, claims| claims.iss = "http://here/realms/stoa".into())).is_ok());
    type Wrong = (&'static str, fn(&mut Header, &mut Claims));
    let wrong: [Wrong; 7] = [
        ("type", |header, _| header.typ = Some("JWT".into())),
        ("no type", |header, _| header.typ = None),
        ("critical", |header, _| header.crit = Some(vec!["b64".into()])),
        ("key", |header, _| header.kid = Some("other".into())),
        ("issuer", |_, claims| claims.iss = "http://there/realms/portunus".into()),
        ("issuer's path", |_, claims| claims.iss = "http://here/realms/".into()),
        ("audience", |_, claims| claims.aud = "another".into()),
    ];
    for (what, change) in wrong {
        assert_eq!(account(&tokens, &forged(&tokens, change)), Err(TokenError::Invalid), "{what}");
    }
    let over = forged(&tokens, |_, claims| claims.exp = claims.iat - 1);
    assert_eq!(account(&tokens, &over), Err(TokenError::Expired));
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let tokens = tokens();
    let claims = claims(&tokens, &issue(&tokens));
    let jwks: Value = serde_json::from_str(&tokens.jwks()).unwrap();
    for secret in [tokens.jwks().to_string(), jwks["keys"][0].to_string(), jwks["keys"][0]["x"].to_string()] {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(tokens.keys.load().current.kid.clone());
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        assert_eq!(account(&tokens, &token), Err(TokenError::Invalid));
    }
}

#[test]
fn realms_have_plain_names() {
    for good in ["portunus", "stoa", "a-b_c1"] {
        assert!(is_realm(good), "{good}");
    }
    for bad in ["", "a/b", "a b", "..", "é", &"x".repeat(65)] {
        assert!(!is_realm(bad), "{bad}");
    }
}
