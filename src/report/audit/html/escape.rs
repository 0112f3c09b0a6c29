//! Names in a checkpoint are written by strangers: what they may become in a page.

use crate::report::text::visible;
use serde_json::Value;

/// Characters of a name shown in full; of longer ones the ends are shown.
const LONGEST: usize = 110;

/// Visible text as the content of an element or of a quoted attribute.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The ends of a long name.
pub fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST {
        return name.into();
    }
    let tail = LONGEST / 3;
    let head: String = name.chars().take(LONGEST - tail).collect();
    let rest: String = name.chars().skip(length - tail).collect();
    format!("{head}...{rest}")
}

/// JSON that no content can break out of a script element: it holds no `<`, and no line ends that JavaScript knows and JSON does not.
pub fn json(value: &Value) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn nothing_hidden_and_no_markup_is_left() {
        assert_eq!(text("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
        assert_eq!(text("x\u{202e}\n\0y"), "x\\u{202e}\\n\\u{0}y");
        assert_eq!(shortened("conv.weight"), "conv.weight");
        let long = format!("{}\u{e9}end", "n".repeat(10_000));
        let short = shortened(&long);
        assert!(short.chars().count() == LONGEST + 3 && short.ends_with("\u{e9}end"));
    }

    #[test]
    fn json_in_a_script_stays_in_it() {
        let value = json!({"</script><!--": "a\u{2028}b\u{2029}&"});
        let out = json(&value);
        assert!(
            !out.contains(['<', '>', '&', '\u{2028}', '\u{2029}']),
            "{out}"
        );
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), value);
    }

    proptest! {
        #[test]
        fn any_json_is_read_back(name in ".*", value in ".*") {
            let value = json!({name: [value]});
            let out = json(&value);
            prop_assert!(!out.contains('<'));
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), value);
        }

        #[test]
        fn any_text_is_inert(name in ".*") {
            let out = text(&name);
            prop_assert!(!out.contains(['<', '>', '"', '\'', '\n', '\r', '\0']));
        }
    }
}
