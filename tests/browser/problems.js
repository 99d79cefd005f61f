// What each page must have, told as a list of what it has not. `canary` is called by script that got through.
const wrong = [];
if (window.canaryCalled) wrong.push("script of an attacker ran");
if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} h1`);
if (!document.documentElement.lang) wrong.push("no lang");
if (!document.title.trim()) wrong.push("no title");
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!field.labels?.length && !field.ariaLabel && !field.getAttribute("aria-labelledby")) wrong.push(`no label: ${field.outerHTML.slice(0, 90)}`);
}
for (const button of document.querySelectorAll("button, a[href]")) {
  if (!(button.textContent.trim() || button.ariaLabel)) wrong.push(`no name: ${button.outerHTML.slice(0, 90)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong.push(`id twice: ${id}`);
if (document.querySelector("script:not([src])")) wrong.push("inline script");
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) wrong.push("wider than the window");
return wrong;
