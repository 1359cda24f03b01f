//! The sealed part of a document: AES-256-GCM under a key that argon2id makes of a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portunus_gateway::api_key;
use portunus_gateway::secret::Key;
use serde::{Deserialize, Serialize};

use super::document::Refused;

const KDF: &str = "argon2id";
const CIPHER: &str = "AES-256-GCM";

/// What is written: RFC 9106 section 4, the second recommendation.
const MEMORY_KIB: u32 = 64 * 1024;
const ITERATIONS: u32 = 3;
const LANES: u32 = 4;

/// What is read at most, so that a document cannot use up the machine.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_ITERATIONS: u32 = 10;
const MOST_LANES: u32 = 16;

/// Something sealed under a passphrase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// How the key is made.
    pub kdf: Kdf,
    /// How it is sealed.
    pub cipher: String,
    /// Tells whether a passphrase is the right one.
    pub check: String,
    /// The sealed text, base64url.
    pub data: String,
}

/// How a key is made of a passphrase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kdf {
    /// argon2id.
    pub algorithm: String,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub lanes: u32,
    /// Base64url.
    pub salt: String,
}

impl Sealed {
    /// Seals a text under a passphrase, bound to `bound`. It takes a core for a good part of a second.
    pub fn seal(plain: &[u8], passphrase: &str, bound: &[u8]) -> Self {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).expect("the operating system gives random bytes");
        let kdf = Kdf {
            algorithm: KDF.to_owned(),
            memory_kib: MEMORY_KIB,
            iterations: ITERATIONS,
            lanes: LANES,
            salt: URL_SAFE_NO_PAD.encode(salt),
        };
        let (key, check) = kdf.keys(passphrase).expect("our own parameters are valid");
        let data = URL_SAFE_NO_PAD.encode(key.seal(plain, &purpose(bound)));
        Self { kdf, cipher: CIPHER.to_owned(), check, data }
    }

    /// The text, or whether passphrase or document is wrong.
    pub fn open(&self, passphrase: &str, bound: &[u8]) -> Result<Vec<u8>, Refused> {
        if self.cipher != CIPHER {
            return Err(Refused::Form(format!("the cipher is {CIPHER}")));
        }
        let (key, check) = self.kdf.keys(passphrase)?;
        if constant_time::verify_slices_are_equal(check.as_bytes(), self.check.as_bytes()).is_err() {
            return Err(Refused::Passphrase);
        }
        let data = URL_SAFE_NO_PAD.decode(&self.data).map_err(|_| Refused::Altered)?;
        key.open(&data, &purpose(bound)).map_err(|_| Refused::Altered)
    }
}

/// Binds the sealed text to the rest of the document.
fn purpose(bound: &[u8]) -> String {
    format!("portunus realm v1 {}", api_key::to_hex(&api_key::hash(bound)))
}

impl Kdf {
    /// The key, and what recognises it.
    fn keys(&self, passphrase: &str) -> Result<(Key, String), Refused> {
        let is_bounded = self.algorithm == KDF
            && self.memory_kib <= MOST_MEMORY_KIB
            && self.iterations <= MOST_ITERATIONS
            && self.lanes <= MOST_LANES;
        if !is_bounded {
            let most = format!("{MOST_MEMORY_KIB} KiB, {MOST_ITERATIONS} iterations and {MOST_LANES} lanes");
            return Err(Refused::Form(format!("the key is made by {KDF} with at most {most}")));
        }
        let form = |_| Refused::Form("the parameters of the key are not valid".to_owned());
        let salt = URL_SAFE_NO_PAD.decode(&self.salt).map_err(|_| Refused::Form("the salt is no base64url".into()))?;
        let params = Params::new(self.memory_kib, self.iterations, self.lanes, Some(64)).map_err(form)?;
        let mut bytes = [0; 64];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut bytes)
            .map_err(form)?;
        let (key, check) = bytes.split_at(32);
        let key: &[u8; 32] = key.try_into().expect("the first half has 32 bytes");
        Ok((Key::new(key), api_key::to_hex(&api_key::hash(check))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_passphrase_is_told_from_an_altered_text() {
        let sealed = Sealed::seal(b"secret", "correct horse", b"rest");
        assert_eq!(sealed.open("correct horse", b"rest").unwrap(), b"secret");
        assert!(matches!(sealed.open("battery staple", b"rest"), Err(Refused::Passphrase)));
        assert!(matches!(sealed.open("correct horse", b"another rest"), Err(Refused::Altered)));
        let mut altered = sealed.clone();
        altered.data.replace_range(30..31, if &altered.data[30..31] == "A" { "B" } else { "A" });
        assert!(matches!(altered.open("correct horse", b"rest"), Err(Refused::Altered)));
        let mut greedy = sealed;
        greedy.kdf.memory_kib = MOST_MEMORY_KIB + 1;
        assert!(matches!(greedy.open("correct horse", b"rest"), Err(Refused::Form(_))));
    }
}
