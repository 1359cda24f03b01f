//! Tells those whom a rule names of a request and of what became of it.

use portunus_gateway::clock;
use serde_json::json;

use super::row::Approval;
use crate::control::Control;
use crate::resource::approval_rule::WEBHOOK_SECRET;

/// Sends the webhooks of a request's rules. `word` is the step: `requested`, `approved`, `rejected` or `cancelled`.
pub fn send(control: &Control, approval: &Approval, word: &str) {
    let access = control.store.access.load();
    for rule in approval.rules.iter().filter_map(|id| access.approval_rules.get(*id)) {
        if rule.spec.webhooks.is_empty() {
            continue;
        }
        let Some(sealed) = &rule.spec.webhook_secret else { continue };
        let secret = match control.store.keys.secrets.reveal(sealed, WEBHOOK_SECRET) {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(target: "control", rule = rule.name, error = %error, "webhook_secret_cannot_be_opened");
                continue;
            }
        };
        let now = clock::now();
        let body = json!({
            "event": format!("approval.{word}"),
            "at": now,
            "rule": rule.name,
            "approval": approval.to_json(now.as_microsecond()),
        });
        for url in &rule.spec.webhooks {
            control.webhooks.send(url, &secret, body.to_string());
        }
    }
}
