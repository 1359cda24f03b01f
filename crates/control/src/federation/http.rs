//! Calls to providers: bounded in time and size, and without following redirects, so that a provider cannot send Portunus
//! elsewhere.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use thiserror::Error;

/// The most bytes of an answer.
const MOST: usize = 512 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a provider gave no answer that can be used.
#[derive(Debug, Error)]
pub enum HttpError {
    /// It cannot be reached, or broke off.
    #[error("{0}")]
    Failed(String),
    /// It says too much.
    #[error("the answer has more than {MOST} bytes")]
    TooLarge,
    /// It answered with an error.
    #[error("the answer has the status {0}")]
    Status(u16),
}

/// A caller of providers. The client is made when it is needed: that reads the certificates of the system.
#[derive(Default)]
pub struct Http(OnceLock<Result<reqwest::Client, String>>);

impl Http {
    fn client(&self) -> Result<&reqwest::Client, HttpError> {
        self.0.get_or_init(Self::build).as_ref().map_err(|error| HttpError::Failed(error.clone()))
    }

    fn build() -> Result<reqwest::Client, String> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(2)
            .build();
        client.map_err(|error| error.to_string())
    }

    /// The body of a successful `GET`.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, HttpError> {
        let request =
            self.client()?.get(url).header("Accept", "application/json").build().map_err(|error| failed(&error))?;
        let (parts, body) = self.send(request).await?.into_parts();
        if parts.status.is_success() { Ok(body) } else { Err(HttpError::Status(parts.status.as_u16())) }
    }

    async fn send(&self, request: reqwest::Request) -> Result<HttpResponse, HttpError> {
        let mut answer = self.client()?.execute(request).await.map_err(|error| failed(&error))?;
        let mut response = HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if response.body().len() + chunk.len() > MOST {
                return Err(HttpError::TooLarge);
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { self.send(request.try_into().map_err(|error| failed(&error))?).await })
    }
}

fn failed(error: &reqwest::Error) -> HttpError {
    // The deepest cause says what a person can act on.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    HttpError::Failed(cause.to_string())
}
