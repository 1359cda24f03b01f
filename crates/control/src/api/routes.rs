//! The table of routes. A route cannot be added without saying what it needs, and what it needs is asked before its
//! handler runs: default deny. A handler then asks for the permission in the tenant that the call is about.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::approve::{self, Asked};
use super::caller::{check_factor, refused};
use super::error::ApiError;
use super::identify::Identity;
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::resource;

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing; the text says why.
    Nothing(&'static str),
    /// An account, which acts on nothing but itself; the text says on what.
    Account(&'static str),
    /// This permission.
    Permission(Permission),
    /// The permission with this verb for the kind that `{plural}` names in the path.
    Kind(Verb),
    /// The permissions with this verb for the kinds of the manifests that are sent or asked for; the handler asks for each.
    Manifests(Verb),
}

/// Needs this permission.
pub const fn permission(noun: &'static str, verb: Verb) -> Needs {
    Needs::Permission(Permission::new(noun, verb))
}

/// A line of the table.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path with its parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub needs: Needs,
}

/// The routes with their table.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<Control>>,
    table: Vec<Route>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        $(
            #[doc = concat!("Adds a route for `", stringify!($method), "`.")]
            #[must_use]
            pub fn $name<H: Handler<T, Arc<Control>>, T: 'static>(self, path: &'static str, needs: Needs, handler: H) -> Self {
                self.add(Method::$method, path, needs, on(MethodFilter::$method, handler))
            }
        )*
    };
}

impl Routes {
    methods! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
    }

    /// Adds a route whose handler has layers of its own.
    #[must_use]
    pub fn add(
        mut self,
        method: Method,
        path: &'static str,
        needs: Needs,
        handler: MethodRouter<Arc<Control>>,
    ) -> Self {
        let guarded = handler.route_layer(middleware::from_fn_with_state(needs, ask));
        self.router = self.router.route(path, guarded);
        self.table.push(Route { method, path, needs });
        self
    }

    /// Adds all routes of another list.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// The router and its table.
    pub fn into_parts(self) -> (Router<Arc<Control>>, Vec<Route>) {
        (self.router, self.table)
    }
}

/// Whether somebody who must have a second factor and has none may call this.
fn is_open_before_enrolment(path: &str) -> bool {
    matches!(path, "/v1/me" | "/v1/me/mfa" | "/v1/me/step-up" | "/v1/logout") || path.starts_with("/v1/me/mfa/")
}

/// Asks for what a route needs.
async fn ask(
    State(needs): State<Needs>,
    Extension(identity): Extension<Identity>,
    Extension(control): Extension<Arc<Control>>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let permission = match needs {
        Needs::Nothing(_) => return next.run(request).await,
        Needs::Account(_) | Needs::Manifests(_) => None,
        Needs::Permission(permission) => Some(permission),
        Needs::Kind(verb) => {
            let plural = parameters.iter().find(|(name, _)| *name == "plural").map(|(_, plural)| plural);
            // What is no kind is told by the handler, to callers that are known.
            plural.and_then(resource::by_plural).map(|kind| Permission::new(kind.noun, verb))
        }
    };
    let principal = match identity.principal {
        Ok(Some(principal)) => principal,
        Ok(None) => return ApiError::unauthorized(None).into_response(),
        Err(error) => return error.into_response(),
    };
    if principal.must_enrol() && !is_open_before_enrolment(request.uri().path()) {
        return ApiError::enrolment_required().into_response();
    }
    match permission {
        Some(permission) if !principal.may_somewhere(permission) => refused(permission).into_response(),
        _ => {
            if let Some(Err(error)) = permission.map(|permission| check_factor(&principal, permission)) {
                return error.into_response();
            }
            let parameter = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
            let (tenant, is_action) = (parameter("tenant"), parameter("action").is_some());
            let asked = Asked { needs, permission, tenant, is_action };
            approve::stop(&control, &principal, asked, request, next).await
        }
    }
}
