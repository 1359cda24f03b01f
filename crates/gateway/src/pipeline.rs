//! The walk of a request, from its head to its answer.
//!
//! sanitize → own paths → match → guard, CORS, accounts, key sources → authenticate → limit, validate, transform →
//! approval → upstream → the policies' response side in reverse → record.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Response, header, request};
use smallvec::SmallVec;

use crate::authenticate::authenticate;
use crate::body::Body;
use crate::client::Client;
use crate::error::{Refusal, Rejection};
use crate::exchange::{AnswerFields, Exchange, Flow, is_preflight};
use crate::own;
use crate::policy::{AnyPolicy, ForwardPlan, Phase};
use crate::record::Record;
use crate::request_id::X_REQUEST_ID;
use crate::sanitize::{self, Target};
use crate::snapshot::Snapshot;
use crate::snapshot::api::{CompiledApi, CompiledRoute};
use crate::snapshot::policy::{BoundPolicy, resolve};
use crate::upstream;
use crate::worker::Worker;

/// Answers one request.
pub async fn handle(
    worker: &Worker,
    client: &Client,
    head: &mut request::Parts,
    body: Body,
    record: &mut Record,
) -> Response<Body> {
    let snapshot = worker.snapshot();
    let response = walk(worker, &snapshot, client, head, body, record).await;
    finish(response, record)
}

/// The answer to a request that is not even looked at.
pub fn refused(rejection: Rejection, record: &mut Record) -> Response<Body> {
    let response = refuse(rejection, record);
    finish(response, record)
}

async fn walk(
    worker: &Worker,
    snapshot: &Snapshot,
    client: &Client,
    head: &mut request::Parts,
    body: Body,
    record: &mut Record,
) -> Response<Body> {
    let limits = worker.limits();
    let target = match sanitize::target(head, limits.uri_bytes) {
        Ok(target) => target,
        Err(rejection) => {
            // Who gets its target wrong may have got wrong where its request ends, too.
            client.distrust();
            return refuse(rejection, record);
        }
    };
    worker.shared.drill(target.path());
    if let Some(answer) = own::answer(&worker.shared, &head.method, target.path()) {
        record.is_own = true;
        return answer.unwrap_or_else(|rejection| refuse(rejection, record));
    }
    let Some(api) = snapshot.router.find(&target.host, target.path()) else {
        return refuse(Refusal::NoRoute.into(), record);
    };
    record.api = Some(api.clone());
    let (route, unmatched) = match matched_route(api, head, &target) {
        Ok(route) => (route, None),
        Err(rejection) => (&api.no_route, Some(rejection)),
    };
    let plan = ForwardPlan {
        connect_timeout: api.upstream.connect_timeout,
        response_timeout: api.upstream.response_timeout,
        body_limit: (limits.body_bytes > 0).then_some(limits.body_bytes),
    };
    let mut x = Exchange {
        snapshot,
        api,
        route,
        head,
        path: target.path(),
        client_ip: record.client_ip,
        key_sources: None,
        caller: None,
        account: None,
        introduction: None,
        approval: None,
        plan,
        response_headers: AnswerFields::default(),
        ran: SmallVec::new(),
    };
    let judged = match unmatched {
        Some(rejection) => Err(Stop::Refuse(Box::new(rejection))),
        None => judge(worker, &mut x, record).await,
    };
    let answer = match judged {
        Ok(()) if x.approval.is_none() => upstream::send(worker, &mut x, &target, client, body, record).await,
        // In a box, so that calls that need no approval do not make room for it.
        Ok(()) => match Box::pin(approve(worker, &x, body, record)).await {
            Ok(body) => upstream::send(worker, &mut x, &target, client, body, record).await,
            Err(rejection) => Err(rejection),
        },
        Err(Stop::Reply(answer)) => Ok(*answer),
        Err(Stop::Refuse(rejection)) => Err(*rejection),
    };
    let response = answer.unwrap_or_else(|rejection| refuse(rejection, record));
    let (mut head, body) = response.into_parts();
    x.response_headers.move_to(&mut head.headers);
    // A refusal passes the response side of all the route's policies, also of those that were not asked any more.
    for bound in route.chain.iter().rev().filter(|bound| x.ran.iter().all(|ran| ran.policy.id != bound.policy.id)) {
        bound.policy.rule.response(&x, &mut head);
    }
    for bound in x.ran.iter().rev() {
        bound.policy.rule.response(&x, &mut head);
    }
    Response::from_parts(head, body)
}

/// A preflight asks about another method than its own.
fn matched_route<'s>(
    api: &'s CompiledApi,
    head: &request::Parts,
    target: &Target,
) -> Result<&'s CompiledRoute, Rejection> {
    let asked = match is_preflight(head) {
        true => head
            .headers
            .get(header::ACCESS_CONTROL_REQUEST_METHOD)
            .and_then(|method| Method::from_bytes(method.as_bytes()).ok()),
        false => None,
    };
    api.route(api.rest(target.path()), asked.as_ref().unwrap_or(&head.method))
}

enum Stop {
    Reply(Box<Response<Body>>),
    Refuse(Box<Rejection>),
}

/// Asks the policies, and names the caller in between.
async fn judge<'s>(worker: &Worker, x: &mut Exchange<'s>, record: &mut Record) -> Result<(), Stop> {
    let route: &'s CompiledRoute = x.route;
    let chain: &'s [BoundPolicy] = &route.chain;
    for bound in chain.iter().filter(|bound| bound.phase() <= Phase::Authenticate) {
        ask(worker, bound, x, record).await?;
    }
    authenticate(x).map_err(|rejection| Stop::Refuse(Box::new(rejection)))?;
    let Some(caller) = x.caller else {
        return ask_late(worker, chain, x, record).await;
    };
    record.consumer = Some(Arc::clone(caller.consumer));
    let snapshot: &'s Snapshot = x.snapshot;
    let of_plan = caller.subscription.and_then(|subscription| snapshot.plans.get(&subscription.plan_id?));
    let plan: &'s [BoundPolicy] = of_plan.map_or(&[], |plan| &plan.policies);
    let own: &'s [BoundPolicy] = caller.subscription.map_or(&[], |subscription| &subscription.policies);
    let consumer: &'s [BoundPolicy] = &caller.consumer.policies;
    if plan.is_empty() && own.is_empty() && consumer.is_empty() {
        return ask_late(worker, chain, x, record).await;
    }
    let early = |bound: &&BoundPolicy| bound.phase() <= Phase::Authenticate;
    let joined = resolve(chain.iter().chain(plan).chain(own).chain(consumer));
    for bound in joined {
        // What was asked before the caller was known is not asked again; a caller's own filter is asked now.
        let was_asked = early(&bound) && chain.iter().any(|asked| asked.policy.id == bound.policy.id);
        if !was_asked {
            ask(worker, bound, x, record).await?;
        }
    }
    Ok(())
}

async fn ask_late<'s>(
    worker: &Worker,
    chain: &'s [BoundPolicy],
    x: &mut Exchange<'s>,
    record: &mut Record,
) -> Result<(), Stop> {
    for bound in chain.iter().filter(|bound| bound.phase() > Phase::Authenticate) {
        ask(worker, bound, x, record).await?;
    }
    Ok(())
}

async fn ask<'s>(
    worker: &Worker,
    bound: &'s BoundPolicy,
    x: &mut Exchange<'s>,
    record: &mut Record,
) -> Result<(), Stop> {
    x.ran.push(bound);
    bound.policy.rule.plan(&mut x.plan);
    let flow = match &bound.policy.rule {
        AnyPolicy::KeyAuth(policy) => {
            x.key_sources = Some(policy.sources());
            return Ok(());
        }
        AnyPolicy::Approval(policy) => {
            x.approval = Some((policy, bound));
            return Ok(());
        }
        // In a box, so that routes without it do not make room for it.
        AnyPolicy::Authorize(policy) => Box::pin(policy.identify(worker, x, record)).await,
        rule => rule.request(x).await,
    };
    match flow {
        Flow::Next => Ok(()),
        Flow::Reply(answer) => {
            record.policy = Some(bound.policy.name.clone());
            Err(Stop::Reply(answer))
        }
        Flow::Refuse(rejection) => {
            bound.policy.refused.fetch_add(1, Ordering::Relaxed);
            record.policy = Some(bound.policy.name.clone());
            Err(Stop::Refuse(rejection))
        }
    }
}

/// Asks for the approval that the call needs, with its whole body.
async fn approve(worker: &Worker, x: &Exchange<'_>, body: Body, record: &mut Record) -> Result<Body, Rejection> {
    let Some((policy, bound)) = x.approval else { return Ok(body) };
    let passed = policy.pass(worker, x, body, record).await;
    if passed.is_err() {
        bound.policy.refused.fetch_add(1, Ordering::Relaxed);
        record.policy = Some(bound.policy.name.clone());
    }
    passed
}

fn refuse(rejection: Rejection, record: &mut Record) -> Response<Body> {
    record.refused(rejection.refusal);
    rejection.into_response(record.request_id.as_str())
}

/// Sends the request's id back.
fn finish(mut response: Response<Body>, record: &mut Record) -> Response<Body> {
    response.headers_mut().insert(X_REQUEST_ID, record.request_id.header().clone());
    record.status = response.status().as_u16();
    response
}
