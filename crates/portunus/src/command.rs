//! The commands, one file each; the list is in [`crate::cli`].

use std::future::Future;
use std::process::ExitCode;

macro_rules! modules {
    ($($variant:ident => $file:ident,)+) => { $( pub mod $file; )+ };
}

commands!(modules);

/// Runs a command that waits for the network, on this thread.
pub fn block_on(future: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
