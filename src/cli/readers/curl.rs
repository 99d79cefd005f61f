//! curl command lines: the options that shape a request are understood, those that shape the transfer are skipped,
//! and any other is an error rather than a request that is not the one meant.

use super::{ReadError, Sample, compose, split_url};

/// Options without an argument that do not change what is sent.
const SKIPPED: &[&str] = &[
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-v",
    "--verbose",
    "-k",
    "--insecure",
    "-L",
    "--location",
    "-i",
    "--include",
    "-f",
    "--fail",
    "-N",
    "--no-buffer",
    "-g",
    "--globoff",
    "-4",
    "-6",
    "--http1.1",
    "--http2",
    "--path-as-is",
    "-#",
];
/// Options with an argument that do not change what is sent.
const SKIPPED_WITH_ARGUMENT: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-w",
    "--write-out",
    "--resolve",
    "--cacert",
    "-E",
    "--cert",
    "--key",
    "-x",
    "--proxy",
    "--retry",
    "-c",
    "--cookie-jar",
    "--interface",
];
const BOUNDARY: &str = "------------------------weirCurlBoundary";

#[derive(Default)]
struct Command {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    form: Vec<(String, String)>,
    json: bool,
    get: bool,
    head: bool,
}

/// Every command of `input`; a line that ends in `\` goes on in the next.
pub(super) fn read(input: &[u8]) -> Result<Vec<Sample>, ReadError> {
    let text = std::str::from_utf8(input).map_err(|e| ReadError::new(0, format!("no text: {e}")))?;
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines = joined.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| sample(line).map_err(|message| ReadError::new(at + 1, message))).collect()
}

fn sample(line: &str) -> Result<Sample, String> {
    let words = shlex::split(line).ok_or("a quote is not closed")?;
    let mut words = words.into_iter().skip_while(|word| word == "$").peekable();
    if words.next().as_deref() != Some("curl") {
        return Err("a command line must start with `curl`".into());
    }
    let mut command = Command::default();
    while let Some(word) = words.next() {
        let (option, attached) = detach(&word);
        let mut argument = || attached.clone().or_else(|| words.next()).ok_or(format!("`{option}` needs an argument"));
        command.option(&option, &mut argument)?;
    }
    command.finish()
}

/// Splits `--name=value` and `-Xvalue`.
fn detach(word: &str) -> (String, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name.into(), Some(value.into())),
            None => (word.into(), None),
        };
    }
    let takes_argument =
        matches!(word.as_bytes(), [b'-', b'X' | b'H' | b'd' | b'F' | b'b' | b'A' | b'e' | b'u', _, ..]);
    if takes_argument { (word[..2].into(), Some(word[2..].into())) } else { (word.into(), None) }
}

impl Command {
    fn option(&mut self, option: &str, argument: &mut dyn FnMut() -> Result<String, String>) -> Result<(), String> {
        match option {
            "-X" | "--request" => self.method = Some(argument()?),
            "-H" | "--header" => {
                let line = argument()?;
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                self.headers.push((name.trim().into(), value.trim().into()));
            }
            "-d" | "--data" | "--data-ascii" | "--data-raw" | "--data-binary" => self.data.push(data(argument()?)?),
            "--data-urlencode" => self.data.push(urlencode(&argument()?)),
            "--json" => {
                self.json = true;
                self.data.push(data(argument()?)?);
            }
            "-F" | "--form" | "--form-string" => {
                let field = argument()?;
                let (name, value) = field.split_once('=').ok_or("a form field is `name=value`")?;
                self.form.push((name.into(), value.into()));
            }
            "-b" | "--cookie" => self.headers.push(("Cookie".into(), argument()?)),
            "-A" | "--user-agent" => self.headers.push(("User-Agent".into(), argument()?)),
            "-e" | "--referer" => self.headers.push(("Referer".into(), argument()?)),
            "-u" | "--user" => {
                use base64::Engine as _;
                let value = base64::engine::general_purpose::STANDARD.encode(argument()?);
                self.headers.push(("Authorization".into(), format!("Basic {value}")));
            }
            "--compressed" => self.headers.push(("Accept-Encoding".into(), "deflate, gzip, br, zstd".into())),
            "-G" | "--get" => self.get = true,
            "-I" | "--head" => self.head = true,
            "--url" => self.url = Some(argument()?),
            _ if SKIPPED.contains(&option) => {}
            _ if SKIPPED_WITH_ARGUMENT.contains(&option) => drop(argument()?),
            _ if option.starts_with('-') && option.len() > 1 => return Err(format!("unknown option `{option}`")),
            url if self.url.is_none() => self.url = Some(url.into()),
            other => return Err(format!("a second URL `{other}`; write one command a line")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Sample, String> {
        let url = self.url.take().ok_or("no URL")?;
        let absolute = if url.contains("://") || url.starts_with('/') { url } else { format!("http://{url}") };
        let (authority, mut target) = split_url(&absolute);
        let mut body = self.data.join("&").into_bytes();
        if self.get && !body.is_empty() {
            let separator = if target.contains('?') { '&' } else { '?' };
            target = format!("{target}{separator}{}", String::from_utf8_lossy(&body));
            body.clear();
        }
        let implied = if self.json { "application/json" } else { "application/x-www-form-urlencoded" };
        let mut content_type = (!body.is_empty()).then(|| implied.to_string());
        if !self.form.is_empty() {
            body = multipart(&self.form);
            content_type = Some(format!("multipart/form-data; boundary={BOUNDARY}"));
        }
        let method = self.method.take().unwrap_or_else(|| self.implied_method(&body).into());
        let mut headers = Vec::new();
        self.imply(&mut headers, "Host", authority.map(String::from));
        self.imply(&mut headers, "User-Agent", Some("curl/8".into()));
        self.imply(&mut headers, "Accept", Some("*/*".into()));
        self.imply(&mut headers, "Content-Type", content_type);
        headers.append(&mut self.headers);
        Ok(Sample { raw: compose(&method, &target, &headers, &body), ..Sample::default() })
    }

    fn implied_method(&self, body: &[u8]) -> &'static str {
        match (self.head, body.is_empty()) {
            (true, _) => "HEAD",
            (false, true) => "GET",
            (false, false) => "POST",
        }
    }

    fn imply(&self, headers: &mut Vec<(String, String)>, name: &str, value: Option<String>) {
        let given = self.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
        if let (false, Some(value)) = (given, value) {
            headers.push((name.into(), value));
        }
    }
}

fn data(argument: String) -> Result<String, String> {
    if argument.starts_with('@') {
        return Err("data from a file is not read; put it on the command line".into());
    }
    Ok(argument)
}

fn urlencode(argument: &str) -> String {
    let (name, value) = argument.split_once('=').unwrap_or(("", argument));
    let mut out = if name.is_empty() { String::new() } else { format!("{name}=") };
    for b in value.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn multipart(fields: &[(String, String)]) -> Vec<u8> {
    let parts = fields.iter().map(|(name, value)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let mut body: String = parts.collect();
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    body.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &str) -> String {
        String::from_utf8(read(command.as_bytes()).unwrap().remove(0).raw).unwrap()
    }

    #[test]
    fn understands_what_people_paste() {
        assert_eq!(
            text("curl -s http://h:1/a?b=1 -H 'X: y' \\\n -d 'id=1' -d z=2"),
            "POST /a?b=1 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nX: y\r\ncontent-length: 8\r\n\r\nid=1&z=2"
        );
        assert!(text("curl -G h/x --data-urlencode 'q=a b'").starts_with("GET /x?q=a%20b HTTP/1.1\r\nHost: h\r\n"));
        assert!(text("$ curl -XPUT --json '{}' h").starts_with("PUT / HTTP/1.1"));
        assert!(text("curl -F a=b h").ends_with("\r\n\r\nb\r\n--------------------------weirCurlBoundary--\r\n"));
    }

    #[test]
    fn refuses_what_it_would_misread() {
        for (command, message) in [
            ("curl -d @file h", "not read"),
            ("curl --bogus h", "unknown option `--bogus`"),
            ("curl -H", "needs an argument"),
            ("curl 'h", "quote"),
            ("curl", "no URL"),
        ] {
            let error = read(command.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
