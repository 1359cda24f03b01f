//! `authorize`: calls by accounts of the control plane, by role.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, Phase, Policy};
use crate::accounts::{Introduction, Origin, Stranger, WhoIs};
use crate::error::{Refusal, Rejection};
use crate::exchange::{Exchange, Flow};
use crate::problem::Problem;
use crate::record::Record;
use crate::worker::Worker;

const X_ADMIN_KEY: HeaderName = HeaderName::from_static("x-admin-key");

/// Lets accounts of the control plane call, people and machines, with their own identity: an access token or API token as
/// `Authorization: Bearer`, as the password of `Authorization: Basic` with any user name, or in `X-Admin-Key`. The
/// credential does not reach the upstream. Which methods and paths it is for is a matter of the route it is bound to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizeConfig {
    /// Names of roles, of which the account must hold one in the API's tenant. A role of the platform comes before one of
    /// the tenant with the same name. Without any, every account of the tenant and of the platform may call.
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub roles: Vec<String>,
    /// Whether the upstream is told who calls, in `X-Portunus-Account` and `X-Portunus-Roles`.
    pub forward_identity: bool,
}

/// The compiled policy.
pub struct Authorize {
    roles: Arc<[String]>,
    forward_identity: bool,
}

impl Policy for Authorize {
    const PHASE: Phase = Phase::Authenticate;
    const EXAMPLE: &'static str = "roles: [operator, ci]\nforward_identity: true\n";
    type Config = AuthorizeConfig;

    fn compile(config: &AuthorizeConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Self { roles: config.roles.as_slice().into(), forward_identity: config.forward_identity })
    }
}

impl Authorize {
    /// Finds out who calls. It asks what only the worker can reach, and so is no [`Policy::request`].
    pub async fn identify(&self, worker: &Worker, x: &mut Exchange<'_>, record: &mut Record) -> Flow {
        match self.admit(worker, x, record).await {
            Ok(()) => Flow::Next,
            Err(rejection) => {
                let reason = rejection.refusal.code();
                tracing::error!(target: "gateway", path = x.path, reason, api = %x.api.name, "auth_failed");
                Flow::Refuse(Box::new(challenged(rejection, &x.api.name)))
            }
        }
    }

    async fn admit(&self, worker: &Worker, x: &mut Exchange<'_>, record: &mut Record) -> Result<(), Rejection> {
        let credential = take_credential(&mut x.head.headers).ok_or(Refusal::MissingIdentity)?;
        let accounts = worker.shared.accounts.as_ref().ok_or(Refusal::IdentityUnavailable)?;
        let question = WhoIs {
            credential,
            tenant_id: x.api.tenant_id,
            roles: self.roles.clone(),
            origin: Origin { address: x.client_ip, request_id: record.request_id.as_str().to_owned() },
        };
        match accounts.who_is(question).await {
            Ok(account) => {
                record.account = Some(account.clone());
                if self.forward_identity {
                    x.introduction = Some(Box::new(Introduction::of(&account)));
                }
                x.account = Some(account);
                Ok(())
            }
            Err(Stranger::Invalid(why)) => Err(Rejection::new(Refusal::InvalidIdentity, why)),
            Err(Stranger::Role(account)) => {
                record.account = Some(account);
                Err(match self.roles.is_empty() {
                    true => Rejection::new(Refusal::RoleRequired, "the account does not belong to the API's tenant"),
                    false => {
                        let roles = self.roles.join(", ");
                        Rejection::new(
                            Refusal::RoleRequired,
                            format!("it takes one of the roles {roles} in the API's tenant"),
                        )
                    }
                })
            }
            Err(Stranger::Unavailable) => Err(Refusal::IdentityUnavailable.into()),
        }
    }
}

/// Takes the credential out of the request: what the upstream does not have it cannot leak.
fn take_credential(headers: &mut HeaderMap) -> Option<String> {
    if let Some(key) = headers.remove(X_ADMIN_KEY) {
        return Some(key.to_str().ok()?.to_owned()).filter(|key| !key.is_empty());
    }
    let text = credential(headers.get(header::AUTHORIZATION)?.to_str().ok()?)?;
    headers.remove(header::AUTHORIZATION);
    Some(text)
}

/// The token in the value of `Authorization`.
fn credential(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let text = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    (!text.is_empty()).then_some(text)
}

/// A 401 says how to authenticate (RFC 9110 section 11.6.1, RFC 6750 section 3).
fn challenged(rejection: Rejection, api: &str) -> Rejection {
    let realm: String = api.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect();
    let challenge = match rejection.refusal {
        Refusal::MissingIdentity => format!("Bearer realm=\"{realm}\""),
        Refusal::InvalidIdentity => format!("Bearer realm=\"{realm}\", error=\"invalid_token\""),
        Refusal::RoleRequired => format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\""),
        _ => return rejection,
    };
    match HeaderValue::try_from(challenge) {
        Ok(value) => rejection.with(header::WWW_AUTHENTICATE, value),
        Err(_) => rejection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_credential_is_found_and_taken_out() {
        for (name, value) in [
            ("authorization", "Bearer abc"),
            ("authorization", "bearer  abc "),
            ("authorization", "Basic YW55Ym9keTphYmM="),
            ("x-admin-key", "abc"),
        ] {
            let mut map = headers(&[(name, value)]);
            assert_eq!(take_credential(&mut map).as_deref(), Some("abc"), "{value}");
            assert!(map.is_empty(), "{value}");
        }
    }

    #[test]
    fn what_is_no_credential_of_ours_is_none_and_stays() {
        for value in ["Bearer", "Bearer ", "Digest abc", "Basic !!!", "Basic YWJj", "abc"] {
            let mut map = headers(&[("authorization", value)]);
            assert_eq!(take_credential(&mut map), None, "{value}");
            assert_eq!(map.len(), 1);
        }
    }
}
