//! Some thousand calls at once, mixed as they come.

use super::*;

on_both!(interleaved_journeys_stay_sound);

fn interleaved_journeys_stay_sound(place: &Place) {
    let mut bench = Bench::open(place, Settings::default());
    let calls = 2_000_u64;
    let mut sent = 0;
    // Each call's journey in three commits, two hundred calls at a time.
    for first in (1..=calls).step_by(200) {
        for part in [0..4, 4..7, 7..10] {
            for call in first..first + 200 {
                let tenant = TenantId((call % 5) as u32);
                bench.submit(tenant, call as i64, &journey(call, call)[part.clone()]);
                sent += 1;
            }
        }
        bench.answers(std::mem::take(&mut sent));
    }
    let verified = sound(place);
    assert_eq!(
        (verified.events, verified.contacts, verified.tickets),
        (calls * 10, calls, calls)
    );
}
