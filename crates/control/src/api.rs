//! The HTTP API of the control plane: every route in one list.
//!
//! Kinds need no line here: their routes are generic ([`resources`]). What is not CRUD has a file of its own.

pub mod actions;
pub mod apply;
pub mod body;
pub mod caller;
pub mod error;
pub mod export;
pub mod guard;
pub mod history;
pub mod idempotency;
pub mod meta;
pub mod page;
pub mod resources;
pub mod throttle;
pub mod token;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::control::Control;
use crate::dialect;
use error::ApiError;

/// The most bytes of a request to one resource.
const LARGEST_BODY: usize = 1024 * 1024;

/// The most bytes of a bulk change.
const LARGEST_APPLY: usize = 64 * 1024 * 1024;

/// Every route.
pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/health", get(meta::health))
        .route("/metrics", get(meta::metrics))
        .route("/v1/openapi.json", get(meta::openapi))
        .route("/v1/kinds", get(meta::kinds))
        .route("/v1/policy-types", get(meta::policy_types))
        .route("/realms/{realm}/protocol/openid-connect/token", post(token::issue))
        .route("/v1/apply", post(apply::apply).layer(DefaultBodyLimit::max(LARGEST_APPLY)))
        .route("/v1/export", get(export::export))
        .route("/v1/tenants", get(resources::tenants::list).post(resources::tenants::create))
        .route(
            "/v1/tenants/{tenant}",
            get(resources::tenants::get)
                .put(resources::tenants::replace)
                .patch(resources::tenants::patch)
                .delete(resources::tenants::delete),
        )
        .route("/v1/tenants/{tenant}/history", get(history::of_tenant))
        .route("/v1/tenants/{tenant}/rollback", post(history::rollback_tenant))
        .route("/v1/tenants/{tenant}/{plural}", get(resources::list).post(resources::create))
        .route(
            "/v1/tenants/{tenant}/{plural}/{id}",
            get(resources::get).put(resources::replace).patch(resources::patch).delete(resources::delete),
        )
        // Literal plurals here would hide the generic routes of the same depth from them.
        .route("/v1/tenants/{tenant}/{plural}/{id}/history", get(history::of_resource))
        .route("/v1/tenants/{tenant}/{plural}/{id}/{action}", post(actions::act))
        .merge(dialect::routes())
        .fallback(|| async { ApiError::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(control.clone(), idempotency::replay))
        .layer(middleware::from_fn_with_state(control.clone(), throttle::limit))
        .layer(middleware::from_fn(guard::guard))
        .with_state(control)
}
