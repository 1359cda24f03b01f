//! Which account somebody from outside is: the user that they are linked to, a user that is made of them, or, for calls
//! with a token, an account for this call alone.

use std::sync::Arc;

use aws_lc_rs::digest;
use portunus_gateway::config::consumer::is_email;
use portunus_gateway::kind::{Id, check_name};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::{Builder, Version};

use super::claims::{self, Given};
use super::{Link, Outside, Provider};
use crate::access::Account;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;
use crate::resource;
use crate::store::{Action, Change, CommitError, Edit, Op, StoreError};

/// Why somebody from outside is nobody here.
#[derive(Debug, Clone, Error)]
pub enum Denied {
    /// The user is locked, or is not there any more.
    #[error("the user is locked")]
    Locked,
    /// Nothing that the provider says gives a role.
    #[error("nothing that the provider says of this person gives a role")]
    NoRole,
    /// Their address is not among those that are let in.
    #[error("the provider does not vouch for an address of a domain that is let in")]
    Email,
    /// They have no name that can be used.
    #[error("the claim with the name is missing, or is not a usable name")]
    Name,
    /// The name is that of somebody else.
    #[error("a user of this name exists already and is not this provider's")]
    Taken,
    /// They are no user, and none is made.
    #[error("no user is linked to this identity, and the provider makes none")]
    Unknown,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

impl Denied {
    /// Its word in the record.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::NoRole => "no_role",
            Self::Email => "email",
            Self::Name => "name",
            Self::Taken => "name_taken",
            Self::Unknown => "unknown_identity",
            Self::Store(_) => "store",
        }
    }
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::Store(error.0)
    }
}

impl From<sqlx::Error> for Denied {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<CommitError> for Denied {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::Taken,
            CommitError::Invalid(problems) => {
                tracing::warn!(target: "control", problems = ?problems, "a user cannot be made of an identity");
                Self::Name
            }
            other => Self::Store(other.to_string()),
        }
    }
}

/// Somebody from outside.
struct Person<'a> {
    provider: &'a Provider,
    claims: &'a Value,
    outside: Outside,
    name: String,
    given: Given,
}

/// The user who logs in.
pub async fn of_login(control: &Control, provider: &Provider, claims: &Value) -> Result<Arc<Account>, Denied> {
    let person = Person::new(control, provider, claims)?;
    let account = person.user(control).await?.ok_or(Denied::Unknown)?;
    if provider.spec.provision && person.given.roles.is_empty() {
        return Err(Denied::NoRole);
    }
    Ok(account)
}

/// The account of a call with a token.
pub async fn of_call(control: &Control, provider: &Provider, claims: &Value) -> Result<Arc<Account>, Denied> {
    let person = Person::new(control, provider, claims)?;
    match person.user(control).await {
        Ok(Some(account)) => Ok(account),
        Ok(None) | Err(Denied::Taken | Denied::NoRole) => Ok(Arc::new(person.guest(control))),
        Err(denied) => Err(denied),
    }
}

impl<'a> Person<'a> {
    fn new(control: &Control, provider: &'a Provider, claims: &'a Value) -> Result<Self, Denied> {
        let subject = claims["sub"].as_str().filter(|subject| !subject.is_empty()).ok_or(Denied::Name)?;
        let domains = &provider.spec.email_domains;
        let is_welcome = |email: &str| {
            let domain = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
            domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
        };
        if !domains.is_empty() && !verified_email(claims).is_some_and(is_welcome) {
            return Err(Denied::Email);
        }
        let name = claims::lookup(claims, &provider.spec.username_claim).and_then(Value::as_str).unwrap_or(subject);
        if check_name(name).is_some() {
            return Err(Denied::Name);
        }
        let access = control.store.access.load();
        let given = claims::evaluate(provider, claims, &access);
        // Whoever is locked here does not come back by another door.
        if access.is_locked(given.tenant_id, name) {
            return Err(Denied::Locked);
        }
        let outside = (provider.spec.issuer.clone(), subject.to_owned());
        Ok(Self { provider, claims, outside, name: name.to_owned(), given })
    }

    /// The user that they are, or are made.
    async fn user(&self, control: &Control) -> Result<Option<Arc<Account>>, Denied> {
        if let Some(account) = self.linked(control).await? {
            return Ok(Some(account));
        }
        if !self.provider.spec.provision && !self.provider.spec.link_existing {
            return Ok(None);
        }
        // Of several first calls at once, one makes the user.
        let _turn = control.federation.making.lock().await;
        if let Some(account) = self.linked(control).await? {
            return Ok(Some(account));
        }
        let existing = control.store.access.load().user(self.given.tenant_id, &self.name).map(|account| account.id);
        let id = match existing {
            Some(id) if self.provider.spec.link_existing => id,
            Some(_) => return Err(Denied::Taken),
            None if !self.provider.spec.provision => return Ok(None),
            None if self.given.roles.is_empty() => return Err(Denied::NoRole),
            None => self.make(control).await?,
        };
        self.link(control, id).await?;
        Ok(control.store.access.load().account(id).cloned())
    }

    async fn linked(&self, control: &Control) -> Result<Option<Arc<Account>>, Denied> {
        let Some(link) = control.federation.link(&self.outside) else { return Ok(None) };
        let account = |id| control.store.access.load().account(id).cloned();
        if account(link.user_id).is_none() {
            // Locked, unless somebody deleted the user: then this is a new beginning.
            return match control.store.get(user_kind(), link.user_id).await? {
                Some(_) => Err(Denied::Locked),
                None => self.unlink(control).await.map(|()| None),
            };
        }
        self.follow(control, &link).await?;
        Ok(account(link.user_id))
    }

    /// The roles of a user that a provider makes follow its claims.
    async fn follow(&self, control: &Control, link: &Link) -> Result<(), Denied> {
        if !self.provider.spec.provision || link.roles.as_ref() == Some(&self.given.roles) {
            return Ok(());
        }
        let Some(row) = control.store.get(user_kind(), link.user_id).await? else { return Ok(()) };
        // What a provider of another tenant says is nothing for this user.
        if row.tenant_id != self.given.tenant_id {
            return Err(Denied::Taken);
        }
        let mut current: Vec<Id> = row.references().into_iter().map(|(_, id)| id).collect();
        current.sort_unstable();
        if current != self.given.roles {
            let patch = Edit::Merge(json!({ "roles": self.given.roles }));
            let action = Action::Update { id: row.id, if_match: None, name: None, edit: patch };
            control.store.commit(self.change(action)).await?;
        }
        let link = Link { user_id: link.user_id, roles: Some(self.given.roles.clone()) };
        control.federation.keep_link(&self.outside, link);
        Ok(())
    }

    async fn make(&self, control: &Control) -> Result<Id, Denied> {
        let host =
            reqwest::Url::parse(&self.provider.spec.issuer).ok().and_then(|url| Some(url.host_str()?.to_owned()));
        // An address that nobody vouches for could be anybody's.
        let email = match verified_email(self.claims) {
            Some(email) => email.to_owned(),
            None => format!("{}@{}", self.outside.1, host.unwrap_or_default()),
        };
        if !is_email(&email) {
            return Err(Denied::Email);
        }
        let mut spec = json!({ "email": email, "roles": self.given.roles });
        if let Some(name) = self.claims["name"].as_str().filter(|name| (1..=200).contains(&name.chars().count())) {
            spec["display_name"] = name.into();
        }
        let action = Action::Create { tenant_id: self.given.tenant_id, name: Some(self.name.clone()), spec };
        let committed = control.store.commit(self.change(action)).await?;
        committed.outcomes.first().map(|outcome| outcome.row.id).ok_or(Denied::Unknown)
    }

    fn change(&self, action: Action) -> Change {
        let actor = Actor::system(&format!("identity-provider:{}", self.provider.name));
        let op = Op { kind: user_kind(), path: String::new(), action };
        Change { actor, principal: None, ops: vec![op], dry_run: false, call: None }
    }

    async fn link(&self, control: &Control, user_id: Id) -> Result<(), Denied> {
        let ((issuer, subject), name, tenant_id) = (self.outside.clone(), self.name.clone(), self.given.tenant_id);
        let actor = Actor::system(&format!("identity-provider:{}", self.provider.name));
        let provider_id = self.provider.id;
        control
            .store
            .transact(move |write| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO external_identity (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)",
                    )
                    .bind(issuer)
                    .bind(subject)
                    .bind(user_id.to_string())
                    .bind(write.now)
                    .execute(&mut *write.db)
                    .await?;
                    let event = NewEvent::new(actor, "user.linked").of(tenant_id).about("User", user_id, &name);
                    write.events.push(event.with(json!({ "provider_id": provider_id })));
                    Ok(())
                })
            })
            .await?;
        control.federation.keep_link(&self.outside, Link { user_id, roles: None });
        Ok(())
    }

    async fn unlink(&self, control: &Control) -> Result<(), Denied> {
        let (issuer, subject) = self.outside.clone();
        control
            .store
            .transact(move |write| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM external_identity WHERE issuer = $1 AND subject = $2")
                        .bind(issuer)
                        .bind(subject)
                        .execute(write.db)
                        .await
                })
            })
            .await?;
        control.federation.drop_link(&self.outside);
        Ok(())
    }

    /// An account for one call. Its id is always the same for the same person.
    fn guest(&self, control: &Control) -> Account {
        let (issuer, subject) = &self.outside;
        let hash = digest::digest(&digest::SHA256, format!("{issuer}\n{subject}").as_bytes());
        let bytes: [u8; 16] = hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
        let id = Builder::from_bytes(bytes).with_version(Version::Custom).into_uuid();
        let name = format!("{}:{}", self.provider.name, self.name);
        control.store.access.load().guest(id, self.given.tenant_id, name, &self.given.roles)
    }
}

/// The address that the provider has verified.
fn verified_email(claims: &Value) -> Option<&str> {
    let is_verified = matches!(&claims["email_verified"], Value::Bool(true)) || claims["email_verified"] == "true";
    claims["email"].as_str().filter(|_| is_verified)
}

fn user_kind() -> &'static portunus_gateway::kind::KindInfo {
    resource::by_kind("User").expect("the kind User is in the list")
}
