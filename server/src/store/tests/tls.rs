//! TLS to a PostgreSQL server, with passwords (SCRAM).

use std::path::Path;

use super::*;

const PASSWORD: &str = "s3cret of the store";

struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    Authority { pem, issuer }
}

/// A server on a port, with a certificate for `localhost` and for nothing
/// else, that takes `careline` with a password, and by TLS only.
fn encrypted(cluster: &Cluster, authority: &Authority) -> (u16, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    cluster.keeps("server.crt", &certificate.pem());
    cluster.keeps("server.key", &key.serialize_pem());
    let address = cluster.database();
    let database = address.rsplit('/').next().unwrap();
    cluster.sql(
        database,
        &format!("ALTER ROLE careline PASSWORD '{PASSWORD}'"),
    );
    cluster.keeps(
        "pg_hba.conf",
        "hostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    cluster.crash();
    cluster.again(&format!(
        "-c listen_addresses=127.0.0.1 -c port={port} -c ssl=on"
    ));
    (port, database.to_owned())
}

#[test]
fn a_session_is_encrypted_and_the_server_is_who_it_says() {
    let cluster = Cluster::start();
    let ours = authority();
    let (port, database) = encrypted(&cluster, &ours);
    let file = |name: &str, authority: &Authority| {
        let file = cluster.dir().join(name);
        std::fs::write(&file, &authority.pem).unwrap();
        file
    };
    let (known, foreign) = (file("known.pem", &ours), file("foreign.pem", &authority()));
    let opened = |host: &str, mode: &str, password: &str, authority: Option<&Path>| {
        let url = format!("postgres://careline@{host}:{port}/{database}?sslmode={mode}");
        let server = Server::new(&url, Some(password.as_bytes()), authority).unwrap();
        let opened = Store::open(
            Database::Server(server.clone()),
            Settings::default(),
            1,
            |_| {},
        );
        let told = opened.map(drop).map_err(|error| error.to_string());
        if let Err(told) = &told {
            assert!(!told.contains("s3cret"), "{told}");
        }
        told.map(|()| server)
    };
    let server = opened("localhost", "verify-full", PASSWORD, Some(&known)).unwrap();
    let session = Connection::to_read(&Database::Server(server)).unwrap();
    let version = session.row(
        "SELECT version FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()",
        &[],
        |row| Ok(row.text(0)?.to_owned()),
    );
    assert_eq!(version.unwrap().as_deref(), Some("TLSv1.3"));
    // Whoever it is, but not in the clear.
    opened("127.0.0.1", "require", PASSWORD, None).unwrap();
    let known = Some(&*known);
    for (host, mode, password, authority, why) in [
        (
            "localhost",
            "verify-full",
            PASSWORD,
            Some(&*foreign),
            "invalid peer certificate",
        ),
        (
            "127.0.0.1",
            "verify-full",
            PASSWORD,
            known,
            "not valid for name",
        ),
        ("localhost", "verify-full", "s3cret too", known, "28P01"),
        ("localhost", "disable", PASSWORD, None, "28000"),
    ] {
        let told = opened(host, mode, password, authority).unwrap_err();
        assert!(told.contains(why), "{host} {mode}: {told}");
    }

    // A server that has no TLS isn't spoken to without.
    cluster.keeps("pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n");
    cluster.crash();
    cluster.again(&format!("-c listen_addresses=127.0.0.1 -c port={port}"));
    for mode in ["require", "verify-full"] {
        let authority = known.filter(|_| mode == "verify-full");
        let told = opened("localhost", mode, PASSWORD, authority).unwrap_err();
        assert!(told.contains("does not support TLS"), "{told}");
    }
    opened("localhost", "disable", PASSWORD, None).unwrap();
}
