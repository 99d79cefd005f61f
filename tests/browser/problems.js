// Returns what is problems with the page, as a list. Attacker script that runs calls `canary`, which sets `canaryCalled`.
const problems = [];
if (window.canaryCalled) problems.push("attacker script ran");
if (document.querySelectorAll("h1").length !== 1) problems.push(`${document.querySelectorAll("h1").length} h1`);
if (!document.documentElement.lang) problems.push("no lang");
if (!document.title.trim()) problems.push("no title");
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!field.labels?.length && !field.ariaLabel && !field.getAttribute("aria-labelledby")) problems.push(`no label: ${field.outerHTML.slice(0, 90)}`);
}
for (const button of document.querySelectorAll("button, a[href]")) {
  if (!(button.textContent.trim() || button.ariaLabel)) problems.push(`no name: ${button.outerHTML.slice(0, 90)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) problems.push(`duplicate id: ${id}`);
if (document.querySelector("script:not([src])")) problems.push("inline script");
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) problems.push("wider than the window");
for (const box of document.querySelectorAll(".scroll, .segments")) {
  if (box.offsetParent && !box.closest("details") && box.scrollWidth > box.clientWidth + 1) {
    problems.push(`${box.scrollWidth - box.clientWidth} px out of sight: ${box.innerText.trim().slice(0, 60).replace(/\s+/g, " ")}`);
  }
}
return problems;
