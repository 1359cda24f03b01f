//! The control plane of Portunus: the path of a change.
//!
//! Follow a change: [`api`] takes it, [`access`] says whether its sender may, [`store`] checks, writes and publishes
//! it. The kinds of resources are in [`resource`] and in the data plane's `config`.

pub mod access;
pub mod accounts;
pub mod admin_key;
pub mod api;
pub mod approval;
pub mod audit;
pub mod bootstrap;
pub mod control;
pub mod dialect;
pub mod docs;
pub mod federation;
pub mod last_use;
pub mod lifecycle;
pub mod login;
pub mod mail;
pub mod manifest;
pub mod mfa;
pub mod openapi;
pub mod password;
pub mod principal;
pub mod realm;
pub mod resource;
pub mod serve;
pub mod store;
pub mod token;
pub mod yaml;
