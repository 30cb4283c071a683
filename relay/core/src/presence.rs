//! Who is here in one conversation, and what its followers are told of that.
//!
//! A [`Roll`] is the list of accounts with at least one session that follows the conversation and does not hide.
//! Sessions come and go at any time; followers are told now and then, by [`Roll::news`], of what is different from
//! the last time. So an account that went and came back in between is no news, and a thousand that came at once are
//! one. Above [`PRESENT_NAMED_MAX`] accounts nobody is named and only the number is told.

use sotto_protocol::body::push::WhoIsHere;
use sotto_protocol::ids::AccountId;
use sotto_protocol::limits::PRESENT_NAMED_MAX;
use std::collections::BTreeMap;

/// See the module. `S` names a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll<S> {
    /// Each account with its sessions: one for each device, and for a moment two while one replaces another.
    here: BTreeMap<AccountId, Vec<S>>,
    /// Accounts that came (true) or went since the last news.
    changed: BTreeMap<AccountId, bool>,
    /// Whether the last news named accounts.
    was_named: bool,
    /// The number in the last news.
    was_count: usize,
}

impl<S> Default for Roll<S> {
    fn default() -> Self {
        // Of an empty roll everybody is named.
        Self { here: BTreeMap::new(), changed: BTreeMap::new(), was_named: true, was_count: 0 }
    }
}

/// What followers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// How many accounts are here.
    pub count: u32,
    /// Which.
    pub who: WhoIsHere,
}

impl<S: Copy + PartialEq> Roll<S> {
    /// A session of the account is here; again is the same.
    pub fn enter(&mut self, account: AccountId, session: S) {
        let sessions = self.here.entry(account).or_default();
        let is_first = sessions.is_empty();
        if !sessions.contains(&session) {
            sessions.push(session);
        }
        if is_first {
            self.note(account, true);
        }
    }

    /// A session of the account is not here any more, or hides; again is the same.
    pub fn leave(&mut self, account: AccountId, session: S) {
        let Some(sessions) = self.here.get_mut(&account) else { return };
        sessions.retain(|known| *known != session);
        if sessions.is_empty() {
            self.here.remove(&account);
            self.note(account, false);
        }
    }

    /// The account is a member no more. Gives its sessions that were here.
    pub fn remove(&mut self, account: AccountId) -> Vec<S> {
        let sessions = self.here.remove(&account).unwrap_or_default();
        if !sessions.is_empty() {
            self.note(account, false);
        }
        sessions
    }

    /// Whether nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    /// What is different from the last time; `None` if nothing is.
    pub fn news(&mut self) -> Option<News> {
        let changed = std::mem::take(&mut self.changed);
        let is_named = self.here.len() <= PRESENT_NAMED_MAX;
        let was_named = std::mem::replace(&mut self.was_named, is_named);
        let was_count = std::mem::replace(&mut self.was_count, self.here.len());
        if !is_named {
            let is_other = was_named || was_count != self.here.len();
            return is_other.then(|| News { count: self.count(), who: WhoIsHere::Unnamed });
        }
        let (came, went): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(_, came)| *came);
        if !was_named || came.len() > PRESENT_NAMED_MAX || went.len() > PRESENT_NAMED_MAX {
            return Some(self.everybody());
        }
        if came.is_empty() && went.is_empty() {
            return None;
        }
        let accounts = |changes: Vec<(AccountId, bool)>| changes.into_iter().map(|(account, _)| account);
        let who = WhoIsHere::Changed { came: accounts(came).collect(), went: accounts(went).collect() };
        Some(News { count: self.count(), who })
    }

    /// All there is to say, for a follower that was told nothing yet. It may hear of the latest changes once more
    /// with the next news, which then say what it knows.
    #[must_use]
    pub fn everybody(&self) -> News {
        let who = if self.here.len() <= PRESENT_NAMED_MAX {
            WhoIsHere::These(self.here.keys().copied().collect())
        } else {
            WhoIsHere::Unnamed
        };
        News { count: self.count(), who }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.here.len()).unwrap_or(u32::MAX)
    }

    /// Who comes back before anybody was told of the going has not moved.
    fn note(&mut self, account: AccountId, came: bool) {
        if self.changed.remove(&account).is_none() {
            self.changed.insert(account, came);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn account(number: usize) -> AccountId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        AccountId(id)
    }

    /// A follower as a client is one: it knows what it was told.
    #[derive(Debug, Default, PartialEq)]
    struct Follower {
        named: Option<BTreeSet<AccountId>>,
        count: u32,
    }

    impl Follower {
        fn hears(&mut self, news: &News) {
            self.count = news.count;
            match &news.who {
                WhoIsHere::These(accounts) => self.named = Some(accounts.iter().copied().collect()),
                WhoIsHere::Changed { came, went } => {
                    let named = self.named.as_mut().expect("changes follow a list of everybody");
                    named.extend(came);
                    named.retain(|account| !went.contains(account));
                }
                WhoIsHere::Unnamed => self.named = None,
            }
        }
    }

    /// P-060.
    #[test]
    fn an_account_is_here_while_one_of_its_sessions_is() {
        let mut roll = Roll::default();
        roll.enter(account(1), 10);
        roll.enter(account(1), 11);
        roll.enter(account(2), 20);
        let came = WhoIsHere::Changed { came: vec![account(1), account(2)], went: vec![] };
        assert_eq!(roll.news(), Some(News { count: 2, who: came }));
        roll.leave(account(1), 10);
        assert_eq!(roll.news(), None, "another session of the account is here");
        roll.leave(account(1), 11);
        let went = WhoIsHere::Changed { came: vec![], went: vec![account(1)] };
        assert_eq!(roll.news(), Some(News { count: 1, who: went }));
        assert_eq!(roll.everybody().who, WhoIsHere::These(vec![account(2)]));
        assert_eq!(roll.remove(account(2)), [20]);
        roll.leave(account(2), 20);
        assert_eq!(roll.news().map(|news| news.count), Some(0));
    }

    #[test]
    fn who_comes_back_before_anybody_was_told_is_no_news() {
        let mut roll = Roll::default();
        roll.enter(account(1), 10);
        roll.news();
        roll.leave(account(1), 10);
        roll.enter(account(1), 11);
        assert_eq!(roll.news(), None);
    }

    /// P-061.
    #[test]
    fn a_crowd_is_a_number_and_is_named_again_when_it_has_shrunk() {
        let mut roll = Roll::default();
        for number in 0..=PRESENT_NAMED_MAX {
            roll.enter(account(number), number);
        }
        let crowd = News { count: 129, who: WhoIsHere::Unnamed };
        assert_eq!(roll.news(), Some(crowd.clone()));
        assert_eq!(roll.everybody(), crowd);
        roll.leave(account(5), 5);
        let all: Vec<_> = (0..=PRESENT_NAMED_MAX).filter(|number| *number != 5).map(account).collect();
        assert_eq!(roll.news(), Some(News { count: 128, who: WhoIsHere::These(all) }));
    }

    proptest! {
        #[test]
        fn whoever_hears_the_news_knows_who_is_here(
            steps in proptest::collection::vec((0usize..200, 0usize..3, 0u8..8), 0..600),
        ) {
            let mut roll = Roll::default();
            let mut model: BTreeSet<(usize, usize)> = BTreeSet::new();
            let mut early = Follower { named: Some(BTreeSet::new()), count: 0 };
            for (number, session, what) in steps {
                match what {
                    0..=4 => {
                        roll.enter(account(number), session);
                        model.insert((number, session));
                    }
                    5 => {
                        roll.leave(account(number), session);
                        model.remove(&(number, session));
                    }
                    6 => {
                        roll.remove(account(number));
                        model.retain(|(of, _)| *of != number);
                    }
                    _ => {
                        // One that comes in between hears of the next changes too.
                        let mut late = Follower::default();
                        late.hears(&roll.everybody());
                        if let Some(news) = roll.news() {
                            early.hears(&news);
                            late.hears(&news);
                        }
                        let here: BTreeSet<_> = model.iter().map(|(number, _)| account(*number)).collect();
                        prop_assert_eq!(early.count as usize, here.len());
                        prop_assert_eq!(&early.named, &(here.len() <= PRESENT_NAMED_MAX).then_some(here));
                        prop_assert_eq!(&early, &late);
                    }
                }
            }
        }
    }
}
