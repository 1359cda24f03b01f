//! Whatever is tried in whatever order, an approval is given by enough others, in time, and used once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Approve(u8),
    Reject(u8),
    Cancel(u8),
    Consume(u8),
    Wait(i64),
}

fn account(number: u8) -> Id {
    Uuid::from_u128(u128::from(number) + 1)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0_u8..5;
    let step = prop_oneof![
        5 => who.clone().prop_map(Step::Approve),
        1 => who.clone().prop_map(Step::Reject),
        1 => who.clone().prop_map(Step::Cancel),
        3 => who.prop_map(Step::Consume),
        3 => (0_i64..60).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn an_approval_is_given_by_others_in_time_and_used_once(needed in 1_usize..4, steps in steps()) {
        let (requester, expires_at, valid_for) = (account(0), 100, 50);
        let mut life = Life {
            requester, needed, expires_at, valid_for,
            status: Status::Pending, approved_until: None, decided: Vec::new(),
        };
        let (mut now, mut used) = (0, 0);
        let mut approvers = BTreeSet::new();
        for step in steps {
            let before = life.clone();
            let done = match step {
                Step::Approve(who) => {
                    let done = life.approve(account(who), now);
                    if done.is_ok() {
                        prop_assert!(now < expires_at);
                        prop_assert!(account(who) != requester);
                        prop_assert!(approvers.insert(who), "each approver counts once");
                    }
                    done
                }
                Step::Reject(who) => life.reject(account(who), now),
                Step::Cancel(who) => life.cancel(account(who), now),
                Step::Consume(who) => {
                    let done = life.consume(account(who), now);
                    if done.is_ok() {
                        used += 1;
                        prop_assert_eq!(account(who), requester);
                        prop_assert_eq!(before.status, Status::Approved);
                        prop_assert!(approvers.len() >= needed);
                        prop_assert!(before.approved_until.is_some_and(|end| now < end && end < expires_at + valid_for));
                    }
                    done
                }
                Step::Wait(time) => {
                    now += time;
                    life.age(now);
                    Ok(())
                }
            };
            prop_assert!(used <= 1);
            if !before.status.is_open() {
                prop_assert_eq!(&life, &before, "what is over stays as it ended");
            }
            if done.is_err() {
                let aged = { let mut aged = before.clone(); aged.age(now); aged };
                prop_assert_eq!(&life, &aged, "a refused step changes nothing");
            }
            prop_assert_eq!(life.status == Status::Approved || life.status == Status::Used || life.approved_until.is_some(),
                life.approved_until.is_some());
        }
    }
}

fn pending(needed: usize) -> Life {
    Life {
        requester: account(0),
        needed,
        status: Status::Pending,
        expires_at: 100,
        valid_for: 10,
        approved_until: None,
        decided: Vec::new(),
    }
}

#[test]
fn refusals_say_why() {
    let mut life = pending(2);
    assert_eq!(life.approve(account(0), 1), Err(Refusal::Own));
    assert_eq!(life.reject(account(0), 1), Err(Refusal::Own));
    assert_eq!(life.cancel(account(1), 1), Err(Refusal::NotOwn));
    assert_eq!(life.approve(account(1), 1), Ok(()));
    assert_eq!(life.reject(account(1), 1), Err(Refusal::Twice));
    assert_eq!(life.consume(account(0), 1), Err(Refusal::Over(Status::Pending)));
    assert_eq!(life.approve(account(2), 100), Err(Refusal::Over(Status::Expired)));
}

#[test]
fn an_approved_call_expires() {
    let mut life = pending(1);
    assert_eq!(life.approve(account(1), 99), Ok(()));
    assert_eq!(life.approved_until, Some(109), "the time to use it begins with the approval");
    assert!(!life.age(108));
    assert_eq!(life.consume(account(0), 109), Err(Refusal::Over(Status::Expired)));
}

#[test]
fn words_lead_back() {
    for status in Status::ALL {
        assert_eq!(Status::of(status.word()), Some(status));
    }
    assert_eq!(Status::of("open"), None);
}
