//! API keys and API tokens: how they are made, recognised and hashed.
//!
//! What it is for (`ptn_live_`, `ptn_pat_`) + 32 random characters of base 62 (190 bits) + 6 characters of CRC-32, so that scanners can tell a real
//! key from a look-alike without asking anybody.

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// What the API keys of consumers begin with.
pub const LIVE: &str = "ptn_live_";

/// What tokens for the control plane begin with.
pub const TOKEN: &str = "ptn_pat_";

const RANDOM: usize = 32;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random text of base 62.
pub fn random_text(length: usize) -> String {
    let random = SystemRandom::new();
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        random.fill(&mut bytes).expect("the operating system gives random bytes");
        // 248 is the largest multiple of 62 in a byte: what lies above would make the first characters likelier.
        let letters = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        text.extend(letters.take(length - text.len()));
    }
    text
}

/// A new key that begins with one of the prefixes.
pub fn generate(prefix: &str) -> String {
    let mut key = format!("{prefix}{}", random_text(RANDOM));
    let sum = checksum(key.as_bytes());
    key.push_str(&sum);
    key
}

/// The part of a key that may be shown: enough to recognise it, too little to guess it.
pub fn shown<'a>(key: &'a str, prefix: &str) -> &'a str {
    key.get(..prefix.len() + 4).unwrap_or_default()
}

/// Whether a text is one that [`generate`] can have made; a look-alike is told without asking the store.
pub fn is_well_formed(key: &str, prefix: &str) -> bool {
    let body = prefix.len() + RANDOM;
    let (Some(start), Some(sum)) = (key.get(..body), key.get(body..)) else { return false };
    start.starts_with(prefix) && checksum(start.as_bytes()) == sum
}

fn checksum(bytes: &[u8]) -> String {
    let mut sum = crc32fast::hash(bytes);
    let mut letters = [b'0'; 6];
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET[(sum % 62) as usize];
        sum /= 62;
    }
    letters.iter().map(|letter| char::from(*letter)).collect()
}

/// SHA-256, which is what is kept of a key: keys are random, so a slow hash would add cost and no safety.
pub fn hash(key: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, key);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Lowercase hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reverse of [`to_hex`] for a hash.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_its_checksum() {
        let key = generate(LIVE);
        assert_eq!(key.len(), 9 + 32 + 6);
        assert!(is_well_formed(&key, LIVE) && !is_well_formed(&key, TOKEN));
        let mut broken = key.clone();
        broken.replace_range(12..13, if &key[12..13] == "a" { "b" } else { "a" });
        assert!(!is_well_formed(&broken, LIVE));
        for wrong in ["", "ptn_live_", &key[..key.len() - 1], &format!("{key}0"), "ptn_live_ä"] {
            assert!(!is_well_formed(wrong, LIVE), "{wrong}");
        }
        assert_ne!(generate(LIVE), key);
    }

    #[test]
    fn hexadecimal_round_trip() {
        let sum = hash(b"key");
        assert_eq!(from_hex(&to_hex(&sum)), Some(sum));
        assert_eq!(from_hex("zz"), None);
    }
}
