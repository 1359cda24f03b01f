//! Which changes need approval: the rules as they stand, and the ones that a change falls under.

use std::collections::BTreeSet;
use std::sync::Arc;

use portunus_gateway::kind::Id;
use serde::Deserialize;

use super::requests::Terms;
use crate::access::Permission;
use crate::resource::approval_rule::ApprovalRule;
use crate::store::row::Row;

/// A rule that is enabled.
#[derive(Debug)]
pub struct Rule {
    /// Its id.
    pub id: Id,
    /// Where it holds; the platform's hold everywhere.
    pub tenant_id: Id,
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: ApprovalRule,
}

/// The rules that are enabled.
#[derive(Debug, Default)]
pub struct RuleTable(Vec<Arc<Rule>>);

impl RuleTable {
    /// The rules among these resources.
    pub fn new(rows: &[Row]) -> Self {
        let rules = rows.iter().filter(|row| row.kind.kind == "ApprovalRule").filter_map(|row| {
            let spec = ApprovalRule::deserialize(&row.spec).ok().filter(|spec| spec.enabled)?;
            Some(Arc::new(Rule { id: row.id, tenant_id: row.tenant_id, name: row.name.clone(), spec }))
        });
        Self(rules.collect())
    }

    /// Whether there is none, so that nothing can need approval.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule with this id, if it is still enabled.
    pub fn get(&self, id: Id) -> Option<&Arc<Rule>> {
        self.0.iter().find(|rule| rule.id == id)
    }

    /// The rules that this falls under in this tenant. Approving itself falls under none.
    pub fn of(&self, permission: Permission, tenant_id: Id, platform: Option<Id>) -> impl Iterator<Item = &Arc<Rule>> {
        let needs_none = permission.noun == "approval" || permission.verb.name() == "read";
        self.0.iter().filter(move |rule| {
            !needs_none
                && (rule.tenant_id == tenant_id || Some(rule.tenant_id) == platform)
                && rule.spec.permissions.iter().any(|text| permission.is_granted_by(text))
        })
    }
}

/// What a call lacks: the approval that rules ask for.
#[derive(Debug, Clone)]
pub struct Needed {
    /// The permissions that are used, in order.
    pub permissions: BTreeSet<String>,
    /// The tenant in which it is approved.
    pub tenant_id: Id,
    /// The rules.
    pub rules: Vec<Arc<Rule>>,
}

impl Needed {
    /// What falls under rules of all these permissions in their tenants, without those that are cleared.
    pub fn of(
        table: &RuleTable,
        platform: Option<Id>,
        uses: impl IntoIterator<Item = (Permission, Id)>,
        cleared: &[Id],
    ) -> Option<Self> {
        let mut needed: Option<Self> = None;
        let mut seen = BTreeSet::new();
        for (permission, tenant_id) in uses {
            if !seen.insert((permission.to_string(), tenant_id)) {
                continue;
            }
            for rule in table.of(permission, tenant_id, platform).filter(|rule| !cleared.contains(&rule.id)) {
                let needed =
                    needed.get_or_insert_with(|| Self { permissions: BTreeSet::new(), tenant_id, rules: Vec::new() });
                needed.permissions.insert(permission.to_string());
                if needed.tenant_id != tenant_id {
                    // What touches several tenants is a matter of the platform.
                    needed.tenant_id = platform.unwrap_or(tenant_id);
                }
                if needed.rules.iter().all(|known| known.id != rule.id) {
                    needed.rules.push(rule.clone());
                }
            }
        }
        needed
    }

    /// What all its rules together ask for: the strictest of each.
    pub fn terms(&self) -> Terms {
        let specs = || self.rules.iter().map(|rule| &rule.spec);
        Terms {
            rules: self.rules.iter().map(|rule| rule.id).collect(),
            approver_roles: specs()
                .filter(|spec| !spec.approver_roles.is_empty())
                .map(|spec| spec.approver_roles.iter().map(|role| role.0).collect())
                .collect(),
            needed: specs().map(|spec| spec.approvals).max().unwrap_or(1),
            expires_seconds: 60 * i64::from(specs().map(|spec| spec.expires_minutes).min().unwrap_or(1)),
            valid_seconds: 60 * i64::from(specs().map(|spec| spec.valid_minutes).min().unwrap_or(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::access::Verb;
    use crate::resource;

    fn table(rules: &[(u128, serde_json::Value)]) -> RuleTable {
        let kind = resource::by_kind("ApprovalRule").expect("the kind is in the list");
        let rows: Vec<Row> = rules
            .iter()
            .enumerate()
            .map(|(index, (tenant, spec))| Row {
                id: Uuid::from_u128(100 + index as u128),
                kind,
                tenant_id: Uuid::from_u128(*tenant),
                name: format!("rule-{index}"),
                revision: 1,
                spec: spec.clone(),
                created_at: 0,
                updated_at: 0,
            })
            .collect();
        RuleTable::new(&rows)
    }

    const PLATFORM: Option<Id> = Some(Uuid::from_u128(1));

    fn needed(table: &RuleTable, uses: &[(&'static str, Verb, u128)], cleared: &[Id]) -> Option<Needed> {
        let uses = uses.iter().map(|(noun, verb, tenant)| (Permission::new(noun, *verb), Uuid::from_u128(*tenant)));
        Needed::of(table, PLATFORM, uses, cleared)
    }

    #[test]
    fn rules_hold_in_their_tenant_and_those_of_the_platform_everywhere() {
        let table = table(&[
            (1, json!({"permissions": ["role:*"], "approvals": 2})),
            (2, json!({"permissions": ["*:delete"], "valid_minutes": 5})),
            (2, json!({"permissions": ["*:*"], "enabled": false})),
        ]);
        let names = |needed: Option<Needed>| -> Vec<String> {
            needed.into_iter().flat_map(|needed| needed.rules).map(|rule| rule.name.clone()).collect()
        };
        assert_eq!(names(needed(&table, &[("role", Verb::Write, 3)], &[])), ["rule-0"]);
        assert_eq!(names(needed(&table, &[("role", Verb::Delete, 2)], &[])), ["rule-0", "rule-1"]);
        assert_eq!(names(needed(&table, &[("api", Verb::Delete, 3)], &[])), [""; 0]);
        assert_eq!(names(needed(&table, &[("role", Verb::Read, 2)], &[])), [""; 0]);
        let both = needed(&table, &[("role", Verb::Delete, 2)], &[]).expect("two rules");
        let terms = both.terms();
        assert_eq!((terms.needed, terms.valid_seconds, terms.rules.len()), (2, 300, 2));
        assert_eq!(names(needed(&table, &[("role", Verb::Delete, 2)], &terms.rules[..1])), ["rule-1"]);
        let many = needed(&table, &[("api", Verb::Delete, 2), ("role", Verb::Write, 3)], &[]).expect("two rules");
        assert_eq!(Some(many.tenant_id), PLATFORM, "what touches two tenants is the platform's");
    }

    #[test]
    fn approving_never_needs_approval() {
        let table = table(&[(1, json!({"permissions": ["*:*"]}))]);
        assert!(needed(&table, &[("approval", Verb::Write, 2)], &[]).is_none());
        assert!(needed(&table, &[("approval_rule", Verb::Write, 2)], &[]).is_some());
    }
}
