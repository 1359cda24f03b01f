//! The roles that exist from the first start.

/// The roles that exist from the first start, with what they permit.
pub const BUILT_IN_ROLES: &[(&str, &str, &[&str])] = &[
    ("platform-admin", "Everything, in every tenant.", &["*:*"]),
    ("tenant-admin", "Everything within one tenant.", &["*:*"]),
    (
        "operator",
        "Runs the gateway: sees everything, changes policies and upstreams.",
        &["*:read", "upstream:*", "policy:*", "subscription:write", "credential:write"],
    ),
    (
        "developer",
        "Publishes APIs and tries them out.",
        &[
            "*:read",
            "api:*",
            "upstream:*",
            "policy:*",
            "plan:*",
            "consumer:write",
            "subscription:write",
            "credential:write",
            "content:*",
        ],
    ),
    ("auditor", "Sees everything, changes nothing.", &["*:read"]),
    (
        "viewer",
        "Sees the configuration of traffic, and no accounts.",
        &[
            "tenant:read",
            "api:read",
            "upstream:read",
            "policy:read",
            "plan:read",
            "consumer:read",
            "subscription:read",
            "credential:read",
            "content:read",
        ],
    ),
    (
        "ci",
        "Applies manifests from a pipeline.",
        &[
            "api:*",
            "upstream:*",
            "policy:*",
            "plan:*",
            "consumer:*",
            "subscription:*",
            "credential:*",
            "content:*",
            "tenant:read",
        ],
    ),
];
