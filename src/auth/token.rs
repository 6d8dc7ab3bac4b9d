//! The API key as its holder sees it: how one is made, recognised, hashed and compared (RFC 7644 §7.4, RFC 6750 §5).
//!
//! ```text
//! scimd_4fT9kQ2mZx7B_p8Wc0LrYd3Vn6HsTq1KbGz5MxJe7Ua2N0gC4rt
//! └─┬─┘ └────┬─────┘ └──────────────┬───────────────┘└─┬──┘
//! brand   key id                  secret            checksum
//!         12 digits               32 digits         6 digits
//!         public, the row         190 random bits   CRC-32 of everything before it
//! ```
//!
//! All digits are base 62 (`0-9A-Za-z`), so the whole token is one word for a double click, a header, a URL or a shell. The
//! brand lets secret scanners find leaked keys; the checksum lets them, and us, tell a mistyped key without a look-up. It
//! protects against typing errors, not against people: anybody can compute it.
//!
//! This file does not know where keys are kept or who owns them.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};

const BRAND: &[u8] = b"scimd_";
const KEY_ID_LEN: usize = 12;
const SECRET_LEN: usize = 32;
const CHECKSUM_LEN: usize = 6;
const KEY_ID_AT: usize = BRAND.len();
const SECRET_AT: usize = KEY_ID_AT + KEY_ID_LEN + 1;
const CHECKSUM_AT: usize = SECRET_AT + SECRET_LEN;
const TOKEN_LEN: usize = CHECKSUM_AT + CHECKSUM_LEN;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const BEARER: &[u8] = b"Bearer";

/// The public part of a token, by which its record is found.
pub(super) type KeyId = [u8; KEY_ID_LEN];

/// SHA-256 of a whole token: its name in memory, so that no cache holds the token itself.
pub(super) type TokenDigest = [u8; 32];

/// A token of the right shape and checksum. Whether it opens anything is for the [`Authenticator`](super::Authenticator).
#[derive(Clone)]
pub struct Token {
    text: [u8; TOKEN_LEN],
}

impl Token {
    /// A new token with a random key id and secret from the operating system.
    pub fn generate() -> Token {
        let mut text = [0; TOKEN_LEN];
        text[..KEY_ID_AT].copy_from_slice(BRAND);
        fill_random(&mut text[KEY_ID_AT..KEY_ID_AT + KEY_ID_LEN]);
        text[SECRET_AT - 1] = b'_';
        fill_random(&mut text[SECRET_AT..CHECKSUM_AT]);
        let checksum = checksum(&text[..CHECKSUM_AT]);
        text[CHECKSUM_AT..].copy_from_slice(&checksum);
        Token { text }
    }

    /// The token in `text`, or nothing if shape or checksum are wrong. Takes any bytes, in time linear in at most 57 of them.
    pub fn parse(text: impl AsRef<[u8]>) -> Option<Token> {
        let text: [u8; TOKEN_LEN] = text.as_ref().try_into().ok()?;
        let branded = text.starts_with(BRAND) && text[SECRET_AT - 1] == b'_';
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_alphanumeric);
        if !branded || !digits(&text[KEY_ID_AT..SECRET_AT - 1]) || !digits(&text[SECRET_AT..]) {
            return None;
        }
        (checksum(&text[..CHECKSUM_AT]) == text[CHECKSUM_AT..]).then_some(Token { text })
    }

    /// Whether a text begins as tokens do, so that it must not be repeated to anybody.
    pub fn is_meant(text: &str) -> bool {
        text.as_bytes().starts_with(BRAND)
    }

    /// The public part, under which the key is stored, listed and revoked.
    pub fn key_id(&self) -> &str {
        self.slice(KEY_ID_AT, SECRET_AT - 1)
    }

    /// The whole token, secret included: for the one time that it is printed.
    pub fn expose(&self) -> &str {
        self.slice(0, TOKEN_LEN)
    }

    /// The last four characters, by which its holder recognises a key in a list.
    pub fn last_four(&self) -> &str {
        self.slice(TOKEN_LEN - 4, TOKEN_LEN)
    }

    /// The first 8 hexadecimal digits of the token's SHA-256, stored beside its hash.
    ///
    /// A wrong secret for a known key id is refused by it without argon2: whoever guesses blindly passes once in four
    /// thousand million tries. The price: whoever reads the database has 32 of about 190 bits from it, and some 24 more
    /// from the last four characters. More than the 128 that are asked for remain (AUTH-03).
    pub fn fingerprint(&self) -> String {
        let digits = fingerprint_of(&self.digest());
        digits.iter().map(|digit| char::from(*digit)).collect()
    }

    pub(super) fn digest(&self) -> TokenDigest {
        Sha256::digest(self.text).into()
    }

    pub(super) fn key_id_digits(&self) -> KeyId {
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&self.text[KEY_ID_AT..SECRET_AT - 1]);
        id
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        std::str::from_utf8(&self.text[from..to]).expect("a token consists of ASCII digits, letters and underscores")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(scimd_{}_…)", self.key_id())
    }
}

/// The credentials of an `Authorization` header of the scheme `Bearer`, in any case (RFC 6750 §2.1, RFC 9110 §11.4).
///
/// Nothing for another scheme or for no credentials at all: then no token was presented, and none can be invalid.
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.trim_ascii().split_at_checked(BEARER.len())?;
    let credentials = rest.trim_ascii_start();
    let separated = credentials.len() < rest.len();
    (scheme.eq_ignore_ascii_case(BEARER) && separated).then_some(credentials)
}

/// The argon2id hash of the whole token with a fresh salt, as a PHC string: what the store keeps in its place.
pub fn hash(token: &Token) -> String {
    argon2id()
        .hash_password(token.expose().as_bytes())
        .expect("fixed parameters that argon2 accepts, and an operating system that gives a salt")
        .to_string()
}

/// Whether `token` is the one that `phc` was made of. Takes some 20 ms and 19 MiB: never on a thread that serves requests.
///
/// The comparison takes constant time. A `phc` that is no PHC string matches nothing.
pub fn verify(token: &Token, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| argon2id().verify_password(token.expose().as_bytes(), &hash).is_ok())
}

pub(super) fn fingerprint_of(digest: &TokenDigest) -> [u8; 8] {
    let mut digits = [0; 8];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// The second of the parameter sets that OWASP recommends: 19 MiB, two passes, one lane.
pub(super) fn argon2id() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("parameters within the limits of argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(text);
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn fill_random(digits: &mut [u8]) {
    // Bytes from 248 on are thrown away: folding them in would make the first eight digits likelier than the others.
    const FAIR: u8 = 248;
    let mut filled = 0;
    let mut pool = [0; 64];
    while filled < digits.len() {
        getrandom::fill(&mut pool).expect("the operating system gives random bytes");
        for byte in pool.iter().filter(|byte| **byte < FAIR).take(digits.len() - filled) {
            digits[filled] = DIGITS[usize::from(byte % 62)];
            filled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn auth_03_a_generated_token_has_the_documented_form() {
        let token = Token::generate();
        let text = token.expose();

        assert_eq!(text.len(), 57);
        assert_eq!(&text[..6], "scimd_");
        assert_eq!(&text[6..18], token.key_id());
        assert_eq!(&text[18..19], "_");
        assert_eq!(&text[53..], token.last_four());
        assert_eq!(Token::parse(text).expect("its own text parses").expose(), text);
    }

    #[test]
    fn auth_03_key_id_and_secret_are_random_and_use_every_digit() {
        let tokens: Vec<Token> = (0..500).map(|_| Token::generate()).collect();

        let ids: HashSet<&str> = tokens.iter().map(Token::key_id).collect();
        let secrets: HashSet<&str> = tokens.iter().map(|token| &token.expose()[19..51]).collect();
        let digits: HashSet<u8> = secrets.iter().flat_map(|secret| secret.bytes()).collect();
        assert_eq!((ids.len(), secrets.len(), digits.len()), (500, 500, 62));
    }

    #[test]
    fn auth_03_one_changed_character_is_noticed_by_the_checksum() {
        let token = Token::generate();
        for at in 0..token.expose().len() {
            let mut text = token.expose().as_bytes().to_vec();
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            assert!(Token::parse(&text).is_none(), "position {at}");
        }
    }

    #[test]
    fn auth_01_other_shapes_are_no_tokens() {
        let text = Token::generate().expose().to_owned();
        for other in
            ["", "scimd_", "Bearer", &text[..56], &format!("{text}0"), &format!(" {text}"), &text.to_uppercase()]
        {
            assert!(Token::parse(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn auth_03_debug_shows_the_key_id_and_no_secret() {
        let token = Token::generate();
        assert_eq!(format!("{token:?}"), format!("Token(scimd_{}_…)", token.key_id()));
    }

    #[test]
    fn auth_03_only_an_argon2id_hash_is_kept() {
        let token = Token::generate();
        let (first, second) = (hash(&token), hash(&token));

        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, second, "each hash has a salt of its own");
        assert!(verify(&token, &first) && verify(&token, &second));
        assert!(!verify(&Token::generate(), &first));
        assert!(!verify(&token, "") && !verify(&token, token.expose()));
    }

    #[test]
    fn auth_03_the_fingerprint_is_the_start_of_the_sha_256() {
        let token = Token::generate();
        let whole: String = token.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(token.fingerprint(), whole[..8]);
    }

    proptest! {
        #[test]
        fn auth_01_no_bytes_make_parse_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(Token::parse(&bytes).is_none());
        }

        #[test]
        fn auth_01_no_bytes_of_token_length_make_parse_panic(tail in prop::collection::vec(any::<u8>(), 51)) {
            let text = [BRAND, &tail].concat();
            let _ = Token::parse(&text);
        }
    }
}
