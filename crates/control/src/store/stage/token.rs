//! Who may make or change an API token: nobody carries more than they have, and nothing outlives what made it.

use jiff::Timestamp;
use portunus_gateway::kind::Id;
use serde::Deserialize;
use serde_json::Value;

use super::Stage;
use crate::principal::Proof;
use crate::resource::api_token::{ApiToken, TokenStatus};
use crate::store::CommitError;
use crate::store::row::Row;

impl Stage<'_> {
    /// Refuses a token that would carry more than its maker has.
    pub(super) async fn check_token(
        &mut self,
        tenant_id: Id,
        spec: &Value,
        before: Option<&Row>,
    ) -> Result<(), CommitError> {
        let Some(principal) = self.principal else { return Ok(()) };
        let read = |spec: &Value| ApiToken::deserialize(spec).map_err(|error| CommitError::Store(error.to_string()));
        let token = read(spec)?;
        // To end one is to hand out nothing.
        if token.status == TokenStatus::Revoked {
            return Ok(());
        }
        let before = before.map(|before| read(&before.spec)).transpose()?;
        let within = if Some(tenant_id) == self.access.platform { None } else { Some(tenant_id) };
        let is_own = token.owner() == Some(principal.account.id);
        let covered = match &token.scopes {
            Some(scopes) => principal.covers(scopes, within),
            None if is_own => principal.scopes.is_none(),
            // Such a token grows with its owner's roles.
            None => principal.covers(&["*:*".to_owned()], within),
        };
        if !covered {
            let sentence = match token.scopes {
                Some(_) => "a token cannot carry more rights than its maker has",
                None => {
                    "a token without scopes is its owner's own affair, or that of somebody who may do everything; name scopes"
                }
            };
            return Err(CommitError::Forbidden(sentence.to_owned()));
        }
        let Proof::ApiToken { expires_at: Some(end), .. } = principal.proof else { return Ok(()) };
        let is_new = before
            .is_none_or(|before| before.token_sha256 != token.token_sha256 || before.expires_at != token.expires_at);
        match token.expires_at {
            Some(own) if own.as_microsecond() <= end => Ok(()),
            _ if !is_new => Ok(()),
            _ => {
                let end = Timestamp::from_microsecond(end).unwrap_or_default();
                Err(CommitError::Forbidden(format!(
                    "what is made with a token cannot outlive it; set `expires_at` to {end} or sooner"
                )))
            }
        }
    }
}
