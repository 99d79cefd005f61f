//! Web shells in files: programs of a server that execute what a client sends, whatever the file is called.
//!
//! What such a program must do is looked for - a call that executes, reached by the request or by what was decoded - and
//! not the names of known ones. Source code that does not do that passes, of whichever language it is.

mod page;
mod php;
mod script;

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Value, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "rce.webshell",
    attack: AttackType::Rce,
    about: "A program in a file that executes what a client sends, or that hides what it executes",
    zones: Zone::FILE,
    filter: ByteClassFilter::any(ByteClasses::LPAREN.with(ByteClasses::BACKTICK).with(ByteClasses::LT)),
    run,
    samples: Samples {
        positive: &[
            "<?php system($_GET['c']); ?>",
            "GIF89a;<?=`$_POST[0]`?>",
            "<? $f = 'as' . 'sert'; $f($_REQUEST['x']);",
            "<?php eval(gzinflate(base64_decode('S0ktSwUA')));",
            "<?php function r($c) { passthru($c); } r($_COOKIE['c']);",
            "<?php preg_replace('/.*/e', $_POST['x'], '');",
            "<?php $x = chr(115) . chr(121) . chr(115) . 'tem'; $x(getenv('HTTP_X'));",
            "<?php array_map('assert', (array)$_POST['x']);",
            "<% eval request(\"c\") %>",
            "<% Runtime.getRuntime().exec(request.getParameter(\"c\")); %>",
            "<%@ Page Language=\"C#\" %><% System.Diagnostics.Process.Start(Request[\"c\"]); %>",
            "<cfset x = evaluate(url.c)>",
            "import os\nc = request.args.get('c')\nos.system(c)",
        ],
        negative: &[
            "<?php echo htmlspecialchars($_GET['name']); ?>",
            "<?php $rows = $db->exec($sql); $f = 'strtolower'; echo $f($_POST['x']);",
            "<?php exec('convert ' . escapeshellarg($_POST['file'])); eval('?>' . $template);",
            "<?php call_user_func([$this, 'save'], $_POST); include 'header.php';",
            "<?xml version=\"1.0\"?><a/>",
            "<% out.print(request.getParameter(\"name\")); %>",
            "#!/bin/sh\nexec \"$@\"\n",
            "INSERT INTO t VALUES ('<?php echo 1; ?>');",
        ],
    },
};

fn run(subject: &Subject<'_>) -> Option<Match> {
    let content = subject.bytes;
    let found = php::find(content).or_else(|| page::find(content));
    let found = found.or_else(|| if Value::looks_binary(content) { None } else { script::find(content) })?;
    const SHOWN: usize = 80;
    let start = found.saturating_sub(SHOWN / 2).min(content.len());
    Some(Match { confidence: Confidence::High, start, end: (found + SHOWN).min(content.len()).max(start) })
}

#[cfg(test)]
mod tests {
    use super::{page, php, script};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panics(text in r#"(<\?php |<\?=|\?>|<%|%>|<<<A\n|\nA;|\$a|\$\$|\$_GET|function f\(|eval|\\x4|/\*|\*/|'|"|`|\{\$|=|\.=|\^|->|::|\+\+|[\[\]{}();,.~@?:&a-z0-9 \\\n]){0,80}"#) {
            for text in [text.clone(), format!("<?php {text}"), format!("<% {text}")] {
                php::find(text.as_bytes());
                page::find(text.as_bytes());
                script::find(text.as_bytes());
            }
        }

        #[test]
        fn never_panics_on_bytes(bytes: Vec<u8>) {
            let code = [b"<?php ", &bytes[..]].concat();
            php::find(&code);
            page::find(&code);
        }
    }

    /// Deep nesting ends at a bound, and many openings cost no more than bytes.
    #[test]
    fn nesting_is_bounded() {
        for unit in
            ["(", "[", "$", "!", "{", "f(", "$a=", "new ", "'a'.", "function f(", "\"{$", "<<<A\n", "<?php ", "~", "`"]
        {
            let text = format!("<?php {}", unit.repeat(200_000 / unit.len()));
            php::find(text.as_bytes());
        }
    }
}
