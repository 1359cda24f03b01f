//! What one request carries through the walk.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, request};
use smallvec::SmallVec;

use crate::accounts::{Account, Introduction};
use crate::body::Body;
use crate::error::Rejection;
use crate::policy::ForwardPlan;
use crate::policy::approval::Approval;
use crate::policy::key_auth::KeySources;
use crate::snapshot::Snapshot;
use crate::snapshot::api::{CompiledApi, CompiledRoute};
use crate::snapshot::consumer::{CompiledConsumer, CompiledSubscription};
use crate::snapshot::policy::BoundPolicy;

/// What a policy decides.
pub enum Flow {
    /// Go on.
    Next,
    /// This is the answer.
    Reply(Box<Response<Body>>),
    /// The request is refused.
    Refuse(Box<Rejection>),
}

/// Who is calling, once that is known.
#[derive(Clone, Copy)]
pub struct Caller<'s> {
    /// The consumer.
    pub consumer: &'s Arc<CompiledConsumer>,
    /// Its subscription to this API; none on a public API.
    pub subscription: Option<&'s CompiledSubscription>,
}

/// A request on its way through the policies.
pub struct Exchange<'s> {
    /// The configuration that this request began with, and ends with.
    pub snapshot: &'s Snapshot,
    /// The API that was matched.
    pub api: &'s Arc<CompiledApi>,
    /// Its route that was matched.
    pub route: &'s CompiledRoute,
    /// The request's head; policies edit it in place.
    pub head: &'s mut request::Parts,
    /// The normalised path.
    pub path: &'s str,
    /// The client's address: the peer's, or what a trusted proxy said.
    pub client_ip: IpAddr,
    /// Where a `key_auth` policy looks for the key.
    pub key_sources: Option<&'s KeySources>,
    /// Who is calling.
    pub caller: Option<Caller<'s>>,
    /// Which account of the control plane is calling.
    pub account: Option<Arc<Account>>,
    /// What the upstream is told of the account.
    pub introduction: Option<Box<Introduction>>,
    /// The policy by which others must approve the call.
    pub approval: Option<(&'s Approval, &'s BoundPolicy)>,
    /// How the upstream is called.
    pub plan: ForwardPlan,
    /// Headers for the answer, whatever it will be.
    pub response_headers: AnswerFields,
    /// The policies that were asked, in order; their response side runs in reverse.
    pub ran: SmallVec<[&'s BoundPolicy; 12]>,
}

/// Fields that policies have for the answer. Few and short-lived, so they are a list and no map.
#[derive(Default)]
pub struct AnswerFields(SmallVec<[AnswerField; 5]>);

struct AnswerField {
    name: HeaderName,
    value: HeaderValue,
    /// The first of its name takes the place of what the upstream sent; the others stand beside it.
    is_first: bool,
}

impl AnswerFields {
    /// Puts a field in the place of the one of its name.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        match self.0.iter_mut().find(|field| field.name == name) {
            Some(field) => field.value = value,
            None => self.0.push(AnswerField { name, value, is_first: true }),
        }
    }

    /// Adds a field beside others of its name.
    pub fn add(&mut self, name: HeaderName, value: HeaderValue) {
        let is_first = self.0.iter().all(|field| field.name != name);
        self.0.push(AnswerField { name, value, is_first });
    }

    /// Gives them to the head of an answer.
    pub fn move_to(&mut self, headers: &mut HeaderMap) {
        for AnswerField { name, value, is_first } in self.0.drain(..) {
            if is_first {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
    }
}

impl Exchange<'_> {
    /// Whether this is the browser's question before a request to another origin (Fetch standard, CORS-preflight).
    pub fn is_preflight(&self) -> bool {
        is_preflight(self.head)
    }

    /// The consumer's name, for the log.
    pub fn consumer_name(&self) -> &str {
        self.caller.map_or("", |caller| &*caller.consumer.name)
    }
}

/// Whether a request's head is a CORS preflight.
pub fn is_preflight(head: &request::Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(http::header::ORIGIN)
        && head.headers.contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
}
