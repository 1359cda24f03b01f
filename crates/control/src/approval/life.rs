//! What can become of a request for approval: pending, then approved, rejected, cancelled or expired; approved, then
//! used or expired. No store and no clock: the rules alone.

use portunus_gateway::kind::Id;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for decisions.
    Pending,
    /// The call may be made, once, for a while.
    Approved,
    /// Somebody said no.
    Rejected,
    /// The requester took it back.
    Cancelled,
    /// The call was made.
    Used,
    /// Nobody decided in time, or the call was not made in time.
    Expired,
}

impl Status {
    const ALL: [Self; 6] = [Self::Pending, Self::Approved, Self::Rejected, Self::Cancelled, Self::Used, Self::Expired];

    /// Its word in the store and in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Used => "used",
            Self::Expired => "expired",
        }
    }

    /// The status with this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Every word, for messages.
    pub fn words() -> String {
        Self::ALL.map(Self::word).join(", ")
    }

    /// Whether something can still become of it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

/// Why a step is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody decides about a request of their own.
    Own,
    /// Only the requester may do that.
    NotOwn,
    /// The account has decided already.
    Twice,
    /// The request is not where this step begins.
    Over(Status),
}

/// A request with what was decided about it. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Who asked.
    pub requester: Id,
    /// How many must approve.
    pub needed: usize,
    /// Where it stands, as of the last step.
    pub status: Status,
    /// Until when it waits.
    pub expires_at: i64,
    /// For how long the call may be made once it is approved.
    pub valid_for: i64,
    /// Until when the call may be made.
    pub approved_until: Option<i64>,
    /// Who approved or rejected it.
    pub decided: Vec<Id>,
}

impl Life {
    /// Lets time pass; says whether the request has just expired.
    pub fn age(&mut self, now: i64) -> bool {
        let end = match self.status {
            Status::Pending => Some(self.expires_at),
            Status::Approved => self.approved_until,
            _ => None,
        };
        let is_over = end.is_some_and(|end| end <= now);
        if is_over {
            self.status = Status::Expired;
        }
        is_over
    }

    /// Whether this account could decide now.
    pub fn may_decide(&self, by: Id) -> Result<(), Refusal> {
        match self.status {
            _ if by == self.requester => Err(Refusal::Own),
            Status::Pending if self.decided.contains(&by) => Err(Refusal::Twice),
            Status::Pending => Ok(()),
            over => Err(Refusal::Over(over)),
        }
    }

    /// An account approves.
    pub fn approve(&mut self, by: Id, now: i64) -> Result<(), Refusal> {
        self.age(now);
        self.may_decide(by)?;
        self.decided.push(by);
        if self.decided.len() >= self.needed {
            self.status = Status::Approved;
            self.approved_until = Some(now.saturating_add(self.valid_for));
        }
        Ok(())
    }

    /// An account says no. One is enough.
    pub fn reject(&mut self, by: Id, now: i64) -> Result<(), Refusal> {
        self.age(now);
        self.may_decide(by)?;
        self.decided.push(by);
        self.status = Status::Rejected;
        Ok(())
    }

    /// The requester takes it back.
    pub fn cancel(&mut self, by: Id, now: i64) -> Result<(), Refusal> {
        self.age(now);
        match self.status {
            _ if by != self.requester => Err(Refusal::NotOwn),
            status if status.is_open() => {
                self.status = Status::Cancelled;
                Ok(())
            }
            over => Err(Refusal::Over(over)),
        }
    }

    /// The requester makes the call.
    pub fn consume(&mut self, by: Id, now: i64) -> Result<(), Refusal> {
        self.age(now);
        match self.status {
            _ if by != self.requester => Err(Refusal::NotOwn),
            Status::Approved => {
                self.status = Status::Used;
                Ok(())
            }
            other => Err(Refusal::Over(other)),
        }
    }
}

#[cfg(test)]
mod tests;
