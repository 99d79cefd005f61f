"""Template engines: the source of a template has the value in it, as in a mail that an application composes.

Engines of other languages run in one process each, which answers one line of JSON per case.
"""

import json
import re
import select
import subprocess

# A template that takes longer is ended.
SECONDS = 6
EVIDENCE = [
    (re.compile(r"\buid=\d+"), "process"), (re.compile(r"\broot:x:0:0:"), "file shown"), (re.compile(r"SECRETk7"), "secret shown"),
    (re.compile(r"<(?:class|module|function|built-in|bound|cyclic|TemplateReference|Config|Namespace|Undefined|Object)|&lt;(?:class|module|function|TemplateReference)|<\w+(?:\.\w+)+ object at"), "object shown"), (re.compile(r"Linux .*(?:x86_64|aarch64)"), "process"),
    (re.compile(r"\bos-release\b"), "directory listed"), (re.compile(r"\bPATH=|/usr/sbin:/usr/bin|usr/sbin"), "environment shown"),
    (re.compile(r"(?m)^(?:nogroup|daemon)$"), "process"),
]
RUBY = r'''
require 'erb'; require 'json'; require 'stringio'; require 'timeout'
secret = 'SECRETk7'
$stdin.each_line do |line|
  source = JSON.parse(line)['value']
  # What a template prints or leaves to a child goes to the same place.
  read, write = IO.pipe
  child = fork do
    read.close; $stdout.reopen(write); $stderr.reopen('/dev/null')
    begin
      $stdout.write(ERB.new('Hello ' + source + '!', trim_mode: '-').result(binding))
    rescue Exception
    end
    $stdout.flush; exit!(0)
  end
  write.close
  out = (Timeout.timeout(5) { read.read } rescue '')
  Process.wait(child)
  STDOUT.puts JSON.generate({out: out.force_encoding('UTF-8').scrub[0, 100000]}); STDOUT.flush
end
'''
PHP_HEAD = r'''<?php
error_reporting(0);
while (($line = fgets(STDIN)) !== false) {
  $source = 'Hello ' . json_decode($line, true)['value'] . '!';
  ob_start();
  try { echo render($source); } catch (\Throwable $e) {}
  $out = ob_get_clean();
  fwrite(STDOUT, json_encode(['out' => substr($out, 0, 100000)], JSON_INVALID_UTF8_SUBSTITUTE) . "\n");
}
'''
TWIG = r'''
require '/usr/share/php/Twig/autoload.php';
function render($source) {
  $twig = new \Twig\Environment(new \Twig\Loader\ArrayLoader(['index' => $source, 't' => $source]), ['cache' => false]);
  return $twig->render('t', ['secret' => 'SECRETk7', 'name' => 'Anna']);
}
'''
SMARTY = r'''
require '/usr/share/php/smarty4/Smarty.class.php';
function render($source) {
  static $n = 0; $n++;
  $smarty = new Smarty(); $smarty->setCompileDir('/tmp/smarty'); $smarty->setCacheDir('/tmp/smarty');
  $smarty->assign('secret', 'SECRETk7'); $smarty->assign('name', 'Anna');
  return $smarty->fetch('string:' . $source);
}
'''


class Engine:
    def __init__(self, target):
        self.render = {"jinja2": self.jinja2, "mako": self.mako}.get(target, self.process)
        if target == "erb":
            self.argv = ["ruby", "-e", RUBY]
        if target in ("twig", "smarty"):
            path = f"/scratch/{target}.php"
            with open(path, "w") as out:
                out.write(PHP_HEAD.replace("<?php\n", "<?php\n" + (TWIG if target == "twig" else SMARTY)))
            self.argv = ["php", path]
        self.child = None

    @staticmethod
    def jinja2(source):
        import jinja2
        environment = jinja2.Environment(autoescape=False)
        return environment.from_string(source).render(secret="SECRETk7", name="Anna", config={"SECRET": "SECRETk7"}, user={"name": "Anna"})

    @staticmethod
    def mako(source):
        import mako.template
        return mako.template.Template(source).render(secret="SECRETk7", name="Anna", config={"SECRET": "SECRETk7"})

    def process(self, source):
        if self.child is None or self.child.poll() is not None:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.child.stdin.write(json.dumps({"value": source[len("Hello "):-1]}) + "\n")
        self.child.stdin.flush()
        if not select.select([self.child.stdout], [], [], SECONDS)[0]:
            self.child.kill()
            self.child.wait()
        # Nothing if the template has ended the process.
        line = self.child.stdout.readline()
        return json.loads(line)["out"] if line else ""

    def effect(self, case):
        value = case["value"]
        try:
            shown = str(self.render("Hello " + value + "!"))
        except Exception:  # what a template raises is its own affair
            return None
        tag = case["extra"].get("tag")
        if tag and tag in shown and tag not in value:
            return "evaluated"
        for pattern, effect in EVIDENCE:
            if pattern.search(shown) and not pattern.search(value):
                return effect
        return None

    def close(self):
        pass
