//! Over real connections: who keeps theirs.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The pump's part: takes what is accepted, until so many connections came.
async fn take(streams: &mut Streams, count: usize) {
    for _ in 0..count {
        loop {
            match streams.recv().await.unwrap() {
                Arrived::Accepted(stream, by, _place) => {
                    streams.accepted(stream, by);
                    break;
                }
                Arrived::Closed { peer, serial } => {
                    streams.closed(peer, serial);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn call_from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((ip, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

fn listening(connections_max: usize) -> (Streams, SocketAddr) {
    let streams = Streams::new(None, connections_max);
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let at = listener.local_addr().unwrap();
    streams.listen(listener, Transport::Tcp).unwrap();
    (streams, at)
}

fn peer_of(stream: &TcpStream) -> Peer {
    Peer {
        addr: stream.local_addr().unwrap(),
        transport: Transport::Tcp,
    }
}

#[tokio::test]
async fn strangers_are_few_and_whoever_is_known_stays() {
    let (mut streams, at) = listening(CONNECTIONS_MAX);
    let mut phone = call_from([127, 0, 0, 1], at).await;
    take(&mut streams, 1).await;
    streams.known(peer_of(&phone));
    let mut crowd = Vec::new();
    for place in 1..=30 {
        for _ in 0..40 {
            crowd.push(call_from([127, 0, 0, place], at).await);
            take(&mut streams, 1).await;
        }
    }
    assert_eq!(streams.strangers.len(), STRANGERS_MAX);
    assert_eq!(streams.counters().displaced, 30 * 40 - 512);
    // The first of the crowd was closed for a later one's sake.
    assert_eq!(crowd[0].read(&mut [0; 8]).await.unwrap_or(0), 0);
    // The phone can still be spoken to, and answers pings.
    phone.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    phone.read_exact(&mut pong).await.unwrap();
    // Those who were closed leave the table.
    while streams.len() > STRANGERS_MAX + 1 {
        if let Arrived::Closed { peer, serial } = streams.recv().await.unwrap() {
            streams.closed(peer, serial);
        }
    }
}

#[tokio::test]
async fn one_place_has_a_few_dozen() {
    let (mut streams, at) = listening(CONNECTIONS_MAX);
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(call_from([127, 0, 0, 7], at).await);
        take(&mut streams, 1).await;
    }
    assert_eq!(streams.strangers.len(), STRANGERS_PER_PLACE_MAX);
}

#[tokio::test]
async fn an_answer_to_a_stranger_makes_a_strangers_connection() {
    let (mut streams, _) = listening(CONNECTIONS_MAX);
    let theirs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = Peer {
        addr: theirs.local_addr().unwrap(),
        transport: Transport::Tcp,
    };
    let transmit = |bytes: &[u8]| sip::Transmit {
        peer,
        bytes: Arc::from(bytes),
    };
    streams.send(&transmit(b"SIP/2.0 401 Unauthorized\r\n\r\n"));
    assert_eq!(streams.strangers.len(), 1);
    let (mut stream, _) = theirs.accept().await.unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    streams.displace(peer);
    assert!(matches!(
        streams.recv().await,
        Some(Arrived::Closed { serial: 1, .. })
    ));
    assert!(streams.closed(peer, 1));
    streams.send(&transmit(b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n"));
    assert_eq!((streams.strangers.len(), streams.len()), (0, 1));
}

#[tokio::test]
async fn where_descriptors_are_few_so_are_connections() {
    let (mut streams, at) = listening(64);
    let mut phones = Vec::new();
    for _ in 0..70 {
        let phone = call_from([127, 0, 0, 1], at).await;
        take(&mut streams, 1).await;
        streams.known(peer_of(&phone));
        phones.push(phone);
    }
    assert_eq!((streams.len(), streams.counters().refused), (64, 6));
}

/// Whoever can send from a gateway's address and port (on the path, in its network) would otherwise get what is sent
/// to the gateway, keys included, without a certificate.
#[tokio::test]
async fn nobody_comes_from_a_gateways_own_port() {
    let (mut streams, _) = listening(CONNECTIONS_MAX);
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let at = listener.local_addr().unwrap();
    streams.listen(listener, Transport::Tls).unwrap();
    let peer = |stream: &TcpStream| Peer {
        transport: Transport::Tls,
        ..peer_of(stream)
    };
    // It isn't known yet that a gateway is there: then it is.
    let early = call_from([127, 0, 0, 9], at).await;
    take(&mut streams, 1).await;
    assert_eq!(streams.len(), 1);
    streams.gateway(peer(&early), Some("pbx.example"));
    assert!(
        matches!(streams.recv().await, Some(Arrived::Closed { peer: closed, serial })
        if closed == peer(&early) && streams.closed(closed, serial))
    );
    // It is known.
    let mut late = call_from([127, 0, 0, 9], at).await;
    streams.gateway(peer(&late), None);
    take(&mut streams, 1).await;
    assert_eq!((streams.len(), streams.counters().refused), (0, 1));
    assert_eq!(late.read(&mut [0; 1]).await.unwrap_or(0), 0);
    // We are connected there, or on our way.
    let mut taking = call_from([127, 0, 0, 9], at).await;
    let Some(Arrived::Accepted(stream, by, _place)) = streams.recv().await else {
        panic!("somebody calls");
    };
    streams.send(&sip::Transmit {
        peer: peer(&taking),
        bytes: Arc::from(&b"OPTIONS sip:127.0.0.9 SIP/2.0\r\n\r\n"[..]),
    });
    streams.accepted(stream, by);
    assert_eq!((streams.len(), streams.counters().refused), (1, 2));
    assert_eq!(taking.read(&mut [0; 1]).await.unwrap_or(0), 0);
    // Its calls come from elsewhere.
    let calling = call_from([127, 0, 0, 9], at).await;
    take(&mut streams, 1).await;
    assert!(streams.open.contains_key(&peer(&calling)));
}
