//! The dialects: routes and JSON shapes of other systems, mapped onto the same resources and the same commit.
//!
//! To add a dialect: one file with a function `routes`, and one line below.

use std::sync::Arc;

use axum::Router;

use crate::control::Control;

macro_rules! dialects {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The routes of every dialect.
        pub fn routes() -> Router<Arc<Control>> {
            Router::new()$(.merge($module::routes()))*
        }
    };
}

dialects! {
    stoa,
}
