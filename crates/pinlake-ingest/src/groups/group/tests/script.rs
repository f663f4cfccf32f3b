//! The language of the scripts.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use expect_test::Expect;
use tokio::time::Instant;

use super::super::*;
use crate::groups::calls::{NO_GENERATION, Protocol};

/// Runs a script on a new group. It stands in what is expected: what is indented there came of the event above.
pub(super) fn check(expected: &Expect) {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let lines = || expected.data().lines().filter(|line| !line.trim().is_empty());
    let margin = lines().map(|line| indent(&line)).min().expect("a script has events");
    let script: Vec<&str> = lines().filter(|line| indent(line) == margin).collect();
    let mut run = Script::new(GroupSettings::default());
    run.run(&script.join("\n"));
    let out = run.out.lines().map(str::trim_end).fold(String::new(), |out, line| out + line + "\n");
    expected.assert_eq(&out);
}

/// A group, and what it was asked and said.
pub(super) struct Script {
    pub(super) group: Group,
    pub(super) now: Instant,
    pub(super) out: String,
    pub(super) next: Token,
    /// Callers that wait.
    pub(super) waiting: Vec<Token>,
    pub(super) stores: VecDeque<(StoredGroup, Purpose)>,
    state: GroupState,
    settings: GroupSettings,
}

impl Script {
    pub(super) fn new(settings: GroupSettings) -> Self {
        let group = Group::new(id(), settings.clone());
        let state = group.state();
        let (out, waiting, stores) = (String::new(), Vec::new(), VecDeque::new());
        Self { group, now: Instant::now(), out, next: 1, waiting, stores, state, settings }
    }

    pub(super) fn run(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            writeln!(self.out, "{line}").unwrap();
            self.step(line);
        }
    }

    fn step(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let owned = |name: &str| value(name).map(str::to_owned);
        let named =
            words.get(1).filter(|word| !word.contains('=')).copied().unwrap_or_default().trim_start_matches('-').to_owned();
        let generation = value("g").map_or(NO_GENERATION, |text| text.parse().unwrap());
        let (group, member_id, group_instance_id) = (id(), named.clone(), owned("i"));
        match words[0] {
            "join" => {
                let caller = self.caller();
                let request = request(named, value, words.contains(&"require"), words.contains(&"skip"));
                self.group.join(request, value("new").unwrap_or("?"), caller, self.now);
            }
            "sync" => {
                let assignments = words[2..].iter().filter_map(|word| word.split_once(':'));
                let assignments = assignments.map(|(id, text)| (id.to_owned(), Bytes::from(text.to_owned()))).collect();
                let (protocol_type, protocol) = (owned("type"), owned("p"));
                let caller = self.caller();
                let request =
                    SyncRequest { group, generation, member_id, group_instance_id, protocol_type, protocol, assignments };
                self.group.sync(request, caller, self.now);
            }
            "beat" => {
                let answer =
                    self.group.heartbeat(&HeartbeatRequest { group, generation, member_id, group_instance_id }, self.now);
                self.say(&format!("{answer:?}"));
            }
            "leave" => {
                let answers = self.group.leave(&[LeavingMember { member_id, group_instance_id }], self.now);
                self.say(&format!("{answers:?}"));
            }
            "commit" => {
                let request = CommitRequest { group, generation, member_id, group_instance_id, offsets: Vec::new() };
                let answer = self.group.check_commit(&request, words.contains(&"transactional"), self.now);
                self.say(&format!("{answer:?}"));
            }
            "gone" => {
                let caller = named.trim_start_matches('#').parse().unwrap();
                self.waiting.retain(|waiting| *waiting != caller);
                self.group.abandon(caller, self.now);
            }
            "pass" => self.pass(duration(&named)),
            "stored" => self.stored(Ok(())),
            "failed" => self.stored(Err(GroupError::Storage)),
            "delete" => {
                let answer = self.group.check_delete();
                if answer.is_ok() {
                    self.group.die();
                }
                self.say(&format!("{answer:?}"));
            }
            "restart" => self.restart(),
            "describe" => {
                let described = self.group.describe();
                let member = |member: &crate::groups::calls::MemberDescription| {
                    format!("{}={}/{}", member.member_id, text(&member.metadata), text(&member.assignment))
                };
                let members: Vec<String> = described.members.iter().map(member).collect();
                let (state, protocol) = (described.state.as_str(), &described.protocol);
                self.say(&format!("{state} {}/{protocol} {}", described.protocol_type, members.join(" ")));
            }
            other => panic!("no such event: {other}"),
        }
        self.settle();
    }

    pub(super) fn caller(&mut self) -> Token {
        self.next += 1;
        self.waiting.push(self.next - 1);
        self.next - 1
    }

    /// Time passes, deadline by deadline.
    pub(super) fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(next) = self.group.deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.group.tick(self.now);
            assert!(self.group.deadline() > Some(self.now) || self.group.deadline().is_none(), "the timer would spin");
            self.settle();
        }
        self.now = until;
    }

    /// What was to be stored first is durable, or not.
    pub(super) fn stored(&mut self, outcome: Result<(), GroupError>) {
        match self.stores.pop_front().expect("something is to be stored").1 {
            Purpose::Assignments(generation) => self.group.stored(generation, outcome, self.now),
            Purpose::Replacement(caller, joined) if self.waiting.contains(&caller) => {
                self.joined(caller, outcome.map(|()| joined));
            }
            // The group does not know that the caller of a replacement has gone.
            Purpose::Replacement(..) | Purpose::Emptied => {}
        }
    }

    /// The server starts again: all that was not stored is forgotten.
    fn restart(&mut self) {
        let stored = self.group.to_store();
        self.group = Group::restore(id(), self.settings.clone(), stored, self.now);
        self.waiting.clear();
        self.stores.clear();
    }

    pub(super) fn settle(&mut self) {
        for action in self.group.take_actions() {
            match action {
                Action::Joined(caller, answer) => self.joined(caller, answer),
                Action::Synced(caller, answer) => {
                    self.answered(caller);
                    let answer = answer.map(|synced| format!("{} by {}", text(&synced.assignment), synced.protocol));
                    self.say(&format!("#{caller} synced {}", answer.unwrap_or_else(|error| format!("{error:?}"))));
                }
                Action::Store(stored, purpose) => {
                    let member = |member: &crate::groups::record::StoredMember| {
                        format!("{}={}", member.member_id, text(&member.assignment))
                    };
                    let members: Vec<String> = stored.members.iter().map(member).collect();
                    self.say(format!("store generation {}: {}", stored.generation, members.join(" ")).trim_end());
                    self.stores.push_back((stored, purpose));
                }
            }
        }
        if self.group.state() != self.state {
            self.state = self.group.state();
            self.say(self.state.as_str());
        }
    }

    fn joined(&mut self, caller: Token, answer: Result<Joined, GroupError>) {
        self.answered(caller);
        let answer = answer.map(|joined| {
            let member = |member: &crate::groups::calls::JoinedMember| {
                let instance = member.group_instance_id.as_ref().map_or(String::new(), |instance| format!("({instance})"));
                format!("{}{instance}={}", member.member_id, text(&member.metadata))
            };
            let members: Vec<String> = joined.members.iter().map(member).collect();
            let skip = if joined.skip_assignment { ", skip" } else { "" };
            let Joined { member_id, generation, protocol, leader, .. } = joined;
            format!("{member_id} generation {generation} by {protocol}, {leader} leads [{}]{skip}", members.join(" "))
        });
        self.say(&format!("#{caller} joined {}", answer.unwrap_or_else(|error| format!("{error:?}"))));
    }

    fn answered(&mut self, caller: Token) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != caller);
        assert_eq!(self.waiting.len() + 1, before, "#{caller} is answered once, and only while it waits");
    }

    fn say(&mut self, text: &str) {
        writeln!(self.out, "    {text}").unwrap();
    }
}

/// A join as a script has it.
fn request<'a>(member_id: String, value: impl Fn(&str) -> Option<&'a str>, require: bool, skip: bool) -> JoinRequest {
    let metadata = Bytes::from(value("m").unwrap_or("m").to_owned());
    let protocol = |name: &str| Protocol { name: name.to_owned(), metadata: metadata.clone() };
    JoinRequest {
        group: id(),
        member_id,
        group_instance_id: value("i").map(str::to_owned),
        require_member_id: require,
        can_skip_assignment: skip,
        client_id: "client".to_owned(),
        client_host: "host".to_owned(),
        session_timeout: duration(value("session").unwrap_or("10s")),
        rebalance_timeout: duration(value("rebalance").unwrap_or("60s")),
        protocol_type: value("type").unwrap_or("consumer").to_owned(),
        protocols: value("p").unwrap_or("range").split('+').filter(|name| !name.is_empty()).map(protocol).collect(),
    }
}

fn id() -> GroupId {
    GroupId::new("g").unwrap()
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(ms) => Duration::from_millis(ms.parse().unwrap()),
        None => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
