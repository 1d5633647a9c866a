//! A large desk under load: 1,000 agents in 40 queues, thousands waiting.
//! Reads no clock (the crate is pure); measure it from outside:
//! `time cargo run --release -p acd --example load -- 5000 1000000`
//! (contacts waiting, messages).

use std::collections::VecDeque;
use std::time::Duration;

use acd::{
    Acd, AgentId, AgentSetup, Class, ContactId, FromAcd, OfferId, Output, QueueId, QueueSetup,
    Setup, TenantId, ToAcd, Visit,
};

const AGENTS: u32 = 1_000;
const QUEUES: u32 = 40;

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let waiting: u64 = args.next().unwrap_or(5_000);
    let messages: u64 = args.next().unwrap_or(1_000_000);

    let queues = (0..QUEUES).map(|id| QueueSetup::new(QueueId(id), None, id == 0));
    let agents = (0..AGENTS).map(|id| {
        let queues: Vec<_> = (0..6).map(|n| QueueId((id + n * 7) % QUEUES)).collect();
        AgentSetup::new(AgentId(id), &queues)
    });
    let mut load = Load {
        acd: Acd::new(Setup::new(1, queues.collect(), agents.collect())),
        now: Duration::from_secs(3_600),
        messages: 0,
        offers: 0,
        next_contact: 0,
        talking: VecDeque::new(),
        waiting: VecDeque::new(),
    };
    for agent in 0..AGENTS {
        load.say(ToAcd::SignIn {
            agent: AgentId(agent),
            at: load.now,
            until: load.now * 2,
        });
    }
    while load.messages < messages {
        load.now += Duration::from_micros(100);
        if (load.waiting.len() as u64) < waiting {
            load.arrive();
        } else {
            load.wait_on();
        }
        if load.talking.len() as u32 > AGENTS / 2 && load.messages.is_multiple_of(4) {
            load.hang_up();
        }
    }
    println!(
        "{} messages, {} offers, {} waiting at the end",
        load.messages,
        load.offers,
        load.waiting.len()
    );
}

struct Load {
    acd: Acd,
    now: Duration,
    messages: u64,
    offers: u64,
    next_contact: u64,
    talking: VecDeque<OfferId>,
    waiting: VecDeque<ToAcd>,
}

impl Load {
    fn say(&mut self, message: ToAcd) {
        self.messages += 1;
        self.acd.handle(self.now, message);
        let mut answers = Vec::new();
        while let Some(output) = self.acd.poll() {
            if let Output::To(FromAcd::Offer { offer, .. }) = output {
                self.offers += 1;
                self.talking.push_back(offer);
                answers.push(ToAcd::Ringing { offer });
                answers.push(ToAcd::Accept { offer });
            }
        }
        for answer in answers {
            self.say(answer);
        }
    }

    fn arrive(&mut self) {
        self.next_contact += 1;
        let class = match self.next_contact % 10 {
            0..3 => Class::Clinician,
            3..6 => Class::Staff,
            _ => Class::Patient,
        };
        let wait = ToAcd::Wait {
            contact: ContactId(self.next_contact),
            visit: Visit(1),
            tenant: TenantId((self.next_contact % 250) as u32),
            queue: QueueId((self.next_contact % u64::from(QUEUES)) as u32),
            class,
            since: self.now,
            prefer: None,
        };
        self.waiting.push_back(wait.clone());
        self.say(wait);
    }

    /// The lease of who has waited longest without a word. (Some have been
    /// answered meanwhile: a late `Wait`, as it happens.)
    fn wait_on(&mut self) {
        if let Some(wait) = self.waiting.pop_front() {
            let ToAcd::Wait { since, .. } = &wait else {
                return;
            };
            if self.now < *since + Duration::from_secs(60) {
                self.waiting.push_back(wait.clone());
            }
            self.say(wait);
        }
    }

    fn hang_up(&mut self) {
        if let Some(offer) = self.talking.pop_front() {
            self.say(ToAcd::Finish { offer });
        }
    }
}
