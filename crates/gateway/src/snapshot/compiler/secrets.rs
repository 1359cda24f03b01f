//! The secrets of upstreams: opened when they are compiled, read again when their files change.

use super::{Compiler, Touched};
use crate::config::AnyEntry;
use crate::config::upstream::Upstream;
use crate::kind::Meta;
use crate::upstream::balance::CompiledUpstream;
use crate::upstream::credential::Credential;

impl Compiler {
    /// Remembers whose secret lies in a file.
    pub(super) fn note_files(&mut self, entry: &AnyEntry) {
        let id = entry.meta().id;
        let authentication = upstream(entry).and_then(|upstream| upstream.authentication.as_ref());
        match authentication.is_some_and(|authentication| authentication.secret().is_file()) {
            true => self.with_files.insert(id),
            false => self.with_files.remove(&id),
        };
    }

    /// The credential for an upstream. One whose secret cannot be had keeps what it had, and the log tells it.
    pub(super) fn credential(
        &mut self,
        meta: &Meta,
        config: &Upstream,
        before: Option<&CompiledUpstream>,
    ) -> Option<Credential> {
        let Some(authentication) = &config.authentication else {
            self.unreadable.remove(&meta.id);
            return None;
        };
        let before = before.and_then(|before| before.credential.as_ref());
        let (credential, why) = Credential::compile(authentication, &self.keys, before);
        match why {
            Some(why) if self.unreadable.insert(meta.id) => {
                tracing::error!(target: "gateway", resource = %meta.name, id = %meta.id, error = why, "secret_unreadable");
            }
            None if self.unreadable.remove(&meta.id) => {
                tracing::info!(target: "gateway", resource = %meta.name, id = %meta.id, "secret_readable");
            }
            _ => {}
        }
        credential
    }

    /// Reads the secrets again that lie in files; whether one changed, so that the snapshot is another.
    pub fn reread_secrets(&mut self) -> bool {
        let mut touched = Touched::default();
        for id in self.with_files.clone() {
            let Some(entry) = self.tables.get(id) else { continue };
            let Some(config) = upstream(&entry) else { continue };
            let own = self.snapshot.apis.get(&id).map(|api| api.upstream.clone());
            let before = self.snapshot.upstreams.get(&id).cloned().or(own);
            let credential = self.credential(entry.meta(), config, before.as_deref());
            if credential.as_ref() != before.as_ref().and_then(|before| before.credential.as_ref()) {
                self.touch(&entry, &mut touched);
            }
        }
        let is_changed = !touched.upstreams.is_empty() || !touched.apis.is_empty();
        if is_changed {
            // What has compiled before does so with another secret.
            let faults = self.compile(&touched);
            for fault in faults {
                tracing::error!(target: "gateway", id = %fault.id, error = %fault.problem, "secret_unreadable");
            }
        }
        is_changed
    }

    /// Takes entries over in which nothing but the sealing of secrets differs, so that what was compiled stays right.
    pub fn take_resealed(&mut self, entries: impl IntoIterator<Item = AnyEntry>) {
        for entry in entries {
            self.tables.put(entry);
        }
    }
}

/// The upstream that an entry describes.
fn upstream(entry: &AnyEntry) -> Option<&Upstream> {
    match entry {
        AnyEntry::Upstream(entry) => Some(&entry.spec),
        AnyEntry::Api(entry) => entry.spec.upstream.as_ref(),
        _ => None,
    }
}
