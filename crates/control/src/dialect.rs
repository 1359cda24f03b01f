//! The dialects: routes and JSON shapes of other systems, mapped onto the same resources and the same commit.
//!
//! To add a dialect: one file with a function `routes`, and one line below.

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
    stoa,
}
