//! Names that mark their value as a secret.

use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::sync::LazyLock;
use weir_core::model::Tag;
use weir_core::normalize::percent::{self, Plus};

/// Bytes of a name that are checked.
const MAX_NAME: usize = 256;

/// Words that mark a name anywhere in it, written without separators.
const WITHIN: &[&str] = &[
    "accesskey",
    "accesscode",
    "accountnumber",
    "adgangskode",
    "apikey",
    "assertion",
    "authcode",
    "authentication",
    "authkey",
    "authorization",
    "backupcode",
    "bankaccount",
    "cardno",
    "cardnum",
    "ccnum",
    "codeverifier",
    "connectionstring",
    "contrasena",
    "credential",
    "creditcard",
    "csrf",
    "devicecode",
    "encryptionkey",
    "fjalekalim",
    "geheim",
    "haslo",
    "heslo",
    "iban",
    "jelszo",
    "katasandi",
    "kennwort",
    "kodeord",
    "licensekey",
    "losenord",
    "lozinka",
    "lykilord",
    "matkhau",
    "mnemonic",
    "motdepasse",
    "onetimecode",
    "parola",
    "parool",
    "passcode",
    "passord",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "passwrd",
    "phpsessid",
    "privatekey",
    "pswd",
    "recoverycode",
    "salasana",
    "samlresponse",
    "secret",
    "securityanswer",
    "securitycode",
    "seedphrase",
    "senha",
    "sessionid",
    "sessionkey",
    "signature",
    "sifre",
    "signingkey",
    "slaptazodis",
    "socialsecurity",
    "subscriptionkey",
    "token",
    "verificationcode",
    "wachtwoord",
    "xsrf",
    "zugangsdaten",
    // Password, secret, token and access code in other scripts.
    "парол",
    "секрет",
    "токен",
    "κωδικοσπροσβασης",
    "συνθηματικο",
    "סיסמ",
    "كلمةالمرور",
    "كلمةالسر",
    "पासवर्ड",
    "รหัสผ่าน",
    "密码",
    "密碼",
    "口令",
    "令牌",
    "密钥",
    "验证码",
    "驗證碼",
    "パスワード",
    "暗証番号",
    "トークン",
    "비밀번호",
    "암호",
    "토큰",
];

/// Words that mark a name as a separate word, as in `user_pwd`, `card-pin` or `newPass`.
const WORDS: &[&str] = &[
    "auth", "bearer", "clave", "csc", "cvc", "cvv", "cvv2", "dsn", "jwt", "mdp", "otp", "pan", "pass", "pin", "psw",
    "pw", "pwd", "sid", "sig", "ssn", "totp",
];

/// Suffixes that mark a name without a separator, as in `dbpwd`.
const ENDS: &[&str] = &["pwd", "pass"];

/// Words that end like a suffix and mark nothing.
const NOT_ENDS: &[&str] = &["bypass", "compass", "encompass", "overpass", "surpass", "trespass", "underpass"];

/// Headers that no word above covers.
const HEADERS: &[&str] = &[
    "cookie",
    "cookie2",
    // Browsers can send no other header with a WebSocket: Kubernetes and others take tokens there.
    "sec-websocket-protocol",
    "set-cookie",
    "x-amz-security-token",
    "x-forwarded-client-cert",
];

/// Attributes of Set-Cookie, which are not cookies.
const COOKIE_ATTRIBUTES: &[&str] =
    &["domain", "expires", "max-age", "partitioned", "path", "priority", "samesite", "secure", "httponly"];

static WITHIN_SET: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = WITHIN.iter().map(|word| folded(word.as_bytes()));
    AhoCorasick::builder().match_kind(MatchKind::Standard).build(words).expect("a few short words")
});

/// Whether the value called `name` is a secret.
pub fn is_secret(name: &[u8]) -> bool {
    let name = &name[..name.len().min(MAX_NAME)];
    let letters = folded(name);
    let ends = |all: &[&str]| all.iter().any(|end| letters.ends_with(end.as_bytes()));
    WITHIN_SET.is_match(&letters)
        || (ends(ENDS) && !ends(NOT_ENDS))
        || words(name).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())))
}

/// Letters and digits of a name in lower case, percent escapes decoded, without accents.
fn folded(name: &[u8]) -> Vec<u8> {
    let decoded = if name.contains(&b'%') { percent::decode(name, Plus::Space) } else { Cow::Borrowed(name) };
    if decoded.is_ascii() {
        return decoded.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    }
    let text = String::from_utf8_lossy(&decoded);
    let letters = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    // A capital with a dot becomes two characters, of which the second is no letter.
    letters.filter(|c| c.is_alphanumeric()).map(plain_letter).collect::<String>().into_bytes()
}

/// A letter without its accent, for the languages that are written in Latin and Greek letters.
fn plain_letter(letter: char) -> char {
    const PLAIN: &[(char, &str)] = &[
        ('a', "àáâãäåāăąǎạảấầẩẫậắằẳẵặ"),
        ('c', "çćĉċč"),
        ('d', "ďđð"),
        ('e', "èéêëēĕėęěẹẻẽếềểễệ"),
        ('g', "ĝğġģ"),
        ('i', "ìíîïĩīĭįıịỉ"),
        ('k', "ķ"),
        ('l', "ĺļľł"),
        ('n', "ñńņň"),
        ('o', "òóôõöøōŏőọỏốồổỗộớờởỡợ"),
        ('r', "ŕŗř"),
        ('s', "śŝşšș"),
        ('t', "ţťț"),
        ('u', "ùúûüũūŭůűųụủứừửữự"),
        ('y', "ýÿŷỳỵỷỹ"),
        ('z', "źżž"),
        ('α', "ά"),
        ('η', "ή"),
        ('ι', "ίϊ"),
        ('ο', "ό"),
        ('σ', "ς"),
        ('ω', "ώ"),
    ];
    PLAIN.iter().find(|(_, accented)| accented.contains(letter)).map_or(letter, |(plain, _)| *plain)
}

/// Whether `word` is one of the words of `name`, in any case.
pub fn has_word(name: &[u8], word: &[u8]) -> bool {
    words(&name[..name.len().min(MAX_NAME)]).any(|one| one.eq_ignore_ascii_case(word))
}

/// Whether the value of header `name` is a secret. Keys in headers are.
pub fn is_secret_header(name: &[u8]) -> bool {
    HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) || has_word(name, b"key") || is_secret(name)
}

/// Whether `name` in a Set-Cookie header is an attribute and not a cookie.
pub fn is_cookie_attribute(name: &[u8]) -> bool {
    COOKIE_ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a step of a point called `name` marks the values below it as secrets.
pub fn is_secret_step(tag: Tag, name: &[u8]) -> bool {
    match tag {
        Tag::Header | Tag::ResponseHeader => is_secret_header(name),
        Tag::Cookie => true,
        _ => is_secret(name),
    }
}

/// The words of a name: runs of letters and digits, split before a capital that follows a lower-case letter.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|b| !b.is_ascii_alphanumeric()).flat_map(|run| {
        run.chunk_by(|a, b| !(a.is_ascii_lowercase() && b.is_ascii_uppercase())).filter(|word| !word.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "password",
            "Password",
            "user[password]",
            "new-passwd",
            "user_pwd",
            "dbpwd",
            "confirmPass",
            "api_key",
            "apiKey",
            "X-Api-Key",
            "access_token",
            "client_secret",
            "pin",
            "card-pin",
            "cvv",
            "ssn",
            "otp",
            "jwt",
            "csrfmiddlewaretoken",
            "creditCardNumber",
            "JSESSIONID",
            "PHPSESSID",
            "X-Amz-Signature",
            "ns:password",
            "refresh.token",
            "contraseña",
            "CONTRASEÑA",
            "contrase%C3%B1a",
            "mot_de_passe",
            "Mot de passe (répété)",
            "пароль",
            "ПАРОЛЬ",
            "密码",
            "パスワード",
            "비밀번호",
            "hasło",
            "Şifre",
            "mật_khẩu",
            "lösenord",
            "κωδικός πρόσβασης",
            "סיסמה",
            "كلمة المرور",
            "รหัสผ่าน",
            "dbpass",
            "code_verifier",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "user",
            "id",
            "q",
            "pinned",
            "company",
            "compass",
            "bypass",
            "größe",
            "名前",
            "100%",
            "author",
            "span",
            "passenger",
            "signal",
            "page",
            "",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn headers_and_cookies() {
        for name in ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Auth-Token", "x-api-key"] {
            assert!(is_secret_header(name.as_bytes()), "{name}");
        }
        for name in ["Host", "User-Agent", "Content-Type", "X-Forwarded-For", "WWW-Authenticate"] {
            assert!(!is_secret_header(name.as_bytes()), "{name}");
        }
        assert!(is_secret_step(Tag::Cookie, b"theme") && !is_secret_step(Tag::Hash, b"theme"));
    }
}
