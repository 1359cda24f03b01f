//! The bodies of the calls about second factors.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::mfa::verify::Shown;
use portunus_gateway::problem::Problem;

/// A new factor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFactor {
    /// What its owner calls it.
    #[schemars(length(min = 1, max = 100))]
    pub label: Option<String>,
}

/// A code that shows that an app has the secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The six digits that the app shows.
    #[schemars(length(min = 1, max = 20))]
    pub code: String,
}

/// A credential that was made for a challenge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// What `navigator.credentials.create` gave, as its `toJSON()` writes it.
    pub credential: Map<String, Value>,
}

/// The answer of an authenticator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The challenge that it answers.
    #[schemars(length(min = 1, max = 100))]
    pub challenge: String,
    /// What `navigator.credentials.get` gave, as its `toJSON()` writes it.
    pub credential: Map<String, Value>,
}

/// A second factor: one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// The six digits that an app shows.
    #[schemars(length(min = 1, max = 20))]
    pub code: Option<String>,
    /// A backup code.
    #[schemars(length(min = 1, max = 40))]
    pub backup_code: Option<String>,
    /// The answer of an authenticator.
    pub webauthn: Option<Assertion>,
}

/// The login that waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// What the login gave after the right password.
    #[schemars(length(min = 1, max = 100))]
    pub mfa_token: String,
}

/// The second factor of a login that waits: one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondHalf {
    /// What the login gave after the right password.
    #[schemars(length(min = 1, max = 100))]
    pub mfa_token: String,
    /// The six digits that an app shows.
    #[schemars(length(min = 1, max = 20))]
    pub code: Option<String>,
    /// A backup code.
    #[schemars(length(min = 1, max = 40))]
    pub backup_code: Option<String>,
    /// The answer of an authenticator.
    pub webauthn: Option<Assertion>,
}

impl SecondHalf {
    /// The token and the factor.
    pub fn split(self) -> (String, Factor) {
        (self.mfa_token, Factor { code: self.code, backup_code: self.backup_code, webauthn: self.webauthn })
    }
}

impl Factor {
    /// The one that is shown.
    pub fn shown(self) -> Result<Shown, ApiError> {
        match (self.code, self.backup_code, self.webauthn) {
            (Some(code), None, None) => Ok(Shown::Code(code)),
            (None, Some(code), None) => Ok(Shown::BackupCode(code)),
            (None, None, Some(Assertion { challenge, credential })) => {
                Ok(Shown::Assertion { challenge, credential: Value::Object(credential) })
            }
            _ => {
                let expected = "one of `code`, `backup_code` and `webauthn`";
                Err(ApiError::invalid(vec![Problem::new("", "there is no second factor, or more than one", expected)]))
            }
        }
    }
}
