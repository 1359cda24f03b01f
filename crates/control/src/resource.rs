//! Every kind of resource: those that shape traffic, and those that only the control plane knows.
//!
//! To add a kind: one file with a struct that implements [`Kind`](portunus_gateway::kind::Kind), and one line below.

use portunus_gateway::config;
use portunus_gateway::kind::KindInfo;

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The kinds that only the control plane knows.
        pub static OWN: &[KindInfo] = &[$(KindInfo::of::<$module::$kind>()),*];
    };
}

kinds! {
    login_policy::LoginPolicy,
    api_token::ApiToken,
    approval_rule::ApprovalRule,
    content_page::ContentPage,
    identity_provider::IdentityProvider,
    role::Role,
    service_account::ServiceAccount,
    user::User,
}

/// Every kind, in the order of the lists.
pub fn all() -> impl Iterator<Item = &'static KindInfo> {
    config::KINDS.iter().chain(OWN)
}

/// The kind with this name, such as `Api`.
pub fn by_kind(kind: &str) -> Option<&'static KindInfo> {
    all().find(|known| known.kind == kind)
}

/// The kind with this plural, such as `apis`.
pub fn by_plural(plural: &str) -> Option<&'static KindInfo> {
    all().find(|known| known.plural == plural)
}
