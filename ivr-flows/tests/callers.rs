//! Scene 17: what the directory says of how a caller is to be spoken to decides the way.

use std::sync::Arc;

use ivr_flows::{Flow, run_tests};

const FLOW: &str = r#"
flow: everybody
pace: standard
language: [en, es]
start: who
nodes:
  who: {identify: caller, next: how}
  how:
    branch:
      - {when: caller.relay, next: relay}
      - {when: 'caller.language == "es"', next: spanish}
      - {when: caller.slow, next: calm}
    else: usual
  relay: {play: {en: Take your time. Somebody will read what you write., es: Tómese su tiempo.}, next: desk}
  spanish: {language: es, next: welcome}
  welcome: {play: {en: Welcome., es: Bienvenido.}, next: desk}
  calm: {play: {en: We are calling somebody. You need not do anything., es: Llamamos a alguien.}, next: desk}
  usual: {play: {en: One moment., es: Un momento.}, next: desk}
  desk: {queue: service, no_agents: stay}
tests:
  - name: A relay call is never hurried
    caller: {role: patient, relay: true, language: es}
    hears: [Take your time.]
    ends: queue service
  - name: Spanish before the first word
    caller: {role: staff, language: es}
    hears: [Bienvenido., Usted es el siguiente]
    never_hears: [Welcome]
    ends: queue service
  - name: Slowly
    caller: {role: patient, slow: true}
    hears: [We are calling somebody.]
    ends: queue service
  - name: Nothing is known
    hears: [One moment.]
    never_hears: [Take your time, Bienvenido, We are calling]
    ends: queue service
"#;

#[test]
fn how_somebody_is_spoken_to_is_known_before_the_first_word() {
    let flow = Flow::parse("everybody.yaml", FLOW);
    let flow = Arc::new(flow.unwrap_or_else(|errors| panic!("{}", errors[0])));
    let results = run_tests(&flow);
    assert_eq!(results.len(), 4);
    for result in results {
        assert_eq!(result.failure, None, "{}", result.name);
    }
    let odd = FLOW.replace(
        "relay: true, language: es",
        "relay: true, language: spanish",
    );
    let errors = Flow::parse("everybody.yaml", &odd).expect_err("no language");
    assert!(
        errors[0].to_string().contains("isn't a language"),
        "{}",
        errors[0]
    );
}
