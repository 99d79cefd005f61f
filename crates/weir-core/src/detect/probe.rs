//! Requests for files that are never published: hidden files, backups, dumps, logs, keys, and pages of servers about
//! themselves.
//!
//! Scanners ask for them to see whether a deployment left them behind (CWE-538). Only the path of the request is looked at,
//! and not below names under which an API serves the files of a repository.

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Tag, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "scanner.unpublished-file",
    attack: AttackType::Scanner,
    about: "Asks for a file that is never published: a hidden file, a backup, a dump, a log, a key or a server's page about \
            itself",
    zones: Zone::PATH,
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "/.env",
            "/.cursorignore",
            "/.n8n/config",
            "/app/.git/config",
            "/config.php~",
            "/index.php.bak",
            "/.index.php.swp",
            "/backup.sql.zip",
            "/dump.sql",
            "/wwwroot.tar.gz",
            "/wp-content/debug.log",
            "/server.key",
            "/phpinfo.php",
            "/server-status",
            "/old/web.config",
            "/index.asp.",
            "/app/.idea/workspace.xml",
            "/docker-compose.yml",
        ],
        negative: &[
            "/.well-known/security.txt",
            "/.netlify/functions/a",
            "/environment",
            "/repos/a/b/contents/.env",
            "/a/b/blob/main/db/schema.sql",
            "/npm/a/-/a-1.0.0.tgz",
            "/download/app.zip",
            "/blog/backup-your-database",
            "/api/logs",
            "/status",
            "/v1.2/a.b",
            "/a..b",
            "/misc/Title.php.txt",
        ],
    },
};

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::SLASH).and(ByteClasses::ALPHA);

/// Hidden names at the root of a site that are published.
const PUBLISHED: &[&[u8]] = &[
    b".well-known",
    b".netlify",
    b".vercel",
    b".auth",
    b".proxy",
    b".within.website",
    b".storybook",
    b".api",
    b".sandstorm",
    b".cloud",
    b".next",
    b".nuxt",
    b".vite",
    b".wf_graphql",
];
/// Hidden names below the root that hold secrets or sources.
const HIDDEN: &[&[u8]] = &[
    b".env",
    b".git",
    b".svn",
    b".hg",
    b".bzr",
    b".aws",
    b".ssh",
    b".htpasswd",
    b".htaccess",
    b".ds_store",
    b".npmrc",
    b".pypirc",
    b".dockercfg",
    b".bash_history",
    b".kube",
    b".netrc",
    b".pgpass",
    b".my.cnf",
    b".idea",
    b".docker",
    b".terraform",
    b".gnupg",
    b".mysql_history",
    b".psql_history",
    b".sh_history",
    b".zsh_history",
    b".history",
    b".bashrc",
    b".bash_profile",
    b".aider.conf.yml",
    b".kiro",
    b".n8n",
];
/// Path segments below which an API serves files of a repository or store.
const STORES: &[&[u8]] =
    &[b"blob", b"raw", b"tree", b"contents", b"src", b"files", b"file", b"blame", b"edit", b"commits", b"objects"];
/// Endings of copies that editors and administrators leave.
const COPIES: &[&[u8]] = &[b"bak", b"old", b"orig", b"save", b"swp", b"swo", b"backup", b"bkp", b"copy", b"tmp"];
/// Endings of files whose copies show the source or the settings of an application.
const SOURCES: &[&[u8]] = &[
    b"php",
    b"asp",
    b"aspx",
    b"jsp",
    b"py",
    b"rb",
    b"pl",
    b"js",
    b"config",
    b"conf",
    b"cfg",
    b"ini",
    b"yml",
    b"yaml",
    b"json",
    b"xml",
    b"sql",
    b"env",
    b"html",
    b"htm",
    b"properties",
];
/// Names of dumps and of the directories of a site, whose archives are backups.
const DUMPED: &[&[u8]] = &[
    b"backup",
    b"backups",
    b"dump",
    b"database",
    b"db",
    b"wwwroot",
    b"www",
    b"public_html",
    b"htdocs",
    b"website",
    b"site",
    b"mysql",
    b"db_backup",
    b"full_backup",
];
const ARCHIVES: &[&[u8]] = &[b"zip", b"tar", b"gz", b"tgz", b"bz2", b"rar", b"7z", b"xz", b"dump", b"sqlite", b"mdb"];
/// Logs that applications write below their root.
const LOGS: &[&[u8]] = &[
    b"debug.log",
    b"error.log",
    b"errors.log",
    b"error_log",
    b"access.log",
    b"access_log",
    b"laravel.log",
    b"npm-debug.log",
    b"install.log",
    b"php_errors.log",
    b"php_error.log",
];
/// Endings of private keys and password stores.
const KEYS: &[&[u8]] = &[b"key", b"ppk", b"pfx", b"kdbx", b"jks"];
/// Files of a deployment, and pages that servers show about themselves.
const PAGES: &[&[u8]] = &[
    b"web.config",
    b"phpinfo.php",
    b"server-status",
    b"server-info",
    b"nginx_status",
    b"adminer.php",
    b"elmah.axd",
    b"trace.axd",
    b"jmx-console",
    b"web-console",
    b"h2-console",
    b"docker-compose.yml",
    b"docker-compose.yaml",
    b"dockerfile",
    b"composer.lock",
    b"jenkinsfile",
    b"vagrantfile",
    b"id_rsa",
    b"id_dsa",
    b"id_ed25519",
    b"appsettings.json",
    b"local_settings.py",
    b"application.properties",
    b"database.yml",
    b"secrets.yml",
    b"credentials.json",
    b"wp-config.php",
    b"heapdump",
    b"phpunit.xml",
    b"localsettings.php",
    b"configuration.php-dist",
];
/// Most segments of a path that is looked at.
const MAX_SEGMENTS: usize = 32;
/// Most segments before a dump or archive of a site. Stores of packages have longer paths.
const MAX_DEPTH: usize = 3;

fn run(subject: &Subject<'_>) -> Option<Match> {
    let tag = subject.ancestors().map(|step| step.tag).find(|tag| *tag != Tag::Percent);
    // The root point has no tag: there a sample is tested.
    if !matches!(tag, None | Some(Tag::Uri)) {
        return None;
    }
    let text = subject.bytes;
    let path = text.split(|b| matches!(b, b'?' | b'#' | 0)).next().unwrap_or_default();
    is_probe(path).then_some(Match { confidence: Confidence::High, start: 0, end: text.len() })
}

fn is_probe(path: &[u8]) -> bool {
    let mut depth = 0;
    let mut last: &[u8] = b"";
    for segment in path.split(|b| *b == b'/').filter(|segment| !segment.is_empty()).take(MAX_SEGMENTS) {
        let known = |list: &[&[u8]]| list.iter().any(|name| segment.eq_ignore_ascii_case(name));
        if known(STORES) {
            return false;
        }
        let named = segment.get(1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let hidden = segment.first() == Some(&b'.') && named;
        if hidden && (depth == 0 && !known(PUBLISHED) || known(HIDDEN)) {
            return true;
        }
        depth += 1;
        last = segment;
    }
    !path.ends_with(b"/") && is_unpublished(last, depth)
}

/// Whether the last segment of a path, the `depth`th, is the name of such a file.
fn is_unpublished(file: &[u8], depth: usize) -> bool {
    let file = file.to_ascii_lowercase();
    let known = |list: &[&[u8]], name: &[u8]| list.contains(&name);
    if known(LOGS, &file) || known(PAGES, &file) {
        return true;
    }
    if file.ends_with(b"~") && file.contains(&b'.') || file.starts_with(b"#") && file.ends_with(b"#") {
        return true;
    }
    let mut parts = file.rsplit(|b| *b == b'.');
    let (ending, before) = (parts.next().unwrap_or_default(), parts.next());
    let Some(before) = before else { return false };
    let stem = file.split(|b| *b == b'.').next().unwrap_or_default();
    let dated = stem.trim_ascii_end();
    let name_end = dated.iter().rposition(|b| b.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    let site = depth <= MAX_DEPTH && known(DUMPED, &dated[..name_end]);
    // Names that Windows reads without their last byte: `index.php.`, `index.php `.
    let shown = matches!(ending, b"" | b"source")
        && matches!(before.trim_ascii(), b"php" | b"asp" | b"aspx" | b"jsp" | b"env")
        || matches!(ending, [b'p', b'h', b'p', b' '] | [b'a', b's', b'p', b' '] | [b'j', b's', b'p', b' ']);
    let copied =
        shown || known(COPIES, ending) && (known(SOURCES, before) || matches!(ending, b"bak" | b"swp" | b"swo"));
    let dumped = ending == b"sql" || before == b"sql" && known(ARCHIVES, ending);
    copied || known(KEYS, ending) || dumped && depth <= MAX_DEPTH || site && known(ARCHIVES, ending)
}
