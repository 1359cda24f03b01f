//! The dialects: routes and JSON shapes of other systems, mapped onto the same resources and the same commit.
//!
//! To add a dialect: one file with a function `routes`, and one line below.

use axum::body::Body;
use axum::http::Response;

use crate::api::error::ApiError;
use crate::api::routes::Routes;

macro_rules! dialects {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The routes of every dialect.
        pub fn routes() -> Routes {
            Routes::default()$(.merge($module::routes()))*
        }
    };
}

dialects! {
    doorman,
    folionaut,
    stoa,
}

/// A refusal in the shape of the dialect that the path belongs to.
pub fn render(path: &str, error: ApiError, request_id: &str) -> Response<Body> {
    if path.starts_with(folionaut::PREFIX) {
        folionaut::render(error, request_id)
    } else if doorman::error::is_here(path) {
        doorman::error::render(error, path)
    } else {
        error.render(request_id)
    }
}
