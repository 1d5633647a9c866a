//! What RTCP tells.

use std::time::Duration;

use media::codec::Codec;
use media::engine::Command;

use crate::net::{Net, leg, towards};
use crate::{clip, stats};

#[test]
fn reports_tell_the_round_trip_and_the_loss() {
    for mux in [false, true] {
        let (server, phone) = (leg(0, 0), leg(1, 0));
        let mut net = Net::new(2);
        for (leg, far) in [(server, phone), (phone, server)] {
            net.command(Command::Open { leg });
            let mut negotiated = towards(far, Codec::Pcmu);
            negotiated.rtcp_mux = mux;
            net.command(Command::Connect {
                leg,
                negotiated,
                natted: None,
            });
            net.command(Command::Loop {
                leg,
                clip: clip(5, 1),
                offset_ms: 0,
            });
        }
        net.fate = Box::new(|n| if n % 17 == 7 { vec![] } else { vec![40] });
        net.run(60_000);
        net.command(Command::Close { leg: server });
        let stats = stats(&net, server);
        let round_trip_us = stats.round_trip_us.expect("reports crossed");
        assert!(
            (79_000..=82_000).contains(&round_trip_us),
            "{round_trip_us}"
        );
        assert!(stats.remote_lost.unwrap() > 50);
        assert!(
            stats.packets_lost > 50 && stats.packets_received > 2_000,
            "{stats:?}"
        );
        assert!(stats.gap_max >= Duration::from_millis(40));
        // About every 5 s from both, and a goodbye.
        assert!(
            (15..=45).contains(&net.rtcp_sent.len()),
            "{}",
            net.rtcp_sent.len()
        );
        let goodbye = net.rtcp_sent.last().unwrap();
        assert_eq!(goodbye[goodbye.len() - 7], 203);
    }
}
