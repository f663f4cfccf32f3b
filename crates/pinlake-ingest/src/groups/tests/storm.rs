//! Many clients that join, work, restart and vanish at once: in the end all who stay are in one generation, each with its assignment.

use futures::future::join_all;

use super::*;

/// One client's life: it joins until it has so many rounds of work behind it. Every third one goes away in the middle of a call now and then.
async fn live(groups: Groups, number: u64, rounds: usize) -> Result<Joined, GroupError> {
    let mut member_id = String::new();
    let mut calls = number;
    loop {
        calls += 1;
        let mut request = join(&member_id);
        request.group_instance_id = (number % 4 == 1).then(|| format!("instance {number}"));
        request.require_member_id = number.is_multiple_of(2);
        let patience = if number.is_multiple_of(3) && calls.is_multiple_of(3) {
            Duration::from_millis(30)
        } else {
            Duration::from_secs(3600)
        };
        let Ok(joined) = tokio::time::timeout(patience, groups.join(request.clone())).await else { continue };
        let joined = match joined {
            Err(GroupError::MemberIdRequired(id)) => {
                member_id = id;
                continue;
            }
            Err(GroupError::UnknownMember | GroupError::FencedInstance) => {
                member_id.clear();
                continue;
            }
            Err(GroupError::RebalanceInProgress) => continue,
            joined => joined?,
        };
        member_id.clone_from(&joined.member_id);
        let synced = SyncRequest { group_instance_id: request.group_instance_id.clone(), ..sync(&joined) };
        match tokio::time::timeout(patience, groups.sync(synced)).await {
            Ok(Ok(synced)) => assert_eq!(synced.assignment, joined.member_id.as_bytes(), "each gets its own"),
            _ => continue,
        }
        for round in 0.. {
            tokio::time::sleep(Duration::from_millis(700 + 10 * number)).await;
            let mut beat = beat(&joined);
            beat.group_instance_id.clone_from(&request.group_instance_id);
            if groups.heartbeat(&beat).is_err() {
                break;
            }
            if round == rounds {
                return Ok(joined);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_stay_find_themselves_in_one_generation() {
    let world = World::new(GroupSettings::default()).await;
    // Some live short, so that the group changes under the others; these come back as others.
    let short = |number: u64| {
        let groups = world.groups.clone();
        async move {
            for life in 0..4 {
                tokio::time::sleep(Duration::from_millis(137 * number)).await;
                let joined = live(groups.clone(), number + 100 * life, 1).await.unwrap();
                if life % 2 == 0 {
                    groups.leave(&id("g"), &leaving(&joined.member_id));
                }
            }
        }
    };
    let stay = join_all((0..8).map(|number| live(world.groups.clone(), number, 60)));
    let (stayed, _) = tokio::join!(stay, join_all((8..14).map(short)));
    let stayed: Vec<Joined> = stayed.into_iter().map(Result::unwrap).collect();
    let generations: std::collections::BTreeSet<i32> = stayed.iter().map(|joined| joined.generation).collect();
    assert_eq!(generations.len(), 1, "{generations:?}");
    // Nobody beats any more.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.groups.describe(&id("g")).unwrap().state, GroupState::Empty);
}
