//! What an author says of a render that fails. In: `backline_complain`. Out: the job's complaint, once the render is over.
//! Thread: each that renders has a voice of its own, so nobody speaks for somebody else's module. Real-time safe.

use backline_abi::complaint::{Complaint, TEXT_BYTES};
use std::cell::RefCell;
use std::io::{Cursor, Write};

struct Said {
    complaint: Complaint,
    is_anything: bool,
}

thread_local! {
    static SAID: RefCell<Said> = RefCell::new(Said { complaint: Complaint::default(), is_anything: false });
}

/// Forgets what this thread has said before.
pub fn clear() {
    SAID.with_borrow_mut(|said| said.is_anything = false);
}

/// Says `text`; of a long one the end is kept, and what is no UTF-8 in that becomes `?`.
pub fn say(text: &[u8]) {
    let mut kept = [0; TEXT_BYTES];
    let mut length = 0;
    let mut push = |bytes: &[u8]| {
        // None is longer than what it stands for, so there is room.
        kept[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    for chunk in end_of(text).utf8_chunks() {
        push(chunk.valid().as_bytes());
        push(if chunk.invalid().is_empty() { b"" } else { b"?" });
    }
    let text = std::str::from_utf8(&kept[..length]).unwrap_or_default();
    SAID.with_borrow_mut(|said| {
        said.complaint.say(text);
        said.is_anything = true;
    });
}

/// What fits of `text`, from the start of a character on.
fn end_of(text: &[u8]) -> &[u8] {
    let mut end = &text[text.len().saturating_sub(TEXT_BYTES)..];
    while end.len() < text.len() && end.first().is_some_and(|byte| byte & 0xc0 == 0x80) {
        end = &end[1..];
    }
    end
}

/// Puts what this thread has said since [`clear`] into `complaint`; if nothing, that `function` returned `code`.
pub fn tell(complaint: &mut Complaint, function: &str, code: i32) {
    SAID.with_borrow(|said| {
        if said.is_anything {
            complaint.clone_from(&said.complaint);
            return;
        }
        let mut text = Cursor::new([0; 64]);
        // Longer names than fit are cut short; there are none.
        let _ = write!(text, "{function} returned {code}");
        let length = text.position() as usize;
        complaint.say(std::str::from_utf8(&text.get_ref()[..length]).unwrap_or_default());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: i32) -> String {
        let mut complaint = Complaint::default();
        tell(&mut complaint, "render", code);
        complaint.text().to_owned()
    }

    #[test]
    fn whoever_says_nothing_is_quoted_by_number() {
        clear();
        assert_eq!(told(-7), "render returned -7");
        say(b"no weights");
        assert_eq!(told(-7), "no weights");
        clear();
        assert_eq!(told(i32::MIN), "render returned -2147483648");
    }

    #[test]
    fn of_a_long_text_the_end_is_kept_and_what_is_no_text_becomes_a_question_mark() {
        say(&[&[b'x'; 5_000][..], "ü".repeat(600).as_bytes(), b"end"].concat());
        let text = told(1);
        assert!(text.len() <= TEXT_BYTES && text.ends_with("üend") && !text.contains('?'), "{text}");
        say(b"caf\xe9 \xff\xfe!");
        assert_eq!(told(1), "caf? ??!");
        say(&[0xff; 5_000]);
        assert_eq!(told(1), "?".repeat(TEXT_BYTES));
    }
}
