//! Links to set a password with: mailed when there is a server for mail, else shown to the administrator who asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::one_time::{self, OneTime, Purpose};
use crate::access::Account;
use crate::api::error::ApiError;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;
use crate::mail::Letter;
use crate::store::row::time;

/// The page that takes a new password. What follows the `#` never leaves the browser, so no log has it.
fn link(control: &Control, token: &str) -> String {
    format!("{}/login/reset#{token}", control.tokens.public_url())
}

/// Makes a link for a user and sends it; the answer shows it only when it cannot be mailed.
pub async fn hand_out(
    control: &Control,
    account: &Arc<Account>,
    purpose: Purpose,
    actor: Actor,
) -> Result<Value, ApiError> {
    let word = match purpose {
        Purpose::Invitation => "user.invited",
        Purpose::Reset | Purpose::Forced => "user.password_reset_offered",
    };
    let event = NewEvent::new(actor, word).of(account.tenant_id).about("User", account.id, &account.name);
    let user = account.id;
    let made = control.store.transact(move |write| {
        Box::pin(async move {
            write.events.push(event);
            one_time::make_in(write.db, user, purpose, write.now).await
        })
    });
    let OneTime { token, expires_at } = made.await?;
    let link = link(control, &token);
    let mut answer =
        json!({ "user_id": user, "purpose": purpose.word(), "expires_at": time(expires_at), "mailed": false });
    match (&control.mailer, &account.email) {
        (Some(mailer), Some(email)) => {
            mailer.send(letter(account, email, purpose, &link, expires_at));
            answer["mailed"] = true.into();
        }
        _ => answer["link"] = link.into(),
    }
    Ok(answer)
}

fn letter(account: &Account, email: &str, purpose: Purpose, link: &str, expires_at: i64) -> Letter {
    let (subject, first) = match purpose {
        Purpose::Invitation => {
            ("Your account at Portunus", "An account was made for you at Portunus, the API gateway.")
        }
        Purpose::Reset | Purpose::Forced => {
            ("Set a new password at Portunus", "Somebody asked for a new password for your account at Portunus.")
        }
    };
    let text = format!(
        "{first}\n\nYour login name is {}. Set your password here:\n\n{link}\n\nThe link is good for one use, until {}.\n\
         If you did not expect this, do nothing: nothing changes then.\n",
        account.name,
        time(expires_at),
    );
    Letter {
        to: email.to_owned(),
        subject: subject.to_owned(),
        text,
        tenant_id: account.tenant_id,
        purpose: purpose.word(),
    }
}

/// Mails a link to everybody with this address. Whoever asked learns nothing: not whether there is somebody, and not by
/// the time it takes.
pub fn forgotten(control: &Arc<Control>, email: String, actor: Actor) {
    let control = control.clone();
    tokio::spawn(async move {
        if control.mailer.is_none() {
            tracing::warn!(target: "control", "a password reset was asked for, but there is no SMTP_URL to mail it with");
            return;
        }
        let accounts: Vec<Arc<Account>> =
            control.store.access.load().with_email(&email).into_iter().take(MOST_ACCOUNTS).cloned().collect();
        for account in accounts {
            if let Err(error) = hand_out(&control, &account, Purpose::Reset, actor.clone()).await {
                tracing::error!(target: "control", error = error.detail, "a password reset failed");
            }
        }
    });
}

/// The most accounts of one address that get a letter.
const MOST_ACCOUNTS: usize = 5;
