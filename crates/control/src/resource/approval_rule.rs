//! Which calls of the control plane need the approval of others.

use portunus_gateway::api_key;
use portunus_gateway::kind::{Kind, OnDelete, OneTimeSecret, Ref, Reference};
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::Keyring;
use portunus_gateway::secret::field::SecretField;
use portunus_gateway::secret::text::SecretText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Permission;
use crate::approval::webhook;

/// What the secrets of webhooks are sealed for.
pub const WEBHOOK_SECRET: &str = "approval webhook";

/// The fewest characters of a secret that is chosen.
const SHORTEST_SECRET: usize = 16;

/// Says which calls of the control plane need the approval of others before they are let through, once. A rule of the
/// tenant `platform` holds in every tenant, others in their own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// What the rule is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// What needs approval, as `noun:verb`, such as `api:delete`; `*` stands for every noun or verb. What only reads
    /// never needs it.
    #[schemars(length(min = 1, max = 200))]
    pub permissions: Vec<String>,
    /// How many accounts must approve.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10))]
    pub approvals: u32,
    /// Only accounts with one of these roles may approve; without any, all that have `approval:write`.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub approver_roles: Vec<Ref>,
    /// How many minutes a request waits for its approvals.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 1, max = 43_200))]
    pub expires_minutes: u32,
    /// How many minutes an approved call may be made.
    #[serde(default = "a_quarter")]
    #[schemars(range(min = 1, max = 1440))]
    pub valid_minutes: u32,
    /// Whether the rule holds.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// URLs that are told of each request and of how it ended.
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub webhooks: Vec<String>,
    /// The secret that webhooks are signed with, to choose it yourself; left out, one is made and shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<SecretText>,
}

fn one() -> u32 {
    1
}

fn an_hour() -> u32 {
    60
}

fn a_quarter() -> u32 {
    15
}

fn yes() -> bool {
    true
}

impl Kind for ApprovalRule {
    const KIND: &'static str = "ApprovalRule";
    const PLURAL: &'static str = "approval-rules";
    const NOUN: &'static str = "approval_rule";
    const SECRETS: &'static [SecretField] = &[SecretField::new("/webhook_secret", WEBHOOK_SECRET)];
    const REFERENCES: &'static [Reference] =
        &[Reference { field: "approver_roles", kind: "Role", many: true, on_delete: OnDelete::Refuse, platform: true }];

    fn check(&self) -> Vec<Problem> {
        let permissions = self.permissions.iter().enumerate().filter_map(|(index, text)| {
            let path = format!("/permissions/{index}");
            let problem = match Permission::check(text) {
                Err(why) => Problem::new(path, why, Permission::forms()),
                Ok(()) if text.starts_with("approval:") => {
                    let why = "approving cannot need approval itself";
                    Problem::new(path, why, "a permission of another noun; `*:*` leaves approving out")
                }
                Ok(()) if text.ends_with(":read") => {
                    Problem::new(path, "what only reads never needs approval", "the verb write, delete or *")
                }
                Ok(()) => return None,
            };
            Some(problem.found(text.as_str()))
        });
        let webhooks = self.webhooks.iter().enumerate().filter_map(|(index, url)| {
            let why = webhook::check(url).err()?;
            let expected = "an http or https URL with a host, without a user and not link-local";
            Some(Problem::new(format!("/webhooks/{index}"), why, expected).found(url.as_str()))
        });
        let secret =
            self.webhook_secret.as_ref().and_then(SecretText::plain).filter(|text| text.len() < SHORTEST_SECRET);
        let secret = secret.map(|_| {
            Problem::new(
                "/webhook_secret",
                "too short to be a secret",
                format!("at least {SHORTEST_SECRET} characters"),
            )
        });
        permissions.chain(webhooks).chain(secret).collect()
    }

    fn prepare(&mut self, before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        if self.webhook_secret.is_none() {
            self.webhook_secret = before.and_then(|before| before.webhook_secret.clone());
        }
        if self.webhooks.is_empty() || self.webhook_secret.is_some() {
            return Ok(None);
        }
        let secret = format!("ptn_hook_{}", api_key::random_text(40));
        self.webhook_secret = Some(secret.clone().into());
        Ok(Some(OneTimeSecret { field: "webhook_secret", value: secret }))
    }
}
