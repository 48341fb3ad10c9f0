use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
/// Long after boot.
const START: u64 = 100 * S;

fn fault(instance: u32, block: u32) -> Fatality {
    crash_of(instance, 7, block)
}

fn crash_of(instance: u32, type_key: u32, block: u32) -> Fatality {
    let rendering = Some(Culprit { instance, type_key, block });
    Fatality { slot: 0, doing: Doing::Fault, rendering }
}

#[test]
fn kills_from_outside_blame_nobody_and_exhaust_nothing() {
    let mut blame = Blame::default();
    for kill in 0..10_000 {
        let outside = Fatality { doing: Doing::Others, ..fault(1, 5) };
        assert_eq!(blame.died(START + kill * 10 * MS, &outside), Verdict::default());
    }
    assert_eq!(blame.died(START, &fault(1, 5)).poisoned, None, "they did not count");
}

#[test]
fn a_module_that_kills_two_workers_in_one_block_is_poisoned_at_once() {
    let mut blame = Blame::default();
    assert_eq!(blame.died(START, &fault(1, 5)).poisoned, None);
    assert_eq!(blame.died(START + MS, &fault(2, 5)).poisoned, None, "another module");
    assert_eq!(blame.died(START + 2 * MS, &fault(1, 5)).poisoned, Some(Poison::SameBlockTwice));
}

#[test]
fn a_slow_clock_does_not_hide_two_deaths_in_one_block() {
    let mut blame = Blame::default();
    blame.died(START, &fault(1, 5));
    assert_eq!(blame.died(START + 3_600 * S, &fault(1, 5)).poisoned, Some(Poison::SameBlockTwice));
}

#[test]
fn three_crashes_in_five_seconds_poison_a_module_and_three_in_six_do_not() {
    let verdicts = |gap_ns: u64| {
        let mut blame = Blame::default();
        [0, 1, 2].map(|n| blame.died(START + u64::from(n) * gap_ns, &fault(1, n)).poisoned)
    };
    assert_eq!(verdicts(2 * S), [None, None, Some(Poison::TooOften)]);
    assert_eq!(verdicts(5 * S / 2), [None; 3], "five seconds are over");
}

#[test]
fn a_verdict_is_told_once_and_forgotten_with_the_module() {
    let mut blame = Blame::default();
    let told = (0..6).filter(|n| blame.died(START + n * MS, &fault(1, 5)).poisoned.is_some()).count();
    assert_eq!(told, 1);
    blame.forget(1);
    assert!(blame.died(START + S, &fault(1, 5)).poisoned.is_some(), "told again, if it comes again");
}

#[test]
fn ten_crashes_in_ten_seconds_over_all_modules_give_a_type_up() {
    let mut blame = Blame::default();
    let given_up: Vec<_> = (0..12).map(|n| blame.died(START + u64::from(n) * S / 2, &fault(n, n))).collect();
    assert!(given_up.iter().all(|verdict| verdict.poisoned.is_none()), "no module did it twice");
    assert!(given_up[..9].iter().all(|verdict| verdict.given_up_type.is_none()));
    assert_eq!((given_up[9].given_up_type, given_up[10].given_up_type), (Some(7), None), "told once");
    blame.forgive_type(7);
    assert_eq!(blame.died(START + 7 * S, &fault(50, 0)).given_up_type, None, "it starts anew");
}

#[test]
fn crashes_of_several_types_do_not_add_up() {
    let mut blame = Blame::default();
    let verdicts = (0..30).map(|n| blame.died(START + u64::from(n) * 100 * MS, &crash_of(n, n % 5, n)));
    assert!(verdicts.into_iter().all(|verdict| verdict.given_up_type.is_none()));
}

#[test]
fn a_worker_that_dies_between_modules_blames_nobody_but_its_slot_pauses() {
    let mut blame = Blame::default();
    let idle = Fatality { rendering: None, ..fault(1, 1) };
    let verdict = blame.died(START, &idle);
    assert_eq!(verdict, Verdict { pause: FIRST_PAUSE, ..Verdict::default() });
}

#[test]
fn pauses_double_up_to_a_limit_and_a_good_life_ends_them() {
    let mut blame = Blame::default();
    let idle = Fatality { rendering: None, ..fault(1, 1) };
    let pauses: Vec<u128> = (0..10).map(|n| blame.died(START + n * S, &idle).pause.as_millis()).collect();
    assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1_280, 1_280, 1_280, 1_280]);
    assert_eq!(blame.died(START + 60 * S, &idle).pause, FIRST_PAUSE);
    let elsewhere = Fatality { slot: 1, ..idle };
    assert_eq!(blame.died(START + 60 * S, &elsewhere).pause, FIRST_PAUSE, "another slot");
}

fn any_fatality() -> impl Strategy<Value = Fatality> {
    let doing = prop_oneof![Just(Doing::Fault), Just(Doing::Hang), Just(Doing::Others)];
    let culprit = (1..6_u32, 0..3_u32, 0..8_u32).prop_map(|(instance, type_key, block)| Culprit {
        instance,
        type_key,
        block,
    });
    (0..4_usize, doing, proptest::option::of(culprit)).prop_map(|(slot, doing, rendering)| Fatality {
        slot,
        doing,
        rendering,
    })
}

/// The rules, said again the slow way over the whole history.
fn is_poisonous(history: &[(u64, Fatality)], now_ns: u64, instance: u32) -> bool {
    let own = |fatality: &Fatality| fatality.rendering.filter(|_| fatality.doing != Doing::Others);
    let crashes: Vec<(u64, Culprit)> = history
        .iter()
        .filter_map(|(at_ns, fatality)| Some((*at_ns, own(fatality)?)))
        .filter(|(_, culprit)| culprit.instance == instance)
        .collect();
    let is_twice = crashes.windows(2).any(|pair| pair[0].1.block == pair[1].1.block);
    let recent = crashes.iter().filter(|(at_ns, _)| now_ns - at_ns < 5 * S).count();
    is_twice || recent >= 3
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold(
        deaths in proptest::collection::vec((0..4_000_u64, any_fatality()), 1..80),
    ) {
        let (mut blame, mut history, mut now_ns) = (Blame::default(), Vec::new(), START);
        let mut poisoned = HashSet::new();
        for (gap_ms, fatality) in deaths {
            now_ns += gap_ms * MS;
            history.push((now_ns, fatality));
            let verdict = blame.died(now_ns, &fatality);
            let own = fatality.doing.is_own();
            prop_assert_eq!(verdict.blamed, fatality.rendering.filter(|_| own));
            prop_assert_eq!(verdict.pause.is_zero(), !own, "only kills from outside are answered at once");
            prop_assert!(verdict.pause <= Duration::from_millis(1_280));
            if let Some(culprit) = verdict.blamed {
                let instance = culprit.instance;
                let is_news = is_poisonous(&history, now_ns, instance) && poisoned.insert(instance);
                prop_assert_eq!(verdict.poisoned.is_some(), is_news);
            } else {
                prop_assert_eq!((verdict.poisoned, verdict.given_up_type), (None, None));
            }
            prop_assert!(blame.crashes.len() <= MOST_REMEMBERED);
        }
    }
}
