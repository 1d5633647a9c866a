//! The data directory: whose it is, and the key in it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{StartError, io_error};
use crate::secrets::RootKey;
use crate::store::{Database, needs_root_key};

/// The root key. A new one is made for a new database alone.
pub(super) fn root_key(data_dir: &Path, database: &Database) -> Result<RootKey, StartError> {
    if !RootKey::exists(data_dir).map_err(io_error("root key"))? {
        let needed = needs_root_key(database).map_err(|error| StartError::Store {
            database: database.to_string(),
            error,
        })?;
        if needed {
            let dir = data_dir.to_owned();
            return Err(StartError::RootKeyMissing { dir });
        }
    }
    RootKey::load_or_create(data_dir).map_err(io_error("root key"))
}

/// A directory that was there already, and that others may read, is theirs no more.
pub(super) fn own(data_dir: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(data_dir)?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o700))?;
        tracing::warn!(
            directory = %data_dir.display(),
            was = format!("{:o}", mode & 0o7777),
            "others could read the data directory: it is its owner's alone now (700)"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Settings, Store, StoreError};

    #[test]
    fn a_data_directory_is_its_owners_alone() {
        let dir = std::env::temp_dir().join(format!("careline-own-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mode = || std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777;
        for is in [0o755, 0o700, 0o770] {
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(is)).unwrap();
            own(&dir).unwrap();
            assert_eq!(mode(), 0o700);
        }
        std::fs::remove_dir_all(&dir).unwrap();
        own(&dir).unwrap_err();
    }

    #[test]
    fn a_root_key_is_never_replaced_beside_a_database() {
        let dir = std::env::temp_dir().join(format!("careline-root-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let database = Database::File(dir.join("careline.db"));
        let open = |root: &RootKey| {
            let settings = Settings {
                root_key: Some(root.check()),
                ..Settings::default()
            };
            Store::open(&database, settings, 0, |_| {}).map(drop)
        };
        let first = root_key(&dir, &database).unwrap();
        open(&first).unwrap();
        open(&root_key(&dir, &database).unwrap()).unwrap();
        // Lost: nothing is made in its place.
        let file = dir.join("root.key");
        let key = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let missing = root_key(&dir, &database).unwrap_err();
        assert!(missing.to_string().contains("backup"), "{missing}");
        assert!(!file.exists());
        // Another installation's.
        std::fs::write(&file, [7; 32]).unwrap();
        let other = open(&root_key(&dir, &database).unwrap()).unwrap_err();
        assert!(matches!(other, StoreError::OtherRootKey), "{other}");
        std::fs::write(&file, key).unwrap();
        open(&root_key(&dir, &database).unwrap()).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
