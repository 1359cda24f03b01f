//! `ip_filter`: which addresses may call.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, Phase, Policy};
use crate::error::{Refusal, Rejection};
use crate::exchange::{Exchange, Flow};
use crate::problem::Problem;

/// Lets through or refuses by the client's address. A denied address is refused even if it is allowed as well.
/// Policies of this type add up: each of them must let the call through.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IpFilterConfig {
    /// Addresses and networks that may call; when empty, all may.
    #[schemars(length(max = 10_000))]
    pub allow: Vec<String>,
    /// Addresses and networks that may not call.
    #[schemars(length(max = 10_000))]
    pub deny: Vec<String>,
}

/// The compiled policy.
pub struct IpFilter {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl Policy for IpFilter {
    const PHASE: Phase = Phase::Guard;
    const STACKS: bool = true;
    const EXAMPLE: &'static str = "allow: [10.0.0.0/8, \"2001:db8::/32\"]\ndeny: [10.6.6.6]\n";
    type Config = IpFilterConfig;

    fn compile(config: &IpFilterConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let allow = networks("/allow", &config.allow, &mut problems);
        let deny = networks("/deny", &config.deny, &mut problems);
        if config.allow.is_empty() && config.deny.is_empty() {
            problems.push(Problem::new("", "the filter filters nothing", "addresses in `allow` or `deny`"));
        }
        if problems.is_empty() { Ok(Self { allow, deny }) } else { Err(problems) }
    }

    async fn request(&self, x: &mut Exchange<'_>) -> Flow {
        if self.lets_through(x.client_ip) {
            return Flow::Next;
        }
        Flow::Refuse(Box::new(Rejection::from(Refusal::AddressDenied)))
    }
}

impl IpFilter {
    fn lets_through(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

fn networks(path: &str, texts: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match parse_network(text) {
            Some(network) => networks.push(network),
            None => problems.push(
                Problem::new(
                    format!("{path}/{index}"),
                    "not an address and not a network",
                    "such as 192.0.2.7 or 2001:db8::/32",
                )
                .found(text.as_str()),
            ),
        }
    }
    networks
}

/// An address or a network in CIDR notation; IPv4-mapped IPv6 counts as IPv4.
pub fn parse_network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_wins_over_allow_and_mapped_addresses_count_as_ipv4() {
        let config = IpFilterConfig { allow: vec!["10.0.0.0/8".into()], deny: vec!["10.6.6.6".into()] };
        let filter =
            IpFilter::compile(&config, &CompileEnv { uid: 0, name: "", before: None }).expect("the filter compiles");
        for (address, expected) in
            [("10.1.2.3", true), ("10.6.6.6", false), ("11.0.0.1", false), ("::ffff:10.1.2.3", true), ("::1", false)]
        {
            assert_eq!(filter.lets_through(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
