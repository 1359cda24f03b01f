//! A credential of a machine, or of a person's script, for the control plane.

use jiff::Timestamp;
use portunus_gateway::kind::{Id, Kind, OnDelete, OneTimeSecret, Ref, Reference};
use portunus_gateway::problem::Problem;
use portunus_gateway::schema::Time;
use portunus_gateway::secret::Keyring;
use portunus_gateway::{api_key, clock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Permission, names};

/// A token for the control plane, sent as `Authorization: Bearer` or `X-Admin-Key`. It acts for its owner, with no more
/// than its scopes and no more than what the owner may do at that moment. Only its SHA-256 is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    /// The person it acts for. A token has one owner: this or `service_account_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Ref>,
    /// The service account it acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_id: Option<Ref>,
    /// The only permissions it carries, such as `api:write` or `*:read`. Without them, it carries all that its owner has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub scopes: Option<Vec<String>>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// When it stops being accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub expires_at: Option<Timestamp>,
    /// Whether it is accepted. What is revoked stays revoked.
    #[serde(default)]
    pub status: TokenStatus,
    /// The first characters of the token, to recognise it by. Portunus sets them, whatever is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub prefix: Option<String>,
    /// Until when the text that the token had before its last rotation is accepted beside the new one. It can only be
    /// sent together with a new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub previous_expires_at: Option<Timestamp>,
    /// The token's text, to bring one along: at least 32 characters. Left out, one is made and shown once. It is never
    /// shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 32, max = 512))]
    pub token: Option<String>,
    /// SHA-256 of the token, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub token_sha256: Option<String>,
    /// SHA-256 of the text that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub previous_sha256: Option<String>,
}

/// Whether a token is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It is.
    #[default]
    Active,
    /// It is refused with 401.
    Revoked,
}

impl ApiToken {
    /// The account it acts for.
    pub fn owner(&self) -> Option<Id> {
        self.user_id.or(self.service_account_id).map(|owner| owner.0)
    }

    /// The hash of its text; always there once stored.
    pub fn hash(&self) -> Option<[u8; 32]> {
        api_key::from_hex(self.token_sha256.as_deref()?)
    }

    /// The hash of the text that it had before.
    pub fn previous_hash(&self) -> Option<[u8; 32]> {
        api_key::from_hex(self.previous_sha256.as_deref()?)
    }

    /// Takes a new text; the one before goes on working until `previous_expires_at`.
    fn take(&mut self, text: &str) {
        let hash = api_key::to_hex(&api_key::hash(text.as_bytes()));
        if self.token_sha256.as_ref() == Some(&hash) {
            return;
        }
        self.previous_sha256 = self.token_sha256.replace(hash);
        // Of a text that somebody chose, its beginning may already be too much.
        let is_ours = api_key::is_well_formed(text, api_key::TOKEN);
        self.prefix = is_ours.then(|| api_key::shown(text, api_key::TOKEN).to_owned());
    }

    /// What may not change about a stored token.
    fn check_change(&self, before: &Self, has_new_text: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (field, now, stored) in [
            ("/user_id", self.user_id, before.user_id),
            ("/service_account_id", self.service_account_id, before.service_account_id),
        ] {
            if now != stored {
                problems.push(Problem::new(field, "the owner of a token cannot be changed", "a token of its own"));
            }
        }
        if before.status == TokenStatus::Revoked && self.status == TokenStatus::Active && !has_new_text {
            problems.push(Problem::new("/status", "a revoked token stays revoked", "a new token"));
        }
        problems
    }
}

impl Kind for ApiToken {
    const KIND: &'static str = "ApiToken";
    const PLURAL: &'static str = "api-tokens";
    const NOUN: &'static str = "api_token";
    const HIDDEN: &'static [&'static str] = &["token_sha256", "previous_sha256"];
    const REFERENCES: &'static [Reference] = &[
        Reference::one("user_id", "User", OnDelete::Follow),
        Reference::one("service_account_id", "ServiceAccount", OnDelete::Follow),
    ];

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.user_id.is_some() == self.service_account_id.is_some() {
            let what = "a token has one owner";
            problems.push(Problem::new("/user_id", what, "either `user_id` or `service_account_id`"));
        }
        for (index, text) in self.scopes.iter().flatten().enumerate() {
            if let Err(why) = Permission::check(text) {
                let path = format!("/scopes/{index}");
                problems.push(Problem::new(path, why, Permission::forms()).found(text.as_str()));
            }
        }
        if self.token.as_ref().is_some_and(|text| text.bytes().any(|byte| !byte.is_ascii_graphic())) {
            problems.push(Problem::new("/token", "not usable in a header", "visible ASCII characters without spaces"));
        }
        problems
    }

    fn prepare(&mut self, before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        if let Some(scopes) = &mut self.scopes {
            *scopes = names::translated(scopes);
        }
        let chosen = self.token.take();
        let Some(before) = before else {
            self.previous_expires_at = None;
            let text = chosen.clone().unwrap_or_else(|| api_key::generate(api_key::TOKEN));
            self.take(&text);
            return Ok(chosen.is_none().then_some(OneTimeSecret { field: "token", value: text }));
        };
        let problems = self.check_change(before, chosen.is_some());
        if !problems.is_empty() {
            return Err(problems);
        }
        self.prefix.clone_from(&before.prefix);
        self.token_sha256.clone_from(&before.token_sha256);
        self.previous_sha256.clone_from(&before.previous_sha256);
        match chosen {
            Some(text) => self.take(&text),
            None => self.previous_expires_at = before.previous_expires_at,
        }
        if self.previous_expires_at.is_none_or(|end| end <= clock::now()) {
            (self.previous_sha256, self.previous_expires_at) = (None, None);
        }
        Ok(None)
    }

    fn default_name(id: Id) -> Option<String> {
        Some(format!("token-{}", id.simple()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> ApiToken {
        serde_json::from_value(serde_json::json!({"user_id": Id::nil()})).expect("a token")
    }

    fn prepared(mut token: ApiToken, before: Option<&ApiToken>) -> Result<(ApiToken, Option<String>), Vec<String>> {
        match token.prepare(before, &Keyring::ephemeral()) {
            Ok(secret) => Ok((token, secret.map(|secret| secret.value))),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.path).collect()),
        }
    }

    #[test]
    fn a_text_is_made_and_only_its_hash_kept() {
        let (kept, text) = prepared(token(), None).unwrap();
        let text = text.unwrap();
        assert!(api_key::is_well_formed(&text, api_key::TOKEN));
        assert_eq!(kept.hash(), Some(api_key::hash(text.as_bytes())));
        assert_eq!(kept.prefix.as_deref(), Some(&text[..12]));
        assert!(!serde_json::to_string(&kept).unwrap().contains(&text));
    }

    #[test]
    fn a_new_text_leaves_the_old_one_for_as_long_as_is_said() {
        let (first, _) = prepared(token(), None).unwrap();
        let soon = clock::now() + jiff::SignedDuration::from_hours(1);
        let next = ApiToken { token: Some("x".repeat(32)), previous_expires_at: Some(soon), ..token() };
        let (second, secret) = prepared(next, Some(&first)).unwrap();
        assert_eq!((second.previous_hash(), secret), (first.hash(), None));
        assert_eq!((second.hash(), second.prefix.clone()), (Some(api_key::hash("x".repeat(32).as_bytes())), None));
        let at_once = ApiToken { token: Some("y".repeat(32)), ..token() };
        assert_eq!(prepared(at_once, Some(&second)).unwrap().0.previous_hash(), None);
        let later = ApiToken { previous_expires_at: Some(soon + jiff::SignedDuration::from_hours(9)), ..token() };
        let third = prepared(later, Some(&second)).unwrap().0;
        assert_eq!((third.previous_hash(), third.previous_expires_at), (first.hash(), Some(soon)));
        let over = ApiToken { previous_expires_at: Some(Timestamp::UNIX_EPOCH), ..second };
        assert_eq!(prepared(token(), Some(&over)).unwrap().0.previous_hash(), None);
    }

    #[test]
    fn owner_prefix_and_revocation_stay() {
        let (stored, _) = prepared(token(), None).unwrap();
        let swapped = ApiToken { user_id: None, service_account_id: Some(Ref(Id::nil())), ..token() };
        assert_eq!(prepared(swapped, Some(&stored)).unwrap_err(), ["/user_id", "/service_account_id"]);
        let renamed = ApiToken { prefix: Some("ptn_pat_mine".to_owned()), ..token() };
        assert_eq!(prepared(renamed.clone(), Some(&stored)).unwrap().0.prefix, stored.prefix);
        assert_ne!(prepared(renamed.clone(), None).unwrap().0.prefix, renamed.prefix);
        let revoked = ApiToken { status: TokenStatus::Revoked, ..stored };
        assert_eq!(prepared(token(), Some(&revoked)).unwrap_err(), ["/status"]);
    }
}
