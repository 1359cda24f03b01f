//! What the control plane has to look at from time to time, without anybody calling it.

use std::sync::Arc;
use std::time::Duration;

use portunus_control::control::Control;

/// How often. Nothing here is due within seconds.
const PACE: Duration = Duration::from_secs(600);

/// Looks, for as long as the process serves.
pub async fn run(control: Arc<Control>) {
    loop {
        if let Err(error) = control.tokens.maintain(&control.store).await {
            tracing::error!(target: "control", error = %error, "the keys of access tokens could not be looked after");
        }
        tokio::time::sleep(PACE).await;
    }
}
