//! The `Authorization` header and the token in it, held against a second reading of what a token is.

use scimd::auth::{Token, bearer};

const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Reads the bytes as a header and as a token.
pub fn check(bytes: &[u8]) {
    assert_header(bytes);
    assert_token(bytes);
    // Nobody guesses a checksum, so it is put where one belongs.
    if let Some(start) = bytes.get(..51) {
        assert_token(&[start, &checksum(start)].concat());
    }
}

fn assert_header(bytes: &[u8]) {
    let credentials = bearer(bytes);
    if let Some(credentials) = credentials {
        assert_eq!(credentials.trim_ascii(), credentials);
        assert!(bytes.trim_ascii().ends_with(credentials));
        assert!(bytes.trim_ascii()[..6].eq_ignore_ascii_case(b"bearer"));
        assert_token(credentials);
    }
    let header = [b"Bearer ", bytes].concat();
    let expected = bytes.trim_ascii();
    assert_eq!(bearer(&header), (!expected.is_empty()).then_some(expected));
}

fn assert_token(bytes: &[u8]) {
    let token = Token::parse(bytes);
    assert_eq!(token.is_some(), is_token(bytes));
    let Some(token) = token else { return };
    let text = std::str::from_utf8(bytes).expect("a token is ASCII");
    assert_eq!(token.expose(), text);
    assert_eq!(token.key_id(), &text[6..18]);
    assert_eq!(token.last_four(), &text[53..]);
    assert_eq!(token.fingerprint().len(), 8);
    assert!(!format!("{token:?}").contains(&text[19..]), "the secret is shown");
}

fn is_token(bytes: &[u8]) -> bool {
    let is_digit_at = |at: usize| DIGITS.contains(&bytes[at]);
    bytes.len() == 57
        && &bytes[..6] == b"scimd_"
        && bytes[18] == b'_'
        && (6..18).chain(19..57).all(is_digit_at)
        && bytes[51..] == checksum(&bytes[..51])
}

/// CRC-32 bit by bit, in six digits of base 62.
fn checksum(bytes: &[u8]) -> [u8; 6] {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register = (register >> 1) ^ (0xEDB8_8320 * carry);
        }
    }
    let mut rest = !register;
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}
