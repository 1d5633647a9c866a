//! The store is a PostgreSQL server's, which stops answering.

#[allow(dead_code, unreachable_pub)]
#[path = "../support/postgres.rs"]
mod cluster;

use cluster::Cluster;
use server::store::{Database, Reader, Server};
use support::house::edit;

use super::*;

pub(super) async fn a_ticket_is_on_the_server_and_without_it_a_person_answers() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let store = format!("url = \"{url}\"");
    let mut house = House::open_prepared("postgres", |config, _| {
        edit(
            &config.join("careline.toml"),
            "file = \"careline.db\"",
            &store,
        );
    })
    .await;
    let mut ana = house.agent("ana", 1, answering(300)).await;
    let mut okafor = house.caller(OKAFOR, 0).await;
    let (call, _) = okafor.dial("1001").await;
    let ring = ana.rings(LATER).await;
    let ticket = ring.ticket.expect("a ticket");
    both_talk(&mut okafor, &mut ana).await;
    caller_ends(&mut okafor, call, &mut ana, &ring).await;
    let contact = house
        .contact_of(SAINT_ANNE, ticket)
        .expect("it is recorded");
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    assert_eq!(row.facts.ticket.map(|(_, number)| number), Some(ticket));

    // After-call work.
    tokio::time::sleep(Duration::from_secs(11)).await;
    okafor.afresh();
    ana.afresh();
    cluster.hangs();
    let (call, answered) = okafor.dial("1001").await;
    let ring = ana.rings(LATER).await;
    let wait = ring.at.saturating_duration_since(answered);
    assert!(
        wait < Duration::from_secs(4),
        "the phone rang after {wait:?}"
    );
    assert_eq!(ring.ticket, None, "it isn't on disk");
    both_talk(&mut okafor, &mut ana).await;
    caller_ends(&mut okafor, call, &mut ana, &ring).await;
    cluster.goes_on();
    house.stop().await;
    let server = Server::new(&url, None, None).expect("an address");
    let verified = Reader::open(Database::Server(server)).and_then(|reader| reader.verify());
    assert_eq!(verified.expect("a database").faults, []);
}
