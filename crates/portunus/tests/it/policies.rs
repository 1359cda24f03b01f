//! Every policy over the wire, and which one wins.

mod browsers;
mod keys;
mod limits;
mod precedence;
mod rules;
