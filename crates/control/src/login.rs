//! Logins: from a password to a session, and what ends one.
//!
//! [`credentials`] says whose password it is, [`begin`] makes the [`session`], [`refresh`] keeps it going. Sessions are
//! looked up in the store at each call, so what ends one holds from the next call on.

pub mod changes;
pub mod cookie;
pub mod credentials;
pub mod failures;
pub mod link;
pub mod one_time;
pub mod password_change;
pub mod refresh;
pub mod session;
pub mod throttle;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::Account;
use crate::api::error::ApiError;
use crate::api::realm::userinfo::role_names;
use crate::audit::event::{Actor, ActorKind, NewEvent};
use crate::control::Control;
use crate::principal::Origin;
use crate::store::row::time;
use crate::token::Recipient;
use refresh::RefreshToken;
use session::Session;

/// The most characters that are kept of what a client says it is.
const LONGEST_USER_AGENT: usize = 200;

/// A login by password.
pub const PASSWORD: &str = "password";

/// Second factors.
const FACTORS: [&str; 3] = ["totp", "webauthn", "backup_code"];

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;

/// Where a login comes from.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// The address and the id of the call.
    pub origin: Origin,
    /// What the client says it is.
    pub user_agent: String,
    /// The realm that was asked for a token.
    pub realm: String,
    /// The client that asked.
    pub client_id: String,
}

impl Arrival {
    /// The arrival of a call.
    pub fn new(origin: &Origin, headers: &HeaderMap) -> Self {
        let text = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Recipient { realm, client_id, .. } = Recipient::default();
        Self {
            origin: origin.clone(),
            user_agent: text.chars().take(LONGEST_USER_AGENT).collect(),
            realm: realm.to_owned(),
            client_id: client_id.to_owned(),
        }
    }
}

/// A session that has just begun, or goes on, with the secrets that are shown this once.
pub struct Started {
    /// The session.
    pub session: Session,
    /// What the session cookie holds; only a new session has it.
    pub cookie: Option<String>,
    /// What the next refresh needs.
    pub refresh_token: String,
    /// An access token that ends with the session.
    pub access_token: String,
    /// How many seconds the access token lives.
    pub expires_in: u64,
}

impl Started {
    /// The answer to a login or a refresh.
    pub fn answer(&self, account: &Account) -> Value {
        let mut answer = json!({
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
            "session_id": self.session.id,
            "session_expires_at": time(self.session.expires_at),
            "user": { "id": account.id, "name": account.name, "tenant_id": account.tenant_id },
        });
        if let Some(cookie) = &self.cookie {
            answer["csrf_token"] = session::csrf(cookie).into();
        }
        answer
    }
}

/// Begins a session of somebody who has shown who they are by these methods.
pub async fn begin(
    control: &Control,
    account: &Arc<Account>,
    arrival: &Arrival,
    methods: &[&str],
) -> Result<Started, ApiError> {
    let has_shown_factor = methods.iter().any(|method| FACTORS.contains(method));
    if account.second_factor.has_one && !has_shown_factor && methods.contains(&PASSWORD) {
        // Whoever logs somebody in asks for the factor before; nobody gets past it by forgetting to.
        return Err(ApiError::second_factor_refused());
    }
    if account.must_reset_password && methods.contains(&PASSWORD) {
        return Err(password_change::must_reset(control, account).await);
    }
    let cookie = api_key::random_text(43);
    let id = Uuid::now_v7();
    let policy = control.store.access.load().login_policy.clone();
    let new = session::New {
        id,
        account: account.clone(),
        token_sha256: session::sha256(&cookie),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        seconds: i64::from(policy.session_hours) * 3600,
        is_stepped_up: has_shown_factor,
        arrival: arrival.clone(),
    };
    let refresh = RefreshToken::random();
    let lifetime = control.settings.refresh_token_seconds;
    let event = NewEvent::new(actor(account, &arrival.origin, Some(id)), "login.succeeded")
        .of(account.tenant_id)
        .about("User", account.id, &account.name)
        .with(json!({ "session_id": id, "methods": methods }));
    let sha256 = refresh.sha256();
    let session = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                write.events.push(event);
                let session = session::insert(write.db, new, write.now).await?;
                refresh::insert(write.db, &session, &sha256, lifetime, write.now).await?;
                Ok(session)
            })
        })
        .await?;
    started(control, account, session, Some(cookie), refresh, arrival).await
}

async fn started(
    control: &Control,
    account: &Account,
    session: Session,
    cookie: Option<String>,
    refresh: RefreshToken,
    arrival: &Arrival,
) -> Result<Started, ApiError> {
    let roles = role_names(control, account).await?;
    let recipient = Recipient { realm: &arrival.realm, client_id: &arrival.client_id, roles: &roles };
    let left = u64::try_from((session.expires_at - session.last_seen_at) / SECOND).unwrap_or_default();
    let expires_in = control.settings.people_token_seconds.min(left);
    let access_token = control.tokens.issue(account, Some(session.id), expires_in, &recipient);
    Ok(Started { session, cookie, refresh_token: refresh.0, access_token, expires_in })
}

/// How the record names a person who is not yet a principal.
pub fn actor(account: &Account, origin: &Origin, session: Option<Id>) -> Actor {
    Actor {
        kind: ActorKind::User,
        id: Some(account.id),
        name: account.name.clone(),
        via: session.map(|id| format!("session:{id}")).unwrap_or_default(),
        address: origin.address,
        request_id: origin.request_id.clone(),
    }
}

/// How the record names somebody who is not known, but for their address.
pub fn stranger(origin: &Origin) -> Actor {
    Actor { address: origin.address, request_id: origin.request_id.clone(), ..Actor::default() }
}
