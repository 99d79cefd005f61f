//! Requests with a secret each, made up here.

/// A request with an attack, and a secret in it.
pub struct Sample {
    /// What it is.
    pub name: String,
    /// The request.
    pub raw: Vec<u8>,
    /// What must be readable nowhere.
    pub secret: String,
}

/// Places of a value by the name: `NAME` and `SECRET` are replaced. Where the media type is empty, it is a target.
const PLACES: &[(&str, &str, &str)] = &[
    ("query", "", "/a?NAME=SECRET&x=ATTACK"),
    ("form", "application/x-www-form-urlencoded", "a=1&NAME=SECRET"),
    ("JSON", "application/json", r#"{"a":{"NAME":"SECRET"}}"#),
    ("JSON in a string", "application/json", r#"{"a":"{\"NAME\":\"SECRET\"}"}"#),
    ("XML element", "application/xml", "<a><NAME>SECRET</NAME></a>"),
    ("XML attribute", "application/xml", "<a NAME=\"SECRET\"/>"),
    (
        "multipart",
        "multipart/form-data; boundary=B",
        "--B\r\nContent-Disposition: form-data; name=\"NAME\"\r\n\r\nSECRET\r\n--B--\r\n",
    ),
    ("GraphQL argument", "application/json", r#"{"query":"mutation{login(NAME:\"SECRET\"){id}}"}"#),
    (
        "GraphQL variable",
        "application/json",
        r#"{"query":"mutation($p:String!){login(p:$p){id}}","variables":{"NAME":"SECRET"}}"#,
    ),
    ("name and value", "application/json", r#"[{"type":"text","name":"NAME","value":"SECRET"}]"#),
    ("value and name", "application/json", r#"[{"value":"SECRET","name":"NAME"}]"#),
];

/// Names of secrets that are tried in every place.
const NAMES: &[&str] = &["password", "apiKey", "access_token"];

/// Names of secrets in other languages, tried in a query, a form and JSON.
const LANGUAGES: &[&str] = &[
    "contraseña",
    "mot_de_passe",
    "Passwort",
    "kennwort",
    "senha",
    "wachtwoord",
    "lösenord",
    "hasło",
    "heslo",
    "salasana",
    "parola",
    "şifre",
    "пароль",
    "κωδικός_πρόσβασης",
    "סיסמה",
    "كلمة_المرور",
    "รหัสผ่าน",
    "पासवर्ड",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "mật_khẩu",
];

/// Whole requests, target and headers and body, with the secret `SECRET`.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("token in a path", "zK4v9Qx2Lm", "GET /reset/SECRET/?x=ATTACK", ""),
    ("token at the end of a path", "9f8e7d6c5b4a", "GET /password-reset/SECRET?x=ATTACK", ""),
    ("invitation", "48213977", "GET /invite/SECRET?x=ATTACK", ""),
    ("random segment", "aB3dE6gH9jK2mN5pQ8sT1vW4", "GET /services/T0/B0/SECRET?x=ATTACK", ""),
    ("session in a matrix parameter", "A1B2C3D4E5", "GET /shop;jsessionid=SECRET/cart?x=ATTACK", ""),
    ("matrix parameter of a token", "s3cr3tv4lue", "GET /a;token=SECRET;v=2?x=ATTACK", ""),
    ("code of OAuth", "SplxlOBeZQQYbYS6WxSbIA", "GET /callback?code=SECRET&state=af0ifjsldkj&x=ATTACK", ""),
    ("short code of OAuth", "xyzzyq", "GET /callback?code=SECRET&state=1&x=ATTACK", ""),
    (
        "code in a form",
        "4-0AX4XfWhAb9",
        "POST /token?x=ATTACK",
        "Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=authorization_code&code=SECRET",
    ),
    ("verifier of PKCE", "dBjftJeZ4CVPmB92K27uhbUJU1p1r", "GET /token?code_verifier=SECRET&x=ATTACK", ""),
    ("bearer token", "mF9B5f41JqM", "GET /a?x=ATTACK", "Authorization: Bearer SECRET"),
    ("basic credentials", "YWxpY2U6aHVudGVyMg==", "GET /a?x=ATTACK", "Authorization: Basic SECRET"),
    ("proxy credentials", "YWxpY2U6aHVudGVyMg==", "GET /a?x=ATTACK", "Proxy-Authorization: Basic SECRET"),
    ("key in a header", "k-77-zx-81", "GET /a?x=ATTACK", "X-Api-Key: SECRET"),
    ("subscription key", "0f1e2d3c4b5a", "GET /a?x=ATTACK", "Ocp-Apim-Subscription-Key: SECRET"),
    ("function key", "fk-Zx81mQ", "GET /a?x=ATTACK", "X-Functions-Key: SECRET"),
    ("token of a framework", "q8Zk2mX7", "GET /a?x=ATTACK", "X-CSRF-Token: SECRET"),
    ("cookie", "c00k1ev4lue", "GET /a?x=ATTACK", "Cookie: theme=dark; sid=SECRET"),
    ("cookie of any name", "zzPreference77", "GET /a?x=ATTACK", "Cookie: whatever=SECRET"),
    ("JSON Web Token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl", "GET /a?y=SECRET&x=ATTACK", ""),
    ("token in a Referer", "zK4v9Qx2Lm", "GET /a?x=ATTACK", "Referer: https://a.example/b?token=SECRET"),
    ("password in a URL", "hunt3rtw0", "GET /a?u=ftp://alice:SECRET@b.example/&x=ATTACK", ""),
    ("card", "4111111111111111", "GET /a?y=SECRET&x=ATTACK", ""),
    ("card in groups", "4111 1111 1111 1111", "POST /a?x=ATTACK", "Content-Type: text/plain\r\n\r\nmy card SECRET ok"),
    ("key of a cloud", "AKIAIOSFODNN7EXAMPLE", "GET /a?y=SECRET&x=ATTACK", ""),
    ("token of a code host", "ghp_abcdefghijklmnopqrstuvwxyz0123", "GET /a?y=SECRET&x=ATTACK", ""),
    ("token of a chat", "xoxb-123456789012-abcdefghij", "GET /a?y=SECRET&x=ATTACK", ""),
    (
        "private key",
        "MIIEvQIBADANBgkqhkiG9w0BAQ",
        "POST /a?x=ATTACK",
        "Content-Type: text/plain\r\n\r\n-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
    ),
    ("e-mail address in a query", "jane.doe@mail.example", "GET /a?to=SECRET&x=ATTACK", ""),
    (
        "e-mail address in JSON",
        "jane.doe@mail.example",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"to\":[\"SECRET\"]}",
    ),
    ("e-mail address in a path", "jane.doe@mail.example", "GET /users/SECRET?x=ATTACK", ""),
    ("e-mail address in a header", "jane.doe@mail.example", "GET /a?x=ATTACK", "From: SECRET"),
    (
        "e-mail address in XML",
        "jane.doe@mail.example",
        "POST /a?x=ATTACK",
        "Content-Type: application/xml\r\n\r\n<to>SECRET</to>",
    ),
    (
        "e-mail address in multipart",
        "jane.doe@mail.example",
        "POST /a?x=ATTACK",
        "Content-Type: multipart/form-data; boundary=B\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nSECRET\r\n--B--\r\n",
    ),
    (
        "e-mail address in GraphQL",
        "jane.doe@mail.example",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"query\":\"{user(mail:\\\"SECRET\\\"){id}}\"}",
    ),
    (
        "form fields by name and value",
        "hunt3rtw0",
        "POST /a?x=ATTACK",
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nname=password&value=SECRET",
    ),
    (
        "XML field by its name",
        "hunt3rtw0",
        "POST /a?x=ATTACK",
        "Content-Type: application/xml\r\n\r\n<f><field name=\"password\">SECRET</field></f>",
    ),
    (
        "property list",
        "hunt3rtw0",
        "POST /a?x=ATTACK",
        "Content-Type: application/xml\r\n\r\n<dict><key>password</key><string>SECRET</string></dict>",
    ),
    (
        "number of a secret",
        "918273645501",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"pin\":SECRET}",
    ),
    (
        "secrets in an object",
        "hunt3rtw0",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"credentials\":{\"a\":[\"SECRET\"]}}",
    ),
    ("state of OAuth", "af0ifjsldkj1x9Q7", "GET /cb?state=SECRET&x=ATTACK", ""),
    ("signature of a URL", "b3JlbTEyMzQ1Njc4", "GET /f?X-Amz-Signature=SECRET&x=ATTACK", ""),
    ("hash in a path", "0123456789abcdef0123456789abcdef", "GET /d/SECRET?x=ATTACK", ""),
    ("activation", "k3y-4cc3ss", "GET /activate/SECRET?x=ATTACK", ""),
    ("JSON in a query", "hunt3rtw0", "GET /a?j=%7B%22password%22%3A%22SECRET%22%7D&x=ATTACK", ""),
    ("JSON in base64", "eyJwYXNzd29yZCI6Imh1bnQzcnR3MCJ9", "GET /a?j=SECRET&x=ATTACK", ""),
    (
        "recovery code",
        "abcd-efgh",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"recoveryCode\":\"SECRET\"}",
    ),
    (
        "answer to a question",
        "fluffy",
        "POST /a?x=ATTACK",
        "Content-Type: application/json\r\n\r\n{\"securityAnswer\":\"SECRET\"}",
    ),
];

const ATTACK: &str = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";

/// All samples.
pub fn all() -> Vec<Sample> {
    let mut out = Vec::new();
    for (at, (place, media, form)) in PLACES.iter().enumerate() {
        for (number, name) in NAMES.iter().enumerate() {
            let secret = format!("hunt3r{at}x{number}w0");
            out.push(named(&format!("{name} in {place}"), media, form, name, secret));
        }
    }
    for (number, name) in LANGUAGES.iter().enumerate() {
        let (place, media, form) = PLACES[number % 3];
        out.push(named(&format!("{name} in {place}"), media, form, name, format!("slova{number}qz")));
    }
    for (name, secret, line, rest) in REQUESTS.iter().chain(super::more::MORE) {
        let fill = |text: &str| text.replace("SECRET", secret).replace("ATTACK", ATTACK);
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((*rest, ""));
        let line = fill(line).replace(' ', "%20").replacen("%20", " ", 1);
        out.push(sample(name, &format!("{line} HTTP/1.1"), &fill(headers), &fill(body), secret));
    }
    out
}

fn named(name: &str, media: &str, form: &str, key: &str, secret: String) -> Sample {
    let encoded: String =
        key.bytes().map(|b| if b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    let fill = |text: &str, key: &str| text.replace("NAME", key).replace("SECRET", &secret).replace("ATTACK", ATTACK);
    if media.is_empty() {
        return sample(name, &format!("GET {} HTTP/1.1", fill(form, &encoded)), "", "", &secret);
    }
    let key = if media.contains("urlencoded") { encoded.as_str() } else { key };
    let head = format!("POST /a?x={ATTACK} HTTP/1.1");
    sample(name, &head, &format!("Content-Type: {media}"), &fill(form, key), &secret)
}

fn sample(name: &str, line: &str, headers: &str, body: &str, secret: &str) -> Sample {
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    let raw = format!("{line}\r\nHost: a.example\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    Sample { name: name.to_owned(), raw: raw.into_bytes(), secret: secret.to_owned() }
}
