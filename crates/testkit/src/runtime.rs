//! The one tokio runtime behind the blocking calls of the testkit.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// The shared runtime; it lives as long as the test process.
pub(crate) fn shared() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a tokio runtime can be built")
    })
}

/// Runs `future` to its end on the shared runtime. Many threads may do so at once.
pub fn block_on<F: Future>(future: F) -> F::Output {
    shared().block_on(future)
}
