//! Whom a text names: `@` and the user name of a member.

use sotto_e2ee::content::MENTIONS_MAX;
use sotto_protocol::ids::AccountId;
use sotto_protocol::limits::USERNAME_CHARS_MAX;

/// The accounts that a text names, in the order in which it does, each once.
pub(crate) fn find(text: &str, members: &[(AccountId, String)]) -> Vec<AccountId> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        // An e-mail address names nobody.
        if before.is_some_and(|c| c.is_alphanumeric() || "._-@".contains(c)) {
            continue;
        }
        let rest = text.get(at.saturating_add(1)..).unwrap_or_default();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
            .take(USERNAME_CHARS_MAX)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        // A full stop may end the sentence, or be part of the name: the longest name that fits counts.
        let mut name = name.as_str();
        let account = loop {
            match members.iter().find(|(_, known)| known == name) {
                Some((account, _)) => break Some(*account),
                None => match name.strip_suffix(['.', '_', '-']) {
                    Some(shorter) => name = shorter,
                    None => break None,
                },
            }
        };
        if let Some(account) = account.filter(|account| !found.contains(account)) {
            found.push(account);
        }
        if found.len() == MENTIONS_MAX {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: AccountId = AccountId([1; 16]);
    const BOB_DOT: AccountId = AccountId([2; 16]);

    fn found(text: &str) -> Vec<AccountId> {
        find(text, &[(BOB, "bob".into()), (BOB_DOT, "bob.".into())])
    }

    #[test]
    fn members_are_named_by_an_at_and_their_user_name() {
        assert_eq!(found("@bob: hello"), [BOB]);
        assert_eq!(found("hello @Bob, and again @bob"), [BOB]);
        assert_eq!(found("(@bob) ask @bob."), [BOB, BOB_DOT]);
        assert_eq!(found("ask @bob-"), [BOB]);
        assert_eq!(found("ünï@bob @ @bobby bob @@bob a.@bob"), []);
    }
}
