//! What a provider of identities may give: no more than whoever sets it up has.

use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::Stage;
use crate::resource;
use crate::resource::identity_provider::IdentityProvider;
use crate::store::CommitError;

impl Stage<'_> {
    /// The faults of a provider's rules; a refusal when they give rights that the asker does not have.
    pub(super) async fn check_provider(&mut self, tenant_id: Id, spec: &Value) -> Result<Vec<Problem>, CommitError> {
        let Ok(provider) = IdentityProvider::deserialize(spec) else { return Ok(Vec::new()) };
        let platform = self.access.platform;
        let within = |tenant: Id| if Some(tenant) == platform { None } else { Some(tenant) };
        let role = resource::by_kind("Role").expect("the kind Role is in the list");
        let mut problems = Vec::new();
        for (index, rule) in provider.rules.iter().enumerate() {
            let tenant = match &rule.tenant {
                None => Some(tenant_id),
                Some(text) => {
                    let found = self.tenant_quietly(text).await?;
                    found.filter(|id| *id == tenant_id || Some(tenant_id) == platform)
                }
            };
            let Some(tenant) = tenant else {
                let path = format!("/rules/{index}/tenant");
                let expected = "a tenant; for a tenant's own provider that tenant";
                let problem = Problem::new(path, "people cannot be let into this tenant", expected);
                problems.push(problem.found(rule.tenant.as_deref().unwrap_or_default()));
                continue;
            };
            for (place, name) in rule.roles.iter().enumerate() {
                let Some(id) = self.referred(role, tenant, true, name).await? else {
                    let path = format!("/rules/{index}/roles/{place}");
                    let expected = "the name of a role of the same tenant or of the platform";
                    problems.push(Problem::new(path, "there is no Role with this name", expected).found(name.as_str()));
                    continue;
                };
                let permissions: Vec<String> = match self.row(id).await? {
                    Some(row) => Vec::deserialize(&row.spec["permissions"]).unwrap_or_default(),
                    None => Vec::new(),
                };
                self.must_cover(&permissions, within(tenant))?;
            }
        }
        if provider.known_roles {
            self.must_cover(&["*:*".to_owned()], within(tenant_id))?;
        }
        Ok(problems)
    }

    fn must_cover(&self, permissions: &[String], within: Option<Id>) -> Result<(), CommitError> {
        match self.principal {
            Some(principal) if !principal.covers(permissions, within) => {
                Err(CommitError::Forbidden("nobody can hand out more rights than they have".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
