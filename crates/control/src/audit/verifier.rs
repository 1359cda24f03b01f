//! Judges the rows of a chain one after the other. It knows nothing of where they come from and keeps none of them.

use super::chain::{ChainRow, HEAD, Head, ROW, SealKey};
use super::fault::{Fault, Wrong};

/// Where a chain has been found right up to.
#[derive(Debug)]
pub struct Verifier {
    key: SealKey,
    head: Head,
    first: Option<u64>,
}

impl Verifier {
    /// At the beginning of a chain.
    pub fn new(key: SealKey) -> Self {
        Self { key, head: Head::default(), first: None }
    }

    /// In the middle of a chain, after a row that is known to be right.
    pub fn after(key: SealKey, head: Head) -> Self {
        Self { key, head, first: None }
    }

    /// The last row that was right.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Judges the next row.
    pub fn row(&mut self, row: &ChainRow) -> Result<(), Fault> {
        let next = self.head.sequence + 1;
        if row.sequence > next {
            return Err(missing(next, row.sequence - 1));
        }
        if row.sequence < next {
            let message = format!("row {} comes after row {}", row.sequence, self.head.sequence);
            return Err(Fault::row(row.sequence, Wrong::Moved, message));
        }
        let expected = row.expected_hash();
        if row.hash != expected {
            return Err(self.other_content(row, &expected));
        }
        if !self.key.is_right(ROW, &row.hash, &row.seal) {
            let message = format!("the seal of row {next} is wrong: it was written or rewritten by somebody else");
            return Err(Fault::row(next, Wrong::Forged, message));
        }
        if row.previous_hash != self.head.hash {
            let message = format!("row {next} does not follow the row before it: it belongs to another chain");
            return Err(Fault::row(next, Wrong::Moved, message));
        }
        self.first.get_or_insert(next);
        self.head = Head { sequence: next, hash: row.hash.clone() };
        Ok(())
    }

    /// What happened to a row whose hash does not fit its content.
    fn other_content(&self, row: &ChainRow, expected: &str) -> Fault {
        let n = row.sequence;
        if self.key.is_right(ROW, expected, &row.seal) {
            return Fault::row(n, Wrong::Edited, format!("the hash of row {n} was edited"));
        }
        if !self.key.is_right(ROW, &row.hash, &row.seal) {
            let message = format!("the hash and the seal of row {n} do not fit its content: it is forged");
            return Fault::row(n, Wrong::Forged, message);
        }
        if row.previous_hash != self.head.hash {
            let relinked = ChainRow { previous_hash: self.head.hash.clone(), ..row.clone() };
            return match relinked.expected_hash() == row.hash {
                true => Fault::row(n, Wrong::Edited, format!("the field previous_hash of row {n} was edited")),
                false => Fault::row(n, Wrong::Moved, format!("row {n} is another row that was put in its place")),
            };
        }
        Fault::row(n, Wrong::Edited, format!("row {n} was edited: its content does not fit its hash"))
    }

    /// Judges the note of where the chain ends, at its end.
    pub fn end(&self, noted: Option<(&Head, &str)>) -> Result<(), Fault> {
        let last = self.head.sequence;
        let Some((noted, seal)) = noted else {
            return match last {
                0 => Ok(()),
                _ => Err(Fault::beside(Wrong::Head, "the note of where the chain ends is missing")),
            };
        };
        if !self.key.is_right(HEAD, &noted.text(), seal) {
            return Err(Fault::beside(Wrong::Head, "the note of where the chain ends was altered: its seal is wrong"));
        }
        if noted.sequence > last {
            return Err(missing(last + 1, noted.sequence));
        }
        if noted.sequence < last {
            let message = format!("row {} was added past the end of the chain", noted.sequence + 1);
            return Err(Fault::row(noted.sequence + 1, Wrong::Forged, message));
        }
        match noted.hash == self.head.hash {
            true => Ok(()),
            false => {
                Err(Fault::row(last, Wrong::Moved, format!("row {last} is not the one that the chain ended with")))
            }
        }
    }
}

/// The fault of rows that are not there.
pub fn missing(first: u64, last: u64) -> Fault {
    let message = match first == last {
        true => format!("row {first} is missing"),
        false => format!("rows {first} to {last} are missing"),
    };
    Fault::row(first, Wrong::Missing, message)
}

#[cfg(test)]
mod tests;
