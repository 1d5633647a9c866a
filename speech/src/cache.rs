//! Rendered prompts on disk.
//!
//! One file per prompt, named by its key. A file is
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `CLP1` |
//! | 4 | number of samples, little-endian |
//! | 32 | BLAKE3 of the samples' bytes |
//! | 2 each | samples at 8 kHz, 16 bit, little-endian |
//!
//! Files are written under another name and renamed, so a reader sees a whole
//! file or none. What power cuts and disks do besides is found by the
//! checksum; a damaged file is removed and the prompt rendered again. Nothing
//! here is worth an fsync.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::recency::Recency;
use crate::{PIPELINE_VERSION, Pcm8k};

const MAGIC: &[u8; 4] = b"CLP1";
const HEADER_BYTES: usize = 40;
/// How the names of files end that are being written.
const TEMPORARY: &str = ".clp.tmp";
/// Nobody takes longer to write one.
const LEFTOVER_AFTER: Duration = Duration::from_secs(600);
/// No prompt is longer (10 minutes); a header that says so is damaged.
const SAMPLES_MAX: usize = 8_000 * 600;

/// Where the cache lies, and how large it may grow.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// The folder; created when missing. The cache owns it: other files in it
    /// are left alone, but shouldn't be there.
    pub folder: PathBuf,
    /// Bytes of all files together; those not used for longest go first.
    pub bytes_max: u64,
}

impl CacheConfig {
    /// 256 MiB in `folder`: about 4.5 hours of speech.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// What a prompt is known by: voice, text and pipeline version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of `text` (normalised, with its pronunciations) spoken by
    /// `voice` (its checksums, or its command line).
    pub fn new(voice: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&PIPELINE_VERSION.to_le_bytes());
        // The length keeps (ab, c) and (a, bc) apart.
        hasher.update(&(voice.len() as u64).to_le_bytes());
        hasher.update(voice.as_bytes());
        hasher.update(text.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    fn file_name(&self) -> String {
        let mut name = String::with_capacity(68);
        for byte in self.0 {
            name.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            name.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        name.push_str(".clp");
        name
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let hex = name
            .strip_suffix(".clp")
            .filter(|hex| hex.len() == 64 && hex.is_ascii())?;
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Self(key))
    }
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    /// What lies in the folder, by last use; weights are bytes.
    index: Mutex<Recency<CacheKey, ()>>,
}

impl Cache {
    /// Opens the cache and evicts what is over the limit.
    ///
    /// # Errors
    /// The folder can't be made or listed.
    pub fn open(config: CacheConfig) -> io::Result<Self> {
        fs::create_dir_all(&config.folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&config.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(TEMPORARY) {
                // Written by a process that died, unless another process is at it this moment.
                let written = entry.metadata().and_then(|data| data.modified());
                if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AFTER)) {
                    let _ = fs::remove_file(entry.path());
                }
                continue;
            }
            let Some(key) = CacheKey::from_file_name(name) else {
                continue;
            };
            if let Ok(data) = entry.metadata() {
                found.push((
                    data.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    key,
                    data.len(),
                ));
            }
        }
        found.sort_by_key(|(used, _, _)| *used);
        let mut index = Recency::default();
        for (_, key, bytes) in found {
            index.insert(key, (), bytes);
        }
        let cache = Self {
            folder: config.folder,
            bytes_max: config.bytes_max,
            index: Mutex::new(index),
        };
        cache.evict(&mut cache.lock());
        Ok(cache)
    }

    /// The prompt, unless absent or damaged.
    pub fn get(&self, key: &CacheKey) -> Option<Arc<Pcm8k>> {
        if !self.lock().contains(key) {
            return None;
        }
        let path = self.path(key);
        match read(&path) {
            Ok(pcm) => {
                self.lock().get(key);
                // The order of use survives a restart.
                if let Ok(file) = fs::File::options().append(true).open(&path) {
                    let _ = file.set_modified(SystemTime::now());
                }
                Some(Arc::new(pcm))
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %path.display(), %error, "prompt in the cache is unusable, rendering it again");
                }
                self.lock().remove(key);
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a prompt. A failure is logged, not returned: the prompt can
    /// still be played.
    pub fn put(&self, key: &CacheKey, pcm: &Pcm8k) {
        let bytes = encode(pcm);
        if bytes.len() as u64 > self.bytes_max || pcm.samples.len() > SAMPLES_MAX {
            return;
        }
        let path = self.path(key);
        let temporary = path.with_extension(format!("{}{TEMPORARY}", std::process::id()));
        // One writer of this process at a time: two of the same prompt would share the name.
        let mut index = self.lock();
        let written = fs::write(&temporary, &bytes).and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            tracing::warn!(file = %path.display(), %error, "prompt can't be kept in the cache");
            return;
        }
        index.insert(*key, (), bytes.len() as u64);
        self.evict(&mut index);
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.lock().weight()
    }

    fn evict(&self, index: &mut Recency<CacheKey, ()>) {
        while let Some(key) = index.evict(self.bytes_max) {
            let _ = fs::remove_file(self.path(&key));
        }
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.folder.join(key.file_name())
    }

    fn lock(&self) -> MutexGuard<'_, Recency<CacheKey, ()>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(pcm: &Pcm8k) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + pcm.samples.len() * 2);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(pcm.samples.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 32]);
    for sample in &pcm.samples {
        out.extend_from_slice(&sample.to_le_bytes());
    }
    let sum = blake3::hash(&out[HEADER_BYTES..]);
    out[8..HEADER_BYTES].copy_from_slice(sum.as_bytes());
    out
}

fn read(path: &Path) -> io::Result<Pcm8k> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut file = fs::File::open(path)?;
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header)?;
    if &header[..4] != MAGIC {
        return Err(damaged("not a prompt"));
    }
    let samples = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if samples > SAMPLES_MAX {
        return Err(damaged("absurd length"));
    }
    let mut bytes = vec![0; samples * 2];
    file.read_exact(&mut bytes)?;
    if file.read(&mut [0])? > 0 {
        return Err(damaged("longer than it says"));
    }
    if blake3::hash(&bytes).as_bytes() != &header[8..] {
        return Err(damaged("wrong checksum"));
    }
    let samples = bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    Ok(Pcm8k { samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder that goes when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!(
                "careline-cache-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            Self(std::env::temp_dir().join(name))
        }

        fn open(&self, bytes_max: u64) -> Cache {
            Cache::open(CacheConfig {
                folder: self.0.clone(),
                bytes_max,
            })
            .unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn prompt(seed: i16) -> Pcm8k {
        Pcm8k {
            samples: (0..480).map(|n| n * seed).collect(),
        }
    }

    #[test]
    fn what_is_put_comes_back_also_after_a_restart() {
        let scratch = Scratch::new();
        let key = CacheKey::new("voice", "Hello.");
        let cache = scratch.open(1 << 20);
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &prompt(3));
        assert_eq!(cache.get(&key).as_deref(), Some(&prompt(3)));
        let again = scratch.open(1 << 20);
        assert_eq!(again.get(&key).as_deref(), Some(&prompt(3)));
        assert_eq!(again.bytes(), 1_000);
    }

    #[test]
    fn keys_differ_by_voice_and_text() {
        let key = |voice: &str, text: &str| CacheKey::new(voice, text);
        assert_ne!(key("a", "b"), key("a", "c"));
        assert_ne!(key("a", "b"), key("b", "b"));
        assert_ne!(key("ab", "c"), key("a", "bc"));
        let name = key("a", "b").file_name();
        assert_eq!(CacheKey::from_file_name(&name), Some(key("a", "b")));
        assert_eq!(CacheKey::from_file_name("notes.txt"), None);
    }

    type Damage = fn(&mut Vec<u8>);

    #[test]
    fn any_damage_is_found_and_the_file_removed() {
        let scratch = Scratch::new();
        let key = CacheKey::new("voice", "Hello.");
        let damages: [(&str, Damage); 6] = [
            ("flipped", |bytes| bytes[500] ^= 1),
            ("cut", |bytes| bytes.truncate(700)),
            ("longer", |bytes| bytes.push(0)),
            ("empty", Vec::clear),
            ("magic", |bytes| bytes[0] = b'X'),
            ("length", |bytes| bytes[7] = 0xFF),
        ];
        for (name, damage) in damages {
            let cache = scratch.open(1 << 20);
            cache.put(&key, &prompt(5));
            let path = cache.path(&key);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.get(&key), None, "{name}");
            assert!(!path.exists(), "{name}");
            cache.put(&key, &prompt(5));
            assert!(cache.get(&key).is_some(), "{name}");
        }
    }

    #[test]
    fn the_one_not_used_for_longest_goes_first() {
        let scratch = Scratch::new();
        let cache = scratch.open(3_000);
        let keys: Vec<CacheKey> = (0..4)
            .map(|n| CacheKey::new("voice", &n.to_string()))
            .collect();
        for key in &keys[..3] {
            cache.put(key, &prompt(1));
        }
        assert!(cache.get(&keys[0]).is_some());
        cache.put(&keys[3], &prompt(1));
        let there: Vec<bool> = keys.iter().map(|key| cache.get(key).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
        assert!(cache.bytes() <= 3_000);
        // A smaller limit at the next start evicts at once.
        assert_eq!(scratch.open(1_000).bytes(), 1_000);
    }

    #[test]
    fn leftovers_are_removed_and_strangers_left_alone() {
        let scratch = Scratch::new();
        fs::create_dir_all(&scratch.0).unwrap();
        let leftover = scratch.0.join("ab.clp.tmp");
        let stranger = scratch.0.join("notes.txt");
        fs::write(&leftover, b"x").unwrap();
        fs::write(&stranger, b"x").unwrap();
        drop(scratch.open(10));
        assert!(leftover.exists(), "somebody may be writing it");
        let long_ago = SystemTime::now() - 2 * LEFTOVER_AFTER;
        let file = fs::File::options().append(true).open(&leftover).unwrap();
        file.set_modified(long_ago).unwrap();
        let cache = scratch.open(10);
        assert!(!leftover.exists());
        assert!(stranger.exists());
        assert_eq!(cache.bytes(), 0);
        // Larger than the whole cache: not kept.
        cache.put(&CacheKey::new("voice", "Hello."), &prompt(1));
        assert_eq!(cache.bytes(), 0);
    }
}
