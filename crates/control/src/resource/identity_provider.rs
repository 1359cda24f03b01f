//! A provider of identities outside: people log in there, and its tokens are taken here.

use portunus_gateway::kind::Kind;
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::Keyring;
use portunus_gateway::secret::field::SecretField;
use portunus_gateway::secret::text::{Form, SecretText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What client secrets are sealed for.
pub const SECRET_PURPOSE: &str = "oidc-client";

/// An OpenID provider outside, such as Keycloak. People log in there, and calls with its access tokens are taken. Rules
/// turn its claims into roles.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// The issuer, as it stands in the provider's tokens: the URL whose `/.well-known/openid-configuration` describes it.
    #[schemars(length(min = 8, max = 500))]
    pub issuer: String,
    /// The client that Portunus is there. Without it, nobody can log in by this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub client_id: Option<String>,
    /// The client's secret. A public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretText>,
    /// What is asked for at a login besides `openid`.
    #[serde(default = "default_scopes")]
    #[schemars(length(max = 20))]
    pub scopes: Vec<String>,
    /// The audience that access tokens must be for. Without it, no call is taken with a token of this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub audience: Option<String>,
    /// Which claims give which roles. All rules that match count.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub rules: Vec<Rule>,
    /// Whether the names of roles that Portunus knows, its own and those of the systems that it stands in for, give these
    /// roles when they are in `roles`, `groups`, `realm_access.roles` or `resource_access.<client>.roles`.
    #[serde(default)]
    pub known_roles: bool,
    /// Whether a user is made of whoever comes for the first time and gets a role. Their roles then follow the claims.
    /// Without it, only users that are linked already log in, and calls with a token are made without a user.
    #[serde(default)]
    pub provision: bool,
    /// Whether somebody who comes for the first time is the user that has the same name here. Only for providers where
    /// nobody can choose their own name.
    #[serde(default)]
    pub link_existing: bool,
    /// The claim with the user's name; a dot leads into an object.
    #[serde(default = "default_username")]
    #[schemars(length(min = 1, max = 200))]
    pub username_claim: String,
    /// Only people with an address of these domains, which the provider has verified, are let in.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub email_domains: Vec<String>,
    /// Whether the provider may be reached without TLS.
    #[serde(default)]
    pub insecure_http: bool,
    /// Whether it is in use.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// One claim that gives roles.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The claim; a dot leads into an object, as in `realm_access.roles`.
    #[schemars(length(min = 1, max = 200))]
    pub claim: String,
    /// The claim is this text, number or truth value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub equals: Option<String>,
    /// The claim is a list, or a text of words, with this in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub contains: Option<String>,
    /// The roles that it gives, by name: those of the account's tenant or of the platform.
    #[schemars(length(min = 1, max = 32))]
    pub roles: Vec<String>,
    /// The tenant that the account is of, for providers of the platform; otherwise the provider's. Of the rules that match,
    /// the first one decides, and only those for the same tenant count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tenant: Option<String>,
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

fn default_username() -> String {
    "preferred_username".to_owned()
}

const fn yes() -> bool {
    true
}

impl Kind for IdentityProvider {
    const KIND: &'static str = "IdentityProvider";
    const PLURAL: &'static str = "identity-providers";
    const NOUN: &'static str = "identity_provider";
    const SECRETS: &'static [SecretField] = &[SecretField::new("/client_secret", SECRET_PURPOSE)];

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !is_usable(&self.issuer, self.insecure_http) {
            let expected = match self.insecure_http {
                true => "an http or https URL without query and fragment",
                false => "an https URL without query and fragment; plain http only with `insecure_http`",
            };
            problems.push(Problem::new("/issuer", "not the URL of an issuer", expected).found(self.issuer.as_str()));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.equals.is_some() == rule.contains.is_some() {
                let message = "a rule has one of `equals` and `contains`";
                problems.push(Problem::new(format!("/rules/{index}"), message, "one of both"));
            }
        }
        for (index, domain) in self.email_domains.iter().enumerate() {
            if domain.is_empty() || domain.contains('@') || domain.chars().any(char::is_whitespace) {
                let path = format!("/email_domains/{index}");
                problems
                    .push(Problem::new(path, "not a domain", "a domain such as example.com").found(domain.as_str()));
            }
        }
        problems
    }

    fn prepare(
        &mut self,
        before: Option<&Self>,
        _keys: &Keyring,
    ) -> Result<Option<portunus_gateway::kind::OneTimeSecret>, Vec<Problem>> {
        // Whoever may change the issuer need not know the secret, and must not have it sent to a place of their choice.
        let moves = before.is_some_and(|before| before.issuer != self.issuer);
        let is_kept = self.client_secret.as_ref().is_some_and(|secret| matches!(secret.form(), Form::Mark(_)));
        if moves && is_kept {
            let message = "the secret is not handed to another issuer";
            return Err(vec![Problem::new("/client_secret", message, "the secret itself, or none")]);
        }
        Ok(None)
    }
}

/// Whether an address of a provider can be called.
pub fn is_usable(url: &str, insecure_http: bool) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let is_secure = url.scheme() == "https" || (insecure_http && url.scheme() == "http");
    is_secure && url.has_host() && url.fragment().is_none() && url.query().is_none() && url.username().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_plain_urls_with_tls() {
        assert!(is_usable("https://id.example.com/realms/a", false));
        assert!(!is_usable("http://id.example.com", false));
        assert!(is_usable("http://id.example.com", true));
        for wrong in
            ["", "id.example.com", "ftp://x", "https://a@b", "https://b?x", "https://b#x", "file:///etc/passwd"]
        {
            assert!(!is_usable(wrong, true), "{wrong}");
        }
    }
}
