//! Whose name and secret these are.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::access::{Account, AccountKind};
use crate::api::error::ApiError;
use crate::control::Control;
use crate::login::failures::Failure;
use crate::login::{Arrival, session};
use crate::password;

/// Why a name and a secret are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such account, it is locked, or the secret is another one. Which of them is not told.
    Wrong,
    /// There were too many wrong ones; come back after this many seconds.
    Throttled(u64),
    /// Too many are being checked at the moment.
    Busy,
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => Self::login_failed(),
            Refused::Throttled(seconds) => Self::rate_limited(seconds),
            Refused::Busy => Self::busy(),
        }
    }
}

/// The account with this name and secret.
pub async fn check(
    control: &Control,
    kind: AccountKind,
    name: &str,
    secret: String,
    arrival: &Arrival,
) -> Result<Arc<Account>, Refused> {
    let address = arrival.origin.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let account = control.store.access.load().login(kind, name).cloned();
    let note = |reason| {
        let tenant_id = account.as_ref().map(|account| account.tenant_id);
        let user = account.as_ref().map(|account| (account.id, account.name.clone()));
        control.failures.note(&control.store, &Failure { kind, user, tenant_id, address, reason });
    };
    let attempt = control.guesses.attempt(address, name).map_err(|seconds| {
        note("rate_limited");
        Refused::Throttled(seconds)
    })?;
    if let Some(seconds) = attempt.wait_of_name()
        && !is_known(control, account.as_deref(), address).await
    {
        note("rate_limited");
        return Err(Refused::Throttled(seconds));
    }
    let hash = account.as_ref().and_then(|account| account.secret_hash.clone());
    let Ok(is_right) = password::verify(hash, secret).await else {
        note("busy");
        return Err(Refused::Busy);
    };
    match account.as_ref().filter(|_| is_right) {
        Some(account) => Ok(account.clone()),
        None => {
            attempt.was_wrong();
            tracing::warn!(target: "control", account = name, client_ip = %address, "login_failed");
            note("wrong");
            Err(Refused::Wrong)
        }
    }
}

/// Refuses unless this is the password of somebody who is logged in already.
pub async fn confirm(control: &Control, account: &Account, password: String, arrival: &Arrival) -> Result<(), Refused> {
    let address = arrival.origin.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let attempt = control.guesses.attempt(address, &account.id.to_string()).map_err(Refused::Throttled)?;
    match password::verify(account.secret_hash.clone(), password).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            attempt.was_wrong();
            Err(Refused::Wrong)
        }
        Err(password::Busy) => Err(Refused::Busy),
    }
}

/// Whether the account has logged in from this network before. Somebody else's guesses do not keep it out there.
async fn is_known(control: &Control, account: Option<&Account>, address: IpAddr) -> bool {
    match account {
        Some(account) => session::has_come_from(&control.store, account.id, address).await.unwrap_or(false),
        None => false,
    }
}
