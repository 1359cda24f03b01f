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
    folionaut,
    stoa,
}

/// A refusal in the shape of the dialect that the path belongs to.
pub fn render(path: &str, error: ApiError, request_id: &str) -> Response<Body> {
    match path.starts_with(folionaut::PREFIX) {
        true => folionaut::render(error, request_id),
        false => error.render(request_id),
    }
}
