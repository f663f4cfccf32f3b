//! The one place that touches files, and the seam by which tests make them fail. It must not know what a batch is.
#![expect(clippy::disallowed_methods, reason = "the log's one way to the disk")]

mod faults;

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use faults::{Faults, WriteFault};

/// Linux takes this many buffers in one vectored write.
const BUFFERS_MAX: usize = 1024;

/// A disk: the machine's, or one that fails as a test tells it.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    faults: Option<Arc<Faults>>,
}

impl Disk {
    /// The machine's disk.
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's disk, failing as `faults` say. For tests.
    pub fn with_faults(faults: Arc<Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    /// Opens a file for reading and writing, and makes it if need be.
    pub(crate) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        if let Some(faults) = &self.faults {
            faults.before_create(path)?;
        }
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(self.wrap(file, path))
    }

    /// Opens a file for reading.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        Ok(self.wrap(fs::File::open(path)?, path))
    }

    /// Opens and locks a file; `None` if another process or log holds it.
    pub(crate) fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = self.open_or_create(path)?;
        match file.file.try_lock() {
            Ok(()) => Ok(Some(Lock { file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether another process or log holds the file.
    pub(crate) fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The whole file, or `None` if there is none.
    pub(crate) fn read_whole(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file as a whole: after a crash it is the old or the new one. With `durable` it is the new one on return.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let new = PathBuf::from(name);
        self.step()?;
        let file = self.open_or_create(&new)?;
        file.set_len(0)?;
        self.step()?;
        file.write_at(&[Bytes::copy_from_slice(bytes)], 0)?;
        if durable {
            self.step()?;
            file.sync_all()?;
        }
        self.step()?;
        fs::rename(&new, path)?;
        match path.parent() {
            Some(dir) if durable => self.sync_dir(dir),
            _ => Ok(()),
        }
    }

    /// Names of what is in a folder, sorted; none if there is no such folder.
    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Makes a folder and those above it, durably.
    pub(crate) fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !here(dir).is_dir()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.step()?;
        fs::create_dir_all(dir)?;
        missing.iter().rev().filter_map(|dir| dir.parent()).try_for_each(|parent| self.sync_dir(parent))
    }

    /// Makes names in a folder durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        fs::File::open(here(dir))?.sync_all()
    }

    /// Renames durably.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |parent| self.sync_dir(parent))
    }

    /// Removes a file; fine if there is none.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        absent_is_fine(fs::remove_file(path))
    }

    /// Removes a folder with all in it; fine if there is none.
    pub(crate) fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        absent_is_fine(fs::remove_dir_all(dir))
    }

    /// Bytes that may still be written to the disk that holds `dir`.
    pub(crate) fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        if let Some(free) = self.faults.as_ref().and_then(|faults| faults.free_bytes()) {
            return Ok(free);
        }
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The file system that holds `dir`, if one call can make everything in it durable and tells every failure to do so.
    pub(crate) fn file_system(&self, dir: &Path) -> io::Result<Option<FileSystem>> {
        let root = fs::File::open(dir)?;
        let whole = match &self.faults {
            Some(faults) => faults.syncs_whole(),
            None => tells_sync_failures(&root)?,
        };
        Ok(whole.then(|| FileSystem { root, faults: self.faults.clone() }))
    }

    /// Comes before all that changes what a folder holds, or makes it durable: a test may fail it.
    fn step(&self) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before_step())
    }

    fn wrap(&self, file: fs::File, path: &Path) -> File {
        File { file, path: path.to_owned(), faults: self.faults.clone() }
    }
}

/// A locked file; unlocked when it goes.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing alone is not enough: a process that is just being forked off holds the file open too, until it runs its own program.
    fn drop(&mut self) {
        let _ = self.file.file.unlock();
    }
}

/// Linux 5.8 and later report every failed write-back to `syncfs`; stacked file systems pass the report on to nobody.
fn tells_sync_failures(root: &fs::File) -> io::Result<bool> {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    let kind = u64::try_from(rustix::fs::fstatfs(root)?.f_type).unwrap_or(0);
    let kernel = rustix::system::uname();
    let release = kernel.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok(matches!(kind, EXT4 | XFS) && version >= (5, 8))
}

/// A file system as a whole.
#[derive(Debug)]
pub(crate) struct FileSystem {
    root: fs::File,
    faults: Option<Arc<Faults>>,
}

impl FileSystem {
    /// Makes everything that was written to any file durable. Fails if anything was not since the last call, whatever file it was for.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let sync = || Ok(rustix::fs::syncfs(&self.root)?);
        self.faults.as_ref().map_or_else(sync, |faults| faults.around_sync(sync))
    }
}

/// Whether a failed write says that there is no room: nothing else is wrong.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What is above a relative path's first folder has no name.
fn here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    path: PathBuf,
    faults: Option<Arc<Faults>>,
}

impl File {
    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all `buffers`, one behind the other, from `at` on. After an error any part of them may have been written.
    pub(crate) fn write_at(&self, buffers: &[Bytes], at: u64) -> io::Result<()> {
        let Some(faults) = &self.faults else { return self.write_through(buffers, at) };
        let whole = buffers.iter().map(Bytes::len).sum();
        match faults.before_write(whole) {
            None => self.write_through(buffers, at),
            Some((reaches, error)) => {
                let joined = buffers.concat();
                self.write_through(&[Bytes::from(joined).slice(..reaches)], at)?;
                Err(error)
            }
        }
    }

    fn write_through(&self, buffers: &[Bytes], mut at: u64) -> io::Result<()> {
        for some in buffers.chunks(BUFFERS_MAX) {
            let mut slices: Vec<IoSlice<'_>> = some.iter().map(|buffer| IoSlice::new(buffer)).collect();
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match rustix::io::pwritev(&self.file, left, at) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        at += written as u64;
                        IoSlice::advance_slices(&mut left, written);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Fills `buffer` from `at` on.
    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// How long the file is.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Cuts or stretches the file.
    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    /// Makes the file's bytes and length durable.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        match &self.faults {
            None => self.file.sync_data(),
            Some(faults) => faults.around_sync(|| self.file.sync_data()),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
