//! What a person is asked a second factor for again: permissions whose use hands out rights or lets secrets out.

use portunus_gateway::kind::Id;
use serde::Deserialize;

use super::account::Grant;
use super::{Account, Permission, Verb};
use crate::resource::login_policy::{LoginPolicy, WhoNeeds};
use crate::store::row::Row;

/// The dangerous permissions.
const DANGEROUS: &[(&str, &[Verb])] = &[
    ("user", &[Verb::Write, Verb::Delete]),
    ("role", &[Verb::Write, Verb::Delete]),
    ("service_account", &[Verb::Write, Verb::Delete]),
    ("api_token", &[Verb::Write]),
    ("login_policy", &[Verb::Write, Verb::Delete]),
    ("identity_provider", &[Verb::Write, Verb::Delete]),
    ("realm", &[Verb::Read, Verb::Write]),
    ("secret", &[Verb::Write]),
    ("approval", &[Verb::Write]),
    ("audit", &[Verb::Write]),
    ("tenant", &[Verb::Delete]),
];

impl Permission {
    /// Whether a person must have shown a second factor lately to use it.
    pub fn is_dangerous(self) -> bool {
        DANGEROUS.iter().any(|(noun, verbs)| *noun == self.noun && verbs.contains(&self.verb))
    }
}

/// What holds for an account about second factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whether they have one.
    pub has_one: bool,
    /// Whether they must have one.
    pub must_have_one: bool,
    /// How long one that was shown is fresh, in microseconds.
    pub fresh: i64,
}

/// What the login policy says of it.
pub(super) struct Policy(LoginPolicy);

impl Policy {
    /// The policy among these resources, or what holds without one.
    pub(super) fn among(rows: &[Row], platform: Option<Id>) -> Self {
        let mut policies = rows.iter().filter(|row| row.kind.kind == "LoginPolicy" && Some(row.tenant_id) == platform);
        Self(policies.find_map(|row| LoginPolicy::deserialize(&row.spec).ok()).unwrap_or_default())
    }

    /// Whether it asks somebody with these rights for a second factor.
    pub(super) fn asks(&self, grants: &[Grant]) -> bool {
        match self.0.second_factor {
            WhoNeeds::Nobody => false,
            WhoNeeds::Admins => grants.iter().flat_map(|grant| &grant.permissions).any(|text| text == "*:*"),
            WhoNeeds::Everybody => true,
        }
    }

    /// How long a factor that was shown is fresh, in microseconds.
    pub(super) fn fresh(&self) -> i64 {
        i64::from(self.0.step_up_minutes) * 60 * 1_000_000
    }
}

impl Account {
    /// Whether they must first set a second factor up before they may do anything else.
    pub fn must_enrol(&self) -> bool {
        self.second_factor.must_have_one && !self.second_factor.has_one
    }

    /// Whether a factor that was shown then, if ever, is to be shown again.
    pub fn must_step_up(&self, shown_at: Option<i64>, now: i64) -> bool {
        let SecondFactor { has_one, must_have_one, fresh } = self.second_factor;
        (has_one || must_have_one) && shown_at.is_none_or(|shown_at| now - shown_at > fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hands_out_rights_or_secrets_is_dangerous_and_looking_is_not() {
        let is_dangerous = |noun, verb| Permission::new(noun, verb).is_dangerous();
        for noun in ["user", "role", "service_account", "api_token", "login_policy", "identity_provider", "realm"] {
            assert!(is_dangerous(noun, Verb::Write), "{noun}");
        }
        assert!(is_dangerous("user", Verb::Delete) && is_dangerous("tenant", Verb::Delete));
        assert!(is_dangerous("realm", Verb::Read), "an export holds sealed secrets");
        for noun in ["api", "policy", "consumer", "credential"] {
            assert!(!is_dangerous(noun, Verb::Write), "{noun}");
        }
        assert!(!is_dangerous("user", Verb::Read) && !is_dangerous("tenant", Verb::Write));
    }

    #[test]
    fn a_factor_is_fresh_for_its_time_and_asked_of_those_alone_who_have_or_need_one() {
        let account = |has_one, must_have_one| Account {
            second_factor: SecondFactor { has_one, must_have_one, fresh: 600 },
            ..Account::without_rights(Id::now_v7(), 0)
        };
        for (account, expected) in
            [(account(true, false), true), (account(false, true), true), (account(false, false), false)]
        {
            assert_eq!(account.must_step_up(None, 1_000), expected);
            assert_eq!(account.must_step_up(Some(399), 1_000), expected, "older than its time");
            assert!(!account.must_step_up(Some(400), 1_000));
        }
        assert!(account(false, true).must_enrol());
        assert!(!account(true, true).must_enrol() && !account(false, false).must_enrol());
    }
}
