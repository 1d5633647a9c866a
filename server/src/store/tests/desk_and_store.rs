//! The desk and the store together: what the desk believes is what the log says.

use std::collections::BTreeMap;

use ::desk::{
    Command, CommandId, Desk, Directory, Input, Journey, Limits, Output, Reply, Setup, TenantSetup,
    What,
};

use super::*;

on_both!(what_the_desk_believes_is_what_the_log_says);

/// Plays a desk against a real store until nothing is on its way.
struct Play {
    desk: Desk,
    bench: Bench,
    now: Duration,
    in_flight: usize,
    told: BTreeMap<ContactId, TicketNumber>,
}

impl Play {
    fn command(&mut self, id: u64, contact: u64, what: What) {
        let command = Command {
            id: CommandId(id),
            tenant: TenantId(1 + (contact % 2) as u32),
            contact: ContactId(contact),
            at: self.now.as_millis() as i64,
            what,
        };
        self.desk.handle(self.now, Input::Command(command));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                Output::Commit(commit) => {
                    self.bench.store.submit(commit).unwrap();
                    self.in_flight += 1;
                }
                Output::Answer(answer) => {
                    if let Reply::Ticket { number } = answer.reply {
                        self.told.insert(answer.contact, number);
                    }
                }
                Output::Ticket(answer) => panic!("nobody asked: {answer:?}"),
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    /// Takes the store's answers to all that is in flight; time passes meanwhile.
    fn settle(&mut self) {
        self.now += Duration::from_millis(100);
        self.desk.handle_timeout(self.now);
        self.drain();
        while self.in_flight > 0 {
            let answers = self.bench.answers_of_one_group();
            self.in_flight -= answers.len();
            for done in answers {
                let input = match done {
                    Done::Committed(id) => Input::Committed { id },
                    Done::Failed(id) => Input::CommitFailed { id },
                };
                self.desk.handle(self.now, input);
                self.drain();
            }
        }
    }
}

impl Bench {
    fn answers_of_one_group(&self) -> Vec<Done> {
        let group = self.done.recv_timeout(Duration::from_secs(20));
        group.expect("an answer")
    }
}

fn what_the_desk_believes_is_what_the_log_says(place: &Place) {
    let bench = Bench::open(place, Settings::default());
    let tenant = |id| TenantSetup {
        id: TenantId(id),
        ticket_key: [id as u8; 32],
        directory: Directory::default(),
        next_ticket: bench.recovered.next_ticket(TenantId(id)),
        tickets: Vec::new(),
        rules: desk::TicketRules::default(),
        promises: desk::PromiseSetup::default(),
        incidents: desk::IncidentSetup::default(),
        verification: desk::VerificationRules::default(),
    };
    let mut play = Play {
        desk: Desk::new(Setup {
            tenants: vec![tenant(1), tenant(2)],
            limits: Limits::default(),
        }),
        bench,
        now: Duration::from_secs(1),
        in_flight: 0,
        told: BTreeMap::new(),
    };
    let queue = QueueId(1);
    let agent = AgentId(2);
    let cause = EndCause::AgentHungUp;
    let steps = [
        What::Start {
            dnis: PhoneNumber("+15035550000".into()),
            ani: None,
            flow: None,
        },
        What::Identify { ani: None },
        What::OpenTicket,
        What::Journey(Journey::Queued { queue }),
        What::SetRole(Role::Staff),
        What::Journey(Journey::Offered { agent }),
        What::Journey(Journey::Connected { agent }),
        What::Journey(Journey::Ended { cause }),
    ];
    let mut id = 0;
    for (step, what) in steps.iter().enumerate() {
        for contact in 1..=300 {
            // Every second journey stops at a step of its own.
            if contact % 2 == 0 || contact % 8 >= step as u64 {
                id += 1;
                play.command(id, contact, what.clone());
            }
        }
        play.settle();
    }
    play.settle();
    assert_eq!(sound(place).contacts, 300);
    let reader = place.reader();
    for contact in 1..=300 {
        let tenant = TenantId(1 + (contact % 2) as u32);
        let contact = ContactId(contact);
        let row = reader.contact(tenant, contact).unwrap().unwrap();
        assert_eq!(Some(&row.facts), play.desk.facts(contact));
        let told = play.told.get(&contact).copied();
        assert_eq!(row.facts.ticket.map(|ticket| ticket.1), told);
        if let Some(number) = told {
            let found = reader.ticket(tenant, number).unwrap().unwrap();
            assert_eq!(found.facts.contact, contact);
        }
    }
    assert!(play.told.len() > 150);
}
