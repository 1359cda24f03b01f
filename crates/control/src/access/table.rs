//! Everybody who may do anything, as of the last commit.

use std::collections::HashMap;
use std::sync::Arc;

use portunus_gateway::kind::{Id, Kind as _};
use serde::Deserialize;

use super::account::{Account, AccountKind, Grant, HeldRole};
use super::directory::Directory;
use super::step_up::{Policy, SecondFactor};
use super::token::Token;
use crate::approval::rules::RuleTable;
use crate::resource::api_token::{ApiToken, TokenStatus};
use crate::resource::login_policy::LoginPolicy;
use crate::resource::user::AccountStatus;
use crate::store::row::Row;

/// All accounts that may get tokens, and all API tokens. Rebuilt when an account, a role, a token or a tenant changes, so
/// a change of rights holds from the next call on.
#[derive(Debug, Default)]
pub struct AccessTable {
    pub(super) accounts: HashMap<Id, Arc<Account>>,
    /// By name and by address in lower case; what names several accounts of one tenant or of several is sorted out
    /// when it is asked for.
    pub(super) names: HashMap<(AccountKind, String), Vec<Id>>,
    emails: HashMap<String, Vec<Id>>,
    pub(super) tenants: HashMap<String, Id>,
    pub(super) directory: Directory,
    /// How people log in.
    pub login_policy: Arc<LoginPolicy>,
    /// Which calls need approval.
    pub approval_rules: RuleTable,
    /// By tenant and name.
    roles: HashMap<(Id, String), Id>,
    /// By SHA-256 of its text.
    tokens: HashMap<[u8; 32], Arc<Token>>,
    /// The tenant that owns what holds for all.
    pub platform: Option<Id>,
}

#[derive(Deserialize)]
struct AccountSpec {
    #[serde(default)]
    roles: Vec<Id>,
    #[serde(default)]
    status: AccountStatus,
    #[serde(alias = "password_hash")]
    secret_hash: Option<String>,
    email: Option<String>,
}

/// What is known of an account beside what was configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountState {
    /// See [`Account::generation`].
    pub generation: u64,
    /// See [`Account::must_reset_password`].
    pub must_reset_password: bool,
    /// Whether a person has a second factor that was shown to work.
    pub has_factor: bool,
}

#[derive(Deserialize)]
struct RoleSpec {
    permissions: Vec<String>,
}

impl AccessTable {
    /// The table of these tenants, users, service accounts, roles, API tokens and identity providers.
    pub fn new(rows: &[Row], states: &HashMap<Id, AccountState>, platform: Option<Id>) -> Self {
        let roles: HashMap<Id, (&Row, RoleSpec)> = rows
            .iter()
            .filter(|row| row.kind.kind == "Role")
            .filter_map(|row| Some((row.id, (row, RoleSpec::deserialize(&row.spec).ok()?))))
            .collect();
        let policy = Policy::among(rows, platform);
        let accounts = rows.iter().filter_map(|row| {
            let kind = match row.kind.kind {
                "User" => AccountKind::User,
                "ServiceAccount" => AccountKind::ServiceAccount,
                _ => return None,
            };
            let spec = AccountSpec::deserialize(&row.spec).ok()?;
            if spec.status == AccountStatus::Locked {
                return None;
            }
            let grants: Vec<Grant> = spec
                .roles
                .iter()
                .filter_map(|id| roles.get(id))
                .map(|(_, role)| Grant {
                    // An account of the platform acts everywhere, any other in its own tenant, whoever owns the role.
                    tenant_id: if Some(row.tenant_id) == platform { None } else { Some(row.tenant_id) },
                    permissions: role.permissions.clone(),
                })
                .collect();
            let state = states.get(&row.id).copied().unwrap_or_default();
            let second_factor = SecondFactor {
                has_one: state.has_factor,
                must_have_one: kind == AccountKind::User && policy.asks(&grants),
                fresh: policy.fresh(),
            };
            let held = spec.roles.iter().filter_map(|id| roles.get(id)).map(|(role, _)| HeldRole {
                id: role.id,
                name: role.name.clone(),
                tenant_id: role.tenant_id,
            });
            let account = Account {
                id: row.id,
                kind,
                tenant_id: row.tenant_id,
                name: row.name.clone(),
                email: spec.email,
                secret_hash: spec.secret_hash,
                generation: state.generation,
                must_reset_password: state.must_reset_password,
                second_factor,
                roles: held.collect(),
                grants,
            };
            Some((row.id, Arc::new(account)))
        });
        let mut table = Self { accounts: accounts.collect(), platform, ..Self::default() };
        for account in table.accounts.values() {
            table.names.entry((account.kind, account.name.clone())).or_default().push(account.id);
            if let Some(email) = &account.email {
                table.emails.entry(email.to_lowercase()).or_default().push(account.id);
            }
        }
        let tenants = rows.iter().filter(|row| row.kind.kind == "Tenant");
        table.directory = Directory::new(rows, platform);
        table.tenants = tenants.map(|row| (row.name.clone(), row.id)).collect();
        let policy = rows.iter().find(|row| row.kind.kind == LoginPolicy::KIND);
        table.login_policy =
            policy.and_then(|row| LoginPolicy::deserialize(&row.spec).ok()).map(Arc::new).unwrap_or_default();
        table.approval_rules = RuleTable::new(rows);
        table.roles = roles.values().map(|(role, _)| ((role.tenant_id, role.name.clone()), role.id)).collect();
        table.tokens = rows.iter().filter(|row| row.kind.kind == "ApiToken").flat_map(tokens).collect();
        table
    }

    /// The role that a name stands for in a tenant. One of the platform comes first, so that no tenant can make a role
    /// that is taken for it.
    pub fn role_named(&self, name: &str, tenant_id: Id) -> Option<Id> {
        let of = |tenant_id: Id| self.roles.get(&(tenant_id, name.to_owned())).copied();
        self.platform.and_then(of).or_else(|| of(tenant_id))
    }

    /// The account with this id.
    pub fn account(&self, id: Id) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// The API token with this SHA-256 of its text. Whether its time is over is to be asked at each call.
    pub fn token(&self, sha256: &[u8; 32]) -> Option<&Arc<Token>> {
        self.tokens.get(sha256)
    }

    /// The account that logs in under this text: its name, the address of a person, or either of them with the name of
    /// the tenant and a slash in front.
    ///
    /// No tenant can take a name away from the platform's accounts; a name that several other tenants use names nobody
    /// without the tenant.
    pub fn login(&self, kind: AccountKind, text: &str) -> Option<&Arc<Account>> {
        if let Some((tenant, rest)) = text.split_once('/') {
            let tenant = *self.tenants.get(tenant)?;
            return self.one(kind, rest, Some(tenant));
        }
        self.one(kind, text, self.platform).or_else(|| self.one(kind, text, None))
    }

    /// The one account under this name or address, in a tenant or in all.
    fn one(&self, kind: AccountKind, text: &str, tenant: Option<Id>) -> Option<&Arc<Account>> {
        let only = |ids: Option<&Vec<Id>>| {
            let found = ids.into_iter().flatten().filter_map(|id| self.accounts.get(id));
            let mut found = found.filter(|account| tenant.is_none_or(|tenant| account.tenant_id == tenant));
            match (found.next(), found.next()) {
                (Some(account), None) => Some(account),
                _ => None,
            }
        };
        only(self.names.get(&(kind, text.to_owned()))).or_else(|| match kind {
            AccountKind::User => only(self.emails.get(&text.to_lowercase())),
            AccountKind::ServiceAccount => None,
        })
    }

    /// The people with this address.
    pub fn with_email(&self, email: &str) -> Vec<&Arc<Account>> {
        let ids = self.emails.get(&email.to_lowercase());
        ids.into_iter().flatten().filter_map(|id| self.accounts.get(id)).collect()
    }
}

/// The texts that a token is accepted by: its own, and for a while the one that it had before.
fn tokens(row: &Row) -> Vec<([u8; 32], Arc<Token>)> {
    let Ok(spec) = ApiToken::deserialize(&row.spec) else { return Vec::new() };
    let Some(owner) = spec.owner().filter(|_| spec.status == TokenStatus::Active) else { return Vec::new() };
    let expires_at = spec.expires_at.map(|end| end.as_microsecond());
    let token = Token {
        id: row.id,
        name: row.name.clone(),
        owner,
        scopes: spec.scopes.as_deref().map(Arc::from),
        expires_at,
        accepted_until: expires_at,
    };
    let mut texts = Vec::new();
    if let (Some(hash), Some(end)) = (spec.previous_hash(), spec.previous_expires_at) {
        let end = end.as_microsecond();
        let until = Some(expires_at.map_or(end, |own| own.min(end)));
        texts.push((hash, Arc::new(Token { accepted_until: until, ..token.clone() })));
    }
    texts.extend(spec.hash().map(|hash| (hash, Arc::new(token))));
    texts
}
