//! Tokens of the API: made, told and revoked.

use std::fmt::Write as _;

use desk::TenantId;

use crate::api::tokens::{NewToken, Scope, Tokens};
use crate::config::HelpDesk;
use crate::node::wall;

/// Answers what follows the word `token`.
pub(super) fn answer(
    question: &str,
    tokens: &Tokens,
    helpdesk: &HelpDesk,
) -> Result<String, String> {
    let words: Vec<&str> = question.splitn(5, '\t').collect();
    match &words[..] {
        ["create", days, hospital, scopes, name] => {
            let tenant = match *hospital {
                "" => None,
                key => {
                    let mut hospitals = helpdesk.hospitals.iter();
                    let known = hospitals.find(|hospital| hospital.key == key);
                    let known = known.ok_or_else(|| format!("there is no hospital \"{key}\""))?;
                    Some(TenantId(known.id))
                }
            };
            let scope =
                |word: &str| Scope::read(word).ok_or_else(|| format!("\"{word}\" isn't a scope"));
            let new = NewToken {
                tenant,
                name: (*name).to_owned(),
                scopes: scopes
                    .split_whitespace()
                    .map(scope)
                    .collect::<Result<_, _>>()?,
                days: days
                    .parse()
                    .map_err(|_| "days are a whole number".to_owned())?,
            };
            let made = tokens.create(new, wall());
            let (id, secret) = made.map_err(|error| error.to_string())?;
            Ok(format!("{id}\n{}\n", secret.show()))
        }
        ["list"] => Ok(list(tokens, helpdesk, wall())),
        ["revoke", id] => {
            let id = id
                .parse()
                .map_err(|_| "a token's id is a number".to_owned())?;
            match tokens.revoke(id, wall()) {
                Ok(true) => Ok(format!("Token {id} isn't valid any more.\n")),
                Ok(false) => Err(format!("there is no token {id}, or it is revoked already")),
                Err(error) => Err(error.to_string()),
            }
        }
        _ => Err("a token is created, listed or revoked".to_owned()),
    }
}

fn list(tokens: &Tokens, helpdesk: &HelpDesk, now: i64) -> String {
    let mut text = String::new();
    for token in tokens.all() {
        let whose = match token.tenant {
            None => "(operator)",
            Some(tenant) => {
                let mut hospitals = helpdesk.hospitals.iter();
                let known = hospitals.find(|hospital| hospital.id == tenant.0);
                known.map_or("(gone)", |hospital| hospital.key.as_str())
            }
        };
        let days = (token.expires_at - now).div_euclid(86_400_000);
        let how = match token.revoked_at {
            Some(_) => "revoked".to_owned(),
            None if now >= token.expires_at => "expired".to_owned(),
            None => format!("{days} days left"),
        };
        let (id, scopes, name) = (token.token, &token.scopes, &token.name);
        let _ = writeln!(text, "{id:>5}  {whose:<12}  {how:<14}  {scopes}  {name}");
    }
    if text.is_empty() {
        text.push_str("There is no token yet; `careline token create` makes one.\n");
    }
    text
}
