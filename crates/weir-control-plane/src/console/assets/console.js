// weir Console: progressive enhancement. Every page works without this script.

const announce = (text) => { document.getElementById("announce").textContent = text; };
const on = (kind, selector, run) => document.addEventListener(kind, (event) => {
  const target = event.target instanceof Element ? event.target.closest(selector) : null;
  if (target) run(event, target);
});
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

// --- color theme: switched at once, stored by the server
on("submit", "[data-theme-form]", (event, form) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  document.documentElement.dataset.theme = event.submitter.value;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
  fetch(form.action, { method: "POST", body, redirect: "manual" });
});

// --- copying
on("click", "[data-copy]", async (_event, button) => {
  const text = document.querySelector(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied");
  } catch {
    const selection = getSelection();
    selection.selectAllChildren(document.querySelector(button.dataset.copy));
    announce("Text selected. Copy it with the keyboard.");
  }
});

// --- confirmation dialogs
on("submit", "form[data-confirm]", (event, form) => {
  if (form.dataset.sure) return;
  event.preventDefault();
  const submitter = event.submitter;
  const dialog = make("dialog");
  dialog.setAttribute("aria-labelledby", "confirm-title");
  const title = make("h2", form.dataset.confirm);
  title.id = "confirm-title";
  const no = make("button", "Cancel", "btn");
  const yes = make("button", form.dataset.yes || "Yes", "btn danger");
  const end = make("div", undefined, "end");
  end.append(no, yes);
  dialog.append(title, make("p", form.dataset.detail || ""), end);
  no.onclick = () => dialog.close();
  yes.onclick = () => { form.dataset.sure = "1"; dialog.close(); form.requestSubmit(submitter); };
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
  no.focus();
});

// --- plots: values of the bucket under the pointer
for (const plot of document.querySelectorAll("[data-plot]")) {
  const head = [...plot.querySelectorAll("thead th[data-slot]")].map((th) => [th.dataset.slot, th.textContent]);
  const tip = make("div", undefined, "tip");
  tip.hidden = true;
  plot.append(tip);
  const show = (slot) => {
    const row = plot.querySelector(`tbody tr[data-i="${slot.dataset.i}"]`);
    tip.hidden = !row;
    if (!row) return;
    tip.replaceChildren(make("p", `${row.cells[0].textContent} UTC`));
    head.forEach(([number, label], at) => {
      const value = row.cells[at + 1].textContent;
      if (value === "0") return;
      const line = make("div");
      line.append(make("i", undefined, `dot s${number}`), make("span", label), make("b", value));
      tip.append(line);
    });
    const [box, around] = [slot.getBoundingClientRect(), plot.getBoundingClientRect()];
    const left = box.left - around.left + box.width + 6;
    const flip = left + tip.offsetWidth > around.width;
    tip.style.left = `${flip ? Math.max(0, box.left - around.left - tip.offsetWidth - 6) : left}px`;
    tip.style.top = "14px";
  };
  plot.addEventListener("pointerover", (event) => { if (event.target.matches(".slot")) show(event.target); });
  plot.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// --- relative times, kept current
const spans = [[86_400, "day"], [3_600, "h"], [60, "min"], [1, "s"]];
const relative = (ms) => {
  const seconds = Math.floor(Math.abs(ms) / 1_000);
  if (seconds < 1) return "now";
  const [unit, name] = spans.find(([length]) => seconds >= length);
  const count = Math.floor(seconds / unit);
  const text = `${count} ${name}${name === "day" && count > 1 ? "s" : ""}`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
};
const tick = () => {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    time.textContent = relative(Date.now() - Date.parse(time.dateTime));
  }
};
setInterval(tick, 5_000);

// --- the list of attacks, kept current
const list = document.querySelector("[data-live]");
if (list) {
  const PAUSE = 1_500;
  const toggle = document.querySelector("[data-live-toggle]");
  let tag = "";
  let live = true;
  toggle.hidden = false;
  toggle.onclick = () => {
    live = !live;
    toggle.setAttribute("aria-pressed", String(live));
    toggle.querySelector("use").setAttribute("href", toggle.querySelector("use").getAttribute("href").replace(/#.*/, live ? "#pause" : "#play"));
    toggle.querySelector("span").textContent = live ? "Live" : "Paused";
  };
  const busy = () => document.hidden || !live || list.querySelector(":checked, :focus-visible") || !getSelection().isCollapsed;
  const refresh = async () => {
    const answer = await fetch(list.dataset.live, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.redirected || answer.status === 401) { live = false; return; }
    if (answer.status !== 200) return;
    const first = !tag;
    tag = answer.headers.get("ETag") || "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (busy()) { tag = ""; return; }
    const before = new Map([...list.querySelectorAll("tr[data-id]")].map((row) => [row.dataset.id, row.cells[row.cells.length - 1].querySelector("time").dateTime]));
    const rows = [...fresh.querySelectorAll("tr[data-id]")];
    if (rows.length === 0) return;
    list.replaceChildren(...[...fresh.body.childNodes].map((node) => document.importNode(node, true)));
    let news = 0;
    for (const row of list.querySelectorAll("tr[data-id]")) {
      const known = before.get(row.dataset.id);
      if (known !== row.cells[row.cells.length - 1].querySelector("time").dateTime) row.classList.add("fresh");
      if (known === undefined) news += 1;
    }
    tick();
    if (news && !first) announce(news === 1 ? "1 new attack" : `${news} new attacks`);
  };
  const loop = async () => {
    try { if (!busy()) await refresh(); } catch { /* The server is away: try again. */ }
    setTimeout(loop, PAUSE);
  };
  setTimeout(loop, PAUSE);
}

// --- marking several attacks
const bulk = document.getElementById("bulk");
if (bulk) {
  const count = () => {
    const chosen = document.querySelectorAll('input[form="bulk"]:checked').length;
    bulk.hidden = chosen === 0;
    bulk.querySelector("[data-count]").textContent = chosen === 1 ? "1 attack selected:" : `${chosen} attacks selected:`;
  };
  count();
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const box of document.querySelectorAll('input[form="bulk"]')) box.checked = event.target.checked;
    count();
  });
}

// --- live previews of forms
const debounce = (wait, run) => { let timer; return (...rest) => { clearTimeout(timer); timer = setTimeout(() => run(...rest), wait); }; };
const replace = async (form, request, selector) => {
  const mine = (form.round = (form.round || 0) + 1);
  const answer = await request;
  if (answer.redirected || answer.status !== 200 || mine !== form.round) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(selector);
  if (fresh) document.querySelector(selector).replaceWith(document.importNode(fresh, true));
  const invalid = document.querySelector(`${selector} [data-invalid]`) !== null;
  for (const button of form.querySelectorAll('button[formmethod="post"]')) button.disabled = invalid;
};
for (const form of document.querySelectorAll("form[data-preview]")) {
  const run = debounce(250, () => {
    const data = new URLSearchParams([...new FormData(form)].filter(([name]) => name !== "csrf"));
    replace(form, fetch(`${form.getAttribute("action")}?${data}`, { cache: "no-store" }), "#preview");
  });
  form.addEventListener("input", run);
}
for (const form of document.querySelectorAll("form[data-check]")) {
  const check = () => replace(form, fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)) }), "#check");
  form.addEventListener("input", debounce(350, check));
  form.addEventListener("submit", (event) => {
    if (event.submitter?.name !== "only_test") return;
    event.preventDefault();
    check();
  });
}
// On loading alone: each later submission would be a step of the browser's history.
const page = document.querySelector("[data-preview-page]");
page?.form.requestSubmit(page);
const add = document.querySelector("[data-add-condition]");
if (add) {
  add.hidden = false;
  add.onclick = () => {
    const all = document.querySelectorAll("[data-condition]");
    const copy = all[all.length - 1].cloneNode(true);
    for (const input of copy.querySelectorAll("input")) input.value = "";
    for (const select of copy.querySelectorAll("select")) select.selectedIndex = 0;
    all[all.length - 1].after(copy);
    copy.querySelector("select").focus();
  };
}

// --- keyboard
const KEYS = { d: ["/", "Dashboard"], a: ["/attacks", "Attacks"], r: ["/rules", "Rules"], l: ["/lists", "IP lists"], n: ["/nodes", "Nodes"], s: ["/settings", "Settings"] };
const help = () => {
  const dialog = make("dialog");
  dialog.setAttribute("aria-label", "Keyboard shortcuts");
  const entries = [["/", "Search"], ["j k", "Next or previous row"], ...Object.entries(KEYS).map(([key, [, label]]) => [`g ${key}`, label]), ["?", "Show this help"]];
  const terms = make("dl");
  for (const [keys, label] of entries) {
    const term = make("dt");
    for (const key of keys.split(" ")) term.append(make("kbd", key), " ");
    terms.append(term, make("dd", label));
  }
  const end = make("div", undefined, "end");
  const close = make("button", "Close", "btn");
  close.onclick = () => dialog.close();
  end.append(close);
  dialog.append(make("h2", "Keyboard shortcuts"), terms, end);
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
};
let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  if (Date.now() - going < 1_000 && KEYS[event.key]) { location.href = KEYS[event.key][0]; return; }
  going = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") {
    const search = document.querySelector("[data-slash]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === "?") {
    help();
  } else if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("main tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
    const at = links.indexOf(document.activeElement);
    const next = links[event.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0)];
    if (next) next.focus();
  }
});
// An open menu closes on Escape and on a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});
