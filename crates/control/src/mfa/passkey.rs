//! WebAuthn: security keys, and what phones and computers have in their place. The work is done by webauthn-rs; what it
//! must remember between two calls stays on the server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portunus_gateway::kind::Id;
use serde_json::Value;
use webauthn_rs::prelude::{
    CredentialID, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

/// What credentials are bound to: the host and the origin that people reach Portunus at.
pub struct RelyingParty(Webauthn);

/// A question to an authenticator.
pub struct Question {
    /// For the browser: the options of `navigator.credentials`.
    pub options: Value,
    /// For the server, until the answer comes.
    pub state: String,
}

/// A credential that was registered.
pub struct Registered {
    /// Its id.
    pub credential_id: String,
    /// The public data, as JSON.
    pub data: String,
}

/// What an authenticator's right answer says.
pub struct Asserted {
    /// The credential that answered.
    pub credential: CredentialID,
    result: webauthn_rs::prelude::AuthenticationResult,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not go with the question.
    Wrong,
    /// Its sign counter did not rise, so there may be a second authenticator with the same key.
    Clone,
}

impl RelyingParty {
    /// For people who reach Portunus at this address. WebAuthn knows no IP addresses, only host names.
    pub fn at(public_url: &str) -> Option<Self> {
        // A path in front of the API is no part of an origin.
        let origin = Url::parse(&Url::parse(public_url).ok()?.origin().ascii_serialization()).ok()?;
        let host = origin.domain()?.to_owned();
        let builder = WebauthnBuilder::new(&host, &origin).ok()?.rp_name("Portunus");
        builder.build().ok().map(Self)
    }

    /// Asks an authenticator for a new credential that is none of `known`.
    pub fn register(&self, user: Id, name: &str, known: &[Passkey]) -> Option<Question> {
        let known = known.iter().map(|passkey| passkey.cred_id().clone()).collect();
        let (options, state) = self.0.start_passkey_registration(user, name, name, Some(known)).ok()?;
        question(&options, &state)
    }

    /// The credential that was made for the question.
    pub fn registered(&self, answer: &Value, state: &str) -> Option<Registered> {
        let answer: RegisterPublicKeyCredential = serde_json::from_value(answer.clone()).inspect_err(tell).ok()?;
        let state: PasskeyRegistration = serde_json::from_str(state).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).inspect_err(tell).ok()?;
        let credential_id = URL_SAFE_NO_PAD.encode(passkey.cred_id());
        Some(Registered { credential_id, data: serde_json::to_string(&passkey).ok()? })
    }

    /// Asks for the proof that one of these credentials is there.
    pub fn ask(&self, known: &[Passkey]) -> Option<Question> {
        let (options, state) = self.0.start_passkey_authentication(known).ok()?;
        question(&options, &state)
    }

    /// What the answer to the question says.
    pub fn answered(&self, answer: &Value, state: &str) -> Result<Asserted, Refusal> {
        let answer: PublicKeyCredential =
            serde_json::from_value(answer.clone()).inspect_err(tell).map_err(|_| Refusal::Wrong)?;
        let state: PasskeyAuthentication = serde_json::from_str(state).map_err(|_| Refusal::Wrong)?;
        match self.0.finish_passkey_authentication(&answer, &state).inspect_err(tell) {
            Ok(result) => Ok(Asserted { credential: result.cred_id().clone(), result }),
            Err(WebauthnError::CredentialPossibleCompromise) => Err(Refusal::Clone),
            Err(_) => Err(Refusal::Wrong),
        }
    }
}

impl Asserted {
    /// The sign counter, and the credential as it is to be kept from now on. The question may be older than the last use
    /// of the credential, so the counter is compared with the one that is kept.
    pub fn judge(&self, mut kept: Passkey, counter: u32) -> Result<(u32, String), Refusal> {
        let shown = self.result.counter();
        if (shown > 0 || counter > 0) && shown <= counter {
            return Err(Refusal::Clone);
        }
        kept.update_credential(&self.result);
        serde_json::to_string(&kept).map(|data| (shown, data)).map_err(|_| Refusal::Wrong)
    }
}

/// The credential that is kept as this text.
pub fn read(data: &str) -> Option<Passkey> {
    serde_json::from_str(data).ok()
}

/// Says in the log what is wrong with an answer; its sender is told no more than that it is.
fn tell(error: &impl std::fmt::Display) {
    tracing::info!(target: "control", error = %error, "webauthn_answer_refused");
}

fn question(options: &impl serde::Serialize, state: &impl serde::Serialize) -> Option<Question> {
    Some(Question { options: serde_json::to_value(options).ok()?, state: serde_json::to_string(state).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_name_has_no_webauthn() {
        for url in ["http://localhost:8000", "https://gate.example.org", "https://gate.example.org:8443/x"] {
            assert!(RelyingParty::at(url).is_some(), "{url}");
        }
        for url in ["", "http://127.0.0.1:8000", "http://[::1]:8000", "gate.example.org"] {
            assert!(RelyingParty::at(url).is_none(), "{url}");
        }
    }

    #[test]
    fn each_question_is_another_one() {
        let party = RelyingParty::at("http://localhost:8000").unwrap();
        let ask = || party.register(Id::now_v7(), "ada", &[]).unwrap().options["publicKey"].clone();
        let (one, other) = (ask(), ask());
        assert_ne!(one["challenge"], other["challenge"]);
        assert_eq!(one["rp"]["id"], "localhost");
        assert_eq!(one["authenticatorSelection"]["userVerification"], "required");
    }

    #[test]
    fn nonsense_is_no_answer() {
        let party = RelyingParty::at("http://localhost:8000").unwrap();
        let state = party.register(Id::now_v7(), "ada", &[]).unwrap().state;
        for answer in [Value::Null, serde_json::json!({}), serde_json::json!({"id": "x", "response": {}})] {
            assert!(party.registered(&answer, &state).is_none());
            assert_eq!(party.answered(&answer, &state).err(), Some(Refusal::Wrong));
        }
    }
}
