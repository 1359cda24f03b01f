//! `/v1/login/mfa`: the second half of a login. The first half, the right password, gave a token that is good for this
//! and for nothing else.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portunus_gateway::clock;
use sqlx::SqliteConnection;

use super::forms::{SecondHalf, Waiting};
use super::step_up::ask;
use super::{once, refusal};
use crate::access::Account;
use crate::api::body::Object;
use crate::api::error::ApiError;
use crate::api::identify::Identity;
use crate::api::login::{answer, read};
use crate::control::Control;
use crate::login::{self, Arrival};
use crate::mfa::challenge::{self, Found, Purpose};
use crate::mfa::methods;
use crate::mfa::verify::{Person, Shown, Verdict};
use crate::principal::Origin;

/// The refusal of a right password whose account has a second factor: it says how to go on.
pub async fn second_half(control: &Control, account: &Account) -> Result<ApiError, ApiError> {
    let keys = control.factors.keys.clone();
    let (user, generation) = (account.id, account.generation);
    let (token, known, left) = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let state = generation.to_string();
                let token = challenge::put(write.db, &keys, user, Purpose::Login, &state, write.now).await?;
                let known = methods::of(write.db, user).await?;
                Ok((token, known, crate::mfa::backup::left(write.db, user).await?))
            })
        })
        .await?;
    let mut methods: Vec<&str> = known
        .iter()
        .filter(|method| method.confirmed_at.is_some())
        .map(|method| method.method_type.word())
        .chain((left > 0).then_some("backup_code"))
        .collect();
    methods.sort_unstable();
    methods.dedup();
    Ok(ApiError::second_factor_required(&token, &methods))
}

/// `POST /v1/login/mfa/webauthn-options`.
pub(super) async fn webauthn_options(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    body: Object,
) -> Result<Response, ApiError> {
    let Waiting { mfa_token: token } = read(body)?;
    let now = clock::now().as_microsecond();
    let mut db = control.store.readers().acquire().await?;
    let found = challenge::find(&mut db, &control.factors.keys, &token, Purpose::Login, now).await?;
    drop(db);
    let account = waiting(&control, found.as_ref())?;
    let person = Person::new(&account, login::actor(&account, &identity.origin, None));
    Ok(once(StatusCode::OK, ask(&control, person, Purpose::LoginAssertion).await?))
}

/// `POST /v1/login/mfa`.
pub(super) async fn complete(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let (token, factor) = read::<SecondHalf>(body)?.split();
    let shown = factor.shown()?;
    let arrival = Arrival::new(&identity.origin, &headers);
    let now = clock::now().as_microsecond();
    let mut db = control.store.readers().acquire().await?;
    let found = challenge::find(&mut db, &control.factors.keys, &token, Purpose::Login, now).await?;
    drop(db);
    let account = waiting(&control, found.as_ref())?;
    let method = judge(&control, &account, &identity.origin, shown, Some(token)).await?;
    let started = login::begin(&control, &account, &arrival, &[login::PASSWORD, method]).await?;
    Ok(answer(&control, &account, &started))
}

/// Judges the factor of a login, and which it was. A token is used up with the acceptance and stays for another try
/// otherwise; of two calls with one token that are both right, one is taken.
pub async fn judge(
    control: &Control,
    account: &Account,
    origin: &Origin,
    shown: Shown,
    token: Option<String>,
) -> Result<&'static str, ApiError> {
    let factors = control.factors.clone();
    let person = Person::new(account, login::actor(account, origin, None));
    control
        .store
        .transact(move |mut write| {
            Box::pin(async move {
                if let Some(token) = &token
                    && !is_open(write.db, &factors.keys, token, write.now).await?
                {
                    return Ok(Err(over()));
                }
                match factors.verify(&mut write, &person, &shown, Purpose::LoginAssertion).await? {
                    Verdict::Accepted(method) => {
                        if let Some(token) = &token {
                            challenge::take(write.db, &factors.keys, token, Purpose::Login, write.now).await?;
                        }
                        Ok(Ok(method))
                    }
                    verdict => Ok(Err(refusal(verdict))),
                }
            })
        })
        .await?
}

async fn is_open(
    db: &mut SqliteConnection,
    keys: &portunus_gateway::secret::Keyring,
    token: &str,
    now: i64,
) -> sqlx::Result<bool> {
    Ok(challenge::find(db, keys, token, Purpose::Login, now).await?.is_some())
}

/// The account whose login waits, if nothing has ended its tokens since its password was shown.
fn waiting(control: &Control, found: Option<&Found>) -> Result<Arc<Account>, ApiError> {
    let found = found.ok_or_else(over)?;
    let account = control.store.access.load().account(found.user).cloned();
    account.filter(|account| account.generation.to_string() == found.state).ok_or_else(over)
}

fn over() -> ApiError {
    ApiError {
        detail: "this login is over or not known; begin again with the password".to_owned(),
        ..ApiError::unauthorized(None)
    }
}
