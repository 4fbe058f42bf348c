//! What was probably meant by values that are not valid TOML or have the wrong type: `.5`, `True`, `adam`.

use toml::de::DeValue;

/// How many levels of nested lists and tables to follow; TOML's own parser does not go much deeper.
const DEEP: usize = 16;

/// The longest value that is corrected in a hint, in bytes.
const LONGEST: usize = 400;

/// The TOML that was probably meant by a value that is not valid TOML.
pub fn mended(value: &str) -> Option<String> {
    if value.trim().is_empty() || value.len() > LONGEST {
        return None;
    }
    let fixed = mend(value, 0);
    (fixed != value && is_toml(&fixed)).then_some(fixed)
}

/// A list or a table with its bare words quoted: `[adam, sgd]` becomes `["adam", "sgd"]`. Nothing else is corrected, so
/// that a typing error is not silently taken for a string.
pub fn quoted(value: &str) -> Option<String> {
    let mut fixed = String::with_capacity(value.len() + 8);
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '"' | '\'') {
            let end = rest[1..].find(c)? + 2;
            fixed.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let end = rest.find(|c: char| "[]{},=\"'\n".contains(c) || c.is_whitespace()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(c.len_utf8()));
        let is_key = after.trim_start().starts_with('=');
        let is_bare =
            word.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) && word.starts_with(char::is_alphabetic);
        match is_bare && !is_key && !matches!(word, "true" | "false" | "inf" | "nan") {
            true => fixed.push_str(&text(word)),
            false => fixed.push_str(word),
        }
        rest = after;
    }
    is_toml(&fixed).then_some(fixed)
}

/// Whether a value is another language's null.
pub fn is_nothing(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "none" | "null" | "nil" | "undefined")
}

/// A boolean in another language's spelling, as TOML writes it.
pub fn truth(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "true" | "yes" | "on" => Some("true"),
        "false" | "no" | "off" => Some("false"),
        _ => None,
    }
}

/// A number as TOML writes it, from other spellings: `.5`, `5.`, `010`, `0,1`, `10,000`, `10k`.
pub fn number(word: &str) -> Option<String> {
    let word = word.replace(DASHES, "-");
    let word = word.as_str();
    let (sign, body) = match word.strip_prefix(['+', '-']) {
        Some(body) => (if word.starts_with('-') { "-" } else { "" }, body),
        None => ("", word),
    };
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut body = body.to_owned();
    if let Some(scaled) = body.strip_suffix(['k', 'K', 'M', 'm'])
        && let Ok(scaled) = scaled.parse::<f64>()
    {
        let scaled = scaled * if body.ends_with(['k', 'K']) { 1e3 } else { 1e6 };
        return (scaled.fract() == 0.0 && scaled < 1e15).then(|| format!("{sign}{scaled:.0}"));
    }
    let parts: Vec<&str> = body.split(',').collect();
    if parts.len() > 1 && parts.iter().all(|part| digits(part)) {
        let thousands = !parts[0].starts_with('0') && parts[1..].iter().all(|part| part.len() == 3);
        match (thousands, parts.len()) {
            (true, _) => body = parts.concat(),
            (false, 2) => body = parts.join("."),
            _ => return None,
        }
    }
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body.as_str(), None),
    };
    let whole = |text: &str| match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let mut fixed = match mantissa.split_once('.') {
        Some(("", "")) => return None,
        Some((before, "")) => format!("{}.0", whole(before)),
        Some((before, after)) => format!("{}.{after}", whole(before)),
        None => whole(mantissa),
    };
    if let Some(exponent) = exponent {
        fixed = format!("{fixed}e{exponent}");
    }
    let fixed = format!("{sign}{fixed}");
    let is_number =
        matches!(DeValue::parse(&fixed).map(|value| value.into_inner()), Ok(DeValue::Integer(_) | DeValue::Float(_)));
    is_number.then_some(fixed)
}

/// A string in TOML's quotes. JSON's escapes are valid TOML.
pub fn text(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

/// Quotes that word processors insert.
pub const CURLED: [char; 8] = ['“', '”', '„', '‘', '’', '‚', '«', '»'];

/// Characters that look like the minus of a number.
const DASHES: [char; 4] = ['−', '–', '‐', '‑'];

fn is_toml(value: &str) -> bool {
    DeValue::parse(value).is_ok()
}

fn mend(value: &str, depth: usize) -> String {
    let straight: String = value.chars().map(|c| if CURLED.contains(&c) { '"' } else { c }).collect();
    let value = straight.trim().trim_end_matches([';', ',']).trim_end();
    if is_toml(value) || depth > DEEP {
        return value.to_owned();
    }
    if let Some(inner) = value.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        return mend(&format!("[{inner}]"), depth + 1);
    }
    if let Some(inner) = value.strip_prefix('[') {
        let items = items(inner.strip_suffix(']').unwrap_or(inner), depth);
        return format!("[{}]", items.join(", "));
    }
    if let Some(inner) = value.strip_prefix('{') {
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let entry = |entry: &str| match entry.find(['=', ':']) {
            Some(at) => {
                format!("{} = {}", entry[..at].trim().trim_matches('"'), mend(&entry[at + 1..], depth + 1))
            }
            None => entry.trim().to_owned(),
        };
        return format!("{{ {} }}", apart(inner).into_iter().map(entry).collect::<Vec<_>>().join(", "));
    }
    match value.strip_suffix(']') {
        // The opening bracket is missing.
        Some(inner) if !inner.contains('[') => format!("[{}]", items(inner, depth).join(", ")),
        _ => word(value),
    }
}

/// The items of a list, mended; without commas, they are split at white space.
fn items(inner: &str, depth: usize) -> Vec<String> {
    let parts = apart(inner);
    let parts = match parts[..] {
        [only] if !only.contains(['"', '\'', '[', '{']) => only.split_whitespace().collect(),
        _ => parts,
    };
    parts.into_iter().filter(|item| !item.trim().is_empty()).map(|item| mend(item, depth + 1)).collect()
}

/// A text split at the commas outside quotes and brackets.
fn apart(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut open, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(closing)) if c == closing => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '{', None) => open += 1,
            (']' | '}', None) => open -= 1,
            (',', None) if open == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !text[from..].trim().is_empty() {
        parts.push(&text[from..]);
    }
    parts
}

fn word(value: &str) -> String {
    if let Some(fixed) = truth(value).map(str::to_owned).or_else(|| number(value)) {
        return fixed;
    }
    let bare = value.trim_matches(['"', '\'']);
    // A backslash starts an escape in double quotes; in single quotes it is literal.
    if bare.contains('\\') && !bare.contains('\'') {
        return format!("'{bare}'");
    }
    match bare.contains(['"', '=', '[', '{', '#']) || is_nothing(bare) || bare.starts_with(|c: char| c.is_ascii_digit())
    {
        true => value.to_owned(),
        false => text(bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_mended_to_what_was_probably_meant() {
        for (typed, meant) in [
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("+.1", "0.1"),
            ("−16", "-16"),
            ("1e–3", "1e-3"),
            ("5.", "5.0"),
            ("1.e-3", "1.0e-3"),
            ("010", "10"),
            ("0,1", "0.1"),
            ("10,000", "10000"),
            ("1,234,567", "1234567"),
            ("10k", "10000"),
            ("True", "true"),
            ("no", "false"),
            ("adam", "\"adam\""),
            ("lr study", "\"lr study\""),
            ("\"adam", "\"adam\""),
            ("“adam”", "\"adam\""),
            ("\"C:\\users\\x\"", "'C:\\users\\x'"),
            ("10;", "10"),
            ("[1, 0.1", "[1, 0.1]"),
            ("1, 0.1]", "[1, 0.1]"),
            ("(1, .1)", "[1, 0.1]"),
            ("[1 0.1]", "[1, 0.1]"),
            ("[0.01,, 1e38]", "[0.01, 1e38]"),
            ("[sgd, adam]", "[\"sgd\", \"adam\"]"),
            ("[[1, .5], [2]]", "[[1, 0.5], [2]]"),
            ("{ kind: cosine, floor: .1 }", "{ kind = \"cosine\", floor = 0.1 }"),
        ] {
            assert_eq!(mended(typed).as_deref(), Some(meant), "{typed}");
        }
        for typed in ["", "1/3", "1e", "1..3", "None", "0x", "1,2,3,4", "[None]"] {
            assert_eq!(mended(typed), None, "{typed}");
        }
    }

    #[test]
    fn bare_words_in_lists_and_tables_are_quoted() {
        for (typed, meant) in [
            ("[adam,sgd]", "[\"adam\",\"sgd\"]"),
            ("[ \"a,b\", sgd]", "[ \"a,b\", \"sgd\"]"),
            ("{kind=cosine, floor=0.1}", "{kind=\"cosine\", floor=0.1}"),
            ("[[greedy], [{top_k = 4}]]", "[[\"greedy\"], [{top_k = 4}]]"),
            ("[true, 1e3, nan, -inf]", "[true, 1e3, nan, -inf]"),
            ("[x.txt, True]", "[\"x.txt\", \"True\"]"),
        ] {
            assert_eq!(quoted(typed).as_deref(), Some(meant), "{typed}");
        }
        for typed in ["[adam", "[adam sgd]", "[.5]", "{kind:cosine}", "[\"a]", "[a\\b]"] {
            assert_eq!(quoted(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_deeply_nested_list_is_given_up_on() {
        let deep = "[".repeat(100_000);
        assert_eq!(mended(&deep), None);
        assert_eq!(quoted(&deep), None);
    }
}
