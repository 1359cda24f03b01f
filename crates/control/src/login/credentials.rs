//! Whose name and secret these are.

use std::sync::Arc;

use crate::access::{Account, AccountKind};
use crate::control::Control;
use crate::login::Arrival;
use crate::password;

/// Why a name and a secret are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such account, it is locked, or the secret is another one. Which of them is not told.
    Wrong,
    /// There were too many wrong ones; come back after this many seconds.
    Throttled(u64),
}

/// The account with this name and secret.
pub async fn check(
    control: &Control,
    kind: AccountKind,
    name: &str,
    secret: String,
    arrival: &Arrival,
) -> Result<Arc<Account>, Refused> {
    let address = arrival.origin.address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    if let Some(wait) = control.throttle.is_guessing(address, name) {
        return Err(Refused::Throttled(wait));
    }
    let account = control.store.access.load().login(kind, name).cloned();
    let hash = account.as_ref().and_then(|account| account.secret_hash.clone());
    let is_right = password::verify(hash, secret).await;
    match account.filter(|_| is_right) {
        Some(account) => Ok(account),
        None => {
            control.throttle.guessed_wrong(address, name);
            tracing::warn!(target: "control", account = name, client_ip = %address, "login_failed");
            Err(Refused::Wrong)
        }
    }
}
