//! The database takes nothing more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use server::store::{Settings, Store};
use support::house::edit;

use super::*;

fn told(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("connected");
    let question = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

pub(super) async fn a_full_database_is_told_and_callers_reach_people() {
    // More than it may ever hold is in it already.
    let fill = |config: &std::path::Path, data: &std::path::Path| {
        let file = "file = \"careline.db\"";
        let small = format!("{file}\nsize_max_mb = 1\n\n[http]\nbind = \"127.0.0.1:0\"");
        edit(&config.join("careline.toml"), file, &small);
        let database = data.join("careline.db");
        let opened = Store::open(&database, Settings::default(), 0, |_| {});
        drop(opened.expect("a database"));
        let ballast =
            "CREATE TABLE ballast (bytes BLOB); INSERT INTO ballast VALUES (zeroblob(2000000))";
        let connection = rusqlite::Connection::open(&database).expect("the database");
        connection.execute_batch(ballast).expect("filled");
    };
    let house = House::open_prepared("full", fill).await;
    let http = house.http.expect("an address");
    assert!(told(http, "/ready").contains("takes calls\n"));
    // The last pages fill up.
    let mut closed = 0;
    let down = || {
        let ready = told(http, "/ready");
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        ready.contains("store down")
    };
    while !down() {
        closed += 1;
        assert!(closed < 1_000, "{}", told(http, "/metrics"));
        let question = ["close\tst-anne\tdesk\t30\t", "reopen\tst-anne\tdesk"][closed % 2];
        house.asks(question).await.expect("done");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut ana = house.agent("ana", 1, answering(200)).await;
    let mut okafor = house.caller(OKAFOR, 0).await;
    let (call, _) = okafor.dial("1001").await;
    let ring = ana.rings(LATER).await;
    both_talk(&mut okafor, &mut ana).await;
    caller_ends(&mut okafor, call, &mut ana, &ring).await;
    let metrics = told(http, "/metrics");
    assert!(
        !metrics.contains("careline_store_failed_total 0\n"),
        "{metrics}"
    );
}
