//! How a request becomes the upstream's request, and its answer the client's.

mod bodies;
mod forwarding;
mod http2_upstream;
mod routing;
mod upstreams;
