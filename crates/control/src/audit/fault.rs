//! What can be wrong with the record, each in a sentence that names the first row that is.

use serde::Serialize;

/// What sort of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// A row has other content than when it was written.
    Edited,
    /// A row is not there.
    Missing,
    /// A row stands where another one stood.
    Moved,
    /// A row was not made by this store.
    Forged,
    /// The note of where the chain ends was altered.
    Head,
    /// A name or address beside the chain was exchanged, deleted or erased without a record.
    Person,
    /// A segment file or its entry is missing or altered.
    Segment,
    /// A checkpoint saw another chain, or is missing or altered.
    Checkpoint,
}

/// The first fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The first row that is wrong; `None` when no row is.
    pub sequence: Option<u64>,
    /// What sort of fault it is.
    pub fault: Wrong,
    /// The sentence for people.
    pub message: String,
}

impl Fault {
    /// A fault of a row.
    pub fn row(sequence: u64, fault: Wrong, message: impl Into<String>) -> Self {
        Self { sequence: Some(sequence), fault, message: message.into() }
    }

    /// A fault of something beside the rows.
    pub fn beside(fault: Wrong, message: impl Into<String>) -> Self {
        Self { sequence: None, fault, message: message.into() }
    }
}
