//! Says whether a bundle of evidence is as it was made, and what is not.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::GzDecoder;
use portunus_gateway::api_key;
use serde::Serialize;

use super::{FOLDER, PUBLIC_KEY, SIGNATURE, SUMS};
use crate::audit::segment::Hashing;
use crate::audit::sign::PublicKey;

/// The most bytes of the list, its signature and the key.
const LARGEST_LIST: u64 = 1024 * 1024;

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Whether nothing was altered.
    pub intact: bool,
    /// What was, each in a sentence that begins with the file's name.
    pub faults: Vec<String>,
    /// How many files are in it.
    pub files: usize,
    /// The fingerprint of the key that signed it.
    pub key_fingerprint: String,
}

/// Checks a bundle with this key, or with the one that lies in it.
pub fn check(bundle: impl Read, key: Option<PublicKey>) -> io::Result<Found> {
    let (sums, kept) = read(bundle)?;
    let text = |name: &str| kept.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut faults = Vec::new();
    let list = text(SUMS).unwrap_or_default();
    let mut listed = BTreeMap::new();
    for line in list.lines() {
        match line.split_once("  ") {
            Some((sum, name)) => drop(listed.insert(name, sum)),
            None => faults.push(format!("{SUMS}: a line of it was altered")),
        }
    }
    for (name, sum) in &listed {
        match sums.get(*name) {
            Some(found) if found == sum => {}
            Some(_) => faults.push(format!("{name}: it was altered")),
            None => faults.push(format!("{name}: it is missing")),
        }
    }
    for name in sums.keys().filter(|name| !listed.contains_key(name.as_str())) {
        if name != SUMS && name != SIGNATURE {
            faults.push(format!("{name}: it was added"));
        }
    }
    let key = key.or_else(|| PublicKey::from_pem(&text(PUBLIC_KEY)?));
    match (&key, kept.get(SUMS), kept.get(SIGNATURE)) {
        (_, None, _) => faults.push(format!("{SUMS}: it is missing")),
        (_, _, None) => faults.push(format!("{SIGNATURE}: it is missing")),
        (None, ..) => faults.push(format!("{PUBLIC_KEY}: it is missing or no key")),
        (Some(key), Some(list), Some(signature)) if !key.is_right(list, signature) => {
            let message = "does not fit the list and the key: one of the three was altered, or another key signed it";
            faults.push(format!("{SUMS}: the signature {SIGNATURE} {message}"));
        }
        _ => {}
    }
    Ok(Found {
        intact: faults.is_empty(),
        faults,
        files: sums.len(),
        key_fingerprint: key.map(|key| key.fingerprint()).unwrap_or_default(),
    })
}

/// The sums of all files, and the content of those that the check needs.
type Contents = (BTreeMap<String, String>, BTreeMap<String, Vec<u8>>);

fn read(bundle: impl Read) -> io::Result<Contents> {
    let (mut sums, mut kept) = (BTreeMap::new(), BTreeMap::new());
    let mut archive = tar::Archive::new(GzDecoder::new(bundle));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        let name = path
            .trim_start_matches("./")
            .strip_prefix(FOLDER)
            .map_or(path.as_str(), |rest| rest.trim_start_matches('/'))
            .to_owned();
        let sum = match [SUMS, SIGNATURE, PUBLIC_KEY].contains(&name.as_str()) {
            true => {
                let mut bytes = Vec::new();
                entry.take(LARGEST_LIST).read_to_end(&mut bytes)?;
                let sum = api_key::to_hex(&api_key::hash(&bytes));
                kept.insert(name.clone(), bytes);
                sum
            }
            false => {
                let mut out = Hashing::new(io::sink());
                io::copy(&mut entry, &mut out)?;
                out.finish().1
            }
        };
        if sums.insert(name.clone(), sum).is_some() {
            // Unpacked, the last would win.
            sums.insert(format!("{name} (twice)"), String::new());
        }
    }
    Ok((sums, kept))
}
