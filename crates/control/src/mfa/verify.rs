//! Whether a second factor is right. It is asked inside the writer's transaction: what makes a factor good for one use is
//! written with the decision.

use portunus_gateway::kind::Id;
use serde_json::{Value, json};

use super::challenge::{self, Purpose};
use super::methods::{self, Method, MethodType};
use super::passkey::{self, Refusal};
use super::{Factors, attempts, backup, totp};
use crate::access::Account;
use crate::audit::event::{Actor, NewEvent};
use crate::store::state::StateWrite;

/// What a person shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A code of an authenticator app.
    Code(String),
    /// A backup code.
    BackupCode(String),
    /// The answer of a WebAuthn authenticator.
    Assertion {
        /// The challenge that it answers.
        challenge: String,
        /// What `navigator.credentials.get` gave.
        credential: Value,
    },
}

/// Who shows it, and for what.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user.
    pub id: Id,
    /// Their tenant.
    pub tenant_id: Id,
    /// Their name.
    pub name: String,
    /// How the record names who calls.
    pub actor: Actor,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right, and used up. The word says what it was.
    Accepted(&'static str),
    /// It is not.
    Refused,
    /// There were too many wrong ones; none is looked at for so many seconds.
    TooMany(u64),
}

/// Why a factor is refused, for the record.
type Why = &'static str;

impl Person {
    /// This account, acting as the record names it.
    pub fn new(account: &Account, actor: Actor) -> Self {
        Self { id: account.id, tenant_id: account.tenant_id, name: account.name.clone(), actor }
    }

    /// Something that they did, or that was done to them.
    pub fn event(&self, action: &str) -> NewEvent {
        NewEvent::new(self.actor.clone(), action).of(self.tenant_id).about("User", self.id, &self.name)
    }
}

impl Factors {
    /// Judges what a person shows. `assertions` is the purpose that the challenge of an assertion must have been made for.
    pub async fn verify(
        &self,
        write: &mut StateWrite<'_>,
        person: &Person,
        shown: &Shown,
        assertions: Purpose,
    ) -> sqlx::Result<Verdict> {
        if let Some(wait) = attempts::wait(write.db, person.id, write.now).await? {
            return Ok(Verdict::TooMany(wait));
        }
        let (method, judged) = match shown {
            Shown::Code(code) => {
                let known = methods::of(write.db, person.id).await?;
                ("totp", self.code(write, known, Method::is_confirmed, code).await?)
            }
            Shown::BackupCode(code) => ("backup_code", spend(write, person, code).await?),
            Shown::Assertion { challenge, credential } => {
                ("webauthn", self.assertion(write, person, challenge, credential, assertions).await?)
            }
        };
        conclude(write, person, method, judged).await
    }

    /// Judges the code that shows that an app has the secret of a new factor.
    pub async fn confirm(
        &self,
        write: &mut StateWrite<'_>,
        person: &Person,
        id: Id,
        code: &str,
    ) -> sqlx::Result<Verdict> {
        if let Some(wait) = attempts::wait(write.db, person.id, write.now).await? {
            return Ok(Verdict::TooMany(wait));
        }
        let known = methods::of(write.db, person.id).await?;
        let judged = self.code(write, known, |method| method.id == id, code).await?;
        conclude(write, person, "totp", judged).await
    }

    /// A code of one of the apps that are `looked_at`. Each time step is taken once from a person, whichever app it is of.
    async fn code(
        &self,
        write: &mut StateWrite<'_>,
        known: Vec<Method>,
        looked_at: impl Fn(&Method) -> bool,
        code: &str,
    ) -> sqlx::Result<Result<(), Why>> {
        let last = known.iter().map(|method| method.last_step).max().unwrap_or_default();
        let now = u64::try_from(write.now / 1_000_000).unwrap_or_default();
        let of_apps = known.iter().filter(|method| method.method_type == MethodType::Totp && looked_at(method));
        let steps: Vec<(Id, u64)> = of_apps
            .filter_map(|method| {
                let secret = self.keys.open(&method.data, totp::PURPOSE).ok()?;
                Some((method.id, totp::step_of(&secret, code, now)?))
            })
            .collect();
        match steps.iter().find(|(_, step)| *step > last) {
            Some((id, step)) => {
                methods::used_step(write.db, *id, *step, write.now).await?;
                Ok(Ok(()))
            }
            None if steps.is_empty() => Ok(Err("wrong_code")),
            None => Ok(Err("replayed_code")),
        }
    }

    async fn assertion(
        &self,
        write: &mut StateWrite<'_>,
        person: &Person,
        challenge: &str,
        credential: &Value,
        purpose: Purpose,
    ) -> sqlx::Result<Result<(), Why>> {
        let taken = challenge::take(write.db, &self.keys, challenge, purpose, write.now).await?;
        let Some(taken) = taken.filter(|taken| taken.user == person.id) else { return Ok(Err("unknown_challenge")) };
        let Some(party) = &self.party else { return Ok(Err("no_host_name")) };
        let asserted = match party.answered(credential, &taken.state) {
            Ok(asserted) => asserted,
            Err(refusal) => return Ok(Err(why(refusal))),
        };
        let known = methods::of(write.db, person.id).await?;
        let of_credential = known.iter().find_map(|method| {
            let passkey = passkey::read(&method.data).filter(|_| method.method_type == MethodType::Webauthn)?;
            (*passkey.cred_id() == asserted.credential).then_some((method, passkey))
        });
        let Some((method, passkey)) = of_credential else { return Ok(Err("unknown_credential")) };
        match asserted.judge(passkey, method.counter) {
            Ok((counter, data)) => {
                methods::used_credential(write.db, method.id, &data, counter, write.now).await?;
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(why(refusal))),
        }
    }
}

impl Method {
    fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }
}

async fn spend(write: &mut StateWrite<'_>, person: &Person, code: &str) -> sqlx::Result<Result<(), Why>> {
    if !backup::spend(write.db, person.id, code, write.now).await? {
        return Ok(Err("wrong_backup_code"));
    }
    let left = backup::left(write.db, person.id).await?;
    write.events.push(person.event("mfa.backup_code_used").with(json!({ "left": left })));
    Ok(Ok(()))
}

/// Counts and records a credential that does not go with the challenge it was asked for with; refused all the same when
/// there were too many wrong factors before.
pub async fn wrong_registration(write: &mut StateWrite<'_>, person: &Person) -> sqlx::Result<Verdict> {
    match attempts::wait(write.db, person.id, write.now).await? {
        Some(wait) => Ok(Verdict::TooMany(wait)),
        None => conclude(write, person, "webauthn", Err("wrong_registration")).await,
    }
}

/// Counts and records what was wrong. There are no more events than there are tries, and those are few.
async fn conclude(
    write: &mut StateWrite<'_>,
    person: &Person,
    method: &'static str,
    judged: Result<(), Why>,
) -> sqlx::Result<Verdict> {
    let Err(why) = judged else { return Ok(Verdict::Accepted(method)) };
    let was_last = attempts::failed(write.db, person.id, write.now).await?;
    write.events.push(person.event("mfa.failed").failed(why).with(json!({ "method": method })));
    if was_last {
        let details = json!({ "wrong": attempts::MOST, "seconds": attempts::WINDOW / 1_000_000 });
        write.events.push(person.event("mfa.throttled").denied("too_many_attempts").with(details));
    }
    Ok(Verdict::Refused)
}

fn why(refusal: Refusal) -> Why {
    match refusal {
        Refusal::Wrong => "wrong_assertion",
        Refusal::Clone => "cloned_authenticator",
    }
}
