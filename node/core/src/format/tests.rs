//! Each mark, what is no mark, and text that was made to break this.

use super::*;
use proptest::prelude::*;

/// The pieces, each with the first letters of its style and its link.
fn shown(text: &str) -> Vec<(String, String)> {
    let names = |style: Style| {
        let all = [
            (style.bold, 'b'),
            (style.italic, 'i'),
            (style.strike, 's'),
            (style.code, 'c'),
            (style.code_block, 'C'),
            (style.quote, 'q'),
        ];
        all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect::<String>()
    };
    spans(text)
        .into_iter()
        .map(|span| {
            let link = span.link.map(|link| format!(" {link}")).unwrap_or_default();
            (text[span.range].to_owned(), names(span.style) + &link)
        })
        .collect()
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(text, style)| ((*text).to_owned(), (*style).to_owned())).collect();
    assert_eq!(shown(text), expected, "{text:?}");
}

#[test]
fn marks_are_taken_away_and_their_style_is_left() {
    check("plain", &[("plain", "")]);
    check("a **b** c", &[("a ", ""), ("b", "b"), (" c", "")]);
    check("*i* _j_ ~~s~~", &[("i", "i"), (" ", ""), ("j", "i"), (" ", ""), ("s", "s")]);
    check("**b *bi* b**", &[("b ", "b"), ("bi", "bi"), (" b", "b")]);
    check("`a * b` ``a ` b``", &[("a * b", "c"), (" ", ""), ("a ` b", "c")]);
    check("> said\nno", &[("said\n", "q"), ("no", "")]);
    check(">**x**", &[("x", "bq")]);
    check("a\n```rust\nlet *x*\n```\nb", &[("a\n", ""), ("let *x*\n", "C"), ("b", "")]);
}

#[test]
fn what_is_no_mark_stays() {
    for text in [
        "2*3*4",
        "snake_case_name",
        "a ** b ** c",
        "**open",
        "*",
        "****",
        "~~",
        "`open",
        "``` x y",
        "```\nopen",
        "# no heading",
        "- no list",
        "1. no list",
        "<b>no html</b>",
        "[a]: http://definition",
        "&amp; \\*",
        "[words](ftp://x)",
        "[words](javascript:alert)",
        "[words]()",
        "x\n---",
    ] {
        let whole: String = spans(text).into_iter().map(|span| &text[span.range]).collect();
        assert_eq!(whole, text);
        assert!(spans(text).iter().all(|span| span.style == Style::default()), "{text}");
    }
    assert_eq!(spans(""), []);
}

#[test]
fn only_addresses_of_the_web_are_links_and_nobody_is_led_elsewhere_than_they_read() {
    check(
        "see https://a.example/x?y=1.",
        &[("see ", ""), ("https://a.example/x?y=1", " https://a.example/x?y=1"), (".", "")],
    );
    check(
        "(http://a.example/b_(c))",
        &[("(", ""), ("http://a.example/b_(c)", " http://a.example/b_(c)"), (")", "")],
    );
    check("[here](https://a.example) now", &[("here", " https://a.example"), (" now", "")]);
    check("**[x](https://a.example)**", &[("x", "b https://a.example")]);
    let led_astray = "[https://bank.example](https://thief.example)";
    assert!(
        shown(led_astray)
            .iter()
            .all(|(_, style)| style != " https://thief.example" || !led_astray.is_empty())
    );
    for span in spans(led_astray) {
        assert!(span.link.is_none_or(|link| led_astray[span.range.clone()] == *link), "{span:?}");
    }
    for text in
        ["https://", "xhttps://a.example", "https:// a", "https://\u{202e}x", "HTTPS://x", "file:///etc"]
    {
        assert!(spans(text).iter().all(|span| span.link.is_none()), "{text}");
    }
    check(
        "https://a.example/\u{202e}gpj",
        &[("https://a.example/", " https://a.example/"), ("\u{202e}gpj", "")],
    );
}

#[test]
fn long_hostile_text_is_no_more_work_for_each_byte() {
    // Ten times the text in a quadratic reader is a hundred times the time: minutes for these.
    for unit in [
        "*",
        "**a",
        "_",
        "`",
        "`` ` ",
        "[",
        "](",
        "[a](http://a",
        "https://a.b)",
        "> ",
        "```\n",
        "*a _b ~~c ",
        "((",
        "a*",
    ] {
        let text = unit.repeat(1_000_000 / unit.len());
        let whole: usize = spans(&text).iter().map(|span| span.range.len()).sum();
        assert!(whole <= text.len());
    }
}

proptest! {
    #[test]
    fn pieces_are_in_order_within_the_text_and_their_links_are_of_the_web(
        text in "([*_~`\\[\\]()> \n]|\\*\\*|~~|```|http://|https://a\\.b|[a-zé👍]|\\PC){0,60}",
    ) {
        let mut end = 0;
        for span in spans(&text) {
            prop_assert!(span.range.start >= end && !span.range.is_empty());
            prop_assert!(text.get(span.range.clone()).is_some(), "at the borders of characters");
            end = span.range.end;
            if let Some(link) = span.link {
                prop_assert!(link.starts_with("http://") || link.starts_with("https://"));
                prop_assert_eq!(harmless(link), link);
            }
        }
        let letters = |c: &char| c.is_alphanumeric();
        let kept: usize = spans(&text).iter().map(|span| text[span.range.clone()].chars().filter(letters).count()).sum();
        let linked: usize = spans(&text).iter().filter_map(|span| span.link).map(|link| link.chars().filter(letters).count()).sum();
        // Only the names of languages and the addresses of links are taken away.
        let fenced = text.contains("```");
        prop_assert!(fenced || kept + linked >= text.chars().filter(letters).count());
    }
}
