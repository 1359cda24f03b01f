//! Evidence: what an investigator gets of the record, in one file that cannot be altered unseen. It is a `tar.gz` with a
//! list of SHA-256 sums and a detached Ed25519 signature of that list, so that stock tools check it.

pub mod check;
pub mod gather;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use portunus_gateway::api_key;
use portunus_gateway::clock;
use serde::Serialize;
use serde_json::{Value, json};

use super::segment::{Hashing, make_folder};
use super::sign::Signer;

/// The folder inside the file.
pub const FOLDER: &str = "portunus-evidence";
/// The list of sums.
pub const SUMS: &str = "SHA256SUMS";
/// Its signature.
pub const SIGNATURE: &str = "SHA256SUMS.sig";
/// The key that checks it.
pub const PUBLIC_KEY: &str = "public-key.pem";

const README: &str = "\
Evidence from the audit record of Portunus.

`portunus evidence verify FILE` says whether anything in it was altered, and what. With stock tools, in this folder:

  sha256sum -c SHA256SUMS
  openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig

Compare public-key.pem with the key that the operators of the node give you by another way: who alters all of it can
put another key beside it.

manifest.json       what this is, when it was made, and of which time
audit.jsonl         the rows of the record; each has a hash over its fields and the hash of the row before it
people.jsonl        what the pseudonyms in them stand for; each is the SHA-256 of salt, line feed and value
checkpoints.jsonl   signed notes of where the record ended, made as time went on
segments.jsonl      the files that older rows were moved into
verification.json   what a check of the whole record found when this was made
history.jsonl       every change of the configuration, without secrets
sessions.jsonl      who was logged in, without secrets
api-tokens.jsonl    the API tokens that there are, without secrets
";

/// A file of the bundle that is done.
#[derive(Debug, Serialize)]
struct Member {
    name: String,
    sha256: String,
    bytes: u64,
}

/// A bundle under construction, in a folder that is gone when this is.
pub struct Bundle {
    folder: PathBuf,
    members: Vec<Member>,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // What is left behind is private, and nobody needs it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A file of the bundle under construction.
pub struct Lines {
    name: &'static str,
    out: Hashing<BufWriter<File>>,
}

impl Lines {
    /// Adds a line of JSON.
    pub fn add(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

impl Bundle {
    /// A new one, in a folder of its own below this one.
    pub fn begin(parent: &Path) -> io::Result<Self> {
        let folder = parent.join(format!("evidence-{}", api_key::random_text(8)));
        make_folder(&folder)?;
        Ok(Self { folder, members: Vec::new() })
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.folder.join(name))
    }

    /// Begins a file.
    pub fn lines(&self, name: &'static str) -> io::Result<Lines> {
        Ok(Lines { name, out: Hashing::new(BufWriter::new(self.create(name)?)) })
    }

    /// Ends a file.
    pub fn end(&mut self, lines: Lines) -> io::Result<()> {
        let (out, sha256) = lines.out.finish();
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.members.push(Member { name: lines.name.to_owned(), sha256, bytes: file.metadata()?.len() });
        Ok(())
    }

    /// Adds a whole file.
    pub fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.create(name)?.write_all(text.as_bytes())?;
        let sha256 = api_key::to_hex(&api_key::hash(text.as_bytes()));
        self.members.push(Member { name: name.to_owned(), sha256, bytes: text.len() as u64 });
        Ok(())
    }

    /// Lists and signs the files, and packs them. The answer is the open file; nothing of it stays on the disk.
    pub fn finish(mut self, about: &Value, signer: &Signer) -> io::Result<File> {
        let key = signer.public_key();
        self.text(PUBLIC_KEY, &key.to_pem())?;
        self.text("README.txt", README)?;
        let manifest = json!({
            "format": "portunus evidence v1",
            "made_at": clock::now().to_string(),
            "version": portunus_gateway::VERSION,
            "about": about,
            "key": {"id": signer.id(), "fingerprint": key.fingerprint()},
            "files": self.members,
        });
        self.text("manifest.json", &serde_json::to_string_pretty(&manifest)?)?;
        let sums: String = self.members.iter().map(|member| format!("{}  {}\n", member.sha256, member.name)).collect();
        self.create(SUMS)?.write_all(sums.as_bytes())?;
        self.create(SIGNATURE)?.write_all(&signer.sign(sums.as_bytes()))?;
        let packed = self.folder.join("bundle.tar.gz");
        let out = GzEncoder::new(BufWriter::new(self.create("bundle.tar.gz")?), Compression::default());
        let mut tar = tar::Builder::new(out);
        tar.mode(tar::HeaderMode::Deterministic);
        let names = self.members.iter().map(|member| member.name.as_str()).chain([SUMS, SIGNATURE]);
        for name in names {
            tar.append_path_with_name(self.folder.join(name), format!("{FOLDER}/{name}"))?;
        }
        tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        File::open(packed)
    }
}
