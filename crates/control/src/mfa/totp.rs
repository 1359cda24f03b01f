//! Codes of an authenticator app (TOTP, RFC 6238): six digits, SHA-1, 30 seconds, which is what all apps know.

use totp_rs::{Builder, Secret, Totp};

/// What sealed secrets are sealed for.
pub const PURPOSE: &str = "totp";

/// Who the app says that the codes are for.
const ISSUER: &str = "Portunus";

/// A new secret of 160 bits, in base32 as apps take it.
pub fn new_secret() -> String {
    Secret::generate().to_base32()
}

/// The address that apps read from a QR code.
pub fn url(secret: &str, account: &str) -> Option<String> {
    // A colon divides the issuer from the account.
    let account = account.replace(':', "_");
    built(Builder::new().with_account_name(account).with_issuer(Some(ISSUER)), secret)?.to_url().ok()
}

/// The time step that a code is of: the present one, the one before or the one after.
pub fn step_of(secret: &str, code: &str, now_seconds: u64) -> Option<u64> {
    built(Builder::new(), secret)?.check(code, now_seconds)
}

fn built(builder: Builder, secret: &str) -> Option<Totp> {
    builder.with_secret(Secret::try_from_base32(secret).ok()?).with_skew(1).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238's test vectors.
    const RFC_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_rfc() {
        // Appendix B, the last six of eight digits.
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(step_of(RFC_SECRET, code, time), Some(time / 30));
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_late_and_no_more() {
        let step = 59 / 30;
        for (now, expected) in [(0, Some(step)), (89, Some(step)), (90, None)] {
            assert_eq!(step_of(RFC_SECRET, "287082", now), expected, "{now}");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        for code in ["", "28708", "2870820", "+28708", "28708２", "28 7082"] {
            assert_eq!(step_of(RFC_SECRET, code, 59), None, "{code}");
        }
    }

    #[test]
    fn apps_get_an_address_with_issuer_and_account() {
        let secret = new_secret();
        assert_eq!(secret.len(), 32);
        let url = url(&secret, "a:b@example.org").unwrap();
        assert!(url.starts_with("otpauth://totp/Portunus:a_b%40example.org?"), "{url}");
        assert!(url.contains(&secret) && url.contains("issuer=Portunus"), "{url}");
    }
}
