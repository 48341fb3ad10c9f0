//! One listener: what it is told, in which order, and how little of a flood.

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn listener() -> Listener {
    Listener::new(Client(([127, 0, 0, 1], 9).into()), 0, 0)
}

fn go(id: &str) -> Event {
    Event::Go(id.to_owned())
}

fn end(id: &str) -> Event {
    Event::End(id.to_owned())
}

fn late(seconds: f64, address: &str) -> Event {
    Event::Late { seconds, address: address.to_owned() }
}

fn worker(slot: usize, state: &'static str) -> Event {
    Event::Worker { slot, pid: 7, core: 1, state, reason: String::new() }
}

/// Addresses and first arguments of everything that is sent at `now_ns`.
fn heard(listener: &mut Listener, now_ns: u64) -> Vec<String> {
    let mut heard = Vec::new();
    listener.flush(now_ns, &mut |message: &Reply, _| {
        let first = match &message.args[0] {
            Arg::Text(text) => text.clone(),
            Arg::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        heard.push(format!("{} {first}", message.address));
        Sent::Yes
    });
    heard
}

#[test]
fn events_come_in_order() {
    let mut listener = listener();
    for event in [go("a"), go("b"), end("x"), worker(2, "ready"), late(0.5, "/gate")] {
        listener.tell(event);
    }
    listener.xruns += 3;
    let expected = ["/n_go a", "/n_go b", "/n_end x", "/worker/state 2", "/late Double(0.5)", "/xrun 3"];
    assert_eq!(heard(&mut listener, 0), expected);
    assert_eq!(heard(&mut listener, SECOND_NS), [""; 0]);
}

#[test]
fn what_is_overtaken_is_not_told() {
    let mut listener = listener();
    for event in [worker(0, "spawning"), worker(1, "ready"), worker(0, "ready")] {
        listener.tell(event);
    }
    for event in [late(0.5, "/gate"), late(2.0, "/gate"), late(1.0, "/gate"), late(1.0, "/set")] {
        listener.tell(event);
    }
    let expected = ["/worker/state 1", "/worker/state 0", "/late Double(2.0)", "/late Double(1.0)"];
    assert_eq!(heard(&mut listener, 0), expected);
}

#[test]
fn a_module_that_came_and_went_is_not_told_of_in_a_flood_but_always_otherwise() {
    let mut listener = listener();
    for event in [go("a"), end("a")] {
        listener.tell(event);
    }
    assert_eq!(heard(&mut listener, 0), ["/n_go a", "/n_end a"]);
    let others: Vec<_> = (0..AT_ONCE).map(|number| format!("m{number}")).collect();
    others.iter().for_each(|id| listener.tell(go(id)));
    for event in [go("a"), end("a")] {
        listener.tell(event);
    }
    let told = heard(&mut listener, SECOND_NS);
    assert_eq!(told, others.iter().map(|id| format!("/n_go {id}")).collect::<Vec<_>>());
}

#[test]
fn a_module_that_ended_and_came_again_is_told_as_both() {
    let mut listener = listener();
    for event in [end("a"), go("a"), end("a"), go("a")] {
        listener.tell(event);
    }
    assert_eq!(heard(&mut listener, 0), ["/n_end a", "/n_go a", "/n_end a", "/n_go a"]);
}

#[test]
fn a_flood_is_bounded_in_memory_and_in_time_and_what_is_lost_is_told() {
    let mut listener = listener();
    for number in 0..MAX_WAITING + 5 {
        listener.tell(go(&format!("m{number}")));
    }
    listener.xruns += 1_000_000;
    assert_eq!(heard(&mut listener, 0).len() as u64, AT_ONCE);
    assert_eq!(heard(&mut listener, 0).len(), 0);
    assert_eq!(heard(&mut listener, SECOND_NS / 10).len() as u64, PER_SECOND / 10);
    let mut rest = Vec::new();
    for second in 1..20 {
        rest.extend(heard(&mut listener, second * SECOND_NS));
    }
    assert_eq!(rest.len(), MAX_WAITING - (AT_ONCE + PER_SECOND / 10) as usize + 2);
    assert_eq!(rest[rest.len() - 2..], ["/xrun 1000000", "/notify/lost 5"]);
}

#[test]
fn a_full_socket_is_tried_again_and_loses_nothing() {
    let mut listener = listener();
    listener.tell(go("a"));
    listener.flush(0, &mut |_: &Reply, _| Sent::NotNow);
    assert_eq!(heard(&mut listener, 0), ["/n_go a"]);
    listener.tell(go("b"));
    listener.flush(0, &mut |_: &Reply, _| Sent::Never);
    assert_eq!(heard(&mut listener, 0), ["/notify/lost 1"]);
}
