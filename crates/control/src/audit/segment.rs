//! Segments: older rows of the chain, taken out of the table into compressed files of JSON lines. The file's hash stands
//! in the database under a seal, and `audit verify` walks through the files before it walks through the table.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use portunus_gateway::api_key;
use serde_json::json;

use super::chain::ChainRow;

/// What the database knows of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its first row.
    pub first_sequence: u64,
    /// Its last row.
    pub last_sequence: u64,
    /// The hash of the row before it.
    pub previous_hash: String,
    /// The hash of its last row.
    pub last_hash: String,
    /// The name of the file in the audit folder.
    pub file: String,
    /// SHA-256 of the file.
    pub file_sha256: String,
    /// When it was made, in microseconds since 1970.
    pub sealed_at: i64,
}

impl Segment {
    /// What is sealed of it.
    pub fn text(&self) -> String {
        json!([
            self.first_sequence,
            self.last_sequence,
            self.previous_hash,
            self.last_hash,
            self.file,
            self.file_sha256,
            self.sealed_at,
        ])
        .to_string()
    }

    /// Where the file is. A name that leads out of the folder leads nowhere.
    pub fn path(&self, folder: &Path) -> Option<PathBuf> {
        let is_plain = !self.file.contains(['/', '\\']) && self.file.starts_with("segment-");
        is_plain.then(|| folder.join(&self.file))
    }
}

/// Makes a folder that only the process's user may read.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A segment file under construction; it has its name only when it is whole and on disk.
pub struct SegmentWriter {
    out: GzEncoder<Hashing<BufWriter<File>>>,
    folder: PathBuf,
    part: PathBuf,
}

impl SegmentWriter {
    /// Begins a file in this folder.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let part = folder.join("segment.part");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let out = GzEncoder::new(Hashing::new(BufWriter::new(file)), Compression::default());
        Ok(Self { out, folder: folder.to_owned(), part })
    }

    /// Adds a row.
    pub fn row(&mut self, row: &ChainRow) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")
    }

    /// Puts the file on disk under its name; gives the name and the SHA-256.
    pub fn finish(self, first: u64, last: u64) -> io::Result<(String, String)> {
        let name = format!("segment-{first:012}-{last:012}.jsonl.gz");
        let (out, sha256) = self.out.finish()?.finish();
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.part, self.folder.join(&name))?;
        File::open(&self.folder)?.sync_all()?;
        Ok((name, sha256))
    }
}

/// Why a segment file cannot be read.
pub enum Unreadable {
    /// It is not there.
    Missing,
    /// It is there, but not as it was written.
    Altered(String),
}

/// Reads a segment file row by row.
pub struct SegmentReader {
    lines: BufReader<GzDecoder<Hashing<BufReader<File>>>>,
    line: String,
}

impl SegmentReader {
    /// Opens a file.
    pub fn open(path: Option<PathBuf>) -> Result<Self, Unreadable> {
        let file = path.and_then(|path| File::open(path).ok()).ok_or(Unreadable::Missing)?;
        let lines = BufReader::new(GzDecoder::new(Hashing::new(BufReader::new(file))));
        Ok(Self { lines, line: String::new() })
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<ChainRow>, Unreadable> {
        self.line.clear();
        match self.lines.read_line(&mut self.line) {
            Ok(0) => Ok(None),
            Ok(_) => serde_json::from_str(self.line.trim_end())
                .map(Some)
                .map_err(|error| Unreadable::Altered(error.to_string())),
            Err(error) => Err(Unreadable::Altered(error.to_string())),
        }
    }

    /// SHA-256 of the whole file, at its end.
    pub fn sha256(self) -> io::Result<String> {
        let mut raw = self.lines.into_inner().into_inner();
        io::copy(&mut raw, &mut io::sink())?;
        Ok(raw.finish().1)
    }
}

/// Hashes what passes through.
pub(super) struct Hashing<T> {
    inner: T,
    hash: Context,
}

impl<T> Hashing<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, hash: Context::new(&SHA256) }
    }

    /// What is inside, and the SHA-256 of what passed.
    pub(super) fn finish(self) -> (T, String) {
        (self.inner, api_key::to_hex(self.hash.finish().as_ref()))
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(&bytes[..read]);
        Ok(read)
    }
}
