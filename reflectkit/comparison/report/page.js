"use strict";
// Single problems, drawn when they are looked at. Model text is only ever text content.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("list");
  const count = document.getElementById("count");
  const PAGE = 50;
  let page = 0;

  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const fill = (select, options) => {
    for (const [value, said] of options) {
      const option = make("option", "", said);
      option.value = value;
      select.append(option);
    }
  };
  const task = document.getElementById("task");
  const pattern = document.getElementById("pattern");
  const search = document.getElementById("search");
  const arms = [...new Set(data.flatMap((item) => item.answers.map((a) => a.arm)))];
  const tasks = [...new Set(data.map((item) => item.task))];
  fill(task, [["", "all tasks"], ...tasks.map((t) => [t, t || "(no task)"])]);
  const pairs = [];
  for (const a of arms) for (const b of arms) if (a !== b) pairs.push([a, b]);
  fill(pattern, [
    ["", "all outcomes"],
    ["differ", "arms differ"],
    ["none", "no arm is right"],
    ["changed", "a reflection finds fault"],
    ...pairs.map(([a, b]) => [JSON.stringify([a, b]), `${a}: right, ${b}: not`]),
  ]);

  const rate = (item, arm) => {
    const own = item.answers.filter((a) => a.arm === arm);
    return own.length ? own.filter((a) => a.outcome === "right").length / own.length : null;
  };
  const fits = (item) => {
    if (task.value && item.task !== task.value) return false;
    const words = search.value.trim().toLowerCase();
    if (words && !`${item.id} ${item.prompt} ${item.gold}`.toLowerCase().includes(words)) return false;
    if (!pattern.value) return true;
    const rates = arms.map((arm) => rate(item, arm)).filter((r) => r !== null);
    if (pattern.value === "differ") return new Set(rates).size > 1;
    if (pattern.value === "none") return rates.every((r) => r === 0);
    if (pattern.value === "changed")
      return item.answers.some((a) => a.sections.some((s) => s.says === "flagged"));
    const [a, b] = JSON.parse(pattern.value);
    return rate(item, a) === 1 && rate(item, b) !== null && rate(item, b) < 1;
  };

  const MARK = { right: "✓", wrong: "✗", incomplete: "…", ungraded: "?", failed: "!" };
  const answer = (found) => {
    const box = make("div", "answer");
    const head = make("h4", "", found.arm + (found.repeat ? ` (${found.repeat + 1})` : ""));
    const dot = make("span", `dot ${found.outcome}`, MARK[found.outcome]);
    dot.setAttribute("aria-label", found.outcome);
    head.prepend(dot, " ");
    box.append(head);
    const how = [`${found.outcome}`, `${found.tokens} tokens`];
    if (found.value) how.push(`read as ${found.value}`);
    if (found.note) how.push(found.note);
    box.append(make("p", "how", how.join(" · ")));
    for (const part of found.sections) {
      const text = part.cut ? `${part.text}\n[${part.cut} characters more]` : part.text;
      const node = make("p", `part ${part.kind}`, text);
      node.title = part.says ? `${part.kind}: ${part.says}` : part.kind;
      box.append(node);
    }
    return box;
  };
  const open = (details, item) => {
    if (details.dataset.drawn) return;
    details.dataset.drawn = "1";
    const inside = make("div", "inside");
    inside.append(make("p", "part outside", item.prompt), make("p", "gold", `gold: ${item.gold}`));
    const side = make("div", "side");
    for (const found of item.answers) side.append(answer(found));
    inside.append(side);
    details.append(inside);
  };
  const row = (item) => {
    const details = make("details", "item");
    const summary = make("summary");
    const dots = make("span", "dots");
    for (const found of item.answers) {
      const dot = make("span", `dot ${found.outcome}`, MARK[found.outcome]);
      dot.title = `${found.arm}: ${found.outcome}`;
      dots.append(dot);
    }
    summary.append(make("span", "asked", item.prompt.slice(0, 160)), make("span", "task", item.task), dots);
    details.append(summary);
    details.id = `problem-${item.id}`;
    details.addEventListener("toggle", () => details.open && open(details, item));
    return details;
  };
  const draw = () => {
    const found = data.filter(fits);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    list.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
    count.textContent = `${found.length} of ${data.length} problems, page ${page + 1} of ${pages}`;
    document.getElementById("back").disabled = page === 0;
    document.getElementById("on").disabled = page >= pages - 1;
  };
  for (const control of [task, pattern, search])
    control.addEventListener("input", () => { page = 0; draw(); });
  document.getElementById("back").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("on").addEventListener("click", () => { page += 1; draw(); });
  // a problem's own address: report.html#problem-ID
  const wanted = decodeURIComponent(location.hash.replace(/^#problem-/, ""));
  const place = data.findIndex((item) => item.id === wanted);
  page = Math.max(0, Math.floor(place / PAGE));
  draw();
  const there = place < 0 ? null : document.getElementById(`problem-${wanted}`);
  if (there) {
    there.open = true;
    open(there, data[place]);
    there.scrollIntoView();
  }
})();
