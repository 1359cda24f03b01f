//! Checkpoints: signed notes of where the chain ended, kept outside the database. Each holds the hash of the one before.
//! A database that was put back to an older copy ends before its last checkpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portunus_gateway::api_key;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chain::{GENESIS, Head};
use super::fault::{Fault, Wrong};
use super::sign::{PublicKey, Signer};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Counts the checkpoints from 1.
    pub number: u64,
    /// The last row.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// When, in RFC 3339.
    pub at: String,
    /// SHA-256 of the line before.
    pub previous: String,
    /// The key that signed it.
    pub key: String,
    /// The Ed25519 signature in base64.
    pub signature: String,
}

/// The end of a list of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The number of the last one.
    pub number: u64,
    /// The hash of its line.
    pub line_hash: String,
    /// The row that it saw.
    pub sequence: u64,
    /// When it was made.
    pub at: String,
}

impl Default for Last {
    fn default() -> Self {
        Self { number: 0, line_hash: GENESIS.to_owned(), sequence: 0, at: String::new() }
    }
}

impl Checkpoint {
    /// The next checkpoint, signed.
    pub fn next(last: &Last, head: &Head, at: String, signer: &Signer) -> Self {
        let mut made = Self {
            number: last.number + 1,
            sequence: head.sequence,
            hash: head.hash.clone(),
            at,
            previous: last.line_hash.clone(),
            key: signer.id().to_owned(),
            signature: String::new(),
        };
        made.signature = STANDARD.encode(signer.sign(made.signed_text().as_bytes()));
        made
    }

    /// What is signed.
    pub fn signed_text(&self) -> String {
        json!(["portunus checkpoint v1", self.number, self.sequence, self.hash, self.at, self.previous, self.key])
            .to_string()
    }

    /// Its line, without the line end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts serialise")
    }

    fn is_signed_by(&self, key: &PublicKey) -> bool {
        STANDARD.decode(&self.signature).is_ok_and(|signature| key.is_right(self.signed_text().as_bytes(), &signature))
    }
}

/// What is left of a checkpoint when it was read: enough to compare the chain with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The row.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Checkpoints that were read and belong together.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// What each saw, in order of rows.
    pub seen: Vec<Seen>,
    /// How many there are.
    pub count: u64,
    /// The number of the first one.
    pub first: u64,
    /// The last one.
    pub last: Last,
    /// The hashes of the lines by number, for those that the database may have noted: the last ones.
    recent: Vec<(u64, String)>,
}

/// How many line hashes are kept.
const RECENT: usize = 64;

impl Checkpoints {
    /// Reads lines in order. A last line without its end was being written when the power went, and does not count.
    ///
    /// Each line holds the hash of the one before, so the signature of the last one vouches for all.
    pub fn read(text: &str, key: &PublicKey) -> Result<Self, Fault> {
        let mut all = Self::default();
        let mut last: Option<Checkpoint> = None;
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let Ok(checkpoint) = serde_json::from_str::<Checkpoint>(line) else {
                let message = format!("the checkpoint after number {} cannot be read: it was altered", all.last.number);
                return Err(Fault::beside(Wrong::Checkpoint, message));
            };
            let number = checkpoint.number;
            if let Some(last) = &last {
                if number != last.number + 1 {
                    return Err(gap(last.number + 1, number));
                }
                if checkpoint.previous != all.last.line_hash {
                    let message = format!("checkpoint {} was altered: the next one saw another", last.number);
                    return Err(Fault::beside(Wrong::Checkpoint, message));
                }
            } else {
                all.first = number;
            }
            let Some(hash) = api_key::from_hex(&checkpoint.hash) else {
                return Err(altered(number));
            };
            all.count += 1;
            all.seen.push(Seen { sequence: checkpoint.sequence, hash });
            let line_hash = api_key::to_hex(&api_key::hash(line.as_bytes()));
            if all.recent.len() == 2 * RECENT {
                all.recent.drain(..RECENT);
            }
            all.recent.push((number, line_hash.clone()));
            all.last = Last { number, line_hash, sequence: checkpoint.sequence, at: checkpoint.at.clone() };
            last = Some(checkpoint);
        }
        if let Some(last) = last.filter(|last| !last.is_signed_by(key)) {
            return Err(altered(last.number));
        }
        all.seen.sort_by_key(|seen| seen.sequence);
        Ok(all)
    }

    /// Compares with what the database noted of the last checkpoint that it made.
    pub fn compare(&self, noted: &Last) -> Result<(), Fault> {
        if noted.number > self.last.number {
            return Err(gap(self.last.number + 1, noted.number + 1));
        }
        match self.recent.iter().find(|(number, _)| *number == noted.number) {
            Some((_, hash)) if *hash != noted.line_hash => Err(altered(noted.number)),
            _ => Ok(()),
        }
    }
}

fn altered(number: u64) -> Fault {
    Fault::beside(Wrong::Checkpoint, format!("checkpoint {number} was altered"))
}

/// The fault of checkpoints that are not there, up to the one before `next`.
pub fn gap(first: u64, next: u64) -> Fault {
    let message = match next.saturating_sub(first) {
        0 => format!("checkpoint {first} is out of order"),
        1 => format!("checkpoint {first} is missing"),
        _ => format!("checkpoints {first} to {} are missing", next - 1),
    };
    Fault::beside(Wrong::Checkpoint, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: u64) -> (Vec<String>, Signer) {
        let signer = Signer::from_seed("k", &[3; 32]);
        let mut last = Last::default();
        let lines = (1..=count)
            .map(|n| {
                let head = Head { sequence: n * 10, hash: api_key::to_hex(&api_key::hash(&n.to_be_bytes())) };
                let made = Checkpoint::next(&last, &head, format!("2026-01-0{n}T00:00:00Z"), &signer);
                let line_hash = api_key::to_hex(&api_key::hash(made.line().as_bytes()));
                last = Last { number: n, line_hash, sequence: made.sequence, at: made.at.clone() };
                made.line()
            })
            .collect();
        (lines, signer)
    }

    fn read(lines: &[String], signer: &Signer) -> Result<Checkpoints, String> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Checkpoints::read(&text, &signer.public_key()).map_err(|fault| fault.message)
    }

    #[test]
    fn what_was_written_is_read() {
        let (lines, signer) = lines(3);
        let all = read(&lines, &signer).unwrap();
        assert_eq!((all.count, all.first, all.last.sequence), (3, 1, 30));
        assert_eq!(all.compare(&all.last), Ok(()));
        let torn = format!("{}\n{}", lines[0], &lines[1][..20]);
        assert_eq!(Checkpoints::read(&torn, &signer.public_key()).unwrap().count, 1);
        assert_eq!(read(&[], &signer).unwrap().count, 0);
    }

    #[test]
    fn what_was_altered_or_taken_away_is_named() {
        let (lines, signer) = lines(4);
        let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat();
        assert_eq!(read(&without(1), &signer).unwrap_err(), "checkpoint 2 is missing");
        let shorter = read(&without(3), &signer).unwrap();
        let noted = read(&lines, &signer).unwrap().last;
        assert_eq!(shorter.compare(&noted).unwrap_err().message, "checkpoint 4 is missing");
        let mut edited = lines.clone();
        edited[1] = edited[1].replace("\"sequence\":20", "\"sequence\":21");
        assert_eq!(read(&edited, &signer).unwrap_err(), "checkpoint 2 was altered: the next one saw another");
        let mut edited = lines.clone();
        edited[3] = edited[3].replace("\"sequence\":40", "\"sequence\":41");
        assert_eq!(read(&edited, &signer).unwrap_err(), "checkpoint 4 was altered");
        let stranger = Signer::from_seed("k", &[4; 32]);
        assert_eq!(read(&lines, &stranger).unwrap_err(), "checkpoint 4 was altered");
    }
}
