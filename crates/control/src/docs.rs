//! Generated.
pub fn pages() -> Vec<(&'static str, String)> { Vec::new() }
