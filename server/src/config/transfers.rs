//! Where flows send callers on to, held against the dial rules before anybody calls.

use ivr_flows::{CheckError, FixedTransfer};
use switch::DialRules;

use super::helpdesk::{Agent, Hospital, QueueConfig};

/// What a transfer may lead to, of one hospital.
pub(super) struct Reach<'a> {
    hospital: &'a Hospital,
    queues: &'a [QueueConfig],
    agents: &'a [Agent],
    rules: DialRules,
}

impl<'a> Reach<'a> {
    /// Of a hospital whose rules are well written; those that aren't are left out.
    pub(super) fn of(
        hospital: &'a Hospital,
        queues: &'a [QueueConfig],
        agents: &'a [Agent],
    ) -> Self {
        let outside = hospital.outside.iter();
        let rules = DialRules {
            outside: outside.filter_map(|outside| outside.rule().ok()).collect(),
            country_code: hospital.country_code.clone(),
            ..DialRules::default()
        };
        Self {
            hospital,
            queues,
            agents,
            rules,
        }
    }

    fn leads_to(&self, to: &str) -> bool {
        let is =
            |name: &str, extension: &Option<String>| name == to || extension.as_deref() == Some(to);
        let mut queues = self.queues.iter();
        // Who serves no queue gets nobody's callers.
        let mut agents = self.agents.iter().filter(|agent| !agent.queues.is_empty());
        queues.any(|queue| is(&queue.name, &queue.extension))
            || agents.any(|agent| is(&agent.user, &agent.extension))
            || self.rules.allows_outside(to)
    }

    /// What is wrong with a transfer of a flow that answers one of the hospital's lines.
    pub(super) fn fault(&self, transfer: &FixedTransfer<'_>) -> Option<CheckError> {
        let FixedTransfer {
            file,
            line,
            node,
            to,
        } = *transfer;
        (!self.leads_to(to)).then(|| CheckError {
            file: file.to_owned(),
            line,
            column: 0,
            node: Some(node.to_owned()),
            message: format!(
                "the dial rules of hospital \"{}\" don't lead to \"{to}\"",
                self.hospital.key
            ),
            help: Some(format!(
                "Name an extension, an account or a queue of operator.yaml, or allow the number under \
                 `outside` in hospitals/{}.yaml. Emergency numbers are never allowed.",
                self.hospital.key
            )),
        })
    }
}
