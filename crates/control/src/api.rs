//! The HTTP API of the control plane: every route in one list.
//!
//! Kinds need no line here: their routes are generic ([`resources`]). What is not CRUD has a file of its own.

pub mod actions;
pub mod apply;
pub mod approvals;
pub mod approve;
pub mod audit;
pub mod body;
pub mod caller;
pub mod denied;
pub mod error;
pub mod export;
pub mod guard;
pub mod history;
pub mod idempotency;
pub mod identify;
pub mod login;
pub mod meta;
pub mod mfa;
pub mod oidc;
pub mod page;
pub mod realm;
pub mod resources;
pub mod review;
pub mod routes;
pub mod secrets;
pub mod throttle;
pub mod token;
pub mod tokens;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::{Router, middleware, routing};

use crate::access::Verb;
use crate::control::Control;
use crate::dialect;
use error::ApiError;
use routes::{Needs, Routes, permission};

/// The most bytes of a request to one resource.
const LARGEST_BODY: usize = 1024 * 1024;

/// The most bytes of a bulk change.
const LARGEST_APPLY: usize = 64 * 1024 * 1024;

/// Every route with what it needs.
pub fn routes() -> Routes {
    use Needs::{Account, Kind, Manifests, Nothing};
    use Verb::{Delete, Read, Write};
    const TENANT: &str = "tenant";
    Routes::default()
        .merge(audit::routes())
        .get("/health", Nothing("load balancers ask it"), meta::health)
        .get("/metrics", Nothing("Prometheus scrapes it; the control listener is not for the public"), meta::metrics)
        .get("/v1/openapi.json", Nothing("it describes the API and holds no data"), meta::openapi)
        .get("/v1/kinds", Nothing("it describes the API and holds no data"), meta::kinds)
        .get("/v1/policy-types", Nothing("it describes the API and holds no data"), meta::policy_types)
        .get("/health/ready", Nothing("load balancers ask it"), meta::ready)
        .merge(realm::routes())
        .merge(oidc::routes())
        .add(
            Method::POST,
            "/v1/apply",
            Manifests(Write),
            routing::post(apply::apply).layer(DefaultBodyLimit::max(LARGEST_APPLY)),
        )
        .get("/v1/export", Manifests(Read), export::export)
        .post("/v1/secrets/rotate", permission("secret", Write), secrets::rotate)
        .get("/v1/approvals", permission("approval", Read), approvals::list)
        .get("/v1/me/approvals", Account("its own requests"), approvals::own)
        .get("/v1/approvals/{id}", Account("its own requests, and those that it may see"), approvals::get)
        .post("/v1/approvals/{id}/approve", permission("approval", Write), approvals::approve)
        .post("/v1/approvals/{id}/reject", permission("approval", Write), approvals::reject)
        .post("/v1/approvals/{id}/cancel", Account("its own requests"), approvals::cancel)
        .get("/v1/tenants", permission(TENANT, Read), resources::tenants::list)
        .post("/v1/tenants", permission(TENANT, Write), resources::tenants::create)
        .get("/v1/tenants/{tenant}", permission(TENANT, Read), resources::tenants::get)
        .put("/v1/tenants/{tenant}", permission(TENANT, Write), resources::tenants::replace)
        .patch("/v1/tenants/{tenant}", permission(TENANT, Write), resources::tenants::patch)
        .delete("/v1/tenants/{tenant}", permission(TENANT, Delete), resources::tenants::delete)
        .get("/v1/tenants/{tenant}/history", permission(TENANT, Read), history::of_tenant)
        .post("/v1/tenants/{tenant}/rollback", permission(TENANT, Write), history::rollback_tenant)
        .get("/v1/tenants/{tenant}/{plural}", Kind(Read), resources::list)
        .post("/v1/tenants/{tenant}/{plural}", Kind(Write), resources::create)
        .get("/v1/tenants/{tenant}/{plural}/{id}", Kind(Read), resources::get)
        .put("/v1/tenants/{tenant}/{plural}/{id}", Kind(Write), resources::replace)
        .patch("/v1/tenants/{tenant}/{plural}/{id}", Kind(Write), resources::patch)
        .delete("/v1/tenants/{tenant}/{plural}/{id}", Kind(Delete), resources::delete)
        // Literal plurals here would hide the generic routes of the same depth from them.
        .get("/v1/tenants/{tenant}/{plural}/{id}/history", Kind(Read), history::of_resource)
        .post("/v1/tenants/{tenant}/{plural}/{id}/{action}", Kind(Write), actions::act)
        .merge(login::routes())
        .merge(mfa::routes())
        .get("/v1/access-review", permission("user", Read), review::review)
        .merge(tokens::routes())
        .merge(dialect::routes())
}

/// The API, ready to be served.
pub fn router(control: Arc<Control>) -> Router {
    let (router, _) = routes().into_parts();
    router
        .fallback(|| async { ApiError::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(control.clone(), idempotency::replay))
        .layer(middleware::from_fn_with_state(control.clone(), throttle::limit))
        .layer(middleware::from_fn_with_state(control.clone(), denied::record))
        .layer(middleware::from_fn_with_state(control.clone(), identify::identify))
        .layer(middleware::from_fn(guard::guard))
        .with_state(control)
}
