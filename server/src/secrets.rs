//! Keys that this installation keeps to itself.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use desk::TenantId;
use desk::people::Pepper;

use crate::config::SecretFrom;
use crate::durable;

/// Largest secret read from a file, in bytes.
pub(crate) const SECRET_BYTES_MAX: usize = 8 * 1024;
/// Enough to see that one is larger.
const SECRET_READ_MAX: u64 = 8 * 1024 + 3;

/// What an administrator keeps out of the configuration. Files are relative to `dir`.
///
/// # Errors
/// It isn't there. The secret is part of no message.
pub(crate) fn find(from: &SecretFrom, dir: &Path) -> Result<String, String> {
    let (what, found) = match (&from.file, &from.env) {
        (Some(file), None) => {
            let file = dir.join(file);
            let mut found = String::new();
            let read = fs::File::open(&file)
                .and_then(|file| file.take(SECRET_READ_MAX).read_to_string(&mut found));
            read.map_err(|error| format!("{}: {error}", file.display()))?;
            (file.display().to_string(), found)
        }
        (None, Some(name)) => {
            let found = std::env::var(name)
                .map_err(|_| format!("environment variable {name} isn't set, or isn't text"))?;
            (format!("environment variable {name}"), found)
        }
        _ => return Err("a secret is found in a `file` or in `env`: one of them".to_owned()),
    };
    let found = found.trim_end_matches(['\r', '\n']);
    if found.is_empty() || found.len() > SECRET_BYTES_MAX {
        return Err(format!(
            "{what} holds no secret: 1 to {SECRET_BYTES_MAX} bytes are read"
        ));
    }
    Ok(found.to_owned())
}

/// Bytes from the system's random source.
///
/// # Errors
/// When it can't be read, which no program can go on without.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The system's random source, kept open: keys of calls are drawn from it while calls come in.
#[derive(Debug)]
pub struct Entropy(fs::File);

impl Entropy {
    /// Opens it.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open() -> io::Result<Self> {
        fs::File::open("/dev/urandom").map(Self)
    }

    /// What a code is made of that is sent to somebody.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn code(&mut self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// What a leg's keys are made of.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn secret(&mut self) -> io::Result<media::srtp::Secret> {
        let mut bytes = [0; 32];
        self.0.read_exact(&mut bytes)?;
        Ok(media::srtp::Secret::new(bytes))
    }
}

/// The installation's root key: in a file of the data directory that only its
/// owner may read, made at the first start, and outside the database, so that
/// a copy of that alone doesn't let anybody foretell ticket numbers.
#[derive(Clone)]
pub struct RootKey([u8; 32]);

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(..)")
    }
}

impl RootKey {
    /// Reads the key, or makes it.
    ///
    /// # Errors
    /// When the file can't be read or written, or isn't 32 bytes long.
    pub fn load_or_create(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("root.key");
        match fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is damaged: not 32 bytes long", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = random()?;
                durable::replace(&path, &key)?;
                Ok(Self(key))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether there is one.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn exists(data_dir: &Path) -> io::Result<bool> {
        data_dir.join("root.key").try_exists()
    }

    /// What the database keeps to know this key by. Nothing can be derived from it.
    pub fn check(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"careline key check v1");
        let mut check = [0; 16];
        hasher.finalize_xof().fill(&mut check);
        check
    }

    /// The user of the Contact that we register with a trunk's provider: the
    /// same at every start, and nobody's guess.
    pub fn contact_user(&self, trunk: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"careline contact v1");
        hasher.update(trunk.as_bytes());
        let hex = hasher.finalize().to_hex();
        hex.as_str().chars().take(24).collect()
    }

    /// Who this installation is towards registrars (RFC 5626 section 4.1): a
    /// UUID of our own making (RFC 9562 section 5.8), the same at every start.
    pub fn instance(&self) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"careline instance v1");
        let mut hex: Vec<char> = hasher.finalize().to_hex().chars().take(32).collect();
        hex[12] = '8';
        hex[16] = 'a';
        let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
        let parts = [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ];
        format!("urn:uuid:{}", parts.join("-"))
    }

    /// The key under which a hospital's people's factors are sealed.
    pub fn pepper(&self, tenant: TenantId) -> Pepper {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"careline factors v1");
        hasher.update(&tenant.0.to_le_bytes());
        Pepper::new(tenant, *hasher.finalize().as_bytes())
    }

    /// The key of a hospital's ticket numbers.
    pub fn ticket_key(&self, tenant: TenantId) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"careline ticket numbers v1");
        hasher.update(&tenant.0.to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("careline-key-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let first = RootKey::load_or_create(&dir).unwrap();
        let again = RootKey::load_or_create(&dir).unwrap();
        assert_eq!(first.ticket_key(TenantId(1)), again.ticket_key(TenantId(1)));
        assert_ne!(first.ticket_key(TenantId(1)), first.ticket_key(TenantId(2)));
        assert_eq!(first.contact_user("city"), again.contact_user("city"));
        assert_ne!(first.contact_user("city"), first.contact_user("town"));
        assert_eq!(first.contact_user("city").len(), 24);
        let mode = fs::metadata(dir.join("root.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&dir).unwrap();
    }
}
