"use strict";
// Single problems, drawn when they are looked at. Model text is only ever text content.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const the = (id) => document.getElementById(id);
  const [list, count, task, pattern, search] = ["list", "count", "task", "pattern", "search"].map(the);
  const PAGE = 50;
  const MARK = { right: "✓", wrong: "✗", incomplete: "…", ungraded: "?", failed: "!" };
  const SAYS = { ok: "says that all is well", flagged: "finds fault", unclear: "says neither" };
  let page = 0;

  // Characters that are not seen, or that turn a line around, are shown by their number.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const number = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  const clear = (text) => text.replace(/\r\n?/g, "\n").replace(HIDDEN, number);
  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = clear(text);
    return node;
  };
  const fill = (select, options) => {
    for (const [value, said] of options) {
      const option = make("option", "", said);
      option.value = value;
      select.append(option);
    }
  };
  const arms = [...new Set(data.flatMap((item) => item.answers.map((a) => a.arm)))];
  const tasks = [...new Set(data.map((item) => item.task))];
  fill(task, [["", "all tasks"], ...tasks.map((t) => ["=" + t, t || "(no task)"])]);
  task.hidden = tasks.length < 2;
  const pairs = [];
  for (const a of arms) for (const b of arms) if (a !== b) pairs.push([a, b]);
  fill(pattern, [
    ["", "all outcomes"],
    ["differ", "arms differ"],
    ["none", "no answer is right"],
    ["found", "a reflection finds fault"],
    ["assured", "the last reflection says ok, and it is wrong"],
    ["broken", "an answer is incomplete, ungraded or failed"],
    ...pairs.map(([a, b]) => [JSON.stringify([a, b]), `${a} always right, ${b} not`]),
  ]);

  const right = (found) => found.outcome === "right";
  const rate = (item, arm) => {
    const own = item.answers.filter((a) => a.arm === arm);
    return own.length ? own.filter(right).length / own.length : null;
  };
  const last = (found) => found.sections.filter((s) => s.kind === "reflection").at(-1);
  const PATTERNS = {
    differ: (item) => new Set(arms.map((arm) => rate(item, arm)).filter((r) => r !== null)).size > 1,
    none: (item) => !item.answers.some(right),
    found: (item) => item.answers.some((a) => a.sections.some((s) => s.says === "flagged")),
    assured: (item) => item.answers.some((a) => !right(a) && last(a)?.says === "ok"),
    broken: (item) => item.answers.some((a) => a.outcome !== "right" && a.outcome !== "wrong"),
  };
  const better = (first, second) => (item) => {
    const [a, b] = [rate(item, first), rate(item, second)];
    return a === 1 && b !== null && b < 1;
  };
  const texts = new Map();
  const searched = (item) => {
    if (!texts.has(item)) texts.set(item, `${item.id} ${item.prompt} ${item.gold}`.toLowerCase());
    return texts.get(item);
  };
  const chosen = () => {
    const words = search.value.trim().toLowerCase();
    const fits = !pattern.value
      ? () => true
      : PATTERNS[pattern.value] || better(...JSON.parse(pattern.value));
    return data.filter(
      (item) =>
        (!task.value || "=" + item.task === task.value) &&
        (!words || searched(item).includes(words)) &&
        fits(item),
    );
  };

  const dotted = (found) => {
    const dot = make("span", `dot ${found.outcome}`, MARK[found.outcome] || "?");
    dot.setAttribute("role", "img");
    dot.setAttribute("aria-label", found.outcome);
    return dot;
  };
  const section = (part) => {
    const node = make("div", `part ${part.kind}`);
    const tag = part.says ? `${part.kind}, ${SAYS[part.says] || part.says}` : part.kind;
    node.append(make("span", "tag", tag), clear(part.text.trim()));
    if (part.cut) node.append(make("span", "tag", `${part.cut} characters more`));
    node.dir = "auto";
    return node;
  };
  const answer = (found) => {
    const box = make("div", `answer ${found.outcome}`);
    const head = make("h4", "", found.arm);
    head.prepend(dotted(found), " ");
    const how = [found.outcome, `${found.tokens} tokens`];
    if (found.value) how.push(`read as ${found.value}`);
    if (found.note) how.push(found.note);
    box.append(head, make("p", "how", how.join(" · ")), ...found.sections.map(section));
    return box;
  };
  const open = (details, item) => {
    if (details.dataset.drawn) return;
    details.dataset.drawn = "1";
    const inside = make("div", "inside");
    if (item.prompt !== shown(item)) inside.append(make("p", "prompt", item.prompt));
    inside.append(make("p", "gold", `right answer: ${item.gold}`));
    const repeats = [...new Set(item.answers.map((a) => a.repeat))].sort((a, b) => a - b);
    for (const repeat of repeats) {
      if (repeats.length > 1) inside.append(make("h3", "", `Answer ${repeat + 1} of ${repeats.length}`));
      const side = make("div", "side");
      side.append(...item.answers.filter((a) => a.repeat === repeat).map(answer));
      inside.append(side);
    }
    details.append(inside);
  };
  const shown = (item) => item.prompt.slice(0, 160).replace(/\s+/g, " ");
  const row = (item) => {
    const details = make("details", "item");
    const summary = make("summary");
    const dots = make("span", "dots");
    for (const arm of arms) {
      const own = item.answers.filter((a) => a.arm === arm);
      if (!own.length) continue;
      const group = make("span", "group");
      group.title = `${clear(arm)}: ${own.filter(right).length} of ${own.length} right`;
      group.append(...own.map(dotted));
      dots.append(group);
    }
    const asked = make("span", "asked", shown(item) + (item.prompt.length > 160 ? " …" : ""));
    asked.dir = "auto";
    summary.append(asked, make("span", "task", item.task), dots);
    details.append(summary);
    details.id = `problem-${item.id}`;
    details.addEventListener("toggle", () => details.open && open(details, item));
    return details;
  };
  const draw = () => {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    list.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
    count.textContent =
      `${found.length} of ${data.length} problems, page ${page + 1} of ${pages}. ` +
      (arms.length ? `Marks: ${clear(arms.join("; "))}.` : "");
    the("back").disabled = page === 0;
    the("on").disabled = page >= pages - 1;
    the("back").parentElement.hidden = pages < 2;
  };
  // a problem's own address: report.html#problem-ID
  const go = () => {
    let wanted = location.hash.slice(1);
    try { wanted = decodeURIComponent(wanted); } catch { /* as it stands */ }
    const place = data.findIndex((item) => `problem-${item.id}` === wanted);
    if (place < 0) return;
    task.value = pattern.value = search.value = "";
    page = Math.floor(place / PAGE);
    draw();
    const there = the(wanted);
    open(there, data[place]);
    there.open = true;
    there.scrollIntoView();
  };
  let waiting = 0;
  const again = () => { page = 0; draw(); };
  for (const control of [task, pattern]) control.addEventListener("change", again);
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  const turn = (by) => () => {
    page += by;
    draw();
    count.scrollIntoView({ block: "nearest" });
  };
  the("back").addEventListener("click", turn(-1));
  the("on").addEventListener("click", turn(1));
  addEventListener("hashchange", go);
  draw();
  go();
})();
