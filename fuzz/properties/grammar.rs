//! Whether a text is a filter, read a second time by somebody who knows the grammar and builds no tree.

use scimd::scim::filter::{MAX_DEPTH, MAX_LENGTH, MAX_TERMS};

/// Whether the text is a filter under `strict`, within the limits.
pub fn is_filter(text: &str) -> bool {
    let mut reader = Reader { rest: text, terms: 0 };
    text.len() <= MAX_LENGTH && reader.filter(0) && reader.rest.trim_start().is_empty()
}

struct Reader<'a> {
    rest: &'a str,
    terms: usize,
}

impl Reader<'_> {
    fn filter(&mut self, depth: usize) -> bool {
        loop {
            if !self.term(depth) {
                return false;
            }
            if !self.keyword("and") && !self.keyword("or") {
                return true;
            }
        }
    }

    fn term(&mut self, depth: usize) -> bool {
        self.spaces();
        if depth > MAX_DEPTH {
            return false;
        }
        let before = self.rest;
        let negated = self.keyword("not");
        if negated {
            self.rest = self.rest.trim_start();
        }
        if self.symbol('(') {
            return self.filter(depth + 1) && self.closing(')');
        }
        self.rest = before;
        if !self.name() {
            return false;
        }
        if !self.symbol('[') {
            return self.comparison();
        }
        self.filter(depth + 1) && self.closing(']') && (!self.symbol('.') || self.name() && self.comparison())
    }

    fn comparison(&mut self) -> bool {
        self.terms += 1;
        self.spaces();
        let word = self.while_is(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
        let compares = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"].contains(&word.as_str());
        if compares {
            self.spaces();
        }
        self.terms <= MAX_TERMS && (word == "pr" || compares && self.value())
    }

    fn value(&mut self) -> bool {
        if self.rest.starts_with('"') {
            return self.string();
        }
        let word = self.while_is(is_word);
        matches!(word, "true" | "false" | "null") || is_number(word)
    }

    /// RFC 8259 §7.
    fn string(&mut self) -> bool {
        let mut chars = self.rest.char_indices().skip(1);
        let mut units = Vec::new();
        let end = loop {
            let Some((at, c)) = chars.next() else { return false };
            match c {
                '"' => break at,
                '\\' => match chars.next() {
                    Some((_, 'u')) => {
                        let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                        let is_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                        let Some(unit) = u16::from_str_radix(&digits, 16).ok().filter(|_| is_hex) else { return false };
                        units.push(unit);
                    }
                    Some((_, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => units.push(0),
                    _ => return false,
                },
                c if c < ' ' => return false,
                _ => units.push(0),
            }
        };
        self.rest = &self.rest[end + 1..];
        char::decode_utf16(units).all(|decoded| decoded.is_ok())
    }

    fn name(&mut self) -> bool {
        !self.while_is(|c| is_word(c) && c != '[').is_empty()
    }

    /// A word that stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word));
        let stands = |rest: &str| rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '(');
        let found = head.is_some() && stands(&rest[word.len()..]);
        if found {
            self.rest = &rest[word.len()..];
        }
        found
    }

    fn closing(&mut self, bracket: char) -> bool {
        self.rest = self.rest.trim_start();
        self.symbol(bracket)
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn spaces(&mut self) {
        self.while_is(|c| c.is_ascii_whitespace());
    }

    fn while_is(&mut self, accepts: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !accepts(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"()]\"".contains(c)
}

/// RFC 8259 §6, as far as it is finite.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        && word.parse().is_ok_and(f64::is_finite)
}
