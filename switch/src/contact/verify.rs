//! The caller shows who they are. What they key in passes through here once,
//! from the flow to whoever compares it; the desk judges.

use std::sync::Arc;

use desk::people::{Factor, Level, SecretDigits};
use desk::{Answer, CommandId, PersonId, Reply, VerifyReply, What};
use ivr_flows::{Factor as Asked, Input as FlowInput};

use super::{Contact, Cx};
use crate::input::{Check, Output, SendCode};

/// Codes that are sent in one call: each is a message on somebody's telephone.
const CODES_MAX: u8 = 3;

/// How far a caller has come.
#[derive(Debug, Default)]
pub(super) struct Showing {
    /// Who they may be, by the calling number.
    hint: Option<PersonId>,
    /// What they keyed in is being compared.
    checking: Option<CommandId>,
    /// How many codes were sent.
    codes: u8,
    /// How sure it is who they are.
    pub(super) level: Level,
}

impl Contact {
    /// What is the caller to be asked for?
    pub(super) fn verify(&mut self, level: u8, cx: &mut Cx<'_>) {
        match Level::of(level) {
            Some(level) if self.consult.is_none() => self.tell_desk(cx, What::Verify { level }),
            _ => {
                let no = FlowInput::CannotVerify { locked: false };
                self.session.handle(cx.now.mono, no);
            }
        }
    }

    /// Has compared what they have keyed in.
    pub(super) fn check(&mut self, cx: &mut Cx<'_>) {
        let answers = self.session.take_answers();
        let answers = answers.into_iter().map(|(factor, keyed)| {
            let factor = factor_of(factor);
            let mut digits = SecretDigits::default();
            for digit in keyed.digits() {
                digits.push(digit);
            }
            (factor, digits.as_kept(factor))
        });
        let answers = answers.collect();
        *cx.command += 1;
        let id = CommandId(*cx.command);
        self.showing.checking = Some(id);
        cx.out.push_back(Output::Check(Check {
            id,
            tenant: self.tenant,
            contact: self.id,
            hint: self.showing.hint,
            answers,
        }));
    }

    /// A code is asked for: it is sent, to whom the caller may be. Where that is nobody nothing is
    /// sent, and the caller hears the same.
    fn send_code(&mut self, factors: &[Factor], cx: &mut Cx<'_>) {
        if let Some(person) = self.showing.hint
            && factors.contains(&Factor::Code)
            && self.showing.codes < CODES_MAX
        {
            self.showing.codes += 1;
            cx.out.push_back(Output::SendCode(SendCode {
                tenant: self.tenant,
                contact: self.id,
                person,
            }));
        }
    }

    /// What the desk says of what was compared last.
    pub(super) fn is_checked(&mut self, answer: &Answer) -> Option<VerifyReply> {
        match &answer.reply {
            Reply::Verify(reply) => {
                self.showing.checking.take_if(|id| *id == answer.id)?;
                Some(reply.clone())
            }
            _ => None,
        }
    }

    pub(super) fn verify_says(&mut self, reply: VerifyReply, cx: &mut Cx<'_>) {
        if matches!(self.stage, super::Stage::Ended { .. }) {
            return;
        }
        let input = match reply {
            VerifyReply::Ask { factors, hint } => {
                self.showing.hint = hint;
                self.send_code(&factors, cx);
                FlowInput::VerifyAsks(factors.into_iter().map(asked_of).collect())
            }
            VerifyReply::Verified { level, who } => {
                self.showing.level = self.showing.level.max(level);
                let key = who.map(|(caller, key)| {
                    self.caller = caller;
                    Arc::from(key.0)
                });
                FlowInput::Verified {
                    level: level.into(),
                    key,
                }
            }
            VerifyReply::Again => FlowInput::NotVerified,
            VerifyReply::Locked => FlowInput::CannotVerify { locked: true },
            VerifyReply::Unavailable => FlowInput::CannotVerify { locked: false },
        };
        self.session.handle(cx.now.mono, input);
        self.carry_out(cx);
    }
}

fn factor_of(asked: Asked) -> Factor {
    match asked {
        Asked::BirthDate => Factor::BirthDate,
        Asked::Mrn => Factor::Mrn,
        Asked::StaffNumber => Factor::StaffNumber,
        Asked::Pin => Factor::Pin,
        Asked::Code => Factor::Code,
    }
}

fn asked_of(factor: Factor) -> Asked {
    match factor {
        Factor::BirthDate => Asked::BirthDate,
        Factor::Mrn => Asked::Mrn,
        Factor::StaffNumber => Asked::StaffNumber,
        Factor::Pin => Asked::Pin,
        Factor::Code => Asked::Code,
    }
}
