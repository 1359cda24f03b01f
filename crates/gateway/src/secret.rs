//! Secrets at rest: values sealed with AES-256-GCM under data keys, which are themselves sealed under the key of the
//! operator (envelope encryption). A sealed value says which data key opens it, so keys can change while it is served.

pub mod field;
pub mod reference;
pub mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

use self::reference::References;
use self::text::{Form, Revealed, SecretText};

/// What a sealed value begins with.
const SEALED: &str = "enc:1:";

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// It is sealed with a key that is not there.
    #[error("it is sealed with the key {0}, which is not there")]
    UnknownKey(String),
    /// It was altered, sealed for another purpose, or is no sealed value.
    #[error("it was altered, or sealed for another purpose")]
    Broken,
    /// What it refers to cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// One AES-256-GCM key.
pub struct Key(RandomizedNonceKey);

impl Key {
    /// The key with these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("32 bytes are a key of AES-256"))
    }

    /// A key that is derived from a text with enough randomness in it, such as `PORTUNUS_SECRET_KEY`.
    pub fn derived(secret: &[u8], purpose: &str) -> Self {
        Self::new(&derive(secret, purpose))
    }

    /// The bytes as they can be kept: nonce, ciphertext, tag. `purpose` must be the same when they are opened.
    pub fn seal(&self, plain: &[u8], purpose: &str) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut sealed)
            .expect("a secret is far smaller than what AES-GCM takes");
        [nonce.as_ref().as_slice(), &sealed].concat()
    }

    /// The reverse of [`Self::seal`].
    pub fn open(&self, sealed: &[u8], purpose: &str) -> Result<Vec<u8>, SecretError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SecretError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Broken)?;
        let mut rest = rest.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest);
        plain.map(|plain| plain.to_vec()).map_err(|_| SecretError::Broken)
    }
}

/// 32 bytes from a secret, different for each purpose (HMAC-SHA256 as a key derivation function).
pub fn derive(secret: &[u8], purpose: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, purpose.as_bytes()).as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
}

/// 32 random bytes.
pub fn random_key() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The data keys in use: the current one seals, each of them opens what it sealed.
struct Keys {
    by_id: HashMap<String, Arc<Key>>,
    current: String,
}

/// The data keys of a store, and what secrets may refer to. Shared by all who seal and open; [`Self::replace`] takes
/// effect at once.
pub struct Keyring {
    keys: ArcSwap<Keys>,
    /// What secrets may refer to.
    pub references: References,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(current: {})", self.keys.load().current)
    }
}

impl Keyring {
    /// The keyring of these keys, by id, of which `current` seals.
    pub fn new(keys: Vec<(String, Key)>, current: &str, references: References) -> Arc<Self> {
        Arc::new(Self { keys: ArcSwap::from_pointee(Keys::of(keys, current)), references })
    }

    /// A keyring with one random key, for checks that keep nothing.
    pub fn ephemeral() -> Arc<Self> {
        Self::new(vec![("ephemeral".to_owned(), Key::new(&random_key()))], "ephemeral", References::default())
    }

    /// Puts other keys in the place of all.
    pub fn replace(&self, keys: Vec<(String, Key)>, current: &str) {
        self.keys.store(Arc::new(Keys::of(keys, current)));
    }

    /// The id of the key that seals.
    pub fn current(&self) -> String {
        self.keys.load().current.clone()
    }

    /// The value as it can be kept: `enc:1:<key id>:<base64url>`. `purpose` says what it is, such as `totp`; a value
    /// cannot be opened for another.
    ///
    /// # Panics
    /// Never: the current key is always among the keys.
    pub fn seal(&self, plain: &str, purpose: &str) -> String {
        let keys = self.keys.load();
        let key = keys.by_id.get(&keys.current).expect("the current key is among the keys");
        let sealed = URL_SAFE_NO_PAD.encode(key.seal(plain.as_bytes(), purpose));
        format!("{SEALED}{}:{sealed}", keys.current)
    }

    /// The value that was sealed for this purpose.
    pub fn open(&self, sealed: &str, purpose: &str) -> Result<String, SecretError> {
        let (id, data) =
            sealed.strip_prefix(SEALED).and_then(|rest| rest.split_once(':')).ok_or(SecretError::Broken)?;
        let keys = self.keys.load();
        let key = keys.by_id.get(id).ok_or_else(|| SecretError::UnknownKey(id.to_owned()))?;
        let data = URL_SAFE_NO_PAD.decode(data).map_err(|_| SecretError::Broken)?;
        String::from_utf8(key.open(&data, purpose)?).map_err(|_| SecretError::Broken)
    }

    /// The secret itself: opened if it is sealed, read if it is elsewhere.
    pub fn reveal(&self, secret: &SecretText, purpose: &str) -> Result<Revealed, SecretError> {
        match secret.form() {
            Form::Plain(text) => Ok(Revealed::new(text)),
            Form::Sealed { sealed, .. } => self.open(sealed, purpose).map(Revealed::new),
            Form::Reference(reference) => self.references.read(&reference).map_err(SecretError::Unreadable),
            Form::Mark(_) | Form::Unknown(_) => Err(SecretError::Broken),
        }
    }

    /// The sealed value under the current key; `None` when it is so already.
    pub fn reseal(&self, sealed: &str, purpose: &str) -> Result<Option<String>, SecretError> {
        let (sealed, mark) = text::split(sealed);
        if key_id(sealed) == Some(&*self.keys.load().current) {
            return Ok(None);
        }
        let mut anew = self.seal(&self.open(sealed, purpose)?, purpose);
        if let Some(mark) = mark {
            anew.push(':');
            anew.push_str(mark);
        }
        Ok(Some(anew))
    }
}

impl Keys {
    fn of(keys: Vec<(String, Key)>, current: &str) -> Self {
        let by_id: HashMap<String, Arc<Key>> = keys.into_iter().map(|(id, key)| (id, Arc::new(key))).collect();
        assert!(by_id.contains_key(current), "the current key is among the keys");
        Self { by_id, current: current.to_owned() }
    }
}

/// Whether a text is a sealed value.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

/// The id of the key that a sealed value needs.
pub fn key_id(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(SEALED)?.split_once(':').map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Arc<Keyring> {
        Keyring::new(
            vec![("a".into(), Key::new(&[1; 32])), ("b".into(), Key::new(&[2; 32]))],
            "b",
            References::default(),
        )
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let keys = keyring();
        let sealed = keys.seal("hunter2", "totp");
        assert!(is_sealed(&sealed) && !sealed.contains("hunter2"));
        assert_eq!(key_id(&sealed), Some("b"));
        assert_eq!(keys.open(&sealed, "totp").as_deref(), Ok("hunter2"));
        assert_eq!(keys.open(&sealed, "smtp"), Err(SecretError::Broken));
        assert_ne!(sealed, keys.seal("hunter2", "totp"), "nonces differ");
    }

    #[test]
    fn an_older_key_still_opens_and_an_unknown_one_is_named() {
        let keys = keyring();
        let sealed = keys.seal("x", "p");
        keys.replace(vec![("b".into(), Key::new(&[2; 32])), ("c".into(), Key::new(&[3; 32]))], "c");
        assert_eq!(keys.open(&sealed, "p").as_deref(), Ok("x"));
        assert_eq!(key_id(&keys.seal("x", "p")), Some("c"));
        keys.replace(vec![("c".into(), Key::new(&[3; 32]))], "c");
        assert_eq!(keys.open(&sealed, "p"), Err(SecretError::UnknownKey("b".into())));
    }

    #[test]
    fn altered_values_do_not_open() {
        let keys = keyring();
        let sealed = keys.seal("hunter2", "p");
        let mut broken = sealed.clone();
        let last = broken.pop().unwrap();
        broken.push(if last == 'A' { 'B' } else { 'A' });
        for wrong in ["", "enc:1:b:", "enc:1:b:AAAA", "hunter2", &broken, &sealed.replace("enc:1:b", "enc:1:a")] {
            assert!(keys.open(wrong, "p").is_err(), "{wrong}");
        }
    }
}
