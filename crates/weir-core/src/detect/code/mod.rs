//! Code that an application would evaluate: the value as a whole is a piece of a program, and the program does what only
//! code does.
//!
//! The languages in which values are evaluated (PHP, JavaScript, Python, Ruby, Java and its expression languages, Groovy,
//! Perl, Lua, C#) share a grammar of operands and operators, members, calls and brackets. [`read`] follows it once from the
//! beginning to the end and refuses what none of them accepts, above all two words in a row, which every sentence has.
//! [`meaning`] then judges what is called: whether it starts a process, evaluates a text, opens a file or a connection,
//! reaches into the objects of the language, or shows the server's state. Formulas, styles and calls of an application's
//! own functions are programs too, and do none of that.

mod abilities;
mod chain;
mod lex;
mod meaning;
mod names;
mod objects;
mod read;

use super::text_field::{self, TextField};
use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, TagSet, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "rce.code",
    attack: AttackType::Rce,
    about: "The value as a whole is a piece of a program that starts a process, evaluates a text, opens a file or a \
            connection, or reaches into the objects of the language",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "system('ls -l')",
            "os.listdir('/srv')",
            "print(os.environ)",
            "';echo php_uname();//",
            "'.getmypid().'",
            "$f='ex'.'ec';$f('ls')",
            "('ex'.'ec')('ls')",
            "array_map('passthru', ['ls'])",
            "require('os').networkInterfaces()",
            "(function(){ return process.env })()",
            "File.read('/srv/app/secret')",
            "puts `uname -a`",
            "System.getenv()",
            "java.lang.Thread.sleep(9000)",
            "new java.io.FileReader('/srv/a')",
            "x.getClass().getClassLoader()",
            "_G['os']['execute']('ls')",
            "io.open('/srv/a'):read('*a')",
            "urllib.request.urlopen('http://192.0.2.1').read()",
            "foreach(glob('/srv/*') as $f) echo $f;",
            "open(F, 'ls|'); print <F>;",
            "if(1){passthru('ls');}",
            "typeof(string).Assembly.GetType('System.AppDomain')",
            "import shutil; shutil.rmtree('/srv')",
            "print_r($_SERVER);",
            "{${getmypid()}}",
        ],
        negative: &[
            "SUM(A1:B2)",
            "f(x) = 2*x + sin(x)",
            "Math.max(1, 2)",
            "console.log('x')",
            "rgb(1, 2, 3)",
            "calc(100% - 20px)",
            "translate('a.b')",
            "$t('a.b')",
            "$('#menu').hide()",
            "db.users.find({name: 'x'})",
            "rate(process_open_fds[5m])",
            "resource.name.startsWith('projects/')",
            "the call system('x') is old",
            "system('x') and exec('y') are calls",
            "exec() in PHP",
            "open('a.txt')",
            "os.path.join('a', 'b')",
            "File.basename('a.rb')",
            "/x/.exec('y')",
            "process.env.NODE_ENV",
            "com.example.Main.main(Main.java:12)",
            "window.open('/help')",
            "{\"cmd\": \"system('x')\"}",
            "import('./a.js')",
            "require('lodash')",
            "fields(id, name)",
        ],
    },
};

/// Most bytes of a value that are read. What is behind them is not looked at, so padding hides nothing.
const MAX_VALUE: usize = 1024;
/// Most bytes of a value in a document that may be evaluated: longer ones are scripts.
const MAX_EXPRESSION: usize = 256;

const FILTER: ByteClassFilter =
    ByteClassFilter::any(ByteClasses::LPAREN.with(ByteClasses::BACKTICK).with(ByteClasses::LBRACKET))
        .and(ByteClasses::ALPHA);

fn run(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes;
    let (window, cut) = if text.len() > MAX_VALUE { (&text[..MAX_VALUE], true) } else { (text, false) };
    let program = read::program(window, cut)?;
    is_evaluated(subject, &program).then_some(Match { confidence: Confidence::High, start: 0, end: window.len() })
}

/// Whether an application may evaluate the value where it is. Texts and documents hold programs that are kept or handed on,
/// unless these break out of what holds them.
fn is_evaluated(subject: &Subject<'_>, program: &read::Program) -> bool {
    let lines = subject.bytes.trim_ascii().contains(&b'\n');
    if program.breaks_out && !lines {
        return true;
    }
    // A file of several lines is source code that is stored. What a server makes of files, detectors for files judge.
    if lines && subject.is_within(TagSet::FILES) {
        return false;
    }
    match text_field::of(subject) {
        Some(TextField::Prose | TextField::Script | TextField::CodeLine) => false,
        field if text_field::is_structured(subject) => {
            field.is_none() && !program.is_script && !lines && subject.bytes.len() <= MAX_EXPRESSION
        }
        Some(_) => !lines,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{DETECTOR, read};
    use crate::detect::work;

    #[test]
    fn work_on_hostile_text_is_linear() {
        // What is read is bounded, so the work is constant beyond the bound.
        for unit in ["a(", "(", "a.b", "'a'.", "/a", "/*", "#", "${", "a;", "f('x');", "`a`+", "a[", "}", "a=", "<F>"] {
            work::assert_linear(unit, 128, 24, |text| read::program(text, false));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"([a-z$@#%_]{1,6}|[(){}\[\];,.:'"`/=<>?!&|*+ \n\\-]|system|os|new |print |é){0,60}"#) {
            DETECTOR.matches(text.as_bytes());
        }
    }
}
