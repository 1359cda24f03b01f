//! Makes checkpoints, and goes on with them after a start.

use std::sync::atomic::Ordering;

use portunus_gateway::api_key;
use portunus_gateway::clock;
use serde_json::json;

use super::{KeepError, Keeper};
use crate::audit::chain::Head;
use crate::audit::checkpoint::{Checkpoint, Checkpoints, Last};
use crate::audit::event::{Actor, NewEvent};
use crate::audit::verify::MOVED;
use crate::store::audit::{keep, proof};

impl Keeper {
    /// Compares the chain with its last checkpoint.
    pub(super) async fn compare_last(&self) -> Result<(), KeepError> {
        let text = self.read_checkpoints().await?;
        let checkpoints = match Checkpoints::read(&text, &self.store.keys.audit.signer().public_key()) {
            Ok(checkpoints) => checkpoints,
            Err(fault) => {
                self.broken(&fault.message);
                return Ok(());
            }
        };
        let Some(last) = checkpoints.seen.last() else { return Ok(()) };
        let mut db = self.store.readers().acquire().await?;
        let head = proof::head(&mut db).await?.map(|(head, _)| head).unwrap_or_default();
        if head.sequence < last.sequence {
            self.broken(&format!("it ends with row {}, but a checkpoint saw row {}", head.sequence, last.sequence));
            return Ok(());
        }
        let hash = proof::hash_of(&mut db, last.sequence).await?;
        if hash.is_some_and(|hash| api_key::from_hex(&hash) != Some(last.hash)) {
            self.broken(&format!("row {} is not the one that a checkpoint saw", last.sequence));
        }
        Ok(())
    }

    async fn read_checkpoints(&self) -> Result<String, KeepError> {
        let checkpoints = &self.settings.checkpoints;
        checkpoints.read().await.map_err(|error| KeepError::File(checkpoints.location(), error))
    }

    pub(super) async fn try_checkpoint(&self) {
        if let Err(error) = self.checkpoint().await {
            tracing::error!(target: "control", error = %error, "audit_checkpoint_failed");
        }
    }

    /// Makes a checkpoint if the chain has grown since the last one.
    pub async fn checkpoint(&self) -> Result<(), KeepError> {
        let mut held = self.checkpoint.lock().await;
        let head = self.head().await?;
        self.metrics.audit.sequence.store(head.sequence, Ordering::Relaxed);
        let last = match held.clone() {
            Some(last) => last,
            None => self.resume().await?,
        };
        if head.sequence == last.sequence {
            *held = Some(last);
            return Ok(());
        }
        let key = self.store.keys.audit.clone();
        let now = clock::now();
        let made = Checkpoint::next(&last, &head, now.to_string(), &key.signer());
        let line = made.line();
        let (checkpoints, location) = (&self.settings.checkpoints, self.settings.checkpoints.location());
        checkpoints.append(&line).await.map_err(|error| KeepError::File(location.clone(), error))?;
        let line_hash = api_key::to_hex(&api_key::hash(line.as_bytes()));
        let last = Last { number: made.number, line_hash, sequence: made.sequence, at: made.at };
        *held = Some(last.clone());
        self.metrics.audit.checkpoint_at.store(now.as_second().unsigned_abs(), Ordering::Relaxed);
        self.store
            .transact(move |write| {
                Box::pin(async move { keep::note_checkpoint(write.db, &key, &last, &location).await })
            })
            .await?;
        Ok(())
    }

    async fn head(&self) -> Result<Head, KeepError> {
        let mut db = self.store.readers().acquire().await?;
        Ok(proof::head(&mut db).await?.map(|(head, _)| head).unwrap_or_default())
    }

    /// Where checkpoints go on after a start.
    async fn resume(&self) -> Result<Last, KeepError> {
        let text = self.read_checkpoints().await?;
        let key = &self.store.keys.audit;
        let noted = {
            let mut db = self.store.readers().acquire().await?;
            proof::checkpoint(&mut db, key).await?
        };
        let there = Checkpoints::read(&text, &key.signer().public_key()).unwrap_or_default();
        match noted {
            Some(noted) if there.count == 0 => {
                let location = self.settings.checkpoints.location();
                if noted.location != location {
                    let details = json!({ "number": noted.last.number + 1, "from": noted.location, "to": location });
                    self.record(vec![NewEvent::new(Actor::system("audit"), MOVED).with(details)]).await;
                }
                Ok(noted.last)
            }
            _ => Ok(there.last),
        }
    }
}
