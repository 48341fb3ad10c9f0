//! What there is to tell of kinds of worker while they warm up, and of modules that cannot play: lines for people, events
//! for programs.

use serde_json::Value;
use std::io::Write;

/// Tells `news` on standard output.
pub fn say(news: &[Value], is_json: bool) {
    for event in news {
        let line = if is_json { Some(event.to_string()) } else { in_words(event) };
        // A reader who has left does not stop the music.
        line.into_iter().for_each(|line| drop(writeln!(std::io::stdout(), "{line}")));
    }
}

/// `None` for what a person need not read.
pub fn in_words(event: &Value) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let kind = text("kind");
    Some(match event["event"].as_str()? {
        "warming" => format!("{kind}: {}", text("stage")),
        "fault" => format!("{kind}: {} gives no module type: {}", text("name"), text("reason")),
        "warm" => format!(
            "{kind}: {} workers warm in {:.0} ms, {} module types",
            event["workers"],
            event["warm_ms"].as_f64().unwrap_or_default(),
            event["types"]
        ),
        "closed" => format!("{kind}: not there: {}", text("why")),
        "refused_call" => {
            let who = event["id"].as_str().map_or_else(|| format!("a {kind} worker"), str::to_owned);
            format!("{who}: its sandbox refused {}", text("call"))
        }
        "sandbox" => format!("{kind}: NOT in the whole sandbox: {}", text("missing")),
        "complaint" => format!("{}: cannot render: {}", text("id"), text("text")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_told_in_words_that_name_the_kind() {
        let warm = json!({"event": "warm", "kind": "python", "workers": 2, "types": 3, "warm_ms": 812.4});
        assert_eq!(in_words(&warm).as_deref(), Some("python: 2 workers warm in 812 ms, 3 module types"));
        let fault = json!({"event": "fault", "kind": "python", "name": "bad.py", "reason": "SyntaxError"});
        assert_eq!(in_words(&fault).as_deref(), Some("python: bad.py gives no module type: SyntaxError"));
        let mut refused = json!({"event": "refused_call", "kind": "python", "id": "a", "call": "socket"});
        assert_eq!(in_words(&refused).as_deref(), Some("a: its sandbox refused socket"));
        refused["id"] = Value::Null;
        assert_eq!(in_words(&refused).as_deref(), Some("a python worker: its sandbox refused socket"));
        assert_eq!(in_words(&json!({"event": "described", "kind": "python"})), None);
    }
}
